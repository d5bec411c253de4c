//! `alert`: what someone is told of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::{Address, Number, Value};

use super::webhook::known_event;
use super::{Block, robot};
use crate::config::decode::{FromValue, Needs, Reader, words};
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::signals::Severity;

words! {
    /// On which side of the limits it is bad.
    Side {
        /// From the limit on upwards.
        Above = "above",
        /// From the limit on downwards.
        Below = "below",
    }
}

words! {
    /// How bad an event is.
    Grade {
        /// Somebody should know.
        Warning = "warning",
        /// Somebody should act.
        Critical = "critical",
    }
}

/// What someone is told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// What it is about.
    pub on: Address,
    /// What makes it fire.
    pub trigger: Trigger,
    /// For how long that must be so, for a metric.
    pub held: Duration,
    /// For how long it is not told again.
    pub dedup: Duration,
    /// Webhooks that are told, whatever events they ask for.
    pub notify: Vec<Address>,
}

/// What makes an alert fire.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// An event, as a pattern.
    Event {
        /// The pattern.
        event: Arc<str>,
        /// How bad it is; as bad as the event where nothing is said.
        severity: Option<Severity>,
    },
    /// A metric beyond its limits.
    Metric {
        /// The metric.
        metric: Metric,
        /// On which side it is bad.
        side: Side,
        /// The limits.
        limits: Limits,
        /// Where the metric is named.
        span: Span,
    },
}

/// From where on a metric is bad.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// From here on it is a warning.
    pub warning: Option<f64>,
    /// From here on it is critical.
    pub critical: Option<f64>,
}

/// A number that a watch knows of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    /// How many members of a pool are recorded.
    Size,
    /// How many it should have.
    Desired,
    /// How many are healthy and not on their way out.
    Current,
    /// The value of one of its checks.
    Check(Arc<str>),
    /// The load of a node's cpus, in percent.
    Cpu,
    /// The load of its memory, in percent.
    Memory,
    /// 1 where it is healthy, 0 where it is not or is gone.
    Healthy,
}

impl Metric {
    /// Returns the metric of a name, of what is declared by a block.
    fn of(block: &str, name: &str) -> Option<Self> {
        Some(match (block, name) {
            ("pool", "size") => Metric::Size,
            ("pool", "desired") => Metric::Desired,
            ("pool", "current") => Metric::Current,
            ("pool", name) => Metric::Check(name.strip_prefix("checks.")?.into()),
            ("node", "cpu") => Metric::Cpu,
            ("node", "memory") => Metric::Memory,
            ("node" | "simulator", "healthy") => Metric::Healthy,
            _ => return None,
        })
    }

    /// Returns the metrics of what is declared by a block.
    fn all(block: &str) -> &'static str {
        match block {
            "pool" => "`size`, `desired`, `current` and `checks.NAME`",
            "node" => "`cpu`, `memory` and `healthy`",
            _ => "`healthy`",
        }
    }
}

/// Resources that are named.
struct Named(Vec<Address>);

impl FromValue for Named {
    // What they are is known; what is in them need not be, and may be a secret.
    const NEEDS: Needs = Needs::Itself;

    fn from_value(value: &Value) -> Option<Self> {
        let address = |value: &Value| value.origin().cloned();
        match value.as_slice() {
            Some(values) => values.iter().map(address).collect::<Option<_>>().map(Named),
            None => Some(Named(vec![address(value)?])),
        }
    }
}

