//! The fewest and the most members, whatever is asked for.

use simfleet::scale::{Limit, Reason, Spec, Window};

use crate::bench::{NOW, Pool, cpu, ready, sizes};

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
    let just_enough = Pool::of(ready(2)).with(|spec| (spec.min, spec.quota) = (3, 3)).decide();
    assert_eq!((just_enough.desired, just_enough.reasons), (3, vec![]));
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
