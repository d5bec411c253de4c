//! `webhook`: who is told of events.

use simfleet_provider_api::Value;

use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

pub(super) fn schema() -> BlockSchema {
    let formats = &["simfleet", "slack", "teams", "crimson"];
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
            AttributeSchema::object(
                "retry",
                [
                    AttributeSchema::count("max_attempts", 1, "how often it is tried").default(5u64),
                    AttributeSchema::duration("min_backoff", "the first pause").default("1s"),
                    AttributeSchema::duration("max_backoff", "the longest pause").default("60s"),
                ],
                "what is done where it does not answer",
            ),
            AttributeSchema::one_of("format", formats, "the form of the messages").default("simfleet"),
        ])
        .attributes(super::labels())
        .rule(https)
        .resource(&[("name", "its name")])
        .later()
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
