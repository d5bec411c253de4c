//! The cases. Each is an async function that panics where a store does not do as it should.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use simfleet_provider_api::{Address, Value, encoding};

use super::*;
use crate::declaration::Outcome;
use crate::error::StateError;
use crate::event::Event;
use crate::host::Holder;
use crate::locks::{LEASE, LockSet, Locked};
use crate::replay::{ReplayError, replay};
use crate::store::{Journal, Snapshot};

/// A fixture with its machine and its store.
pub(super) struct Bench<F> {
    pub(super) host: Arc<VirtualHost>,
    pub(super) fixture: F,
    pub(super) store: Arc<dyn StateStore>,
}

impl<F: Fixture> Bench<F> {
    pub(super) fn new() -> Self {
        let host = Arc::new(VirtualHost::default());
        let fixture = F::new(host.clone());
        let store = fixture.store();
        Bench { host, fixture, store }
    }

    pub(super) async fn open(&self, holder: &Holder, names: &[&str]) -> Box<dyn Journal> {
        let locks = LockSet::exclusive(names.iter().map(|name| node(name)));
        self.store.open(holder, &locks).await.expect("the locks are free")
    }

    /// Opens everything that [`every_event`] changes.
    pub(super) async fn open_all(&self, holder: &Holder) -> Box<dyn Journal> {
        let locks = LockSet::exclusive(every_event().iter().flatten().flat_map(Event::addresses).cloned());
        self.store.open(holder, &locks).await.expect("the locks are free")
    }

    async fn refused(&self, holder: &Holder, locks: &LockSet) -> Locked {
        match self.store.open(holder, locks).await {
            Err(StateError::Locked(locked)) => *locked,
            other => panic!("the locks are held: {other:?}"),
        }
    }

    pub(super) async fn load(&self) -> Snapshot {
        self.store.load().await.expect("it is sound")
    }
}

pub(super) async fn append(journal: &mut Box<dyn Journal>, events: &[Event]) -> u64 {
    journal.append(events).await.expect("it is legal").serial
}

fn is_fenced<T: std::fmt::Debug>(result: Result<T, StateError>) -> bool {
    matches!(result, Err(StateError::Fenced { .. }))
}

fn exclusive(name: &str) -> LockSet {
    LockSet::exclusive([node(name)])
}

/// To load where there is nothing is no error, and makes nothing.
pub async fn an_empty_store_loads_as_nothing<F: Fixture>() {
    let bench = Bench::<F>::new();
    assert_eq!(bench.load().await, Snapshot::default());
    assert!(bench.store.history(0..=u64::MAX).await.expect("empty").is_empty());
    assert!(
        bench
            .store
            .unlock(&bench.host.holder(1).id)
            .await
            .expect("empty")
            .is_empty()
    );
    assert_eq!(bench.fixture.store().load().await.expect("empty"), Snapshot::default());
}

/// Every event is recorded, comes back as it was but for secrets, and leads to the same state.
pub async fn every_event_comes_back<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut journal = bench.open_all(&bench.host.holder(1)).await;
    for group in every_event() {
        append(&mut journal, &group).await;
    }
    let store = bench.fixture.store();
    let history = store.history(0..=u64::MAX).await.expect("sound");
    let names = |groups: Vec<Vec<Event>>| -> Vec<Vec<&str>> {
        groups
            .iter()
            .map(|group| group.iter().map(Event::name).collect())
            .collect()
    };
    let recorded: Vec<Vec<Event>> = history.iter().map(|entry| entry.events.clone()).collect();
    assert_eq!(names(recorded.clone()), names(every_event()));
    for (was, is) in every_event().iter().flatten().zip(recorded.iter().flatten()) {
        match (was, is) {
            (Event::Outputs { values: was }, Event::Outputs { values: is }) => {
                assert_eq!(was.get("count"), is.get("count"));
                assert_ne!(was.get("key"), is.get("key"), "a secret does not come back");
            }
            (Event::Redeclared { .. } | Event::Adopted { .. } | Event::Intended { .. }, _) => {}
            _ => assert_eq!(was, is),
        }
    }
    let state = store.load().await.expect("sound").state;
    assert_eq!(state, replay(&history).expect("legal"));
    let nodes: Vec<String> = state.resources.keys().map(ToString::to_string).collect();
    assert_eq!(nodes, ["node.b", "node.d"]);
    assert!(state.deposed.is_empty() && state.intents.is_empty());
    assert_eq!(
        state.resources[&node("d")].declared.inputs.get("size"),
        Some(&Value::from(1u64))
    );
}

