//! What a pool that looks ahead expects to need.

use std::collections::BTreeMap;

use serde::Serialize;

use super::autoscale::Unit;
use crate::config::blocks::scale::{Autoscale, PredictiveMode, Strategy, Warmup};
use crate::scale::{Forecast, Past, Sample, Samples};

/// What is expected of a pool that looks ahead.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ahead {
    /// How many members that takes.
    pub members: i64,
    /// How wrong forecasts were during the last day, as a share of what was needed.
    pub error: Option<f64>,
    /// Whether the forecast counts: the pool is to be sized by it, and it has been right often enough.
    pub counts: bool,
    /// What will be needed, in members whose load is all that they can do.
    #[serde(skip)]
    pub demand: f64,
}

impl Ahead {
    /// Notes what is needed `now`, in seconds since the epoch, by the first check that has members at a target, and returns what
    /// will be; `None` where too little is known for that, or where the pool does not look ahead. `serving` members take the
    /// load that `samples` are of; a new one takes `boot` seconds to be ready.
    pub fn look(
        autoscale: &Autoscale,
        past: &mut Past,
        samples: &BTreeMap<String, Samples>,
        serving: usize,
        now: f64,
        boot: f64,
    ) -> Option<Self> {
        let predictive = &autoscale.predictive;
        if predictive.mode == PredictiveMode::Off {
            *past = Past::default();
            return None;
        }
        let (name, target, unit) = autoscale.checks.iter().find_map(|(name, check)| match check.strategy {
            Strategy::Target { target } => Some((name, target, Unit::of(name, check))),
            _ => None,
        })?;
        if let Some(samples) = samples.get(&**name).filter(|samples| !samples.is_empty()) {
            let sum: f64 = samples.values().map(|Sample(value, _)| value).sum();
            let demand = sum / samples.len() as f64 * serving as f64;
            past.note(now, demand, predictive.history.as_secs_f64());
        }
        let lead = match predictive.lead {
            Warmup::After(lead) => lead.as_secs_f64(),
            Warmup::Auto => boot + autoscale.evaluation_interval.as_secs_f64(),
        };
        let Forecast { demand, error } = past.forecast(now, lead)?;
        let is_good = |error: f64| predictive.max_error.is_none_or(|most| error < most);
        Some(Ahead {
            members: (demand / unit.lower(target)).ceil() as i64,
            error,
            counts: predictive.mode == PredictiveMode::Scale && error.is_some_and(is_good),
            demand,
        })
    }
}
