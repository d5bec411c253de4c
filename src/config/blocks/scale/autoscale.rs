//! `autoscale`: how many members a pool has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::Value;

use super::behavior::{self, Behavior};
use super::check::{self, Check, Strategy};
use super::schedule::{self, Schedule};
use super::warnings;
use crate::config::decode::{FromValue, Reader, words};
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::config::units::Written;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// How many members a pool has.
#[derive(Debug, Clone, PartialEq)]
pub struct Autoscale {
    /// The fewest.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// How often the size is decided.
    pub evaluation_interval: Duration,
    /// How far a metric may be from its target, in percent, before anything is done.
    pub tolerance: f64,
    /// When a new member counts.
    pub warmup: Warmup,
    /// What is looked at, by name.
    pub checks: BTreeMap<Arc<str>, Check>,
    /// How fast it grows and shrinks.
    pub behavior: Behavior,
    /// Other bounds at some times, in the order in which they are declared.
    pub schedules: Vec<(Arc<str>, Schedule)>,
    /// Whether it looks ahead.
    pub predictive: Predictive,
    /// What it may cost.
    pub budget: Option<Budget>,
}

/// When a new member counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warmup {
    /// As soon as it is healthy.
    Auto,
    /// So long after it is healthy.
    After(Duration),
}

impl FromValue for Warmup {
    fn from_value(value: &Value) -> Option<Self> {
        match value.as_str() {
            Some(_) => Some(Warmup::Auto),
            None => Duration::from_value(value).map(Warmup::After),
        }
    }
}

words! {
    /// Whether a pool looks ahead.
    PredictiveMode {
        /// It does not.
        Off = "off",
        /// It says what it would do.
        Advise = "advise",
        /// It grows ahead.
        Scale = "scale",
    }
}

/// How a pool looks ahead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predictive {
    /// Whether it does.
    pub mode: PredictiveMode,
    /// How far; `Auto` is the time that a member takes to boot, and one interval.
    pub lead: Warmup,
    /// How much of the past it learns from.
    pub history: Duration,
    /// How wrong it may have been in the past.
    pub max_error: Option<f64>,
}

words! {
    /// What a budget does.
    BudgetAction {
        /// It caps the size.
        Cap = "cap",
        /// It warns.
        Warn = "warn",
    }
}

/// What a pool may cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// In an hour.
    pub max_hourly: f64,
    /// What it does.
    pub action: BudgetAction,
    /// In which currency.
    pub currency: Arc<str>,
}

pub(in crate::config::blocks) fn schema() -> BlockSchema {
    let bound = |name, doc| AttributeSchema::new(name, AttributeType::Number(f64::MIN, 1e6), doc);
    let auto = AttributeType::DurationOr(&["auto"]);
    BlockSchema::new("autoscale", "How many members there are.")
        .attributes([
            bound("min", "the fewest members").required(),
            bound("max", "the most members").required(),
            AttributeSchema::duration("evaluation_interval", "how often the size is decided").default("15s"),
            AttributeSchema::new(
                "tolerance",
                AttributeType::Percent,
                "how far a metric may be from its target",
            )
            .default(10u64),
            AttributeSchema::new("warmup", auto.clone(), "how long after it is healthy a member counts")
                .default("auto"),
        ])
        .any(check::schema())
        .optional(behavior::schema())
        .any(schedule::schema())
        .optional(
            BlockSchema::new("predictive", "Whether the pool looks ahead.").attributes([
                AttributeSchema::one_of("mode", PredictiveMode::WORDS, "whether it does").default("off"),
                AttributeSchema::new("lead", auto, "how far").default("auto"),
                AttributeSchema::duration("history", "how much of the past it learns from").default("14d"),
                AttributeSchema::number(
                    "max_error",
                    0.0,
                    1.0,
                    "how wrong it may have been, as a share of the demand: 0.25",
                ),
            ]),
        )
        .rule(warnings::restless)
        .rule(warnings::open)
        .rule(warnings::only_memory)
        .optional(BlockSchema::new("budget", "What the pool may cost.").attributes([
            AttributeSchema::number("max_hourly", 0.0, f64::MAX, "what it may cost an hour"),
            AttributeSchema::number("max_daily", 0.0, f64::MAX, "what it may cost a day"),
            AttributeSchema::one_of("action", BudgetAction::WORDS, "what the budget does").default("cap"),
            AttributeSchema::string("currency", "in which currency").default("USD"),
        ]))
}