/// The serial grows by one with each group, and each group carries when and by whom it was written.
pub async fn a_serial_names_a_group<F: Fixture>() {
    let bench = Bench::<F>::new();
    let holder = bench.host.holder(1);
    let mut journal = bench.open(&holder, &["a", "b"]).await;
    let first = journal
        .append(&[create(&node("a"), 1), create(&node("b"), 2)])
        .await
        .expect("legal");
    bench.host.advance(Duration::from_secs(5));
    let second = journal.append(&[made(&node("a"), 1, "i", 1)]).await.expect("legal");
    assert_eq!((first.serial, second.serial), (1, 2));
    assert_eq!(second.at.duration_since(first.at), SignedDuration::from_secs(5));
    assert_eq!((&second.holder, second.epoch), (&holder.id, journal.epoch()));
    let snapshot = bench.load().await;
    assert_eq!(snapshot.state.serial, 2);
    assert_eq!(snapshot.state.fingerprint(&node("a")), Some(2));
    assert_eq!(snapshot.state.fingerprint(&node("b")), Some(1));
    assert_eq!(snapshot.state.fingerprint(&node("c")), None);
    let stamps: Vec<_> = bench
        .store
        .history(1..=2)
        .await
        .expect("sound")
        .into_iter()
        .map(|e| e.stamp)
        .collect();
    assert_eq!(stamps, [first, second]);
}

/// The lineage is made with the state and stays; two states have two.
pub async fn a_lineage_is_made_once<F: Fixture>() {
    let bench = Bench::<F>::new();
    let journal = bench.open(&bench.host.holder(1), &["a"]).await;
    let lineage = journal.lineage().clone();
    assert!(!lineage.is_empty());
    journal.close().await.expect("open");
    let again = bench
        .fixture
        .store()
        .open(&bench.host.holder(2), &exclusive("a"))
        .await
        .expect("free");
    assert_eq!(*again.lineage(), lineage);
    assert_eq!(bench.load().await.lineage, Some(lineage.clone()));
    let other = F::new(bench.host.clone());
    let other = other
        .store()
        .open(&bench.host.holder(1), &exclusive("a"))
        .await
        .expect("free");
    assert_ne!(*other.lineage(), lineage);
}

/// To append nothing changes nothing but the lease.
pub async fn no_events_are_no_change<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut journal = bench.open(&bench.host.holder(1), &["a"]).await;
    assert_eq!(append(&mut journal, &[]).await, 0);
    append(&mut journal, &[create(&node("a"), 1)]).await;
    assert_eq!(append(&mut journal, &[]).await, 1);
    assert_eq!(bench.store.history(0..=u64::MAX).await.expect("sound").len(), 1);
}

/// Where one event of a group is illegal, none is recorded, and the journal can go on.
pub async fn an_illegal_event_is_refused_with_its_group<F: Fixture>() {
    let bench = Bench::<F>::new();
    let (a, b) = (node("a"), node("b"));
    let mut journal = bench.open(&bench.host.holder(1), &["a", "b"]).await;
    append(&mut journal, &[create(&a, 1)]).await;
    let before = bench.load().await.state;
    for (name, group) in [
        ("a second intent", vec![create(&b, 2), create(&a, 3)]),
        ("another token", vec![create(&b, 2), made(&a, 9, "i", 1)]),
        ("no intent", vec![made(&b, 2, "i", 1)]),
        ("no object", vec![update(&b, 2, "i", 1)]),
        ("an end that cannot be", vec![gone(&a, 1)]),
    ] {
        let error = journal.append(&group).await.expect_err(name);
        assert!(matches!(error, StateError::Illegal(_)), "{name}: {error:?}");
        assert_eq!(bench.load().await.state, before, "{name}");
    }
    assert_eq!(append(&mut journal, &[made(&a, 1, "i", 1)]).await, 2);
    let error = journal
        .append(&[made(&a, 1, "i", 1)])
        .await
        .expect_err("a success comes once");
    assert!(
        matches!(error, StateError::Illegal(ReplayError::NoIntent { .. })),
        "{error:?}"
    );
}