pub(super) fn schema() -> BlockSchema {
    let limit = |name, doc| AttributeSchema::number(name, f64::MIN, f64::MAX, doc);
    let limits = || {
        [
            limit("warning", "from here on it is a warning"),
            limit("critical", "from here on it is critical"),
        ]
    };
    BlockSchema::new("alert", "What someone is told of.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::reference(
                "on",
                &["robot", "pool", "node", "simulator"],
                "what it is about; robot[\"*\"] is every robot",
            )
            .required(),
            AttributeSchema::string(
                "metric",
                "the metric. Of a pool: \"size\", \"desired\", \"current\", \"checks.NAME\"; of a node: \"cpu\", \"memory\", \
                 \"healthy\" (1 or 0); of a simulator: \"healthy\"; of a robot: \"battery.percent\", \"servos.*.temperature\"",
            ),
            AttributeSchema::text("event", &forms::EVENT, "the event, instead of a metric"),
            AttributeSchema::one_of("direction", Side::WORDS, "on which side of the limits it is bad"),
        ])
        .attributes(limits())
        .attributes([
            AttributeSchema::one_of("severity", Grade::WORDS, "how bad an event is; as bad as docs/events.md says without it"),
            AttributeSchema::duration("for", "how long it must be so").default("0s"),
            AttributeSchema::duration("dedup", "for how long it is not told again").default("5m"),
            AttributeSchema::object(
                "publish",
                [AttributeSchema::string("topic", "the topic").required(), robot::qos(0)],
                "where it is published",
            )
            .later(),
            AttributeSchema::references("notify", &["webhook"], "who is told, beside those whose `events` take alerts in"),
        ])
        .any(
            BlockSchema::new("override", "Other limits for one of them.")
                .labels(&["id"])
                .attributes(limits()),
        )
        .rule(about_something)
        .rule(limits_in_order)
        .rule(published)
        .rule(known)
        .resource(&[("name", "its name")])
}

impl Alert {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        // No plan gets as far as this with one.
        if is_on_robots(record) {
            return reader.finish(None);
        }
        let on = reader.take::<Named>("on").and_then(|Named(on)| on.into_iter().next());
        let (event, metric) = (reader.maybe::<Arc<str>>("event"), reader.maybe::<Arc<str>>("metric"));
        let (side, severity) = (reader.maybe("direction"), reader.maybe::<Grade>("severity"));
        let limits = limits(&mut reader);
        let (held, dedup, notify) = (
            reader.take("for"),
            reader.take("dedup"),
            reader.maybe::<Named>("notify"),
        );
        let overrides = reader.named("override", |block| {
            let mut reader = Reader::new(block);
            let limits = self::limits(&mut reader);
            reader.finish(limits)
        });
        let alert = || {
            let on = on?;
            let trigger = match (event?, metric?) {
                (Some(event), _) => Trigger::Event {
                    event,
                    severity: severity?.map(|grade| match grade {
                        Grade::Warning => Severity::Warning,
                        Grade::Critical => Severity::Critical,
                    }),
                },
                (None, metric) => Trigger::Metric {
                    metric: Metric::of(on.block(), &metric?)?,
                    side: side??,
                    limits: overridden(limits?, &on, &overrides?),
                    span: record.attribute_span("metric").unwrap_or(record.span()).clone(),
                },
            };
            Some(Alert {
                on,
                trigger,
                held: held?,
                dedup: dedup?,
                notify: notify?.map(|Named(notify)| notify).unwrap_or_default(),
            })
        };
        let alert = alert();
        reader.finish(alert)
    }
}

/// Whether it is about a robot, or about every one, which is no value.
fn is_on_robots(record: &Record) -> bool {
    let Some(on) = record.get("on") else { return false };
    let every = on.unknown_origin().map(ToString::to_string).unwrap_or_default();
    on.origin().is_some_and(|on| on.block() == "robot") || every.starts_with("robot[")
}

fn limits(reader: &mut Reader<'_>) -> Option<Limits> {
    let (warning, critical) = (reader.maybe("warning"), reader.maybe("critical"));
    Some(Limits {
        warning: warning?,
        critical: critical?,
    })
}

/// Returns the limits of one, which its address, its name or its key can give it.
fn overridden(limits: Limits, on: &Address, overrides: &BTreeMap<Arc<str>, Limits>) -> Limits {
    let key = on.key().map(|key| key.to_string()).unwrap_or_default();
    let is_it = |id: &str| id == on.to_string() || id == on.name() || id == key.trim_matches(['[', ']', '"']);
    let other = overrides.iter().find(|(id, _)| is_it(id)).map(|(_, limits)| *limits);
    let other = other.unwrap_or_default();
    Limits {
        warning: other.warning.or(limits.warning),
        critical: other.critical.or(limits.critical),
    }
}