impl Autoscale {
    pub(in crate::config::blocks) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (min, max) = bounds(&mut reader);
        let evaluation_interval = reader.take::<Duration>("evaluation_interval");
        let (tolerance, warmup) = (reader.take("tolerance"), reader.take("warmup"));
        let checks = reader.named("check", Check::decode);
        let behavior = reader.block("behavior", Behavior::decode);
        let schedules = reader.blocks("schedule", |block| {
            Schedule::decode(block).map(|schedule| (block.label(0), schedule))
        });
        let predictive = reader.block("predictive", Predictive::decode);
        let budget = reader.block("budget", Budget::decode);
        if evaluation_interval.is_some_and(|interval| interval.is_zero()) {
            let detail = "`evaluation_interval` must be longer than nothing.";
            reader.error(Diagnostic::error("Invalid value", detail), "evaluation_interval");
        }
        if let (Some(min), Some(checks)) = (min, &checks) {
            check_idle(&mut reader, min, checks);
            check_pace(&mut reader, checks);
            check_flap(&mut reader, min, checks);
        }
        if let (Some(interval), Some(checks)) = (evaluation_interval, &checks) {
            check_windows(&mut reader, interval, checks);
        }
        if let (Some(max), Some(schedules)) = (max, &schedules) {
            schedule::check(&mut reader, max, schedules);
        }
        let autoscale = || {
            Some(Autoscale {
                min: min?,
                max: max?,
                evaluation_interval: evaluation_interval?,
                tolerance: tolerance?,
                warmup: warmup?,
                checks: checks?,
                behavior: behavior?.unwrap_or_default(),
                schedules: schedules?,
                predictive: predictive?.unwrap_or_default(),
                budget: budget?,
            })
        };
        let autoscale = autoscale();
        reader.finish(autoscale)
    }
}

/// Reads `min` and `max`.
fn bounds(reader: &mut Reader<'_>) -> (Option<u64>, Option<u64>) {
    let mut bound = |name: &str| {
        let number: simfleet_provider_api::Number = reader.take(name)?;
        if number.is_negative() {
            let detail = format!("`{name}` is {number}; a pool cannot have fewer than 0 members.");
            reader.error(Diagnostic::error("E02 bound below 0", detail), name);
            return None;
        }
        if number.as_u64().is_none() {
            let detail = format!("`{name}` must be a whole number, but is {number}.");
            reader.error(Diagnostic::error("Invalid value", detail), name);
        }
        number.as_u64()
    };
    let (min, max) = (bound("min"), bound("max"));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        let detail = format!("`min` is {min}, more than `max`, {max}.");
        reader.error(Diagnostic::error("E01 min above max", detail), "min");
    }
    (min, max)
}

/// A pool without members has none that could be looked at.
fn check_idle(reader: &mut Reader<'_>, min: u64, checks: &BTreeMap<Arc<str>, Check>) {
    if min > 0 || checks.is_empty() || !checks.values().all(Check::is_per_member) {
        return;
    }
    let detail = "`min` is 0, and every check looks at members: once there is none, nothing would start one again.";
    let diagnostic = Diagnostic::error("E09 only checks of members at min 0", detail);
    reader.error(
        diagnostic.hint("raise min to 1, or add a check with the strategy \"buffer\" or \"queue\""),
        "min",
    );
}

/// A simulator that keeps up has a factor of 1 and says nothing of how much more it could do.
fn check_pace(reader: &mut Reader<'_>, checks: &BTreeMap<Arc<str>, Check>) {
    for (name, check) in checks.iter().filter(|(name, check)| check.is_pace(name)) {
        let wrong = match &check.strategy {
            Strategy::Target { target } if *target >= 1.0 => Some(("target", *target)),
            Strategy::Threshold { upper, .. } if *upper >= 1.0 => Some(("upper", *upper)),
            _ => None,
        };
        let Some((attribute, value)) = wrong else { continue };
        let detail = format!(
            "`{attribute}` of check {name:?} is {value}: a simulator that keeps up has a real-time factor of 1, so it \
             must be below that."
        );
        let span = reader.record().blocks("check").find(|block| *block.label(0) == **name);
        let diagnostic = Diagnostic::error("Invalid value", detail).at(span.map(|block| block.span().clone()));
        reader.push(diagnostic.hint("0.9, for example"));
    }
}