/// An event may change only what its journal has locked exclusively.
pub async fn an_event_outside_the_locks_is_refused<F: Fixture>() {
    let bench = Bench::<F>::new();
    let locks = exclusive("a").and_shared([node("b")]);
    let mut journal = bench.store.open(&bench.host.holder(1), &locks).await.expect("free");
    for name in ["b", "c"] {
        let error = journal
            .append(&[create(&node("a"), 1), create(&node(name), 2)])
            .await
            .expect_err(name);
        assert!(
            matches!(&error, StateError::NotHeld { address, .. } if *address == node(name)),
            "{error:?}"
        );
    }
    let moved = Event::Moved {
        from: node("a"),
        to: node("b"),
    };
    assert!(matches!(
        journal.append(&[moved]).await,
        Err(StateError::NotHeld { .. })
    ));
    assert_eq!(bench.load().await.state.serial, 0);
    append(&mut journal, &[create(&node("a"), 1)]).await;
}

/// Exclusive excludes both; shared excludes exclusive only; other addresses do not matter.
pub async fn locks_exclude_each_other<F: Fixture>() {
    let bench = Bench::<F>::new();
    let shared = |name| LockSet::default().and_shared([node(name)]);
    let child = LockSet::exclusive([node("a").child("nic")]);
    for (name, first, second, together) in [
        ("both change", exclusive("a"), exclusive("a"), false),
        ("one needs what the other changes", exclusive("a"), shared("a"), false),
        ("one changes what the other needs", shared("a"), exclusive("a"), false),
        ("both need", shared("a"), shared("a"), true),
        ("others", exclusive("a"), exclusive("b"), true),
        ("a child is another", exclusive("a"), child, true),
        ("nothing", LockSet::default(), LockSet::default(), true),
        (
            "both in one",
            exclusive("a").and_shared([node("a")]),
            shared("a"),
            false,
        ),
    ] {
        let one = bench.store.open(&bench.host.holder(1), &first).await.expect("free");
        match bench.store.open(&bench.host.holder(2), &second).await {
            Ok(two) => {
                assert!(together, "{name}");
                two.close().await.expect("open");
            }
            Err(StateError::Locked(_)) => assert!(!together, "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
        one.close().await.expect("open");
    }
}

/// Who is refused gets nothing, and learns of all holders in the way and of the addresses that they have.
pub async fn a_refused_holder_learns_for_whom_to_wait<F: Fixture>() {
    let bench = Bench::<F>::new();
    let (one, two) = (bench.host.holder(1), bench.host.holder(2));
    let _first = bench.open(&one, &["a", "b", "x"]).await;
    let _second = bench.open(&two, &["c"]).await;
    let wanted = LockSet::exclusive(["a", "b", "c", "d"].map(node));
    let locked = bench.refused(&bench.host.holder(3), &wanted).await;
    let names = |names: &[&str]| -> BTreeSet<Address> { names.iter().map(|name| node(name)).collect() };
    let by: Vec<_> = locked
        .by
        .iter()
        .map(|(holder, addresses, _)| (holder, addresses.clone()))
        .collect();
    assert_eq!(by, [(&one, names(&["a", "b"])), (&two, names(&["c"]))]);
    assert!(
        locked
            .to_string()
            .contains("node.a, node.b by ann@lab (process 1, since "),
        "{locked}"
    );
    bench.open(&bench.host.holder(4), &["d"]).await;
}

/// A journal that is closed leaves its locks to the next.
pub async fn closing_releases<F: Fixture>() {
    let bench = Bench::<F>::new();
    let journal = bench.open(&bench.host.holder(1), &["a"]).await;
    assert_eq!(bench.load().await.leases.len(), 1);
    journal.close().await.expect("open");
    assert!(bench.load().await.leases.is_empty());
    bench.open(&bench.host.holder(2), &["a"]).await;
}

/// Two holders of other addresses write in turns, and neither hinders the other.
pub async fn two_holders_write_at_once<F: Fixture>() {
    let bench = Bench::<F>::new();
    let needs = LockSet::exclusive([node("a")]).and_shared([node("host")]);
    let mut one = bench.store.open(&bench.host.holder(1), &needs).await.expect("free");
    let needs = LockSet::exclusive([node("b")]).and_shared([node("host")]);
    let mut two = bench
        .fixture
        .store()
        .open(&bench.host.holder(2), &needs)
        .await
        .expect("free");
    assert_eq!(append(&mut one, &[create(&node("a"), 1)]).await, 1);
    assert_eq!(append(&mut two, &[create(&node("b"), 2)]).await, 2);
    assert_eq!(append(&mut two, &[made(&node("b"), 2, "i-b", 1)]).await, 3);
    assert_eq!(append(&mut one, &[made(&node("a"), 1, "i-a", 1)]).await, 4);
    let snapshot = bench.load().await;
    assert_eq!(snapshot.state.resources.len(), 2);
    assert_eq!(snapshot.leases.len(), 2);
}

/// A port goes to the first who reserves it.
pub async fn two_holders_cannot_take_one_port<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut one = bench.open(&bench.host.holder(1), &["a"]).await;
    let mut two = bench.open(&bench.host.holder(2), &["b"]).await;
    append(&mut one, &[reserved(&node("a"), "mavlink", 14550)]).await;
    let error = two
        .append(&[reserved(&node("b"), "mavlink", 14550)])
        .await
        .expect_err("taken");
    assert!(
        matches!(&error, StateError::Illegal(ReplayError::Taken { by, .. }) if *by == node("a")),
        "{error:?}"
    );
    append(&mut two, &[reserved(&node("b"), "mavlink", 14551)]).await;
}

/// The locks of a process that is proven dead fall at once. What it had begun is still open, with its token, and its
/// follower ends it.
pub async fn a_dead_holder_is_followed_at_once<F: Fixture>() {
    let bench = Bench::<F>::new();
    let dead = bench.host.holder(1);
    let mut journal = bench.open(&dead, &["a"]).await;
    append(&mut journal, &[create(&node("a"), 1)]).await;
    append(&mut journal, &[accepted(&node("a"), 1)]).await;
    let follower = bench.host.holder(2);
    bench.refused(&follower, &exclusive("a")).await;
    bench.host.kill(&dead);
    let mut next = bench.open(&follower, &["a"]).await;
    let state = bench.load().await.state;
    let intent = &state.intents[&node("a")];
    assert_eq!((&intent.token, &intent.holder), (&token(1), &dead.id));
    assert_eq!(intent.epoch, journal.epoch());
    assert!(intent.handle.is_some());
    assert_eq!(state.declared_of(&node("a")), Some(&declared(1)));
    append(&mut next, &[made(&node("a"), 1, "i", 1)]).await;
    assert!(bench.load().await.state.intents.is_empty());
}

/// The locks of a holder that may be alive fall when its lease is over, not before.
pub async fn a_silent_holder_is_followed_after_its_lease<F: Fixture>() {
    let bench = Bench::<F>::new();
    for (name, holder) in [("here", bench.host.holder(1)), ("elsewhere", bench.host.stranger(1))] {
        let _silent = bench.open(&holder, &["a"]).await;
        bench.host.advance(LEASE - Duration::from_secs(1));
        let locked = bench.refused(&bench.host.holder(2), &exclusive("a")).await;
        assert_eq!(locked.by[0].0, holder, "{name}");
        bench.host.advance(Duration::from_secs(1));
        let next = bench.open(&bench.host.holder(2), &["a"]).await;
        next.close().await.expect("open");
    }
}

/// A lease that is renewed goes on.
pub async fn renewing_keeps_the_locks<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut journal = bench.open(&bench.host.holder(1), &["a"]).await;
    assert_eq!(journal.lease(), LEASE);
    for _ in 0..5 {
        bench.host.advance(LEASE / 2);
        assert_eq!(journal.lease(), LEASE / 2);
        journal.renew().await.expect("held");
        assert_eq!(journal.lease(), LEASE);
    }
    bench.refused(&bench.host.holder(2), &exclusive("a")).await;
}

