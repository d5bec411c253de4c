//! What holds for any pool.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use simfleet::scale::{
    Action, Decision, History, Limit, MemberState, Observation, PolicyKind, Predictive, Recommendation, Sample, Spec,
    Step, Strategy, bounds, decide,
};

use crate::bench::{NOW, cpu};
use crate::random::{for_seeds, history, observation, spec};

/// A pool made at random, and what is decided of it.
struct Case {
    dice: StdRng,
    spec: Spec,
    seen: Observation,
    history: History,
    decision: Decision,
}

/// Checks something for many pools.
fn holds(what: impl Fn(Case)) {
    for_seeds(2000, |seed| {
        let mut dice = StdRng::seed_from_u64(seed);
        let spec = spec(&mut dice);
        let seen = observation(&mut dice, &spec);
        let history = history(&mut dice);
        let decision = decide(&spec, &seen, &history).0;
        what(Case {
            dice,
            spec,
            seen,
            history,
            decision,
        });
    });
}

#[test]
fn the_bounds_hold_but_for_what_is_protected() {
    holds(|case| {
        let (decision, bounds) = (&case.decision, bounds(&case.spec, NOW));
        let is_protected = decision.limited_by.contains(&Limit::Protected);
        assert!(
            decision.desired <= bounds.cap || is_protected || decision.desired < decision.current,
            "{decision:?}"
        );
        if decision.desired < bounds.min {
            assert!(decision.limited_by.contains(&Limit::Max), "{decision:?}");
        }
    });
}

#[test]
fn nobody_goes_who_must_not() {
    holds(|case| {
        for Action(step, id) in &case.decision.actions {
            if !matches!(step, Step::Drain | Step::Cancel) {
                continue;
            }
            let member = case
                .seen
                .members
                .iter()
                .find(|member| member.id == *id)
                .expect("it is there");
            assert!(!member.protected && member.healthy && member.used == 0, "{member:?}");
            assert!(
                matches!(member.state, MemberState::Pending | MemberState::Ready),
                "{member:?}"
            );
            let is_old = NOW - member.created >= case.spec.min_lifetime;
            assert!(is_old || member.state == MemberState::Pending, "{member:?}");
        }
    });
}

#[test]
fn the_actions_lead_to_the_size() {
    holds(|Case { decision, .. }| {
        let comes = |Action(step, _): &&Action| matches!(step, Step::Undrain | Step::Resume | Step::Create);
        let come = decision.actions.iter().filter(comes).count();
        let go = decision.actions.len() - come;
        assert!(come == 0 || go == 0, "{decision:?}");
        assert_eq!(
            decision.current + come as i64 - go as i64,
            decision.desired,
            "{decision:?}"
        );
        let ids: BTreeSet<&str> = decision.actions.iter().map(|Action(_, id)| id.as_str()).collect();
        assert_eq!(ids.len(), decision.actions.len(), "{decision:?}");
    });
}

#[test]
fn the_order_of_the_members_does_not_matter() {
    holds(|mut case| {
        case.seen.members.shuffle(&mut case.dice);
        assert_eq!(decide(&case.spec, &case.seen, &case.history).0, case.decision);
    });
}

#[test]
fn a_history_that_was_written_and_read_is_the_same() {
    holds(|case| {
        let after = decide(&case.spec, &case.seen, &case.history).1;
        let text = serde_json::to_string(&after).expect("is JSON");
        assert_eq!(serde_json::from_str::<History>(&text).expect("is a history"), after);
    });
}

#[test]
fn without_values_a_pool_never_shrinks() {
    holds(|mut case| {
        case.spec.predictive = Predictive::Off;
        case.spec.checks.retain(|check| check.strategy != Strategy::Buffer);
        if case.spec.checks.is_empty() {
            case.spec.checks.push(cpu());
        }
        case.seen.samples.clear();
        let decision = decide(&case.spec, &case.seen, &case.history).0;
        assert!(
            decision.desired >= decision.current.min(bounds(&case.spec, NOW).cap),
            "{decision:?}"
        );
    });
}

