//! `check`: what the size of a pool depends on.

use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::{Address, Metric, Value};

use crate::config::blocks::webhook;
use crate::config::decode::{FromValue, Needs, Reader, words};
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// What the size of a pool depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Where the metric comes from; without one it is the agent's or engine's own metric of the check's name.
    pub source: Option<Source>,
    /// What is asked for there. Can be unknown.
    pub query: Option<Value>,
    /// Which samples belong to which member. Can be unknown.
    pub matching: Option<Value>,
    /// Over what time samples are joined.
    pub window: Duration,
    /// How old a sample may be.
    pub max_age: Duration,
    /// How long the source may take.
    pub timeout: Duration,
    /// What a lack of data does.
    pub on_missing: OnMissing,
    /// What an error of the source does.
    pub on_error: OnMissing,
    /// The size at a lack of data, for `fallback`.
    pub fallback: Option<u64>,
    /// How many rounds without data it takes.
    pub failure_threshold: u64,
    /// How much room is left for what rises fast.
    pub headroom: f64,
    /// How the metric becomes a size.
    pub strategy: Strategy,
}

/// Where a metric comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// simfleet itself: its agents, else the providers.
    Simfleet,
    /// A URL.
    Http,
    /// A `metrics` block.
    Metrics(Address),
}

impl Source {
    /// The words of the language for those that are no blocks.
    const WORDS: &'static [&'static str] = &["simfleet", "http"];
}

impl FromValue for Source {
    const NEEDS: Needs = Needs::Itself;

    fn from_value(value: &Value) -> Option<Self> {
        match (value.origin(), value.as_str()) {
            (Some(metrics), _) => Some(Source::Metrics(metrics.clone())),
            (None, Some("simfleet")) => Some(Source::Simfleet),
            (None, Some("http")) => Some(Source::Http),
            _ => None,
        }
    }
}

words! {
    /// What a lack of data does.
    OnMissing {
        /// The size stays.
        Hold = "hold",
        /// It becomes `fallback`, if that is more.
        Fallback = "fallback",
        /// It becomes the most.
        FailOpen = "fail_open",
        /// The check is left out.
        Ignore = "ignore",
    }
}

/// How a metric becomes a size. Numbers are in the unit of the metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// Each member is to be at the target.
    Target {
        /// The target.
        target: f64,
    },
    /// A step up above `upper`, a step down below `lower`.
    Threshold {
        /// Above it, the pool grows.
        upper: f64,
        /// Below it, it shrinks.
        lower: f64,
        /// How long it must be so.
        held: Option<Duration>,
        /// By how many members.
        step: Step,
    },
    /// As many members as the queue needs.
    Queue {
        /// How long the queue of one member is.
        target: f64,
        /// Up to here, none is needed.
        activation: f64,
    },
    /// Free slots are kept.
    Buffer {
        /// At least so many.
        min_ready: u64,
        /// At least so many percent of all.
        percent: f64,
    },
    /// Someone else decides.
    Webhook {
        /// Who. Can be unknown.
        url: Value,
        /// How long the answer may take.
        timeout: Duration,
    },
}

/// By how many members a threshold grows or shrinks a pool: the larger of the two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Percent of the present size.
    pub percent: f64,
    /// At least so many.
    pub min: u64,
}