/// To append renews the lease too.
pub async fn appending_keeps_the_locks<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut journal = bench.open(&bench.host.holder(1), &["a"]).await;
    bench.host.advance(LEASE / 2);
    append(&mut journal, &[create(&node("a"), 1)]).await;
    assert_eq!(journal.lease(), LEASE);
    bench.host.advance(LEASE / 2);
    bench.refused(&bench.host.holder(2), &exclusive("a")).await;
}

/// Where the clock was set back, a lease of a time that is yet to come counts as over.
pub async fn a_clock_that_was_set_back_locks_nobody_out<F: Fixture>() {
    let bench = Bench::<F>::new();
    let _silent = bench.open(&bench.host.stranger(1), &["a"]).await;
    bench.host.set_back(SignedDuration::from_hours(24));
    bench.open(&bench.host.holder(2), &["a"]).await;
}

/// A holder whose locks were taken over records nothing more, whether its follower is still there or not.
pub async fn a_late_holder_is_fenced<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut late = bench.open(&bench.host.holder(1), &["a", "b"]).await;
    append(&mut late, &[create(&node("a"), 1)]).await;
    bench.host.advance(LEASE);
    assert_eq!(late.lease(), Duration::ZERO);
    let mut next = bench.open(&bench.host.holder(2), &["a"]).await;
    append(&mut next, &[accepted(&node("a"), 1)]).await;
    let before = bench.load().await.state;
    for follower in ["there", "gone"] {
        assert!(
            is_fenced(late.append(&[made(&node("a"), 1, "i", 1)]).await),
            "{follower}"
        );
        assert!(
            is_fenced(late.append(&[create(&node("b"), 2)]).await),
            "{follower}: nothing of it is left"
        );
        assert!(
            is_fenced(late.append(&[Event::Outputs { values: [].into() }]).await),
            "{follower}: needs no lock"
        );
        assert!(is_fenced(late.append(&[]).await), "{follower}: no events");
        assert!(is_fenced(late.renew().await), "{follower}");
        assert_eq!(late.lease(), Duration::ZERO);
        assert_eq!(bench.load().await.state, before, "{follower}");
        if follower == "there" {
            next = bench.open(&bench.host.holder(3), &["c"]).await;
        }
    }
    late.close().await.expect("there is nothing to release");
    assert_eq!(bench.load().await.leases.len(), 2, "it released nothing of others");
    next.renew().await.expect("held");
}

