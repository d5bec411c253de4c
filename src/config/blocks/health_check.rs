//! `health_check`: how it is told whether something is healthy. It has one shape everywhere.

use std::time::Duration;

use simfleet_provider_api::Value;

use crate::config::decode::{Reader, words};
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::config::units::Written;
use crate::diagnostic::{Diagnostic, Diagnostics};

words! {
    /// What is looked at.
    HealthCheckType {
        /// Docker's own health.
        Docker = "docker",
        /// An HTTP answer.
        Http = "http",
        /// A TCP connection.
        Tcp = "tcp",
        /// A login.
        Ssh = "ssh",
        /// The exit code of a command.
        Command = "command",
        /// A HEARTBEAT message.
        MavlinkHeartbeat = "mavlink_heartbeat",
        /// The agent's own health.
        Agent = "agent",
        /// What the cloud says.
        Cloud = "cloud",
    }
}

/// How it is told whether something is healthy.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheck {
    /// What is looked at.
    pub kind: HealthCheckType,
    /// The URL, for `http`. Can be unknown.
    pub url: Option<Value>,
    /// The command, for `command`: a list. Can be unknown.
    pub command: Option<Value>,
    /// The port, by name or number, for `tcp` and `mavlink_heartbeat`. Can be unknown.
    pub port: Option<Value>,
    /// How often.
    pub interval: Duration,
    /// How long one look may take.
    pub timeout: Duration,
    /// How long after the start failures do not count.
    pub start_period: Duration,
    /// After how many good looks in a row it counts as healthy.
    pub healthy_threshold: u64,
    /// After how many bad looks in a row it counts as unhealthy.
    pub unhealthy_threshold: u64,
    /// How much time must pass for the vehicle in a second, for `mavlink_heartbeat`.
    pub real_time_factor_min: Option<f64>,
}

/// How long one look may take unless the block says so, if the interval is not shorter.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a look at a real-time factor has at least: it takes a second where every message arrives.
const LOOK_AT_PACE: Duration = Duration::from_secs(2);

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("health_check", "How it is told whether this is healthy.")
        .attributes([
            AttributeSchema::one_of(
                "type",
                HealthCheckType::WORDS,
                "what is looked at; http or command where that is set",
            ),
            AttributeSchema::string("url", "the URL that must answer, for http"),
            AttributeSchema::string("http", "type = \"http\" and its url, in one"),
            AttributeSchema::strings("command", "the command that must end with 0, for command"),
            AttributeSchema::string("port", "the port, by name or number, for tcp and mavlink_heartbeat"),
            AttributeSchema::duration("interval", "how often").default("10s"),
            AttributeSchema::duration(
                "timeout",
                "how long one look may take; 5s, or the interval where that is shorter",
            ),
            AttributeSchema::duration("start_period", "how long after the start failures do not count").default("0s"),
            AttributeSchema::count(
                "healthy_threshold",
                1,
                "after how many good looks in a row it is healthy",
            )
            .default(1u64),
            AttributeSchema::count("unhealthy_threshold", 1, "after how many bad looks in a row it is not")
                .default(3u64),
            AttributeSchema::count("retries", 1, "the same as unhealthy_threshold"),
            AttributeSchema::number(
                "real_time_factor_min",
                0.0,
                f64::MAX,
                "how much time must pass for the vehicle in a second, for mavlink_heartbeat",
            ),
        ])
        // Some blocks that it stands in have no typed form.
        .rule(|record, found| drop(found.keep(HealthCheck::decode(record))))
}