pub(super) fn schema() -> BlockSchema {
    let number = |name, doc| AttributeSchema::number(name, f64::MIN, f64::MAX, doc);
    let strategy = |kind, doc| BlockSchema::new("strategy", doc).kind(kind).labels(&["strategy"]);
    BlockSchema::new("check", "What the size depends on.")
        .labels(&["name"])
        .rule(known)
        .attributes([
            AttributeSchema::new(
                "source",
                AttributeType::Reference(&["metrics"], Source::WORDS),
                "where the metric comes from; without it, and with \"simfleet\", from the agents of the members, else their provider",
            ),
            AttributeSchema::string(
                "query",
                "what is asked for there; of \"simfleet\" `cpu_utilization` or `memory_utilization`, in percent of what a member may \
                 use, `real_time_factor` of vehicles (1 keeps up), `queue` (simulators without a place) or `simulators` (those that \
                 are declared there). Without it, the name of the check",
            ),
            AttributeSchema::string("match", "which samples belong to which member"),
            AttributeSchema::duration("window", "over what time samples are joined").default("60s"),
            AttributeSchema::duration("max_age", "how old a sample may be").default("90s"),
            AttributeSchema::duration("timeout", "how long the source may take").default("5s"),
            AttributeSchema::one_of("on_missing", OnMissing::WORDS, "what a lack of data does").default("hold"),
            AttributeSchema::one_of("on_error", OnMissing::WORDS, "what an error of the source does").default("hold"),
            AttributeSchema::count("fallback", 0, "the size at a lack of data"),
            AttributeSchema::count("failure_threshold", 1, "how many rounds without data it takes").default(3u64),
            AttributeSchema::number("headroom", 0.0, 1e6, "how much room is left for what rises fast").default(1u64),
        ])
        .nested(
            strategy("target", "Each member is to be at the target.")
                .attributes([number("target", "the target").required()]),
            1,
            1,
        )
        .nested(
            strategy("threshold", "A step up above `upper`, a step down below `lower`.").attributes([
                number("upper", "above it, the pool grows").required(),
                number("lower", "below it, it shrinks").required(),
                AttributeSchema::duration("for", "how long it must be so"),
                AttributeSchema::new("step", AttributeType::Object(step_fields()), "by how many members"),
            ]),
            1,
            1,
        )
        .nested(
            strategy("queue", "As many members as the queue needs.").attributes([
                number("target", "how long the queue of one member is").required(),
                number("activation", "up to here, none is needed").default(0u64),
            ]),
            1,
            1,
        )
        .nested(
            strategy("buffer", "Free slots are kept.").attributes([
                AttributeSchema::count("min_ready", 0, "at least so many").default(0u64),
                number("percent", "at least so many percent of all").default(0u64),
            ]),
            1,
            1,
        )
        .nested(
            strategy("webhook", "Someone else decides.").attributes([
                AttributeSchema::string("url", "who").required(),
                AttributeSchema::duration("timeout", "how long the answer may take").default("10s"),
                AttributeSchema::bool("insecure", "the URL need not be https").default(false),
            ]),
            1,
            1,
        )
}

fn step_fields() -> Vec<AttributeSchema> {
    vec![
        AttributeSchema::new("percent", AttributeType::Percent, "percent of the present size").default(0u64),
        AttributeSchema::count("min", 1, "at least so many").default(1u64),
    ]
}

impl Check {
    /// Whether it looks at members, so that it sees nothing where there is none.
    pub(super) fn is_per_member(&self) -> bool {
        matches!(self.strategy, Strategy::Target { .. } | Strategy::Threshold { .. })
    }

    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (source, query, matching) = (reader.maybe("source"), reader.maybe("query"), reader.maybe("match"));
        let (window, max_age, timeout) = (reader.take("window"), reader.take("max_age"), reader.take("timeout"));
        let (on_missing, on_error) = (reader.take("on_missing"), reader.take("on_error"));
        let (fallback, failure_threshold) = (reader.maybe::<u64>("fallback"), reader.take("failure_threshold"));
        let headroom = reader.take("headroom");
        let strategy = reader.block("strategy", Strategy::decode).flatten();
        if on_missing == Some(OnMissing::Fallback) && fallback == Some(None) {
            let detail = "`on_missing` is \"fallback\", so `fallback` must say to which size.";
            reader.error(Diagnostic::error("Missing attribute", detail), "on_missing");
        }
        let check = || {
            Some(Check {
                source: source?,
                query: query?,
                matching: matching?,
                window: window?,
                max_age: max_age?,
                timeout: timeout?,
                on_missing: on_missing?,
                on_error: on_error?,
                fallback: fallback?,
                failure_threshold: failure_threshold?,
                headroom: headroom?,
                strategy: strategy?,
            })
        };
        let check = check();
        reader.finish(check)
    }
}

/// What simfleet knows by itself, by the names that are documented; those of one word are known, too.
const OWN: [&str; 5] = [
    "cpu_utilization",
    "memory_utilization",
    "real_time_factor",
    "queue",
    "simulators",
];

/// What is asked of simfleet itself must be something that it knows: another name never gets a value, so that the pool stays
/// as it is.
fn known(record: &Record, found: &mut Diagnostics) {
    let Ok(check) = Check::decode(record) else { return };
    let is_counted = matches!(check.strategy, Strategy::Buffer { .. } | Strategy::Webhook { .. });
    if is_counted || !matches!(check.source, None | Some(Source::Simfleet)) {
        return;
    }
    let metric = check.metric(&record.label(0));
    let Some(asked) = metric
        .as_str()
        .filter(|asked| !OWN.contains(asked) && Metric::of(asked).is_none())
    else {
        return;
    };
    let mut detail = match asked {
        "free_slots" => "`free_slots` is what the strategy \"buffer\" keeps; no other one can ask for it.".to_owned(),
        _ => format!(
            "simfleet measures `cpu_utilization` and `memory_utilization` of members and `real_time_factor` of vehicles, \
             and counts `queue` and `simulators`; it knows no {asked:?}, so the check never has a value."
        ),
    };
    if check.query.is_none() {
        detail += " Without `query` and `source`, the name of the check says what is asked for.";
    }
    let span = record.attribute_span("query").unwrap_or(record.span());
    let diagnostic = Diagnostic::warning("Unknown metric", detail).at(span.clone());
    found.push(match asked.contains("://") {
        true => diagnostic.hint("a URL needs source = \"http\""),
        false => diagnostic.nearest(asked, OWN),
    });
}

