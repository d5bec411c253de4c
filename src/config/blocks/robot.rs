//! `robot`: a robot, as it is reached over a broker.

use simfleet_provider_api::{Number, Value};

use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

pub(super) fn schema() -> BlockSchema {
    let profiles = &["tonypi", "tonypi_v2", "vda5050", "sparkplug", "custom"];
    let topic = BlockSchema::new("topic", "What the robot tells, below its prefix.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::one_of("kind", &["state", "metrics", "job", "log"], "what it is").required(),
            qos(0),
            AttributeSchema::bool("retain", "the broker keeps the last message").default(false),
            AttributeSchema::string("measurement", "under which name metrics are written down"),
        ]);
    let command = BlockSchema::new("command", "How the robot is told what to do.")
        .attributes([
            AttributeSchema::string("request", "the topic of commands").required(),
            AttributeSchema::string("response", "the topic of answers"),
            AttributeSchema::duration("timeout", "how long an answer may take").default("10s"),
            qos(1),
            AttributeSchema::strings("allow", "the commands that may be sent"),
        ])
        .rule(allow_list)
        .rule(|command, found| topic_of(command, "request", found));
    let stop = BlockSchema::new("emergency_stop", "How the robot is stopped at once.")
        .attributes([AttributeSchema::string("topic", "the topic").required()])
        .rule(|stop, found| topic_of(stop, "topic", found));
    let twin = BlockSchema::new("twin", "What simulates the robot.").attributes([AttributeSchema::reference(
        "simulator",
        &["simulator"],
        "the simulator",
    )
    .required()]);
    BlockSchema::new("robot", "A robot, as it is reached over a broker.")
        .labels(&["id"])
        .attributes([
            AttributeSchema::reference("broker", &["mqtt_broker"], "where it is reached").required(),
            AttributeSchema::one_of("profile", profiles, "what its messages look like").default("custom"),
            AttributeSchema::string("prefix", "what its topics start with: \"lab/{robot_id}\"").default("{robot_id}"),
            AttributeSchema::duration("offline_after", "how long it may be silent").default("15s"),
        ])
        .attributes(super::labels())
        .any(topic)
        .optional(command)
        .optional(stop)
        .optional(twin)
        .resource(&[
            ("id", "its id"),
            ("name", "its name"),
            ("status", "whether it is there"),
        ])
        .later()
}

/// Returns the attribute for how surely a message arrives.
pub(super) fn qos(default: u64) -> AttributeSchema {
    AttributeSchema::new("qos", AttributeType::Integer(0, 2), "how surely a message arrives")
        .default(Value::from(Number::from(default)))
}

fn allow_list(command: &Record, found: &mut Diagnostics) {
    let allowed = command.get("allow");
    if allowed.is_none_or(|allow| allow.as_slice().is_some_and(<[Value]>::is_empty)) {
        let detail = "`command` lacks `allow`: everyone who may send commands could send any.";
        let span = command.attribute_span("allow").unwrap_or(command.span()).clone();
        let diagnostic = Diagnostic::error("E18 command without an allow list", detail).at(span);
        found.push(diagnostic.hint("for example allow = [\"move\", \"stop\"]"));
    }
}

fn topic_of(block: &Record, name: &'static str, found: &mut Diagnostics) {
    if let Some(topic) = block.get(name) {
        no_wildcard(block, name, topic, found);
    }
}

/// Reports a topic that something is to be published to, and that no message can have.
pub(super) fn no_wildcard(block: &Record, name: &str, topic: &Value, found: &mut Diagnostics) {
    if let Some(topic) = topic.as_str().filter(|topic| topic.contains(['+', '#'])) {
        let detail =
            format!("{topic:?} has a wildcard, and messages are published to it: `+` and `#` are for subscriptions.");
        let span = block.attribute_span(name).unwrap_or(block.span()).clone();
        found.push(Diagnostic::error("E17 wildcard in a publish topic", detail).at(span));
    }
}
