//! How fast a size may change.

use std::cmp::Ordering;

use super::vote::{Capacity, Votes, whole};
use super::{Event, Limit, Policy, PolicyKind, Recommendation, Select, Spec};

/// Brings a size nearer to the present one, as much as what was asked for before, and what happened, says.
#[derive(Debug)]
pub(super) struct Pace<'a> {
    pub spec: &'a Spec,
    pub now: f64,
    pub capacity: &'a Capacity<'a>,
    /// What was asked for, the present included.
    pub recommendations: &'a [Recommendation],
    /// How the size changed.
    pub events: &'a [Event],
}

impl Pace<'_> {
    /// Returns the size that a recommendation leads to now.
    pub(super) fn limit(&self, wanted: i64, votes: &Votes, limits: &mut Vec<Limit>) -> i64 {
        let size = self.capacity.size();
        let desired = match wanted.cmp(&size) {
            Ordering::Greater if !votes.is_urgent => self.stabilized_up(wanted, limits),
            Ordering::Less => self.guarded(self.stabilized_down(wanted, limits), votes, limits),
            Ordering::Greater | Ordering::Equal => wanted,
        };
        match desired.cmp(&size) {
            Ordering::Greater => self.grow(desired, limits),
            Ordering::Less => self.shrink(desired, limits),
            Ordering::Equal => size,
        }
    }

    /// Returns the smallest size from a wanted one on at which no check would ask for growth.
    fn guarded(&self, wanted: i64, votes: &Votes, limits: &mut Vec<Limit>) -> i64 {
        let mut sizes = wanted..self.capacity.size();
        let guarded = sizes
            .find(|size| !votes.would_grow(*size))
            .unwrap_or(self.capacity.size());
        if guarded > wanted {
            limits.push(Limit::FlapGuard);
        }
        guarded
    }

    /// Returns the sizes that were asked for within a time.
    fn asked(&self, window: f64) -> impl Iterator<Item = i64> {
        let since = self.now - window;
        self.recommendations
            .iter()
            .filter(move |Recommendation(at, _)| *at >= since)
            .map(|Recommendation(_, size)| *size)
    }

    fn stabilized_up(&self, wanted: i64, limits: &mut Vec<Limit>) -> i64 {
        let least = self
            .asked(self.spec.stabilization_up)
            .min()
            .unwrap_or(wanted)
            .max(self.capacity.size());
        if least < wanted {
            limits.push(Limit::StabilizationUp);
        }
        least
    }

    fn stabilized_down(&self, wanted: i64, limits: &mut Vec<Limit>) -> i64 {
        let most = self
            .asked(self.spec.stabilization_down)
            .max()
            .unwrap_or(wanted)
            .min(self.capacity.size());
        if most > wanted {
            limits.push(Limit::StabilizationDown);
        }
        most
    }

    fn grow(&self, wanted: i64, limits: &mut Vec<Limit>) -> i64 {
        let (spec, size) = (self.spec, self.capacity.size());
        let grown = self.events.iter().filter(|Event(_, change)| *change > 0);
        let last = grown.map(|Event(at, _)| *at).fold(f64::NEG_INFINITY, f64::max);
        let mut desired = wanted;
        if self.now - last < spec.cooldown_up {
            limits.push(Limit::CooldownUp);
            desired = size;
        } else if self.capacity.too_many_are_sick(self.spec) {
            limits.push(Limit::Breaker);
            desired = size;
        }
        if spec.up_select == Select::Disabled {
            limits.push(Limit::UpDisabled);
            return size;
        }
        if desired == size {
            return size;
        }
        let allowed = spec.policies_up.iter().map(|policy| {
            let began = (size - self.changed(policy, |change| change.max(0))).max(0);
            began as f64 + step(policy, began, whole)
        });
        let most = match spec.up_select {
            Select::Min => allowed.reduce(f64::min),
            Select::Max | Select::Disabled => allowed.reduce(f64::max),
        };
        match most.map(|most| most as i64) {
            Some(most) if desired > most => {
                limits.push(Limit::RateUp);
                size.max(most)
            }
            _ => desired,
        }
    }

    fn shrink(&self, wanted: i64, limits: &mut Vec<Limit>) -> i64 {
        let (spec, size) = (self.spec, self.capacity.size());
        let last = self
            .events
            .iter()
            .map(|Event(at, _)| *at)
            .fold(f64::NEG_INFINITY, f64::max);
        let halt = if self.now - last < spec.cooldown_down {
            Some(Limit::CooldownDown)
        } else if self.capacity.pending() > 0 {
            Some(Limit::Pending)
        } else if self.capacity.too_many_are_sick(self.spec) {
            Some(Limit::Breaker)
        } else if spec.down_select == Select::Disabled {
            Some(Limit::DownDisabled)
        } else {
            None
        };
        if let Some(halt) = halt {
            limits.push(halt);
            return size;
        }
        let allowed = spec.policies_down.iter().map(|policy| {
            let began = size + self.changed(policy, |change| (-change).max(0));
            began as f64 - step(policy, began, |members| members.floor() as i64)
        });
        let least = match spec.down_select {
            Select::Min => allowed.reduce(f64::max),
            Select::Max | Select::Disabled => allowed.reduce(f64::min),
        };
        match least.map(|least| least as i64) {
            Some(least) if wanted < least => {
                limits.push(Limit::RateDown);
                size.min(least)
            }
            _ => wanted,
        }
    }

    /// Returns the sum of the changes within a policy's period, each counted as `count` says.
    fn changed(&self, policy: &Policy, count: impl Fn(i64) -> i64) -> i64 {
        let since = self.now - policy.period;
        self.events
            .iter()
            .filter(|Event(at, _)| *at > since)
            .map(|Event(_, change)| count(*change))
            .sum()
    }
}

/// Returns how many members a policy allows to come or go, where there were so many when its period began.
fn step(policy: &Policy, began: i64, rounded: impl Fn(f64) -> i64) -> f64 {
    match policy.kind {
        PolicyKind::Count => policy.value,
        PolicyKind::Percent => rounded(began as f64 * policy.value / 100.0).max(1) as f64,
    }
}