impl Strategy {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let strategy = match &*record.label(0) {
            "target" => target(&mut reader),
            "threshold" => threshold(&mut reader),
            "queue" => queue(&mut reader),
            "buffer" => buffer(&mut reader),
            _ => webhook(&mut reader),
        };
        reader.finish(strategy)
    }
}

fn target(reader: &mut Reader<'_>) -> Option<Strategy> {
    let target: f64 = reader.take("target")?;
    if target <= 0.0 {
        let detail = format!("`target` must be above 0, but is {target}.");
        reader.error(Diagnostic::error("Invalid value", detail), "target");
    }
    Some(Strategy::Target { target })
}

fn threshold(reader: &mut Reader<'_>) -> Option<Strategy> {
    let (upper, lower) = (reader.take::<f64>("upper"), reader.take::<f64>("lower"));
    let (held, step) = (reader.maybe("for"), reader.object("step", &step_fields(), Step::decode));
    if let (Some(upper), Some(lower)) = (upper, lower)
        && upper <= lower
    {
        let detail = format!("`upper` is {upper}, not above `lower`, {lower}.");
        reader.error(Diagnostic::error("E07 upper not above lower", detail), "upper");
    }
    Some(Strategy::Threshold {
        upper: upper?,
        lower: lower?,
        held: held?,
        step: step?.unwrap_or(Step { percent: 0.0, min: 1 }),
    })
}

fn queue(reader: &mut Reader<'_>) -> Option<Strategy> {
    let (target, activation) = (reader.take::<f64>("target"), reader.take("activation"));
    if let Some(target) = target
        && target <= 0.0
    {
        let detail = format!("`target` must be above 0, but is {target}.");
        reader.error(Diagnostic::error("E10 queue target not above 0", detail), "target");
    }
    Some(Strategy::Queue {
        target: target?,
        activation: activation?,
    })
}

fn buffer(reader: &mut Reader<'_>) -> Option<Strategy> {
    let (min_ready, percent) = (reader.take("min_ready"), reader.take::<f64>("percent"));
    if let Some(percent) = percent
        && !(0.0..100.0).contains(&percent)
    {
        let detail = format!("`percent` must be at least 0 and below 100, but is {percent}.");
        reader.error(Diagnostic::error("E10 buffer percent out of range", detail), "percent");
    }
    Some(Strategy::Buffer {
        min_ready: min_ready?,
        percent: percent?,
    })
}

fn webhook(reader: &mut Reader<'_>) -> Option<Strategy> {
    let (url, timeout) = (reader.take::<Value>("url"), reader.take("timeout"));
    reader.rule(webhook::https);
    Some(Strategy::Webhook {
        url: url?,
        timeout: timeout?,
    })
}

impl Step {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (percent, min) = (reader.take("percent"), reader.take("min"));
        let step = || {
            Some(Step {
                percent: percent?,
                min: min?,
            })
        };
        let step = step();
        reader.finish(step)
    }
}

impl Check {
    /// Returns what is asked for where the check is called `name`.
    pub fn metric(&self, name: &Arc<str>) -> Value {
        self.query.clone().unwrap_or_else(|| Value::string(Arc::clone(name)))
    }

    /// Whether its values are real-time factors, of which less is worse.
    pub fn is_pace(&self, name: &Arc<str>) -> bool {
        let is_own = matches!(self.source, None | Some(Source::Simfleet));
        is_own && self.metric(name).as_str() == Some("real_time_factor")
    }
}

/// Returns by what share everything takes longer at a real-time factor: 0.25 at 0.8, nothing from 1 on. That is a load, as it
/// rises with what members have to do too much.
pub fn lag(factor: f64) -> f64 {
    // What stands still is a hundred times too slow, not infinitely.
    (1.0 / factor.max(0.01) - 1.0).max(0.0)
}