/// Reports alerts on checks that the pool does not have.
///
/// # Errors
/// One for each.
pub fn check_alerts(typed: &[(Address, Block)]) -> Diagnostics {
    let mut found = Diagnostics::new();
    for (address, block) in typed {
        let Block::Alert(alert) = block else { continue };
        let Trigger::Metric {
            metric: Metric::Check(check),
            span,
            ..
        } = &alert.trigger
        else {
            continue;
        };
        let pool = typed.iter().find_map(|(address, block)| match block {
            Block::Pool(pool) if *address == alert.on => Some(pool),
            _ => None,
        });
        let Some(pool) = pool.filter(|pool| !pool.autoscale.checks.contains_key(check)) else {
            continue;
        };
        let detail = format!("{} has no check `{check}`.", alert.on);
        let diagnostic = Diagnostic::error("Unknown metric", detail);
        let known = pool.autoscale.checks.keys().map(|name| &**name);
        found.push(diagnostic.at(span.clone()).on(address.clone()).nearest(check, known));
    }
    found
}

/// Reports metrics and events that are not known.
fn known(record: &Record, found: &mut Diagnostics) {
    if let Some(event) = record.get("event").and_then(Value::as_str) {
        known_event(record, "event", event, found);
    }
    let metric = record.get("metric").and_then(Value::as_str);
    let on = record.get("on").and_then(Value::origin);
    let (Some(metric), Some(on), false) = (metric, on, is_on_robots(record)) else {
        return;
    };
    if Metric::of(on.block(), metric).is_none() {
        let detail = format!("`{metric}` is not known of a {}.", on.block());
        let diagnostic = Diagnostic::error("Unknown metric", detail).at(record.attribute_span("metric").cloned());
        found.push(diagnostic.hint(format!("it has {}", Metric::all(on.block()))));
    }
}

fn about_something(record: &Record, found: &mut Diagnostics) {
    let has = |name| record.get(name).is_some();
    let mut wrong = |summary: &'static str, detail: &str, name| {
        let span = record.attribute_span(name).unwrap_or(record.span()).clone();
        found.push(Diagnostic::error(summary, detail).at(span));
    };
    match (has("metric"), has("event")) {
        (false, false) => wrong("Missing attribute", "An alert needs `metric` or `event`.", "metric"),
        (true, true) => wrong(
            "Conflicting attributes",
            "An alert has either `metric` or `event`, not both.",
            "event",
        ),
        (true, false) if !has("direction") => {
            wrong("Missing attribute", "An alert on a metric needs `direction`.", "metric");
        }
        (true, false) if !has("warning") && !has("critical") => {
            wrong(
                "Missing attribute",
                "An alert on a metric needs `warning` or `critical`.",
                "metric",
            );
        }
        _ => {}
    }
}

/// What is critical lies behind what is a warning.
fn limits_in_order(record: &Record, found: &mut Diagnostics) {
    let direction = record.get("direction").and_then(Value::as_str);
    let whole = |name| record.get(name).and_then(Value::as_number).map(Number::as_f64);
    for part in record.blocks("override").chain([record]) {
        let limit = |name| {
            part.get(name)
                .and_then(Value::as_number)
                .map(Number::as_f64)
                .or(whole(name))
        };
        let (Some(warning), Some(critical)) = (limit("warning"), limit("critical")) else {
            continue;
        };
        let (is_wrong, side) = match direction {
            Some("above") => (critical < warning, "below"),
            Some("below") => (critical > warning, "above"),
            _ => continue,
        };
        if is_wrong {
            let detail =
                format!("`critical`, {critical}, lies {side} `warning`, {warning}, so it is never only a warning.");
            let span = part.attribute_span("critical").unwrap_or(part.span()).clone();
            found.push(Diagnostic::error("Invalid value", detail).at(span));
        }
    }
}

fn published(record: &Record, found: &mut Diagnostics) {
    if let Some(topic) = record.get("publish").and_then(|publish| publish.get("topic")) {
        robot::no_wildcard(record, "publish", topic, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_limits_of_its_own_by_its_address_its_name_or_its_key() {
        let limits = Limits {
            warning: Some(1.0),
            critical: Some(2.0),
        };
        let other = Limits {
            warning: None,
            critical: Some(3.0),
        };
        for (on, id, is_it) in [
            ("node.lab", "lab", true),
            ("node.lab", "node.lab", true),
            ("node.lab[\"a\"]", "a", true),
            ("node.lab[1]", "1", true),
            ("node.lab[1]", "2", false),
            ("node.lab", "la", false),
        ] {
            let found = overridden(limits, &on.parse().unwrap(), &[(id.into(), other)].into());
            let critical = if is_it { Some(3.0) } else { Some(2.0) };
            assert_eq!((found.warning, found.critical), (Some(1.0), critical), "{on} {id}");
        }
    }
}