/// Just above the smallest size, giving up a member must not bring the rest above `upper`.
fn check_flap(reader: &mut Reader<'_>, min: u64, checks: &BTreeMap<Arc<str>, Check>) {
    let n = min.max(1) as f64 + 1.0;
    for (name, check) in checks {
        let Strategy::Threshold { upper, lower, .. } = &check.strategy else {
            continue;
        };
        // What falls behind less than that is far from the other threshold.
        if check.is_pace(name) {
            continue;
        }
        let most = upper * (n - 1.0) / n;
        if lower < upper && *lower > most {
            let detail = format!(
                "In check {name:?}, `lower` is {lower}: at {n} members, giving one up there would bring the others \
                 above `upper`, {upper}, and the pool would grow again at once."
            );
            let span = reader.record().blocks("check").find(|block| *block.label(0) == **name);
            let diagnostic =
                Diagnostic::error("E08 flapping thresholds", detail).at(span.map(|block| block.span().clone()));
            reader.push(diagnostic.hint(format!("set lower to {} at most", (most * 10.0).floor() / 10.0)));
        }
    }
}

fn check_windows(reader: &mut Reader<'_>, interval: Duration, checks: &BTreeMap<Arc<str>, Check>) {
    for (name, check) in checks {
        let held = match &check.strategy {
            Strategy::Threshold { held, .. } => held.map(|held| ("for", held)),
            _ => None,
        };
        for (attribute, length) in [Some(("window", check.window)), held].into_iter().flatten() {
            if length < interval {
                let detail = format!(
                    "`{attribute}` of check {name:?} is {}, shorter than `evaluation_interval`, {}.",
                    Written(length),
                    Written(interval)
                );
                let span = reader.record().blocks("check").find(|block| *block.label(0) == **name);
                let diagnostic = Diagnostic::error("E33 window below evaluation_interval", detail);
                reader.push(diagnostic.at(span.map(|block| block.span().clone())));
            }
        }
    }
}

/// The least that a forecast is made of.
const A_DAY: Duration = Duration::from_secs(86_400);

impl Default for Predictive {
    fn default() -> Self {
        Predictive {
            mode: PredictiveMode::Off,
            lead: Warmup::Auto,
            history: Duration::from_secs(14 * 86_400),
            max_error: None,
        }
    }
}

impl Predictive {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (mode, lead) = (reader.take("mode"), reader.take("lead"));
        let (history, max_error) = (reader.take::<Duration>("history"), reader.maybe::<f64>("max_error"));
        if mode == Some(PredictiveMode::Scale) && max_error == Some(None) {
            let detail = "`mode` is \"scale\", so `max_error` must say how wrong a forecast may be.";
            reader.error(
                Diagnostic::error("E26 predictive scale without max_error", detail),
                "mode",
            );
        }
        if let Some(history) = history
            && history < A_DAY
        {
            let detail = format!(
                "`history` is {}, but what is expected is what there was at the same time of earlier days.",
                Written(history)
            );
            let diagnostic = Diagnostic::error("Invalid value", detail);
            reader.error(diagnostic.hint("a week or two"), "history");
        }
        let predictive = || {
            Some(Predictive {
                mode: mode?,
                lead: lead?,
                history: history?,
                max_error: max_error?,
            })
        };
        let predictive = predictive();
        reader.finish(predictive)
    }
}

impl Budget {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (hourly, daily) = (reader.maybe::<f64>("max_hourly"), reader.maybe::<f64>("max_daily"));
        let (action, currency) = (reader.take("action"), reader.take("currency"));
        let max_hourly = match (hourly, daily) {
            (Some(Some(hourly)), Some(None)) => Some(hourly),
            (Some(None), Some(Some(daily))) => Some(daily / 24.0),
            (Some(Some(hourly)), Some(Some(daily))) => Some(hourly.min(daily / 24.0)),
            (Some(None), Some(None)) => {
                let detail = "`budget` needs `max_hourly` or `max_daily`.";
                reader.error(Diagnostic::error("Missing attribute", detail), "max_hourly");
                None
            }
            _ => None,
        };
        let budget = || {
            Some(Budget {
                max_hourly: max_hourly?,
                action: action?,
                currency: currency?,
            })
        };
        let budget = budget();
        reader.finish(budget)
    }
}
