//! Who may record: locks, leases, and those whose locks were taken over.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use simfleet_provider_api::Address;

use super::bench::{Bench, append, exclusive, is_fenced};
use super::*;
use crate::error::StateError;
use crate::event::Event;
use crate::locks::{LEASE, LockSet};
use crate::replay::ReplayError;

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

/// Locks that are taken for a shorter time are over then, and are renewed for that; who holds them is read without the state.
pub async fn a_shorter_lease_is_over_sooner<F: Fixture>() {
    let bench = Bench::<F>::new();
    assert!(bench.store.leases().await.expect("nothing yet").is_empty());
    let (short, leader) = (LEASE / 3, bench.host.stranger(1));
    let opened = bench.store.open_for(&leader, &exclusive("a"), short).await;
    let mut silent = opened.expect("free");
    let _other = bench.open(&bench.host.holder(2), &["b"]).await;
    assert_eq!(silent.lease(), short);
    bench.host.advance(short / 2);
    silent.renew().await.expect("held");
    assert_eq!(silent.lease(), short);
    let leases = bench.fixture.store().leases().await.expect("sound");
    assert_eq!(leases, bench.load().await.leases);
    assert_eq!(leases[0].holder, leader);
    let longer = bench
        .store
        .open_for(&bench.host.holder(3), &exclusive("c"), LEASE * 9)
        .await;
    assert_eq!(longer.expect("free").lease(), LEASE, "not longer than the others");
    bench.host.advance(short);
    bench.open(&bench.host.holder(4), &["a"]).await;
    bench.refused(&bench.host.holder(4), &exclusive("b")).await;
    assert!(is_fenced(silent.renew().await));
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
