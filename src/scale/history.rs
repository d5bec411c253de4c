//! What is remembered between decisions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Spec;

/// What is remembered between decisions. It is bounded: each decision forgets what can no longer matter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// What was asked for, oldest first.
    #[serde(rename = "recs", default)]
    pub recommendations: Vec<Recommendation>,
    /// How the size changed. A caller keeps here what happened, which can be other than what was decided.
    #[serde(default)]
    pub events: Vec<Event>,
    /// For how many rounds each check has had no value.
    #[serde(default)]
    pub misses: BTreeMap<String, u64>,
    /// What was needed of late, by `target` check, oldest first: one number a decision, in the unit of the check's target.
    #[serde(default)]
    pub demand: BTreeMap<String, Vec<f64>>,
    /// Which `threshold` checks that wait are beyond a threshold, and since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beyond: BTreeMap<String, Beyond>,
    /// When members were given up that never became ready, as long as none has become ready since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<f64>,
}

/// Beyond which of its thresholds a check is, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Beyond {
    /// Which one.
    pub side: Side,
    /// Since which decision.
    pub since: f64,
}

/// One of the thresholds of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Above `upper`.
    Above,
    /// Below `lower`.
    Below,
}

/// A size that was asked for, and when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recommendation(pub f64, pub i64);

/// A change of the size, and when: so many members more, or fewer where it is negative.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Event(pub f64, pub i64);

impl History {
    /// Returns the recommendations that can still matter, and the present one.
    pub(super) fn recommend(&self, spec: &Spec, now: f64, size: i64) -> Vec<Recommendation> {
        let horizon = now - spec.stabilization_up.max(spec.stabilization_down) - spec.interval;
        let kept = self
            .recommendations
            .iter()
            .copied()
            .filter(|Recommendation(at, _)| *at > horizon && *at <= now);
        kept.chain([Recommendation(now, size)]).collect()
    }

    /// Returns the changes of the size that can still matter.
    pub(super) fn recent(&self, spec: &Spec, now: f64) -> Vec<Event> {
        let periods = spec
            .policies_up
            .iter()
            .chain(&spec.policies_down)
            .map(|policy| policy.period);
        let longest = [
            spec.stabilization_up,
            spec.stabilization_down,
            spec.disruption_window,
            spec.cooldown_up,
            spec.cooldown_down,
        ]
        .into_iter()
        .chain(periods)
        .fold(0.0, f64::max);
        let horizon = now - longest - 1.0;
        self.events
            .iter()
            .copied()
            .filter(|Event(at, _)| *at > horizon)
            .collect()
    }

    /// Adds what is needed now to what was, and returns as much of it as counts.
    pub(super) fn demand(&self, spec: &Spec, check: &str, now: f64) -> Vec<f64> {
        let kept = ((spec.signal_window / spec.interval).floor() as usize).max(1);
        let past = self.demand.get(check).map(Vec::as_slice).unwrap_or_default();
        let past = &past[past.len().saturating_sub(kept - 1)..];
        // A sum beyond all numbers could not be written down.
        past.iter().copied().chain([now.min(f64::MAX)]).collect()
    }
}

/// Returns how much a number rises of late: the semi-deviation of the rises of means over four ticks, at every offset. It
/// has no phase (which ticks make a mean does not matter), and never falls when the newest number rises.
pub(super) fn rising(numbers: &[f64]) -> f64 {
    const TICKS: usize = 4;
    if numbers.len() < 2 * TICKS {
        return 0.0;
    }
    let means: Vec<f64> = numbers
        .windows(TICKS)
        .map(|ticks| ticks.iter().sum::<f64>() / TICKS as f64)
        .collect();
    let rises = means.len() - TICKS;
    let squares: f64 = (0..rises)
        .map(|at| (means[at + TICKS] - means[at]).max(0.0).powi(2))
        .sum();
    (squares / rises as f64).sqrt()
}
