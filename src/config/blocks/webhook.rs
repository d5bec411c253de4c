//! `webhook`: who is told of events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::Value;

use crate::config::decode::{Reader, words};
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::signals::EventName;
use crate::signals::names::matches;
use crate::signals::secret::Secret;

words! {
    /// The form of messages.
    WebhookFormat {
        /// JSON of simfleet itself.
        Simfleet = "simfleet",
        /// As incoming webhooks of Slack take it.
        Slack = "slack",
        /// As workflows of Microsoft Teams take it.
        Teams = "teams",
        /// As the OCI scaler sent it.
        Crimson = "crimson",
    }
}

/// Who is told of events.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Where events are sent to.
    pub url: Secret,
    /// Which, as patterns; all where there are none.
    pub events: Option<Vec<Arc<str>>>,
    /// What messages are signed with.
    pub secret: Option<Secret>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What is done where it does not answer.
    pub retry: Retry,
    /// The form of messages.
    pub format: WebhookFormat,
    /// Words that go with every message.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
}

/// What is done where a receiver does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often it is tried.
    pub max_attempts: u64,
    /// The first pause.
    pub min_backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            max_attempts: 5,
            min_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
        }
    }
}

fn retry() -> [AttributeSchema; 3] {
    [
        AttributeSchema::count("max_attempts", 1, "how often it is tried").default(5u64),
        AttributeSchema::duration("min_backoff", "the first pause").default("1s"),
        AttributeSchema::duration("max_backoff", "the longest pause").default("60s"),
    ]
}

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("webhook", "Who is told of events.")
        .labels(&["name"])
        .attributes([
            // Many services take whoever knows the URL for its owner, so it can be sensitive; it need not be.
            AttributeSchema::text("url", &forms::URL, "where events are sent to").required(),
            AttributeSchema::texts(
                "events",
                &forms::EVENT,
                "which: \"pool.scaled_down\", \"alert.*\"; all without it",
            ),
            AttributeSchema::string("secret", "what the messages are signed with").sensitive(),
            AttributeSchema::bool("insecure", "the URL need not be https").default(false),
            AttributeSchema::duration("timeout", "how long an answer may take").default("10s"),
            AttributeSchema::object("retry", retry(), "what is done where it does not answer"),
            AttributeSchema::one_of("format", WebhookFormat::WORDS, "the form of the messages").default("simfleet"),
        ])
        .attributes(super::labels())
        .rule(https)
        .rule(known_events)
        .resource(&[("name", "its name")])
}

impl Webhook {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (url, events, secret) = (reader.take("url"), reader.maybe("events"), reader.maybe("secret"));
        let (timeout, format, labels) = (reader.take("timeout"), reader.take("format"), reader.maybe("labels"));
        let retry = reader.object("retry", &retry(), Retry::decode);
        let webhook = || {
            Some(Webhook {
                url: url?,
                events: events?,
                secret: secret?,
                timeout: timeout?,
                retry: retry?.unwrap_or_default(),
                format: format?,
                labels: labels?.unwrap_or_default(),
            })
        };
        let webhook = webhook();
        reader.finish(webhook)
    }

    /// Returns one that is sent all events, signed with nothing.
    pub fn to(url: &str) -> Self {
        Webhook {
            url: url.into(),
            events: None,
            secret: None,
            timeout: Duration::from_secs(10),
            retry: Retry::default(),
            format: WebhookFormat::Simfleet,
            labels: BTreeMap::new(),
        }
    }

    /// Whether it asks for an event.
    pub fn wants(&self, event: EventName) -> bool {
        let patterns = self.events.as_ref();
        patterns.is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, event.as_str())))
    }
}

impl Retry {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let max_attempts = reader.take("max_attempts");
        let (min_backoff, max_backoff) = (reader.take("min_backoff"), reader.take("max_backoff"));
        let retry = || {
            Some(Retry {
                max_attempts: max_attempts?,
                min_backoff: min_backoff?,
                max_backoff: max_backoff?,
            })
        };
        let retry = retry();
        reader.finish(retry)
    }

    /// Returns how long is waited after so many attempts: twice as long after each, and of that at least half, as `chance`,
    /// from 0 to 1, says: those who failed together do not come back together.
    pub fn pause(&self, attempts: u64, chance: f64) -> Duration {
        let doubled = 1 << attempts.saturating_sub(1).min(31);
        let longest = self.min_backoff.saturating_mul(doubled).min(self.max_backoff);
        longest.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

/// Reports events that nothing ever tells.
fn known_events(record: &Record, found: &mut Diagnostics) {
    for pattern in record.get("events").and_then(Value::as_slice).into_iter().flatten() {
        if let Some(pattern) = pattern.as_str() {
            known_event(record, "events", pattern, found);
        }
    }
}

/// Reports an event that nothing ever tells, with the nearest one that something does.
pub(super) fn known_event(record: &Record, attribute: &str, pattern: &str, found: &mut Diagnostics) {
    if EventName::sent().any(|name| matches(pattern, name)) {
        return;
    }
    let detail = match pattern.starts_with("webhook.") {
        true => format!("`{pattern}` is about webhooks, and is not sent to any."),
        false => format!("No event is called `{pattern}`."),
    };
    let diagnostic = Diagnostic::error("Unknown event", detail).at(record.attribute_span(attribute).cloned());
    found.push(match nearest(pattern, EventName::sent()) {
        Some(near) => diagnostic.hint(format!("did you mean \"{near}\"?")),
        None => {
            let mut kinds: Vec<&str> = EventName::sent().filter_map(|name| name.split('.').next()).collect();
            kinds.dedup();
            diagnostic.hint(format!("there are {}.*: docs/events.md lists them", kinds.join(".*, ")))
        }
    });
}

/// Reports a URL that is sent secrets in the clear.
pub(super) fn https(record: &Record, found: &mut Diagnostics) {
    let url = record.get("url").and_then(Value::as_str);
    let is_meant = record.get("insecure").and_then(Value::as_bool) != Some(false);
    if !is_meant && url.is_some_and(|url| !url.starts_with("https://")) {
        let diagnostic = Diagnostic::error("E31 webhook not https", "`url` does not start with https://.");
        let span = record.attribute_span("url").cloned();
        found.push(diagnostic.at(span).hint("set insecure = true if that is meant"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_drawn_from_their_longer_half() {
        let retry = Retry::default();
        for (attempts, chance, seconds) in [
            (1, 1.0, 1.0),
            (1, 0.0, 0.5),
            (2, 1.0, 2.0),
            (4, 0.5, 6.0),
            (7, 1.0, 60.0),
            (u64::MAX, 1.0, 60.0),
        ] {
            let pause = retry.pause(attempts, chance).as_secs_f64();
            assert!((pause - seconds).abs() < 1e-9, "{attempts} {chance}: {pause}");
        }
    }
}
