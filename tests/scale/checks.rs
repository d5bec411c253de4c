//! Checks of the other strategies, what they ask for together, and what holds without a value.

use simfleet::scale::{Check, History, Limit, OnMissing, Reason, Sample, Samples, Step, Strategy, decide};

use crate::bench::{
    NOW, Pool, actions, allocated, buffer, check, cpu, named, occupied, pending, ready, sizes, threshold,
};

fn queue(target: f64) -> Check {
    Check {
        target,
        ..check("queue", Strategy::Queue)
    }
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
        ("one would be at it", Pool::of(ready(2)).all(load(), 0.35), 1),
        (
            "a missing one is busy",
            Pool::of(ready(4)).values(load(), &[Some(0.2), Some(0.2), None, None]),
            4,
        ),
        (
            "a missing one is as busy as the upper one",
            Pool::of(ready(4)).values(load(), &[Some(0.1), Some(0.1), Some(0.1), None]),
            3,
        ),
        (
            "a missing one goes on as busy as the others",
            Pool::of(ready(4)).values(threshold("load", 0.39, 0.38), &[Some(0.3), Some(0.3), Some(0.3), None]),
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
        (
            "a buffer that has more than it needs lets it",
            Pool::of(ready(8)).all(cpu(), 0.2).check(buffer(2, 0.0, 1)),
            4,
        ),
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
