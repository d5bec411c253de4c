//! Who comes, and who goes.

use simfleet::scale::{Limit, Member, MemberState, Step};

use crate::bench::{Pool, actions, buffer, cpu, member, named, pending, ready, sick};

#[test]
fn a_member_with_one_slot_is_taken_as_a_whole() {
    use MemberState::{Allocated, Draining, Ready};
    for (state, used, slots, expected) in [
        (Ready, 1, Some(1), Allocated),
        (Ready, 0, Some(1), Ready),
        (Ready, 1, Some(2), Ready),
        (Ready, 2, Some(2), Ready),
        (Ready, 1, None, Ready),
        (Draining, 1, Some(1), Draining),
    ] {
        let mut taken = member("m", state);
        taken.occupy(used, slots);
        assert_eq!(
            (taken.used, taken.state),
            (used, expected),
            "{state:?}, {used} of {slots:?}"
        );
    }
}

#[test]
fn who_goes_first() {
    let since = |id: &str, idle_since| Member {
        idle_since,
        ..member(id, MemberState::Ready)
    };
    let members = vec![
        since("old", 900.0),
        since("idle", 100.0),
        Member {
            protected: true,
            ..since("protected", 0.0)
        },
        Member {
            drifted: true,
            ..since("drifted", 950.0)
        },
    ];
    let pool = Pool::of(members).all(cpu(), 0.2).with(|spec| spec.max = 2);
    assert_eq!(actions(&pool), named(Step::Drain, &["drifted", "idle"]));

    let pairs: [(&str, Member, Member); 5] = [
        (
            "what boots",
            Member {
                idle_since: 999.0,
                ..member("b", MemberState::Pending)
            },
            member("a", MemberState::Ready),
        ),
        ("the longest idle", since("b", 1.0), since("a", 2.0)),
        (
            "the least loaded",
            Member {
                load: 0.1,
                ..member("b", MemberState::Ready)
            },
            Member {
                load: 0.2,
                ..member("a", MemberState::Ready)
            },
        ),
        (
            "the newest",
            Member {
                created: 10.0,
                ..member("b", MemberState::Ready)
            },
            member("a", MemberState::Ready),
        ),
        (
            "by name",
            member("a", MemberState::Ready),
            member("b", MemberState::Ready),
        ),
    ];
    for (name, first, second) in pairs {
        let ids = [first.id.clone(), second.id.clone()];
        let decide =
            |max| actions(&Pool::of(vec![second.clone(), first.clone()]).with(|spec| (spec.min, spec.max) = (0, max)));
        assert_eq!(
            decide(1).into_iter().map(|(_, id)| id).collect::<Vec<_>>(),
            ids[..1],
            "{name}"
        );
        assert_eq!(
            decide(0).into_iter().map(|(_, id)| id).collect::<Vec<_>>(),
            ids,
            "{name}"
        );
    }
    let booting = Pool::of(pending(2)).with(|spec| spec.max = 1);
    assert_eq!(actions(&booting), named(Step::Cancel, &["p0"]));
}

#[test]
fn young_members_stay_and_say_so() {
    let young = |created| {
        let members = ready(2)
            .into_iter()
            .map(|member| Member { created, ..member })
            .collect();
        Pool::of(members)
            .with(|spec| (spec.max, spec.min_lifetime) = (1, 120.0))
            .decide()
    };
    assert_eq!(
        (young(900.0).desired, young(900.0).limited_by),
        (2, vec![Limit::Protected])
    );
    assert_eq!((young(880.0).desired, young(880.0).limited_by), (1, vec![]));
}

#[test]
fn members_that_are_there_come_before_new_ones() {
    let leaving = |id: &str, ready_at| Member {
        ready_at,
        ..member(id, MemberState::Draining)
    };
    let stopped = |id: &str| member(id, MemberState::Stopped);
    let spare = vec![
        leaving("d1", 5.0),
        leaving("d2", 9.0),
        Member {
            drifted: true,
            ..leaving("d3", 99.0)
        },
        Member {
            healthy: false,
            ..leaving("d4", 99.0)
        },
        stopped("s2"),
        stopped("s1"),
        Member {
            healthy: false,
            ..stopped("s0")
        },
    ];
    let grown = |value: f64| {
        let members = [ready(4), spare.clone()].concat();
        actions(&Pool::of(members).values(cpu(), &[value; 4]))
    };
    let undrained = named(Step::Undrain, &["d2", "d1"]);
    assert_eq!(grown(0.6), undrained[..1]);
    assert_eq!(grown(0.8), [undrained.clone(), named(Step::Resume, &["s1"])].concat());
    let all = [
        undrained,
        named(Step::Resume, &["s1", "s2"]),
        named(Step::Create, &["new-0"]),
    ]
    .concat();
    assert_eq!(grown(1.1), all);
}

#[test]
fn no_more_are_alive_than_the_cap_and_the_surge() {
    let pool = |price| {
        Pool::of(sick(4))
            .with(|spec| (spec.min, spec.max, spec.price) = (4, 4, price))
            .check(buffer(4, 0.0, 1))
    };
    assert_eq!(pool(0.0).decide().actions.len(), 1);
    assert_eq!(pool(0.0).decide().limited_by, [Limit::Breaker, Limit::Min, Limit::Max]);
    assert_eq!(
        pool(0.5).decide().actions.len(),
        0,
        "who pays by the hour pays for what is unhealthy, too"
    );
    assert_eq!(pool(0.0).with(|spec| spec.surge = 3).decide().actions.len(), 3);
}

#[test]
fn members_that_come_back_take_of_the_room_for_new_ones() {
    let pool = |leaving: Vec<Member>, surge| {
        let pool = Pool::of([ready(2), sick(2), leaving].concat());
        pool.with(|spec| (spec.min, spec.max, spec.surge) = (5, 5, surge))
    };
    let back = pool(vec![member("d", MemberState::Draining)], 1);
    let expected = [named(Step::Undrain, &["d"]), named(Step::Create, &["new-0"])].concat();
    assert_eq!(actions(&back), expected, "six are alive then");
    assert_eq!(back.decide().limited_by, [Limit::Max]);
    let just_enough = pool(Vec::new(), 2);
    assert_eq!(actions(&just_enough).len(), 3);
    assert_eq!(just_enough.decide().limited_by, []);
}
