//! Directed cases: what is declared, seen and remembered, and the size that follows.

use simfleet::scale::{
    Action, Check, History, Limit, Member, MemberState, OnMissing, Predictive, Reason, Sample, Samples, Select, Spec,
    Step, Strategy, Window, decide,
};

use crate::bench::{NOW, Pool, allocated, check, count, cpu, member, occupied, pending, percent, ready, sick};

/// Checks cases by name, and tells all that are wrong.
#[track_caller]
fn sizes(cases: impl IntoIterator<Item = (&'static str, Pool, i64)>) {
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(name, pool, expected)| {
            let decision = pool.decide();
            (decision.desired != expected).then(|| format!("{name}: not {expected}, but {decision:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn threshold(name: &str, upper: f64, lower: f64) -> Check {
    Check {
        upper,
        lower,
        ..check(name, Strategy::Threshold)
    }
}

fn queue(target: f64) -> Check {
    Check {
        target,
        ..check("queue", Strategy::Queue)
    }
}

fn buffer(min_ready: i64, percent: f64, slots: i64) -> Check {
    Check {
        min_ready,
        percent,
        slots,
        ..check("buffer", Strategy::Buffer)
    }
}

fn window(name: &str, start: f64, end: f64) -> Window {
    Window {
        name: name.to_owned(),
        start,
        end,
        min: None,
        max: None,
        desired: None,
        priority: 0,
    }
}

fn actions(pool: &Pool) -> Vec<(Step, String)> {
    pool.decide()
        .actions
        .into_iter()
        .map(|Action(step, id)| (step, id))
        .collect()
}

fn named(step: Step, ids: &[&str]) -> Vec<(Step, String)> {
    ids.iter().map(|id| (step, (*id).to_owned())).collect()
}

#[test]
fn a_target_is_met_in_proportion_and_with_tolerance() {
    sizes([
        ("up", Pool::of(ready(4)).all(cpu(), 0.8), 7),
        ("down", Pool::of(ready(8)).all(cpu(), 0.2), 4),
        ("within the tolerance, above", Pool::of(ready(4)).all(cpu(), 0.54), 4),
        ("within the tolerance, below", Pool::of(ready(10)).all(cpu(), 0.46), 10),
        (
            "a sum that is whole but for its rounding",
            Pool::of(ready(3)).all(Check { target: 0.3, ..cpu() }, 0.6),
            6,
        ),
    ]);
}

#[test]
fn members_without_a_value_never_turn_the_direction_round() {
    let unbounded = || Check {
        bounded: false,
        ..cpu()
    };
    let nan = f64::NAN;
    sizes([
        (
            "at the target when shrinking",
            Pool::of(ready(4)).values(cpu(), &[Some(0.2), Some(0.2), None, None]),
            3,
        ),
        (
            "idle when growing",
            Pool::of(ready(4)).values(unbounded(), &[Some(1.0), Some(0.9), Some(0.9), None]),
            6,
        ),
        (
            "no reversal",
            Pool::of(ready(4)).values(cpu(), &[Some(0.6), None, None, None]),
            4,
        ),
        (
            "all are missing",
            Pool::of(ready(4)).values(cpu(), &[None::<f64>; 4]),
            4,
        ),
        ("all are no numbers", Pool::of(ready(4)).all(cpu(), nan), 4),
        (
            "one is no number",
            Pool::of(ready(4)).values(cpu(), &[Some(0.2), Some(0.2), Some(nan), None]),
            3,
        ),
        ("infinite is no number", Pool::of(ready(4)).all(cpu(), f64::INFINITY), 4),
        ("negative is no value", Pool::of(ready(4)).all(cpu(), -0.5), 4),
    ]);
}

#[test]
fn a_value_counts_until_it_is_too_old() {
    for (age, expected) in [(90.0, 1), (90.5, 4), (200.0, 4)] {
        let mut pool = Pool::of(ready(4)).all(cpu(), 0.01);
        for samples in pool.seen.samples.values_mut() {
            samples.values_mut().for_each(|sample| sample.1 = NOW - age);
        }
        assert_eq!(pool.desired(), expected, "{age}");
    }
}

#[test]
fn members_that_boot_are_capacity_without_demand() {
    let with = |count| Pool::of([ready(4), pending(count)].concat());
    sizes([
        ("enough are on their way", with(3).all(cpu(), 0.8), 7),
        ("some are", with(1).values(cpu(), &[0.8; 4]), 7),
        ("none goes meanwhile", with(1).values(cpu(), &[0.1; 4]), 5),
    ]);
    assert_eq!(with(1).values(cpu(), &[0.1; 4]).decide().limited_by, [Limit::Pending]);
}

#[test]
fn a_member_counts_once_it_has_warmed_up() {
    let fresh = || {
        let mut members = ready(4);
        members[3].ready_at = NOW - 20.0;
        Pool::of(members).values(cpu(), &[0.7, 0.7, 0.7, 0.0])
    };
    // Three at 0.7 need 4.2; with the fourth's nothing they would, too, but it would be asked.
    assert_eq!(fresh().decide().reasons, [Reason::Vote("cpu".to_owned(), 4)]);
    assert_eq!(fresh().with(|spec| spec.warmup = 20.0).decide().raw, 4);
    assert_eq!(fresh().with(|spec| spec.warmup = 30.0).decide().raw, 4);
    let sure = |warmup| {
        fresh()
            .with(|spec| (spec.warmup, spec.tolerance) = (warmup, 0.0))
            .decide()
            .raw
    };
    assert_eq!((sure(20.0), sure(30.0)), (5, 5));
    let unbalanced = |warmup| {
        let mut pool = fresh().with(|spec| (spec.warmup, spec.checks) = (warmup, Vec::new()));
        pool = pool.values(threshold("load", 0.6, 0.1), &[0.7, 0.7, 0.7, 0.0]);
        pool.decide().raw
    };
    // The mean of four is 0.525; of the three it is 0.7, and the fourth is waited for.
    assert_eq!((unbalanced(20.0), unbalanced(30.0)), (4, 4));
}

#[test]
fn what_is_saturated_hides_how_much_is_needed() {
    let at = |target| Check { target, ..cpu() };
    sizes([
        ("half as many more", Pool::of(ready(4)).all(at(0.75), 1.0), 6),
        (
            "they are on their way",
            Pool::of([ready(4), pending(2)].concat()).values(at(0.75), &[1.0; 4]),
            6,
        ),
        (
            "it can rise further",
            Pool::of(ready(4)).all(
                Check {
                    bounded: false,
                    ..at(0.98)
                },
                1.0,
            ),
            4,
        ),
    ]);
    // However little was asked for before.
    let saturated = Pool::of(ready(4))
        .all(at(0.75), 1.0)
        .with(|spec| spec.stabilization_up = 30.0)
        .asked(980.0, 4);
    assert_eq!(saturated.desired(), 6);
}

#[test]
fn a_threshold_is_a_step_up_and_a_step_down() {
    let load = || threshold("load", 0.7, 0.4);
    sizes([
        ("up", Pool::of(ready(3)).all(load(), 0.8), 4),
        ("down", Pool::of(ready(4)).all(load(), 0.2), 3),
        ("neither", Pool::of(ready(4)).all(load(), 0.5), 4),
        ("at the upper one", Pool::of(ready(4)).all(load(), 0.7), 4),
        ("at the lower one", Pool::of(ready(4)).all(load(), 0.4), 4),
        ("one would be above it", Pool::of(ready(2)).all(load(), 0.38), 2),
        (
            "a missing one is busy",
            Pool::of(ready(4)).values(load(), &[Some(0.2), Some(0.2), None, None]),
            4,
        ),
        ("by two", Pool::of(ready(3)).all(Check { step: 2, ..load() }, 0.8), 5),
        (
            "one is on its way",
            Pool::of([ready(3), pending(1)].concat()).values(load(), &[0.8; 3]),
            4,
        ),
    ]);
    assert_eq!(
        Pool::of(ready(2)).all(load(), 0.38).decide().limited_by,
        [Limit::FlapGuard]
    );
}

#[test]
fn a_threshold_can_wait() {
    let load = || Check {
        held: 60.0,
        ..threshold("load", 0.7, 0.4)
    };
    // The value at each decision, 15 s apart, and the size that is asked for then.
    let rounds = |values: &[Option<f64>]| {
        let mut history = History::default();
        let sizes = values.iter().enumerate().map(|(round, value)| {
            let mut pool = Pool::of(ready(4)).values(load(), &[*value; 4]);
            pool.seen.now = NOW + 15.0 * round as f64;
            for sample in pool.seen.samples.values_mut().flat_map(|samples| samples.values_mut()) {
                sample.1 = pool.seen.now;
            }
            // It is written and read in between, as by a restart.
            let text = serde_json::to_string(&history).expect("is JSON");
            let (decision, after) = decide(
                &pool.spec,
                &pool.seen,
                &serde_json::from_str(&text).expect("is a history"),
            );
            history = after;
            decision.raw
        });
        sizes.collect::<Vec<i64>>()
    };
    let (high, low, between) = (Some(0.8), Some(0.2), Some(0.5));
    assert_eq!(rounds(&[high; 6]), [4, 4, 4, 4, 5, 5]);
    assert_eq!(rounds(&[low; 6]), [4, 4, 4, 4, 3, 3]);
    for other in [low, between, None] {
        let broken = [high, high, high, other, high, high, high, high, high];
        assert_eq!(rounds(&broken), [4, 4, 4, 4, 4, 4, 4, 4, 5], "{other:?}");
    }
}

#[test]
fn somebody_else_can_say_how_many() {
    let asked = || check("webhook", Strategy::Webhook);
    sizes([
        ("more", Pool::of(ready(2)).pool_wide(asked(), 5.0), 5),
        ("fewer", Pool::of(ready(5)).pool_wide(asked(), 2.0), 2),
        ("a part of one", Pool::of(ready(2)).pool_wide(asked(), 2.1), 3),
        ("nothing that counts", Pool::of(ready(2)).pool_wide(asked(), -1.0), 2),
        ("beyond the most", Pool::of(ready(10)).pool_wide(asked(), 1e300), 50),
    ]);
}

#[test]
fn any_check_grows_and_all_must_agree_to_shrink() {
    let two = |a: f64, b: Option<f64>| {
        let pool = Pool::of(ready(4)).all(threshold("a", 0.7, 0.3), a);
        match b {
            Some(b) => pool.all(threshold("b", 0.7, 0.3), b),
            None => pool.check(threshold("b", 0.7, 0.3)),
        }
    };
    sizes([
        ("one grows", two(0.9, Some(0.1)), 5),
        ("both shrink", two(0.1, Some(0.1)), 3),
        ("one shrinks", two(0.1, Some(0.5)), 4),
        ("one shrinks, one has nothing", two(0.1, None), 4),
        ("no check", Pool::of(ready(4)), 4),
    ]);
    let reasons: Vec<String> = two(0.1, None).decide().reasons.iter().map(Reason::to_string).collect();
    assert_eq!(reasons, ["a=3", "no_data:b", "b=4"]);
}

#[test]
fn a_queue_is_shared_out() {
    let from_none = |backlog| {
        Pool::of(Vec::new())
            .pool_wide(queue(2.0), backlog)
            .with(|spec| spec.min = 0)
    };
    sizes([
        ("nine by two", Pool::of(ready(1)).pool_wide(queue(2.0), 9.0), 5),
        ("from none", from_none(1.0), 1),
        (
            "to none",
            Pool::of(ready(2)).pool_wide(queue(2.0), 0.0).with(|spec| spec.min = 0),
            0,
        ),
        (
            "not yet worth it",
            Pool::of(ready(1))
                .pool_wide(
                    Check {
                        activation: 3.0,
                        ..queue(2.0)
                    },
                    3.0,
                )
                .with(|spec| spec.min = 0),
            0,
        ),
        (
            "worth it",
            Pool::of(ready(1))
                .pool_wide(
                    Check {
                        activation: 3.0,
                        ..queue(2.0)
                    },
                    3.5,
                )
                .with(|spec| spec.min = 0),
            2,
        ),
    ]);
}

#[test]
fn a_buffer_keeps_slots_free() {
    sizes([
        ("in percent", Pool::of(allocated(12)).check(buffer(2, 20.0, 1)), 15),
        ("some at least", Pool::of(allocated(1)).check(buffer(2, 20.0, 1)), 3),
        (
            "slots that are full",
            Pool::of(occupied(&[4, 4])).check(buffer(1, 0.0, 4)),
            3,
        ),
        (
            "slots that are free",
            Pool::of(occupied(&[3, 0]))
                .check(buffer(1, 0.0, 4))
                .with(|spec| spec.min = 2),
            2,
        ),
        (
            "no more than there are slots",
            Pool::of(occupied(&[9, 0])).check(buffer(1, 0.0, 4)),
            2,
        ),
        (
            "members that somebody has",
            Pool::of(allocated(3)).check(buffer(0, 0.0, 4)),
            3,
        ),
    ]);
    let taken = Pool::of([allocated(12), ready(3)].concat()).check(buffer(0, 0.0, 1));
    assert_eq!(actions(&taken), named(Step::Drain, &["r0", "r1", "r2"]));
    let occupied = Pool::of(occupied(&[1, 0, 1])).check(buffer(0, 0.0, 4));
    assert_eq!(
        actions(&occupied),
        named(Step::Drain, &["o1"]),
        "one that is occupied is not taken"
    );
}

#[test]
fn what_holds_without_a_value() {
    let missing = |on_missing, failure_threshold, misses| {
        let check = Check {
            on_missing,
            fallback: 6,
            failure_threshold,
            ..cpu()
        };
        let mut pool = Pool::of(ready(4)).check(check).with(|spec| spec.max = 9);
        pool.history.misses.insert("cpu".to_owned(), misses);
        pool
    };
    sizes([
        ("hold", missing(OnMissing::Hold, 3, 9), 4),
        ("fallback, not yet", missing(OnMissing::Fallback, 3, 1), 4),
        ("fallback", missing(OnMissing::Fallback, 3, 2), 6),
        ("fail_open, not yet", missing(OnMissing::FailOpen, 3, 1), 4),
        ("fail_open", missing(OnMissing::FailOpen, 3, 2), 9),
        (
            "ignore",
            missing(OnMissing::Ignore, 3, 9).all(threshold("load", 0.7, 0.4), 0.2),
            3,
        ),
    ]);
    let larger = missing(OnMissing::Fallback, 1, 0).with(|spec| spec.checks[0].fallback = 2);
    assert_eq!(larger.desired(), 4, "a fallback never shrinks");
    // A value ends the count.
    let mut again = missing(OnMissing::Hold, 3, 2);
    let told = decide(&again.spec, &again.seen, &again.history).1;
    assert_eq!(told.misses["cpu"], 3);
    again
        .seen
        .samples
        .insert("cpu".to_owned(), Samples::from([("r0".to_owned(), Sample(0.5, NOW))]));
    let told = decide(&again.spec, &again.seen, &told).1;
    assert_eq!(told.misses["cpu"], 0);
}

#[test]
fn growth_takes_the_least_and_shrinking_the_most_that_was_asked_for() {
    let low = || {
        Pool::of(ready(8))
            .all(cpu(), 0.2)
            .with(|spec| spec.stabilization_down = 600.0)
    };
    let high = |value| {
        Pool::of(ready(10))
            .all(cpu(), value)
            .with(|spec| spec.stabilization_up = 30.0)
    };
    sizes([
        ("more was asked for", low().asked(700.0, 7), 7),
        ("just within the window", low().asked(400.0, 7), 7),
        ("too long ago", low().asked(300.0, 7), 4),
        ("less was asked for", high(0.58).asked(980.0, 10), 10),
        ("too long ago, upwards", high(0.58).asked(969.0, 10), 12),
        ("a burst does not wait", high(0.7).asked(980.0, 10), 14),
    ]);
    assert_eq!(low().asked(700.0, 7).decide().limited_by, [Limit::StabilizationDown]);
    assert_eq!(
        high(0.58).asked(980.0, 10).decide().limited_by,
        [Limit::StabilizationUp]
    );
}

#[test]
fn the_pace_is_of_what_happened() {
    let high = || Pool::of(ready(10)).all(cpu(), 0.9);
    let low = || Pool::of(ready(10)).all(cpu(), 0.05);
    let up = |pool: Pool, policies| pool.with(|spec| spec.policies_up = policies);
    let down = |pool: Pool, policies| pool.with(|spec| spec.policies_down = policies);
    let both = || vec![percent(100.0, 15.0), count(4.0, 15.0)];
    sizes([
        (
            "doubled already",
            up(high().changed(992.0, 5), vec![percent(100.0, 15.0)]),
            10,
        ),
        (
            "four at a time",
            up(high().changed(950.0, 5), vec![count(4.0, 15.0)]),
            14,
        ),
        ("the larger", up(high(), both()), 18),
        (
            "the smaller",
            up(high(), both()).with(|spec| spec.up_select = Select::Min),
            14,
        ),
        ("never", high().with(|spec| spec.up_select = Select::Disabled), 10),
        ("half at a time", down(low(), vec![percent(50.0, 60.0)]), 5),
        (
            "half have gone",
            down(low().changed(950.0, -10), vec![percent(50.0, 60.0)]),
            10,
        ),
        ("two at a time", down(low(), vec![count(2.0, 60.0)]), 8),
        (
            "the larger, down",
            down(low(), vec![count(2.0, 60.0), count(3.0, 60.0)]),
            7,
        ),
        (
            "the smaller, down",
            down(low(), vec![count(2.0, 60.0), count(3.0, 60.0)]).with(|spec| spec.down_select = Select::Min),
            8,
        ),
        (
            "never, down",
            low().with(|spec| spec.down_select = Select::Disabled),
            10,
        ),
        (
            "one at least",
            down(Pool::of(ready(3)).all(cpu(), 0.05), vec![percent(1.0, 60.0)]),
            2,
        ),
        ("no policy", up(high(), Vec::new()), 18),
    ]);
    assert_eq!(
        up(high().changed(992.0, 5), vec![percent(100.0, 15.0)])
            .decide()
            .limited_by,
        [Limit::RateUp]
    );
    assert_eq!(
        down(low(), vec![count(2.0, 60.0)]).decide().limited_by,
        [Limit::RateDown]
    );
    assert_eq!(
        high()
            .with(|spec| spec.up_select = Select::Disabled)
            .decide()
            .limited_by,
        [Limit::UpDisabled]
    );
    assert_eq!(
        low()
            .with(|spec| spec.down_select = Select::Disabled)
            .decide()
            .limited_by,
        [Limit::DownDisabled]
    );
}

#[test]
fn a_cooldown_up_is_from_growth_and_one_down_from_any_change() {
    let low = |at, change| {
        Pool::of(ready(8))
            .all(cpu(), 0.2)
            .with(|spec| spec.cooldown_down = 60.0)
            .changed(at, change)
    };
    let high = |at, change| {
        Pool::of(ready(4))
            .all(cpu(), 0.8)
            .with(|spec| (spec.cooldown_up, spec.cooldown_down) = (60.0, 600.0))
            .changed(at, change)
    };
    sizes([
        ("down after growth", low(950.0, 2), 8),
        ("down after shrinking", low(950.0, -2), 8),
        ("down when it is over", low(940.0, 2), 4),
        ("up after shrinking", high(990.0, -2), 7),
        ("up after growth", high(950.0, 2), 4),
        ("up when it is over", high(940.0, 2), 7),
    ]);
    assert_eq!(low(950.0, 2).decide().limited_by, [Limit::CooldownDown]);
    assert_eq!(high(950.0, 2).decide().limited_by, [Limit::CooldownUp]);
}

#[test]
fn bounds_hold_in_any_case() {
    let none = [None::<f64>; 9];
    let day = |start, end, min| Window {
        min: Some(min),
        ..window("day", start, end)
    };
    let held = || Pool::of(ready(6)).all(cpu(), 0.05).asked(990.0, 6);
    sizes([
        (
            "the fewest without values",
            Pool::of(ready(1)).values(cpu(), &none).with(|spec| spec.min = 3),
            3,
        ),
        (
            "the most without values",
            Pool::of(ready(9)).values(cpu(), &none).with(|spec| spec.max = 5),
            5,
        ),
        (
            "a budget",
            Pool::of(ready(4))
                .all(cpu(), 0.9)
                .with(|spec| (spec.price, spec.budget_hourly) = (0.5, 3.0)),
            6,
        ),
        (
            "a quota",
            Pool::of(ready(4)).all(cpu(), 0.9).with(|spec| spec.quota = 5),
            5,
        ),
        (
            "a schedule",
            Pool::of(ready(2))
                .all(cpu(), 0.1)
                .with(|spec| spec.schedules = vec![day(900.0, 1100.0, 6)]),
            6,
        ),
        (
            "a schedule that is over",
            held().with(|spec| (spec.stabilization_down, spec.schedules) = (600.0, vec![day(500.0, 995.0, 6)])),
            6,
        ),
        (
            "a schedule that ends now",
            Pool::of(ready(2))
                .all(cpu(), 0.1)
                .with(|spec| spec.schedules = vec![day(900.0, 1000.0, 6)]),
            1,
        ),
        (
            "a schedule that begins now",
            Pool::of(ready(2))
                .all(cpu(), 0.1)
                .with(|spec| spec.schedules = vec![day(1000.0, 1100.0, 6)]),
            6,
        ),
        (
            "the fewest are more than the budget pays for",
            Pool::of(ready(2))
                .all(cpu(), 0.5)
                .with(|spec| (spec.min, spec.price, spec.budget_hourly) = (9, 1.0, 3.0)),
            3,
        ),
    ]);
    let poor = Pool::of(ready(2)).with(|spec| (spec.min, spec.quota) = (9, 3)).decide();
    assert_eq!(poor.reasons, [Reason::CapBelowMin]);
    assert_eq!((poor.desired, poor.limited_by), (3, vec![]));
    // They hold whatever slows it down.
    let slow = |spec: &mut Spec| (spec.min, spec.max, spec.cooldown_up, spec.cooldown_down) = (4, 5, 60.0, 60.0);
    let told = |members| Pool::of(ready(members)).with(slow).changed(990.0, 1).decide();
    assert_eq!(
        (told(9).desired, told(9).limited_by),
        (5, vec![Limit::CooldownDown, Limit::Max])
    );
    assert_eq!(
        (told(2).desired, told(2).limited_by),
        (4, vec![Limit::CooldownUp, Limit::Min])
    );
}

#[test]
fn schedules_write_over_what_is_declared_attribute_by_attribute() {
    let bounds = |schedules: Vec<Window>| {
        let pool = Pool::of(Vec::new()).with(|spec| (spec.min, spec.max, spec.schedules) = (2, 8, schedules));
        let bounds = simfleet::scale::bounds(&pool.spec, NOW);
        (bounds.min, bounds.cap)
    };
    let now = |name| window(name, 900.0, 1100.0);
    assert_eq!(
        bounds(vec![
            Window {
                min: Some(6),
                priority: 5,
                ..now("a")
            },
            Window {
                min: Some(3),
                ..now("b")
            }
        ]),
        (6, 8)
    );
    assert_eq!(
        bounds(vec![
            Window {
                min: Some(6),
                ..now("a")
            },
            Window {
                min: Some(3),
                ..now("b")
            }
        ]),
        (3, 8)
    );
    assert_eq!(
        bounds(vec![
            Window {
                min: Some(6),
                ..now("a")
            },
            Window {
                max: Some(7),
                ..now("b")
            }
        ]),
        (6, 7)
    );
    assert_eq!(
        bounds(vec![Window {
            min: Some(10),
            ..now("a")
        }]),
        (10, 10)
    );
    assert_eq!(
        bounds(vec![Window {
            max: Some(1),
            ..now("a")
        }]),
        (1, 1)
    );
    assert_eq!(
        bounds(vec![Window {
            min: Some(3),
            max: Some(4),
            ..now("a")
        }]),
        (3, 4)
    );
    assert_eq!(
        bounds(vec![Window {
            desired: Some(5),
            ..now("a")
        }]),
        (5, 5)
    );
    assert_eq!(
        bounds(vec![Window {
            desired: Some(5),
            max: Some(7),
            ..now("a")
        }]),
        (5, 7)
    );
    assert_eq!(bounds(vec![now("a")]), (2, 8));
}

#[test]
fn a_budget_pays_for_whole_members() {
    let cap = |budget_hourly, price| {
        let pool = Pool::of(Vec::new()).with(|spec| (spec.budget_hourly, spec.price) = (budget_hourly, price));
        simfleet::scale::bounds(&pool.spec, NOW).cap
    };
    assert_eq!(cap(3.0, 0.5), 6);
    assert_eq!(cap(3.2, 0.5), 6);
    assert_eq!(cap(0.4, 0.5), 0);
    assert_eq!(cap(3.0, 0.0), 50);
    // 0.2 is a little more than a fifth, as binary numbers go; a caller allows for it.
    assert_eq!((cap(3.0, 0.2), cap(3.0 * (1.0 + 1e-9), 0.2)), (14, 15));
}

#[test]
fn a_paused_pool_says_what_it_would_do() {
    let paused = Pool::of(ready(2))
        .all(cpu(), 0.9)
        .with(|spec| spec.paused = true)
        .decide();
    assert_eq!((paused.desired, paused.raw), (2, 4));
    assert_eq!(paused.limited_by, [Limit::Paused]);
    assert_eq!(paused.actions, []);
}

#[test]
fn headroom_is_for_demand_that_rises() {
    let head = || Check {
        headroom_k: 1.0,
        ..cpu()
    };
    let rising = (0..16)
        .map(|at| 2.0 + 0.3 * f64::from((at - 8).max(0)))
        .collect::<Vec<f64>>();
    let falling = (0..16)
        .map(|at| 4.0 - 0.2 * f64::from((at - 8).max(0)))
        .collect::<Vec<f64>>();
    let up = Pool::of(ready(8)).all(head(), 0.475).demand("cpu", rising.clone());
    let down = Pool::of(ready(8)).all(head(), 0.3).demand("cpu", falling);
    assert_eq!(up.desired(), 10);
    assert_eq!(down.desired(), 5);
    // Eight numbers are the fewest that tell.
    let of_late = |past| Pool::of(ready(8)).all(head(), 0.475).demand("cpu", vec![0.5; past]);
    assert_eq!((of_late(6).desired(), of_late(7).desired()), (8, 10));
    // It is bounded by a share of what is needed.
    let little = Pool::of(ready(8))
        .all(
            Check {
                headroom_max: 0.1,
                ..head()
            },
            0.475,
        )
        .demand("cpu", rising);
    assert_eq!(little.desired(), 8);
}

#[test]
fn a_forecast_can_only_raise() {
    let with = |mode, forecast, is_good| {
        let mut pool = Pool::of(ready(4)).all(cpu(), 0.5).with(|spec| spec.predictive = mode);
        (pool.seen.forecast, pool.seen.forecast_ok) = (forecast, is_good);
        pool
    };
    use Predictive::{Advise, Off, Scale};
    sizes([
        ("off", with(Off, Some(4.0), true), 4),
        ("told only", with(Advise, Some(4.0), true), 4),
        ("raises", with(Scale, Some(4.0), true), 8),
        ("never lowers", with(Scale, Some(1.0), true), 4),
        ("was wrong before", with(Scale, Some(4.0), false), 4),
        ("is no number", with(Scale, Some(f64::NAN), true), 4),
        ("is not there", with(Scale, None, true), 4),
    ]);
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
fn with_many_unhealthy_members_the_size_stays() {
    let mixed = |good, bad, value| Pool::of([ready(good), sick(bad)].concat()).values(cpu(), &vec![value; good]);
    sizes([
        ("no shrinking", mixed(5, 5, 0.1), 5),
        ("no growth", mixed(5, 5, 0.95), 5),
        ("three are few", mixed(3, 3, 0.9), 6),
        ("four of ten are few", mixed(6, 4, 0.2), 3),
    ]);
    assert_eq!(mixed(5, 5, 0.1).decide().limited_by, [Limit::Breaker]);
    assert_eq!(mixed(5, 5, 0.95).decide().limited_by, [Limit::Breaker]);
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
fn a_disruption_budget_is_of_a_window() {
    let low = |percent| {
        Pool::of(ready(10))
            .all(cpu(), 0.05)
            .with(|spec| spec.disruption_percent = percent)
    };
    sizes([
        ("a third", low(30.0), 7),
        ("one always may", low(5.0), 9),
        ("one has", low(5.0).changed(500.0, -1), 10),
        ("two of eleven have", low(30.0).changed(500.0, -2), 9),
        ("too long ago", low(30.0).changed(400.0, -3), 7),
        ("growth does not count", low(30.0).changed(500.0, 3), 7),
        (
            "a pool above its cap has no budget",
            low(5.0).with(|spec| spec.max = 4),
            1,
        ),
    ]);
    assert_eq!(low(30.0).decide().limited_by, [Limit::DisruptionBudget]);
}

#[test]
fn what_can_no_longer_matter_is_forgotten() {
    // 600 s is the longest of all times, and decisions are 15 s apart.
    let pool = Pool::of(ready(4)).with(|spec| spec.stabilization_down = 600.0);
    let pool = pool.asked(384.0, 1).asked(385.0, 1).asked(386.0, 1).asked(1001.0, 1);
    let pool = pool.changed(398.0, 1).changed(399.0, 1).changed(399.5, 1);
    let after = decide(&pool.spec, &pool.seen, &pool.history).1;
    let asked: Vec<f64> = after.recommendations.iter().map(|asked| asked.0).collect();
    assert_eq!(asked, [386.0, NOW]);
    let changed: Vec<f64> = after.events.iter().map(|event| event.0).collect();
    assert_eq!(changed, [399.5]);
    // Any of them can be the longest.
    let longer: [fn(&mut Spec); 5] = [
        |spec| spec.stabilization_up = 700.0,
        |spec| spec.cooldown_up = 700.0,
        |spec| spec.cooldown_down = 700.0,
        |spec| spec.disruption_window = 700.0,
        |spec| spec.policies_up[0].period = 700.0,
    ];
    for change in longer {
        let pool = Pool::of(ready(4)).with(change).changed(299.0, 1).changed(299.5, 1);
        assert_eq!(
            decide(&pool.spec, &pool.seen, &pool.history).1.events.len(),
            1,
            "{:?}",
            pool.spec
        );
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut pool = Pool::of(ready(4)).all(
        Check {
            headroom_k: 1.0,
            ..cpu()
        },
        0.5,
    );
    for round in 0..2000 {
        pool.seen.now = NOW + 15.0 * f64::from(round);
        for sample in pool.seen.samples.values_mut().flat_map(|samples| samples.values_mut()) {
            sample.1 = pool.seen.now;
        }
        pool.history.events.push(simfleet::scale::Event(pool.seen.now, 0));
        pool.history = decide(&pool.spec, &pool.seen, &pool.history).1;
    }
    let history = &pool.history;
    assert_eq!(history.demand["cpu"].len(), 60, "a quarter of an hour at four a minute");
    assert!(history.recommendations.len() <= 4, "{}", history.recommendations.len());
    assert!(history.events.len() <= 42, "{}", history.events.len());
}

#[test]
fn numbers_that_are_not_finite_are_written_and_read() {
    let spec = Spec {
        budget_hourly: f64::INFINITY,
        ..Spec::default()
    };
    let text = serde_json::to_string(&spec).expect("is JSON");
    assert!(text.contains(r#""budget_hourly":"inf""#), "{text}");
    assert_eq!(serde_json::from_str::<Spec>(&text).expect("a spec"), spec);
    for (number, written) in [
        (1.5, "[1.5,0.0]"),
        (f64::INFINITY, r#"["inf",0.0]"#),
        (f64::NEG_INFINITY, r#"["-inf",0.0]"#),
    ] {
        let text = serde_json::to_string(&Sample(number, 0.0)).expect("is JSON");
        assert_eq!(text, written);
        assert_eq!(
            serde_json::from_str::<Sample>(&text).expect("a sample"),
            Sample(number, 0.0)
        );
    }
    let text = serde_json::to_string(&Sample(f64::NAN, 0.0)).expect("is JSON");
    assert_eq!(text, r#"["nan",0.0]"#);
    assert!(serde_json::from_str::<Sample>(&text).expect("a sample").0.is_nan());
    let long_ago: Member = serde_json::from_str(r#"{"id":"a","state":"ready"}"#).expect("a member");
    assert_eq!(long_ago.ready_at, f64::NEG_INFINITY);
    assert!(long_ago.healthy);
}
