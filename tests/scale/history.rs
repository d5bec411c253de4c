//! What is remembered from one decision to the next, and what is not.

use simfleet::scale::{Check, Event, Spec, decide};

use crate::bench::{NOW, Pool, cpu, ready};

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
fn how_the_size_changes_is_remembered() {
    let after = |value| {
        let pool = Pool::of(ready(4)).all(cpu(), value);
        let (decision, after) = decide(&pool.spec, &pool.seen, &pool.history);
        assert_eq!(decision.next_eval, NOW + pool.spec.interval);
        after.events
    };
    assert_eq!(after(0.8), [Event(NOW, 3)]);
    assert_eq!(after(0.2), [Event(NOW, -2)]);
    assert_eq!(after(0.5), []);
}

#[test]
fn what_was_needed_is_kept_over_rounds_without_a_value() {
    let pool = Pool::of(ready(4)).check(cpu()).demand("cpu", vec![1.0, 2.0]);
    let after = decide(&pool.spec, &pool.seen, &pool.history).1;
    assert_eq!(after.demand["cpu"], [1.0, 2.0]);
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
