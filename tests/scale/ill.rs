//! Members that never become ready, and members that are no longer healthy.

use simfleet::scale::{Action, History, Limit, Member, MemberState, decide};

use crate::bench::{NOW, Pool, cpu, member, ready};

/// A pool of at least so many, that gives up what is pending for 100 s and replaces what has been unhealthy for 60 s.
fn pool(min: i64, members: Vec<Member>) -> Pool {
    let mut pool = Pool::of(members);
    pool.spec.min = min;
    pool.spec.provision_timeout = 100.0;
    pool.spec.replace_after = 60.0;
    pool
}

fn booting(id: &str, created: f64) -> Member {
    Member {
        created,
        ..member(id, MemberState::Pending)
    }
}

fn ill(id: &str, since: f64) -> Member {
    Member {
        healthy: false,
        unhealthy_since: Some(since),
        ..member(id, MemberState::Ready)
    }
}

/// What is done, as `drain u0`.
fn done(pool: &Pool) -> Vec<String> {
    pool.decide().actions.iter().map(told).collect()
}

fn told(Action(step, id): &Action) -> String {
    format!(
        "{} {id}",
        serde_json::to_value(step).expect("a word").as_str().expect("a word")
    )
}

#[test]
fn what_does_not_become_ready_in_time_is_given_up_and_another_waits() {
    let young = [ready(1), vec![booting("slow", NOW - 99.0)]].concat();
    assert_eq!(done(&pool(2, young)), Vec::<String>::new());
    let late = [ready(1), vec![booting("slow", NOW - 100.0)]].concat();
    let late = pool(2, late);
    assert_eq!(done(&late), ["cancel slow"]);
    let decision = late.decide();
    assert_eq!(
        (decision.current, decision.desired),
        (1, 1),
        "it does not count any more"
    );
    assert!(decision.limited_by.contains(&Limit::Provisioning), "{decision:?}");
    // Without a limit of its own it is waited for.
    let mut patient = late;
    patient.spec.provision_timeout = f64::INFINITY;
    assert_eq!(done(&patient), Vec::<String>::new());
}

#[test]
fn each_one_that_is_given_up_makes_the_next_wait_longer_until_one_is_ready() {
    let creates = |given_up: &[f64], members: Vec<Member>| {
        let mut pool = pool(3, members);
        pool.history = History {
            given_up: given_up.to_vec(),
            ..History::default()
        };
        done(&pool)
    };
    let none = Vec::<String>::new();
    assert_eq!(creates(&[NOW - 29.0], ready(2)), none);
    assert_eq!(creates(&[NOW - 30.0], ready(2)), ["create new-0"]);
    assert_eq!(creates(&[NOW - 300.0, NOW - 59.0], ready(2)), none);
    assert_eq!(creates(&[NOW - 300.0, NOW - 60.0], ready(2)), ["create new-0"]);
    let many: Vec<f64> = (0..12).map(|times| NOW - 600.0 - f64::from(times)).rev().collect();
    assert_eq!(creates(&many, ready(2)), ["create new-0"], "ten minutes are the most");
    // One that was made later and works shows that it can be done.
    let works = |created| Member {
        created,
        ..member("new", MemberState::Ready)
    };
    let with = |created| creates(&[NOW - 20.0], [ready(1), vec![works(created)]].concat());
    assert_eq!(with(NOW - 10.0), ["create new-0"]);
    assert_eq!(with(NOW - 20.0), none, "it was not made later");
}

#[test]
fn what_was_given_up_is_remembered() {
    let late = pool(1, [ready(1), vec![booting("slow", 0.0)]].concat());
    let (_, after) = decide(&late.spec, &late.seen, &late.history);
    assert_eq!(after.given_up, [NOW]);
    let text = serde_json::to_string(&after).expect("JSON");
    assert_eq!(serde_json::from_str::<History>(&text).expect("its own"), after);
    let mut paused = late;
    paused.spec.paused = true;
    assert_eq!(done(&paused), Vec::<String>::new());
    assert!(
        decide(&paused.spec, &paused.seen, &paused.history)
            .1
            .given_up
            .is_empty()
    );
}

