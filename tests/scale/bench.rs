//! A pool, as the cases and the properties need it.

use std::collections::BTreeMap;

use simfleet::scale::{
    Action, Check, Decision, History, Member, MemberState, Observation, Policy, PolicyKind, Sample, Samples, Spec,
    Step, Strategy, decide,
};

/// The instant of most cases.
pub const NOW: f64 = 1000.0;

/// Returns a member that has been there for long.
pub fn member(id: impl Into<String>, state: MemberState) -> Member {
    Member {
        id: id.into(),
        state,
        healthy: true,
        unhealthy_since: None,
        protected: false,
        created: -9000.0,
        ready_at: -9000.0,
        idle_since: 0.0,
        load: 0.0,
        drifted: false,
        used: 0,
    }
}

/// Returns so many members that are ready: `r0` and on.
pub fn ready(count: usize) -> Vec<Member> {
    (0..count)
        .map(|number| member(format!("r{number}"), MemberState::Ready))
        .collect()
}

/// Returns so many that are not healthy: `u0` and on.
pub fn sick(count: usize) -> Vec<Member> {
    let sick = |number| Member {
        healthy: false,
        ..member(format!("u{number}"), MemberState::Ready)
    };
    (0..count).map(sick).collect()
}

/// Returns so many that boot: `p0` and on.
pub fn pending(count: usize) -> Vec<Member> {
    let pending = |number| Member {
        created: 990.0,
        ..member(format!("p{number}"), MemberState::Pending)
    };
    (0..count).map(pending).collect()
}

/// Returns so many that somebody has: `a0` and on.
pub fn allocated(count: usize) -> Vec<Member> {
    (0..count)
        .map(|number| member(format!("a{number}"), MemberState::Allocated))
        .collect()
}

/// Returns so many that are ready, with so many of their slots taken: `o0` and on.
pub fn occupied(used: &[i64]) -> Vec<Member> {
    let occupied = |(number, used): (usize, &i64)| Member {
        used: *used,
        ..member(format!("o{number}"), MemberState::Ready)
    };
    used.iter().enumerate().map(occupied).collect()
}

/// Returns a check.
pub fn check(name: &str, strategy: Strategy) -> Check {
    Check {
        name: name.to_owned(),
        strategy,
        ..Check::default()
    }
}

/// Returns the check `cpu` with the target 0.5 and no headroom.
pub fn cpu() -> Check {
    Check {
        target: 0.5,
        headroom_k: 0.0,
        ..check("cpu", Strategy::Target)
    }
}

/// Returns a policy in percent.
pub fn percent(value: f64, period: f64) -> Policy {
    Policy {
        kind: PolicyKind::Percent,
        value,
        period,
    }
}

/// Returns a policy in members.
pub fn count(value: f64, period: f64) -> Policy {
    Policy {
        kind: PolicyKind::Count,
        value,
        period,
    }
}

/// One pool at one instant, of which a case says only what it is about.
pub struct Pool {
    pub spec: Spec,
    pub seen: Observation,
    pub history: History,
}

impl Pool {
    /// A pool of one to 50 of these members, that nothing smooths or slows down.
    pub fn of(members: Vec<Member>) -> Self {
        Pool {
            spec: Spec {
                max: 50,
                stabilization_up: 0.0,
                stabilization_down: 0.0,
                cooldown_down: 0.0,
                policies_up: vec![percent(900.0, 15.0)],
                policies_down: vec![percent(100.0, 15.0)],
                ..Spec::default()
            },
            seen: Observation {
                now: NOW,
                members,
                samples: BTreeMap::new(),
                forecast: None,
                forecast_ok: false,
            },
            history: History::default(),
        }
    }

    /// With a check, and its value for each member in their order; `None` where a member has none.
    pub fn values<V: Into<Option<f64>> + Copy>(mut self, check: Check, values: &[V]) -> Self {
        let members = self.seen.members.iter().zip(values);
        let samples: Samples = members
            .filter_map(|(member, value)| Some((member.id.clone(), Sample((*value).into()?, NOW))))
            .collect();
        self.seen.samples.insert(check.name.clone(), samples);
        self.spec.checks.push(check);
        self
    }

    /// With a check, and the same value for every member.
    pub fn all(self, check: Check, value: f64) -> Self {
        let values = vec![value; self.seen.members.len()];
        self.values(check, &values)
    }

    /// With a check of a value for the whole pool.
    pub fn pool_wide(mut self, check: Check, value: f64) -> Self {
        self.seen
            .samples
            .insert(check.name.clone(), Samples::from([(String::new(), Sample(value, NOW))]));
        self.spec.checks.push(check);
        self
    }

    /// With a check that needs no value, or has none.
    pub fn check(mut self, check: Check) -> Self {
        self.spec.checks.push(check);
        self
    }

    /// With other declarations.
    pub fn with(mut self, change: impl FnOnce(&mut Spec)) -> Self {
        change(&mut self.spec);
        self
    }

    /// With something that was asked for before: when, and how many members.
    pub fn asked(mut self, at: f64, size: i64) -> Self {
        self.history
            .recommendations
            .push(simfleet::scale::Recommendation(at, size));
        self
    }

    /// With something that happened before: when, and how many members more.
    pub fn changed(mut self, at: f64, change: i64) -> Self {
        self.history.events.push(simfleet::scale::Event(at, change));
        self
    }

    /// With a demand of the past.
    pub fn demand(mut self, check: &str, numbers: Vec<f64>) -> Self {
        self.history.demand.insert(check.to_owned(), numbers);
        self
    }

    pub fn decide(&self) -> Decision {
        decide(&self.spec, &self.seen, &self.history).0
    }

    pub fn desired(&self) -> i64 {
        self.decide().desired
    }
}

/// Checks cases by name, and tells all that are wrong.
#[track_caller]
pub fn sizes(cases: impl IntoIterator<Item = (&'static str, Pool, i64)>) {
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(name, pool, expected)| {
            let decision = pool.decide();
            (decision.desired != expected).then(|| format!("{name}: not {expected}, but {decision:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns a check with a threshold to grow above and one to shrink below.
pub fn threshold(name: &str, upper: f64, lower: f64) -> Check {
    Check {
        upper,
        lower,
        ..check(name, Strategy::Threshold)
    }
}

/// Returns a check that keeps slots free: so many, and so many percent, of members that have so many each.
pub fn buffer(min_ready: i64, percent: f64, slots: i64) -> Check {
    Check {
        min_ready,
        percent,
        slots,
        ..check("buffer", Strategy::Buffer)
    }
}

/// Returns what is done, and to which members.
pub fn actions(pool: &Pool) -> Vec<(Step, String)> {
    pool.decide()
        .actions
        .into_iter()
        .map(|Action(step, id)| (step, id))
        .collect()
}

/// Returns a step for each of these members.
pub fn named(step: Step, ids: &[&str]) -> Vec<(Step, String)> {
    ids.iter().map(|id| (step, (*id).to_owned())).collect()
}
