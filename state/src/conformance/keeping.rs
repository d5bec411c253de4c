//! The cases of what is kept: secrets under keys, states that are pushed, checks.

use std::sync::Arc;

use jiff::Timestamp;
use simfleet_provider_api::{Address, Data, Value, encoding};

use super::bench::{Bench, append, is_fenced};
use super::*;
use crate::declaration::{Operation, Remains};
use crate::error::StateError;
use crate::event::Event;
use crate::locks::LockSet;
use crate::replay::replay;
use crate::scaling::{KEPT, Lap};

/// With a key, a sensitive value comes back as it was, still marked; without the key it is a digest as ever.
pub async fn with_a_key_secrets_come_back<F: Fixture>() {
    let bench = Bench::<F>::new();
    let store = bench.fixture.store_with(key());
    let locks = LockSet::exclusive([node("a")]);
    let mut journal = store.open(&bench.host.holder(1), &locks).await.expect("free");
    let mut hidden = declared(1);
    hidden.provider.settings.set("password", secret());
    hidden
        .inputs
        .set("env", Value::object([("TOKEN", secret()), ("PLAIN", "x".into())]));
    let operation = Operation::Create {
        declared: hidden.clone(),
    };
    let started = Event::Started {
        address: node("a"),
        token: token(1),
        operation,
    };
    append(&mut journal, &[started, outputs(secret())]).await;
    let state = store.load().await.expect("its key").state;
    assert_eq!(state.declared_of(&node("a")), Some(&hidden));
    assert!(state.outputs["key"].is_sensitive());
    let history = store.history(1..=1).await.expect("sound");
    assert_eq!(history[0].events[1], outputs(secret()));
    let bytes = bench.fixture.bytes();
    assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    let without = bench.load().await.state;
    assert!(
        matches!(without.outputs["key"].data(), Data::Redacted(digest) if encoding::digest_matches(digest, &secret()))
    );
}

/// With another key nothing is read and nothing is written.
pub async fn a_wrong_key_reads_and_changes_nothing<F: Fixture>() {
    let bench = Bench::<F>::new();
    let locks = LockSet::exclusive([node("a")]);
    let store = bench.fixture.store_with(key());
    let mut journal = store.open(&bench.host.holder(1), &locks).await.expect("free");
    append(&mut journal, &[outputs(secret())]).await;
    journal.close().await.expect("open");
    let other = bench.fixture.store_with(key());
    let before = bench.fixture.bytes();
    assert!(matches!(other.load().await, Err(StateError::WrongKey { .. })));
    let opened = other.open(&bench.host.holder(2), &locks).await;
    assert!(matches!(opened, Err(StateError::WrongKey { .. })));
    assert!(bench.fixture.bytes() == before, "nothing is written");
}

/// A new key in the line before the old one reads all, and what is recorded with it is read by it alone.
pub async fn a_key_can_be_followed_by_another<F: Fixture>() {
    let bench = Bench::<F>::new();
    let (old, new) = (key_text(), key_text());
    let keys = |text: &str| bench.fixture.store_with(text.parse().expect("keys"));
    let record = async |store: Arc<dyn StateStore>| {
        let mut journal = store
            .open(&bench.host.holder(1), &LockSet::default())
            .await
            .expect("free");
        append(&mut journal, &[outputs(secret())]).await;
        journal.close().await.expect("open");
    };
    record(keys(&old)).await;
    let both = keys(&format!("{new}\n{old}"));
    assert_eq!(both.load().await.expect("both").state.outputs["key"], secret());
    record(both).await;
    assert_eq!(
        keys(&new).load().await.expect("the new one").state.outputs["key"],
        secret()
    );
    let history = keys(&new)
        .history(1..=2)
        .await
        .expect("what is past may be under a key that is gone");
    assert_ne!(history[0].events[0], outputs(secret()));
    assert_eq!(history[1].events[0], outputs(secret()));
}

/// A pushed state is recorded as an event: it is what is recorded from then on, and the history has what was before.
pub async fn what_is_pushed_is_what_is_recorded<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut journal = bench.open_all(&bench.host.holder(1)).await;
    let (a, b) = (node("a"), node("b"));
    append(&mut journal, &[create(&a, 1), create(&b, 2)]).await;
    append(&mut journal, &[made(&a, 1, "i-a", 1), made(&b, 2, "i-b", 1)]).await;
    append(&mut journal, &[scaled(3, 7)]).await;
    let before = bench.load().await.state;
    let mut pushed = before.clone();
    pushed.resources.remove(&b);
    pushed.resources.get_mut(&a).expect("made").tainted = Some("edited".into());
    let pool = pushed.pools.values_mut().next().expect("scaled");
    pool.numbered = 0;
    append(
        &mut journal,
        &[Event::Pushed {
            state: Arc::new(pushed),
        }],
    )
    .await;
    let state = bench.load().await.state;
    assert_eq!((state.serial, state.resources.len()), (4, 1));
    assert_eq!(state.fingerprint(&a), Some(4), "a plan that was made of it is stale");
    assert_eq!(
        state.pools.values().next().expect("scaled").numbered,
        7,
        "numbers are not used twice"
    );
    let history = bench.store.history(0..=3).await.expect("sound");
    assert_eq!(replay(&history).expect("legal"), before);
}

