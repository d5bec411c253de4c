//! The decision.

use std::cmp::Ordering;

use super::pace::Pace;
use super::vote::{Capacity, votes, whole};
use super::{Decision, Event, History, Limit, Observation, Predictive, Reason, Spec, Strategy, bounds, ill, members};

/// Decides how many members a pool should have, and which come and go; returns what is to be remembered, too.
///
/// The checks vote, and the largest vote wins. It is kept within the bounds, smoothed by what was asked for before, held up
/// where a smaller pool would grow again at once, and slowed down to what the policies allow. The bounds hold in any case.
/// Members that are protected, taken, occupied or young never go.
///
/// The same arguments give the same decision, whatever the order of the members.
pub fn decide(spec: &Spec, seen: &Observation, history: &History) -> (Decision, History) {
    let now = seen.now;
    let capacity = Capacity::of(spec, seen);
    let size = capacity.size();
    let bounds = bounds(spec, now);
    let mut after = History {
        misses: history.misses.clone(),
        demand: history.demand.clone(),
        ..History::default()
    };
    let votes = votes(spec, seen, &capacity, &bounds, history, &mut after);
    let mut reasons = bounds.reasons.clone();
    reasons.extend(votes.reasons.iter().cloned());
    let mut raw = votes.size;
    if let Some(forecast) = forecast(spec, seen) {
        raw = raw.max(forecast);
        reasons.push(Reason::Predictive);
    }

    let recommended = raw.max(bounds.min).min(bounds.cap);
    after.recommendations = history.recommend(spec, now, recommended);
    after.events = history.recent(spec, now);
    let mut limits = Vec::new();
    let pace = Pace {
        spec,
        now,
        capacity: &capacity,
        recommendations: &after.recommendations,
        events: &after.events,
    };
    let mut desired = pace.limit(recommended, &votes, &mut limits);
    // The bounds hold at once, whatever else says.
    if desired < bounds.min {
        limits.push(Limit::Min);
        desired = bounds.min;
    }
    if desired > bounds.cap {
        limits.push(Limit::Max);
        desired = bounds.cap;
    }
    if spec.paused {
        limits.push(Limit::Paused);
        desired = size;
    }

    let given_up = ill::give_up(spec, seen, &capacity, history, &mut after);
    let is_backing_off = ill::is_backing_off(&after, now);
    let wanted = desired;
    let (desired, mut actions) = match desired.cmp(&size) {
        Ordering::Greater => members::grow(spec, seen, &capacity, &bounds, desired, is_backing_off, &mut limits),
        Ordering::Less => members::shrink(spec, seen, &capacity, &bounds, &after.events, desired, &mut limits),
        Ordering::Equal => (size, Vec::new()),
    };
    actions.extend(given_up);
    if !spec.paused {
        actions.extend(ill::replace(spec, seen, &capacity, &bounds, wanted, &mut limits));
    }
    if desired != size {
        after.events.push(Event(now, desired - size));
    }
    let decision = Decision {
        desired,
        raw,
        current: size,
        actions,
        limited_by: limits,
        reasons,
        next_eval: now + spec.interval,
    };
    (decision, after)
}

/// Returns how many members a forecast asks for, where it counts.
fn forecast(spec: &Spec, seen: &Observation) -> Option<i64> {
    let forecast = seen.forecast.filter(|forecast| forecast.is_finite())?;
    if spec.predictive != Predictive::Scale || !seen.forecast_ok {
        return None;
    }
    let target = spec.checks.iter().find(|check| check.strategy == Strategy::Target)?;
    Some(whole(forecast / target.target))
}
