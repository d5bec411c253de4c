//! `mqtt_broker`: where robots are reached.

use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("mqtt_broker", "An MQTT broker, at which robots are reached.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::text("url", &forms::BROKER, "where it is"),
            AttributeSchema::texts("urls", &forms::BROKER, "where it is, the first that answers"),
            AttributeSchema::string("client_id", "what simfleet calls itself there"),
            AttributeSchema::duration("keepalive", "how often it is told that simfleet is there").default("30s"),
            AttributeSchema::string("username", "the user"),
            AttributeSchema::string("password", "the password").sensitive(),
            super::tls(),
        ])
        .rule(reached)
        .rule(anonymous)
        .resource(&[("name", "its name"), ("status", "whether it answers")])
        .later()
}

fn reached(record: &Record, found: &mut Diagnostics) {
    let (summary, detail) = match (record.get("url"), record.get("urls")) {
        (None, None) => ("Missing attribute", "A broker needs `url` or `urls`."),
        (Some(_), Some(_)) => (
            "Conflicting attributes",
            "A broker has either `url` or `urls`, not both.",
        ),
        _ => return,
    };
    let span = record.attribute_span("urls").unwrap_or(record.span()).clone();
    found.push(Diagnostic::error(summary, detail).at(span));
}

fn anonymous(record: &Record, found: &mut Diagnostics) {
    let has_certificate = record
        .get("tls")
        .is_some_and(|tls| tls.get("cert").is_some_and(|cert| !cert.is_null()));
    if record.get("username").is_none() && !has_certificate {
        let detail = "The broker is used without a name, so whoever reaches it can send the robots commands.";
        let diagnostic = Diagnostic::warning("W07 anonymous broker", detail).at(record.span().clone());
        found.push(diagnostic.hint("set username and password, or tls with a cert"));
    }
}