/// Nothing can be pushed while an operation is in flight, nor can a state say that one is.
pub async fn a_push_over_what_is_in_flight_is_refused<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut journal = bench.open_all(&bench.host.holder(1)).await;
    let empty = bench.load().await.state;
    append(&mut journal, &[create(&node("a"), 1)]).await;
    let open = bench.load().await.state;
    let refused = journal.append(&[Event::Pushed { state: Arc::new(empty) }]).await;
    assert!(matches!(refused, Err(StateError::Illegal(_))), "{refused:?}");
    append(&mut journal, &[failed(&node("a"), 1, Remains::AsBefore)]).await;
    let refused = journal.append(&[Event::Pushed { state: Arc::new(open) }]).await;
    assert!(matches!(refused, Err(StateError::Illegal(_))), "{refused:?}");
    assert_eq!(bench.load().await.state.serial, 2);
}

/// A check finds nothing where there is nothing, and counts what there is.
pub async fn a_check_says_what_there_is<F: Fixture>() {
    let bench = Bench::<F>::new();
    assert_eq!(bench.store.check().await.expect("nothing"), None);
    let mut journal = bench.open_all(&bench.host.holder(1)).await;
    for group in every_event() {
        append(&mut journal, &group).await;
    }
    let checked = bench.store.check().await.expect("sound").expect("there");
    let events = every_event().iter().map(|group| group.len() as u64).sum();
    assert_eq!((checked.serial, checked.events), (every_event().len() as u64, events));
    assert_eq!(checked.lineage, *journal.lineage());
}

/// A state that was lost comes back under its lineage; one that is there stays.
pub async fn a_lost_state_is_made_with_its_lineage<F: Fixture>() {
    let bench = Bench::<F>::new();
    bench.store.make("a-lineage").await.expect("there is none");
    let journal = bench.open(&bench.host.holder(1), &["a"]).await;
    assert_eq!(&**journal.lineage(), "a-lineage");
    let again = bench.store.make("another").await;
    assert!(matches!(again, Err(StateError::Exists { .. })), "{again:?}");
    assert_eq!(bench.load().await.lineage.as_deref(), Some("a-lineage"));
}

/// What is remembered of pools comes back as it was, changes no serial, and is not written by who was taken over.
pub async fn what_is_remembered_of_pools_is_beside_the_journal<F: Fixture>() {
    let bench = Bench::<F>::new();
    assert!(bench.store.memories().await.expect("nothing").is_empty());
    let mut journal = bench.open(&bench.host.holder(1), &["a"]).await;
    assert!(bench.store.memories().await.expect("nothing yet").is_empty());
    let (p, q) = (Address::new("pool", ["p"]), Address::new("pool", ["q"]));
    let lap = |pool: &Address, at: i64, memory: &str, told: Option<&str>| Lap {
        pool: pool.clone(),
        at: Timestamp::from_second(at).expect("in range"),
        memory: memory.into(),
        told: told.map(Into::into),
    };
    let laps = [lap(&p, 1, "one", Some("first")), lap(&q, 1, "other", None)];
    journal.remember(&laps).await.expect("it is ours");
    journal
        .remember(&[lap(&p, 2, "two", Some("second"))])
        .await
        .expect("it is ours");
    let store = bench.fixture.store();
    let memories = store.memories().await.expect("sound");
    let expected = [(p.clone(), "two".into()), (q.clone(), "other".into())];
    assert_eq!(memories, expected.into());
    let told = async |since: i64| -> Vec<String> {
        let since = Timestamp::from_second(since).expect("in range");
        let laps = store.laps(&p, since).await.expect("sound");
        laps.into_iter().map(|(at, told)| format!("{at} {told}")).collect()
    };
    assert_eq!(
        told(0).await,
        ["1970-01-01T00:00:01Z first", "1970-01-01T00:00:02Z second"]
    );
    assert_eq!(told(2).await, ["1970-01-01T00:00:02Z second"]);
    assert!(store.laps(&q, Timestamp::UNIX_EPOCH).await.expect("sound").is_empty());
    assert_eq!(bench.load().await.state.serial, 0);
    bench.store.unlock(&bench.host.holder(1).id).await.expect("it holds");
    assert!(is_fenced(journal.remember(&[lap(&p, 3, "three", None)]).await));
    assert_eq!(&*store.memories().await.expect("sound")[&p], "two");
}

/// The log of a pool is bounded.
pub async fn of_the_laps_of_a_pool_the_newest_are_kept<F: Fixture>() {
    let bench = Bench::<F>::new();
    let mut journal = bench.open(&bench.host.holder(1), &["a"]).await;
    let pool = Address::new("pool", ["p"]);
    let lap = |at: usize| Lap {
        pool: pool.clone(),
        at: Timestamp::from_millisecond(at as i64 * 100).expect("in range"),
        memory: "".into(),
        told: Some(at.to_string().into()),
    };
    let laps: Vec<Lap> = (0..KEPT + 3).map(lap).collect();
    journal.remember(&laps).await.expect("it is ours");
    let kept = bench.store.laps(&pool, Timestamp::UNIX_EPOCH).await.expect("sound");
    let texts: Vec<&str> = kept.iter().map(|(_, told)| &**told).collect();
    assert_eq!((texts.len(), texts[0], texts[KEPT - 1]), (KEPT, "3", "2002"));
}

fn outputs(value: Value) -> Event {
    Event::Outputs {
        values: [("key".into(), value)].into(),
    }
}

fn scaled(size: u64, numbered: u64) -> Event {
    let address = Address::new("pool", ["p"]);
    Event::Scaled {
        address,
        size,
        numbered,
        reason: "a test".into(),
    }
}