impl HealthCheck {
    /// Returns the typed form of a block.
    ///
    /// # Errors
    /// What does not go together in it.
    pub fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (url, command, port) = (url(&mut reader), reader.maybe::<Value>("command"), reader.maybe("port"));
        let kind = kind(&mut reader);
        let interval = reader.take::<Duration>("interval");
        let timeout = reader.maybe::<Duration>("timeout");
        let timeout = timeout.and_then(|timeout| timeout.or(interval.map(|interval| interval.min(TIMEOUT))));
        if interval.is_some_and(|interval| interval.is_zero()) {
            let detail = "`interval` must be longer than nothing.";
            reader.error(Diagnostic::error("Invalid value", detail), "interval");
        }
        if let (Some(interval), Some(timeout)) = (interval, timeout)
            && interval < timeout
        {
            let detail = format!(
                "`interval` is {}, shorter than `timeout`, {}: a look would begin before the last one ends.",
                Written(interval),
                Written(timeout)
            );
            reader.error(
                Diagnostic::error("E32 health interval below timeout", detail),
                "interval",
            );
        }
        let lacks = |given: &Option<Option<Value>>| matches!(given, Some(None));
        if kind == Some(HealthCheckType::Http) && lacks(&url) {
            let detail = "A check of the type \"http\" needs `url`.";
            reader.error(Diagnostic::error("Missing attribute", detail), "type");
        }
        if kind == Some(HealthCheckType::Command) && lacks(&command) {
            let detail = "A check of the type \"command\" needs `command`.";
            reader.error(Diagnostic::error("Missing attribute", detail), "type");
        }
        let start_period = reader.take("start_period");
        let (healthy, unhealthy) = (reader.take("healthy_threshold"), unhealthy_threshold(&mut reader));
        let factor = reader.maybe::<f64>("real_time_factor_min");
        if let (Some(kind), Some(Some(_))) = (kind, factor)
            && kind != HealthCheckType::MavlinkHeartbeat
        {
            let detail = format!(
                "`real_time_factor_min` is for a check of the type \"mavlink_heartbeat\", but `type` is {:?}.",
                kind.as_str()
            );
            let diagnostic = Diagnostic::error("Conflicting attributes", detail);
            reader.error(diagnostic, "real_time_factor_min");
        }
        if let (Some(Some(_)), Some(timeout)) = (factor, timeout)
            && timeout < LOOK_AT_PACE
        {
            let detail = format!(
                "`timeout` is {}, too short to see how fast time passes.",
                Written(timeout)
            );
            let diagnostic = Diagnostic::error("Conflicting attributes", detail);
            reader.error(diagnostic.hint("set timeout, and interval, to 2s at least"), "timeout");
        }
        let check = || {
            Some(HealthCheck {
                kind: kind?,
                url: url?,
                command: command?,
                port: port?,
                interval: interval?,
                timeout: timeout?,
                start_period: start_period?,
                healthy_threshold: healthy?,
                unhealthy_threshold: unhealthy?,
                real_time_factor_min: factor?,
            })
        };
        let check = check();
        reader.finish(check)
    }
}

/// Reads what is looked at: what `type` says, else what else is set.
fn kind(reader: &mut Reader<'_>) -> Option<HealthCheckType> {
    let is_set = |name| reader.record().get(name).is_some();
    let (http, command) = (is_set("http"), is_set("command"));
    let kind = match (reader.maybe::<HealthCheckType>("type")?, http, command) {
        (None, true, false) => HealthCheckType::Http,
        (None, false, true) => HealthCheckType::Command,
        (None, _, _) => {
            let detail = "`health_check` lacks `type`: what is looked at.";
            reader.error(Diagnostic::error("Missing attribute", detail), "type");
            return None;
        }
        (Some(kind), true, _) if kind != HealthCheckType::Http => {
            let detail = format!(
                "`http` is a check of the type \"http\", but `type` is {:?}.",
                kind.as_str()
            );
            reader.error(Diagnostic::error("Conflicting attributes", detail), "http");
            return None;
        }
        (Some(kind), _, _) => kind,
    };
    Some(kind)
}

/// Reads the URL, under either of its names.
fn url(reader: &mut Reader<'_>) -> Option<Option<Value>> {
    match (reader.maybe::<Value>("url")?, reader.maybe::<Value>("http")?) {
        (Some(_), Some(_)) => {
            let detail = "`http` and `url` are the same; set one of them.";
            reader.error(Diagnostic::error("Conflicting attributes", detail), "http");
            None
        }
        (url, http) => Some(url.or(http)),
    }
}

/// Reads after how many bad looks it is not healthy, under either of its names.
fn unhealthy_threshold(reader: &mut Reader<'_>) -> Option<u64> {
    let is_set = reader.record().attribute_span("unhealthy_threshold").is_some();
    match reader.maybe::<u64>("retries")? {
        Some(_) if is_set => {
            let detail = "`retries` and `unhealthy_threshold` are the same; set one of them.";
            reader.error(Diagnostic::error("Conflicting attributes", detail), "retries");
            None
        }
        Some(retries) => Some(retries),
        None => reader.take("unhealthy_threshold"),
    }
}
