//! How fast a size may change.

use simfleet::scale::{Limit, Select};

use crate::bench::{Pool, count, cpu, percent, ready, sick, sizes};

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
fn a_cap_below_what_is_needed_wins_and_both_are_told() {
    // At the target they would be 2.88, so three; two may be as many as 2.2.
    let capped = |value, max| {
        Pool::of(ready(8))
            .all(cpu(), value)
            .with(|spec| spec.max = max)
            .decide()
    };
    let short = capped(0.18, 2);
    assert_eq!(
        (short.desired, short.limited_by),
        (2, vec![Limit::FlapGuard, Limit::Max])
    );
    let tolerable = capped(0.13, 2);
    assert_eq!((tolerable.desired, tolerable.limited_by), (2, vec![]));
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
            "doubled just before",
            up(high().changed(985.0, 5), vec![percent(100.0, 15.0)]),
            18,
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
            "half have gone just before",
            down(low().changed(940.0, -10), vec![percent(50.0, 60.0)]),
            5,
        ),
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
    // Who gets all that is asked for is not limited.
    let more = up(Pool::of(ready(10)).all(cpu(), 0.7), vec![count(4.0, 15.0)]).decide();
    assert_eq!((more.desired, more.limited_by), (14, vec![]));
    let fewer = down(Pool::of(ready(10)).all(cpu(), 0.4), vec![count(2.0, 60.0)]).decide();
    assert_eq!((fewer.desired, fewer.limited_by), (8, vec![]));
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
        ("up after what came to nothing", high(950.0, 0), 7),
        ("up when it is over", high(940.0, 2), 7),
    ]);
    assert_eq!(low(950.0, 2).decide().limited_by, [Limit::CooldownDown]);
    assert_eq!(high(950.0, 2).decide().limited_by, [Limit::CooldownUp]);
}

#[test]
fn with_many_unhealthy_members_the_size_stays() {
    let mixed = |good, bad, value| Pool::of([ready(good), sick(bad)].concat()).values(cpu(), &vec![value; good]);
    sizes([
        ("no shrinking", mixed(5, 5, 0.1), 5),
        ("no growth", mixed(5, 5, 0.95), 5),
        ("three are few", mixed(3, 3, 0.9), 6),
        ("four of ten are few", mixed(6, 4, 0.2), 3),
        ("nine of twenty are 45 percent", mixed(11, 9, 0.2), 5),
    ]);
    assert_eq!(mixed(5, 5, 0.1).decide().limited_by, [Limit::Breaker]);
    assert_eq!(mixed(5, 5, 0.95).decide().limited_by, [Limit::Breaker]);
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
    let just_enough = Pool::of(ready(10)).all(cpu(), 0.35);
    let just_enough = just_enough.with(|spec| spec.disruption_percent = 30.0).decide();
    assert_eq!((just_enough.desired, just_enough.limited_by), (7, vec![]));
}
