//! `alert`: what someone is told of.

use simfleet_provider_api::{Number, Value};

use super::robot;
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

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
            AttributeSchema::string("metric", "the metric: \"battery.percent\", \"servos.*.temperature\""),
            AttributeSchema::text("event", &forms::EVENT, "the event, instead of a metric"),
            AttributeSchema::one_of(
                "direction",
                &["above", "below"],
                "on which side of the limits it is bad",
            ),
        ])
        .attributes(limits())
        .attributes([
            AttributeSchema::one_of("severity", &["warning", "critical"], "how bad an event is"),
            AttributeSchema::duration("for", "how long it must be so").default("0s"),
            AttributeSchema::duration("dedup", "for how long it is not told again").default("5m"),
            AttributeSchema::object(
                "publish",
                [AttributeSchema::string("topic", "the topic").required(), robot::qos(0)],
                "where it is published",
            ),
            AttributeSchema::references("notify", &["webhook"], "who is told"),
        ])
        .any(
            BlockSchema::new("override", "Other limits for one of them.")
                .labels(&["id"])
                .attributes(limits()),
        )
        .rule(about_something)
        .rule(limits_in_order)
        .rule(published)
        .resource(&[("name", "its name")])
        .later()
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