#[test]
fn an_unhealthy_member_goes_once_another_stands_in_for_it() {
    let with = |others: Vec<Member>| pool(2, [others, vec![ill("bad", NOW - 60.0)]].concat());
    assert_eq!(done(&with(ready(1))), ["create new-0"], "first another is made");
    let on_its_way = [ready(1), vec![booting("new", NOW - 5.0)]].concat();
    assert_eq!(done(&with(on_its_way)), Vec::<String>::new(), "then that is waited for");
    assert_eq!(done(&with(ready(2))), ["drain bad"]);
    let short = pool(2, [ready(2), vec![ill("bad", NOW - 59.0)]].concat());
    assert_eq!(done(&short), Vec::<String>::new(), "it may get well again");
    let unknown = Member {
        unhealthy_since: None,
        ..ill("bad", 0.0)
    };
    assert_eq!(done(&pool(2, [ready(2), vec![unknown]].concat())), Vec::<String>::new());
}

#[test]
fn where_no_other_can_be_made_before_one_goes_first() {
    let mut full = pool(
        3,
        [
            ready(1),
            vec![ill("b", NOW - 70.0), ill("a", NOW - 80.0), ill("c", NOW - 90.0)],
        ]
        .concat(),
    );
    full.spec.max = 3;
    // Four are alive: three and the surge.
    assert_eq!(done(&full), ["drain c"], "the longest ill one");
    full.spec.breaker_min = 0;
    assert_eq!(done(&full), Vec::<String>::new(), "most are ill: perhaps none is");
    assert!(full.decide().limited_by.contains(&Limit::Breaker));
}

#[test]
fn what_somebody_needs_is_not_replaced() {
    for spared in [
        Member {
            protected: true,
            ..ill("bad", 0.0)
        },
        Member {
            used: 1,
            ..ill("bad", 0.0)
        },
        Member {
            state: MemberState::Allocated,
            ..ill("bad", 0.0)
        },
    ] {
        let pool = pool(2, [ready(2), vec![spared.clone()]].concat());
        assert_eq!(done(&pool), Vec::<String>::new(), "{spared:?}");
    }
}

#[test]
fn a_pool_that_shrinks_replaces_too() {
    let both = pool(1, [ready(4), vec![ill("bad", 0.0)]].concat()).values(cpu(), &[0.1, 0.1, 0.1, 0.1]);
    let done = done(&both);
    assert!(done.contains(&"drain bad".to_owned()), "{done:?}");
    assert!(done.len() > 1, "{done:?}");
}

#[test]
fn who_is_there_need_not_be_made() {
    let leaving = member("d", MemberState::Draining);
    let mut back = pool(3, [ready(2), vec![leaving]].concat());
    back.history.given_up = vec![NOW - 1.0];
    assert_eq!(done(&back), ["undrain d"]);
    assert_eq!(back.decide().limited_by, [], "nothing was to be made");
}

#[test]
fn members_that_are_late_are_not_unhealthy() {
    let late = (0..6).map(|number| booting(&format!("slow{number}"), 0.0));
    let members = [ready(5), late.collect()].concat();
    let decision = pool(1, members).values(cpu(), &[0.1; 5]).decide();
    assert_eq!((decision.desired, decision.limited_by), (1, vec![]));
}

#[test]
fn while_another_boots_none_goes_before() {
    // Three are alive, two and the surge; the one that boots stands in.
    let mut full = pool(
        2,
        [ready(1), vec![booting("new", NOW - 5.0)], vec![ill("bad", NOW - 60.0)]].concat(),
    );
    full.spec.max = 2;
    assert_eq!(done(&full), Vec::<String>::new());
}

#[test]
fn while_there_is_room_another_is_made_first() {
    let with = |surge| {
        let members = [ready(1), vec![ill("a", NOW - 80.0), ill("b", NOW - 70.0)]].concat();
        let mut pool = pool(3, members);
        (pool.spec.max, pool.spec.surge) = (3, surge);
        done(&pool)
    };
    assert_eq!(with(0), ["drain a"], "as many are alive as may be");
    assert_eq!(with(1), ["create new-0"]);
    assert_eq!(with(2), ["create new-0", "create new-1"]);
}

#[test]
fn too_many_that_are_unhealthy_are_told_of_once() {
    let limits = |value: f64| {
        let ill = (0..6).map(|number| ill(&format!("bad{number}"), 0.0));
        let members = [ready(4), ill.collect()].concat();
        pool(1, members).values(cpu(), &[value; 4]).decide().limited_by
    };
    assert_eq!(limits(0.5), [Limit::Breaker], "the size stays anyway");
    assert_eq!(limits(0.9), [Limit::Breaker], "it would grow");
}