/// A holder that was stopped for longer than its lease, and whose locks nobody wanted, records what it knows.
pub async fn a_late_holder_that_nobody_followed_goes_on<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut late = bench.open(&bench.host.holder(1), &["a"]).await;
    append(&mut late, &[create(&node("a"), 1)]).await;
    bench.host.advance(LEASE * 100);
    let _other = bench.open(&bench.host.holder(2), &["b"]).await;
    append(&mut late, &[made(&node("a"), 1, "i", 1)]).await;
    assert_eq!(late.lease(), LEASE);
    bench.refused(&bench.host.holder(3), &exclusive("a")).await;
}

/// `unlock` drops the locks of one holder, which is fenced from then on.
pub async fn an_unlocked_holder_is_fenced<F: Fixture>() {
    let bench = Bench::<F>::new();
    let (one, two) = (bench.host.stranger(1), bench.host.stranger(2));
    let mut first = bench.open(&one, &["a"]).await;
    let mut second = bench.open(&two, &["b"]).await;
    let dropped = bench.store.unlock(&one.id).await.expect("sound");
    assert_eq!(dropped.len(), 1);
    assert_eq!((&dropped[0].holder, &*dropped[0].locks), (&one, &exclusive("a")));
    assert!(is_fenced(first.append(&[create(&node("a"), 1)]).await));
    append(&mut second, &[create(&node("b"), 1)]).await;
    bench.open(&bench.host.holder(3), &["a"]).await;
    assert!(
        bench.store.unlock(&one.id).await.expect("sound").is_empty(),
        "a second time"
    );
}

