//! What a store records, and how that comes back. Each case is an async function that panics where a store does not do as it
//! should.

use std::time::Duration;

use jiff::SignedDuration;
use simfleet_provider_api::{Value, encoding};

use super::bench::{Bench, append, exclusive};
use super::*;
use crate::declaration::{Outcome, Remains};
use crate::error::StateError;
use crate::event::Event;
use crate::locks::LockSet;
use crate::replay::{ReplayError, replay};
use crate::store::Snapshot;

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

/// Who has read a state knows by its head whether that is still the one.
pub async fn the_head_says_which_state_it_is<F: Fixture>() {
    let bench = Bench::<F>::new();
    let store = bench.fixture.store();
    assert_eq!(store.head().await.expect("readable"), None);
    assert!(bench.load().await.is_of(None));
    let locks = LockSet::exclusive([node("a")]);
    let mut journal = store.open(&bench.host.holder(1), &locks).await.expect("free");
    append(&mut journal, &[create(&node("a"), 1)]).await;
    let before = bench.load().await;
    let head = store.head().await.expect("readable");
    assert!(before.is_of(head.as_ref()) && !before.is_of(None));
    journal.renew().await.expect("nobody else wants them");
    assert_eq!(store.head().await.expect("readable"), head, "locks are no part of it");
    append(&mut journal, &[failed(&node("a"), 1, Remains::AsBefore)]).await;
    assert!(!before.is_of(store.head().await.expect("readable").as_ref()));
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