#[test]
fn more_demand_is_never_a_smaller_pool() {
    holds(|mut case| {
        let values = || case.seen.samples.values().flat_map(|samples| samples.values());
        // One that turns from a bad value into a good one is a matter of its own.
        if values().any(|sample| sample.0 < 0.0) {
            return;
        }
        for (check, samples) in &mut case.seen.samples {
            let most = if check == "target" || check == "threshold" {
                0.5
            } else {
                10.0
            };
            let mut ids: Vec<String> = samples.keys().cloned().collect();
            ids.sort();
            for id in ids {
                let Sample(value, at) = samples[&id];
                samples.insert(id, Sample(value + case.dice.random_range(0.0..most), at));
            }
        }
        let more = decide(&case.spec, &case.seen, &case.history).0;
        assert!(more.desired >= case.decision.desired, "{more:?}\n{:?}", case.decision);
    });
}

#[test]
fn a_forecast_never_lowers() {
    holds(|mut case| {
        case.spec.predictive = Predictive::Off;
        let without = decide(&case.spec, &case.seen, &case.history).0;
        assert!(
            case.decision.desired >= without.desired,
            "{:?}\n{without:?}",
            case.decision
        );
    });
}

#[test]
fn growth_past_the_fewest_keeps_to_the_policies() {
    holds(
        |Case {
             spec,
             history,
             decision,
             ..
         }| {
            if decision.desired <= decision.current.max(bounds(&spec, NOW).min) {
                return;
            }
            let allowed = spec.policies_up.iter().map(|policy| {
                let recent = history.events.iter().filter(|event| event.0 > NOW - policy.period);
                let grown: i64 = recent.map(|event| event.1.max(0)).sum();
                let began = (decision.current - grown).max(0) as f64;
                began
                    + match policy.kind {
                        PolicyKind::Count => policy.value,
                        PolicyKind::Percent => (began * policy.value / 100.0 - 1e-9).ceil().max(1.0),
                    }
            });
            let most = allowed.reduce(f64::max).expect("there are policies");
            assert!(decision.desired as f64 <= most + 1e-9, "{decision:?}");
        },
    );
}

#[test]
fn nothing_goes_that_was_asked_for_of_late() {
    holds(
        |Case {
             spec,
             history,
             decision,
             ..
         }| {
            if decision.desired >= decision.current || decision.current > bounds(&spec, NOW).cap {
                return;
            }
            let since = NOW - spec.stabilization_down;
            let asked = history
                .recommendations
                .iter()
                .filter(|Recommendation(at, _)| *at >= since);
            if let Some(most) = asked.map(|asked| asked.1).max() {
                assert!(decision.desired >= most.min(decision.current), "{decision:?}");
            }
        },
    );
}

#[test]
fn a_pool_never_shrinks_to_where_it_would_grow() {
    holds(
        |Case {
             spec, seen, decision, ..
         }| {
            let bounds = bounds(&spec, NOW);
            if decision.desired >= decision.current || decision.current > bounds.cap || decision.desired < bounds.min {
                return;
            }
            let serves = |state| matches!(state, MemberState::Ready | MemberState::Allocated);
            let counts = |id: &str| {
                let member = seen.members.iter().find(|member| member.id == id);
                member.is_some_and(|member| {
                    member.healthy && serves(member.state) && NOW - member.ready_at >= spec.warmup
                })
            };
            for check in spec.checks.iter().filter(|check| check.strategy == Strategy::Threshold) {
                let samples = seen.samples.get(&check.name).into_iter().flatten();
                let values: Vec<f64> = samples
                    .filter(|(id, Sample(value, at))| {
                        counts(id) && value.is_finite() && *value >= 0.0 && NOW - at <= check.max_age
                    })
                    .map(|(_, sample)| sample.0)
                    .collect();
                if !values.is_empty() {
                    let mean = values.iter().sum::<f64>() / decision.desired as f64;
                    assert!(mean <= check.upper + 1e-9, "{decision:?}");
                }
            }
        },
    );
}

#[test]
fn a_paused_pool_does_nothing() {
    holds(|mut case| {
        case.spec.paused = true;
        let decision = decide(&case.spec, &case.seen, &case.history).0;
        assert_eq!(decision.actions, []);
        assert_eq!(decision.desired, decision.current);
    });
}

#[test]
fn a_higher_maximum_is_never_a_smaller_pool() {
    holds(|mut case| {
        if case.spec.schedules.is_empty() {
            case.spec.max += 3;
            let higher = decide(&case.spec, &case.seen, &case.history).0;
            assert!(
                higher.desired >= case.decision.desired,
                "{higher:?}\n{:?}",
                case.decision
            );
        }
    });
}