/// No epoch is given twice, also when all locks were released in between.
pub async fn epochs_grow<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut last = 0;
    for pid in 1..5 {
        let journal = bench
            .fixture
            .store()
            .open(&bench.host.holder(pid), &exclusive("a"))
            .await
            .expect("free");
        assert!(journal.epoch() > last);
        last = journal.epoch();
        journal.close().await.expect("open");
    }
}

/// A process that dies after a group was recorded and before it learns so finds the group when it comes back.
pub async fn a_group_without_a_reply_is_there<F: Fixture>() {
    let bench = Bench::<F>::new();
    let dead = bench.host.holder(1);
    let mut journal = bench.open(&dead, &["a"]).await;
    append(&mut journal, &[create(&node("a"), 1)]).await;
    drop(journal);
    bench.host.kill(&dead);
    let store = bench.fixture.store();
    let snapshot = store.load().await.expect("sound");
    assert_eq!(snapshot.state.intents[&node("a")].token, token(1));
    let mut journal = store
        .open(&bench.host.holder(2), &exclusive("a"))
        .await
        .expect("it is dead");
    assert_eq!(append(&mut journal, &[made(&node("a"), 1, "i", 1)]).await, 2);
}

/// History returns the groups of a range of serials.
pub async fn history_is_a_range<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut journal = bench.open(&bench.host.holder(1), &["a"]).await;
    for number in 1..=3 {
        append(&mut journal, &[create(&node("a"), number)]).await;
        append(
            &mut journal,
            &[failed(&node("a"), number, crate::declaration::Remains::AsBefore)],
        )
        .await;
    }
    for (range, serials) in [
        (0..=u64::MAX, vec![1, 2, 3, 4, 5, 6]),
        (1..=1, vec![1]),
        (3..=4, vec![3, 4]),
        (6..=9, vec![6]),
        (7..=9, vec![]),
    ] {
        let entries = bench.store.history(range.clone()).await.expect("sound");
        let found: Vec<u64> = entries.iter().map(|entry| entry.stamp.serial).collect();
        assert_eq!(found, serials, "{range:?}");
    }
}

/// A sensitive value is kept as a digest that matches it, and is found nowhere in what is kept.
pub async fn secrets_are_never_kept<F: Fixture>() {
    let bench = Bench::<F>::new();
    let (a, b) = (node("a"), node("b"));
    let mut journal = bench.open_all(&bench.host.holder(1)).await;
    let mut object = object("i-b", 1);
    object
        .attributes
        .set("nested", Value::tuple([Value::object([("key", secret())])]));
    let mut hidden = declared(1);
    hidden.provider.settings.set("password", secret());
    hidden.inputs.set("env", Value::object([("TOKEN", secret())]));
    append(
        &mut journal,
        &[Event::Adopted {
            address: b.clone(),
            declared: hidden.clone(),
            object: object.clone(),
        }],
    )
    .await;
    let outcome = Outcome::Object(object.clone());
    append(
        &mut journal,
        &[Event::Observed {
            address: b.clone(),
            deposed: None,
            outcome: outcome.clone(),
        }],
    )
    .await;
    let operation = crate::declaration::Operation::Create { declared: hidden };
    append(
        &mut journal,
        &[Event::Started {
            address: a.clone(),
            token: token(1),
            operation,
        }],
    )
    .await;
    append(
        &mut journal,
        &[Event::Succeeded {
            address: a.clone(),
            token: token(1),
            outcome,
        }],
    )
    .await;
    append(&mut journal, &[update(&a, 2, "i-b", 1)]).await;
    append(
        &mut journal,
        &[failed(&a, 2, crate::declaration::Remains::Object(object))],
    )
    .await;
    append(
        &mut journal,
        &[Event::Outputs {
            values: [("key".into(), secret())].into(),
        }],
    )
    .await;
    let state = bench.load().await.state;
    let output = &state.outputs["key"];
    let digest = match output.data() {
        simfleet_provider_api::Data::Redacted(digest) => digest,
        other => panic!("not redacted: {:?}", Value::new(other.clone())),
    };
    assert!(output.is_sensitive());
    assert!(encoding::digest_matches(digest, &secret()));
    let bytes = bench.fixture.bytes();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("i-b"), "what is kept can be searched");
    assert!(!holds(SECRET));
}
