//! Checks of the strategy `target`: a mean that is kept, its headroom, and forecasts of it.

use simfleet::scale::{Check, Limit, Predictive, Reason, Strategy};

use crate::bench::{NOW, Pool, check, cpu, pending, ready, sizes, threshold};

#[test]
fn a_target_is_met_in_proportion_and_with_tolerance() {
    sizes([
        ("up", Pool::of(ready(4)).all(cpu(), 0.8), 7),
        ("down", Pool::of(ready(8)).all(cpu(), 0.2), 4),
        ("within the tolerance, above", Pool::of(ready(4)).all(cpu(), 0.54), 4),
        ("within the tolerance, below", Pool::of(ready(10)).all(cpu(), 0.46), 10),
        ("of a large pool, too", Pool::of(ready(20)).all(cpu(), 0.46), 20),
        ("below it", Pool::of(ready(20)).all(cpu(), 0.44), 18),
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
        ("of a larger pool, too", Pool::of(ready(8)).all(at(0.75), 1.0), 12),
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
fn the_ends_of_the_tolerance_are_within_it() {
    let at = |value| {
        let check = Check {
            bounded: false,
            ..cpu()
        };
        Pool::of(ready(4))
            .all(check, value)
            .with(|spec| spec.tolerance = 0.25)
            .decide()
            .raw
    };
    assert_eq!((at(0.625), at(0.626)), (4, 6), "above");
    assert_eq!((at(0.375), at(0.374)), (4, 3), "below");
}

#[test]
fn a_burst_is_more_than_so_many_times_the_size() {
    // Eight that could be ten at once; eight were asked for a moment ago.
    let with = |pool: Pool| {
        pool.with(|spec| (spec.stabilization_up, spec.burst) = (30.0, 1.25))
            .asked(980.0, 8)
            .desired()
    };
    let target = |value| with(Pool::of(ready(8)).all(cpu(), value));
    assert_eq!((target(0.625), target(0.65)), (8, 11));
    let webhook = |size| with(Pool::of(ready(8)).pool_wide(check("webhook", Strategy::Webhook), size));
    assert_eq!((webhook(10.0), webhook(11.0)), (8, 11));
}

#[test]
fn members_at_the_target_ask_for_nothing_however_many_boot() {
    let booting = Pool::of([ready(4), pending(2)].concat()).values(cpu(), &[0.5; 4]);
    assert_eq!(booting.decide().raw, 6);
    let below = Pool::of([ready(4), pending(2)].concat()).values(cpu(), &[0.49; 4]);
    assert_eq!(below.decide().raw, 4);
}

#[test]
fn what_is_saturated_waits_for_half_as_many_more() {
    // At 0.95 of 1 four members would do, but for what their values may hide.
    let full = || Check { target: 1.0, ..cpu() };
    let raw = |booting| {
        let members = [ready(4), pending(booting)].concat();
        Pool::of(members).values(full(), &[0.95; 4]).decide().raw
    };
    assert_eq!([raw(0), raw(1)], [6, 6], "too few are on their way");
    assert_eq!([raw(2), raw(3)], [4, 4], "enough are, and none is asked for");
}

#[test]
fn a_pool_shrinks_to_just_what_is_needed() {
    let sure = |check: Check, values: &[f64]| {
        let pool = Pool::of(ready(4)).values(check, values);
        pool.with(|spec| spec.tolerance = 0.0).decide()
    };
    let half = sure(cpu(), &[0.25; 4]);
    assert_eq!((half.desired, half.limited_by), (2, vec![]));
    // What is above it only by the error of a sum is not above it.
    let whole = Check { target: 1.0, ..cpu() };
    let unsure = Check {
        bounded: false,
        ..whole
    };
    let more = |more: f64| sure(unsure.clone(), &[2.0 + more, 0.0, 0.0, 0.0]).desired;
    assert_eq!((more(1e-9), more(1e-8)), (2, 3));
}
