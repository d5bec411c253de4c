//! The forms in which an event is sent.

use serde_json::{Map, Value as Json, json};

use super::{Sender, Severity, Signal};
use crate::config::blocks::{Webhook, WebhookFormat};

/// The version of the form `simfleet`: what a key means never changes within one.
const VERSION: u32 = 1;

/// Returns the body of a message.
pub(super) fn body(id: &str, signal: &Signal, to: &Webhook, from: &Sender) -> Json {
    match to.format {
        WebhookFormat::Simfleet => simfleet(id, signal, to, from),
        WebhookFormat::Slack => slack(signal, to, from),
        WebhookFormat::Teams => teams(signal, to, from),
        WebhookFormat::Crimson => crimson(id, signal, to, from),
    }
}

fn labels(to: &Webhook) -> Map<String, Json> {
    let labels = to.labels.iter();
    labels
        .map(|(name, value)| (name.to_string(), Json::from(&**value)))
        .collect()
}

fn simfleet(id: &str, signal: &Signal, to: &Webhook, from: &Sender) -> Json {
    json!({
        "version": VERSION,
        "id": id,
        "event": signal.event.as_str(),
        "at": signal.at.to_string(),
        "severity": signal.severity.as_str(),
        "address": signal.address,
        "message": signal.message(),
        "fleet": { "name": &*from.fleet, "lineage": from.lineage.as_deref() },
        "host": &*from.host,
        "labels": labels(to),
        "data": signal.told,
    })
}

/// What people see first: `pool.at_max, warning`.
fn headline(signal: &Signal) -> String {
    match signal.severity {
        Severity::Info => signal.event.as_str().to_owned(),
        severity => format!("{}, {}", signal.event.as_str(), severity.as_str()),
    }
}

/// What else people want to know, as pairs.
fn facts(signal: &Signal, to: &Webhook, from: &Sender) -> Vec<(String, String)> {
    let mut facts = vec![("Fleet".to_owned(), from.fleet.to_string())];
    facts.extend(
        signal
            .address
            .as_ref()
            .map(|address| ("About".to_owned(), address.to_string())),
    );
    facts.push(("At".to_owned(), format!("{:.0}", signal.at)));
    facts.extend(
        to.labels
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string())),
    );
    facts
}

/// As Slack's incoming webhooks take it: blocks, and a text for notifications.
fn slack(signal: &Signal, to: &Webhook, from: &Sender) -> Json {
    // The three characters that Slack has escaped.
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let (headline, message) = (escaped(&headline(signal)), escaped(signal.message()));
    let facts: Vec<String> = facts(signal, to, from)
        .iter()
        .map(|(name, value)| format!("{}: {}", escaped(name), escaped(value)))
        .collect();
    json!({
        "text": format!("{headline}: {message}"),
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": format!("*{headline}*\n{message}") } },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": facts.join(" | ") }] },
        ],
    })
}

/// As the workflow "When a Teams webhook request is received" takes it: a message with an Adaptive Card. The older
/// connectors, which took a MessageCard, are shut down.
fn teams(signal: &Signal, to: &Webhook, from: &Sender) -> Json {
    let color = match signal.severity {
        Severity::Info => "default",
        Severity::Warning => "warning",
        Severity::Critical => "attention",
    };
    let facts: Vec<Json> = facts(signal, to, from)
        .into_iter()
        .map(|(title, value)| json!({ "title": title, "value": value }))
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [
                    { "type": "TextBlock", "text": headline(signal), "weight": "bolder", "size": "medium", "color": color, "wrap": true },
                    { "type": "TextBlock", "text": signal.message(), "wrap": true },
                    { "type": "FactSet", "facts": facts },
                ],
            },
        }],
    })
}

/// One flat object with `title`, `project`, `instance` and `region`. `project` and `region` are labels.
fn crimson(id: &str, signal: &Signal, to: &Webhook, from: &Sender) -> Json {
    let label = |name: &str| to.labels.get(name).map(|value| &**value);
    let pool = signal.address.as_ref().map(|address| match address.child_name() {
        Some(_) => address.parent(),
        None => address.clone(),
    });
    let pool = pool.filter(|address| address.block() == "pool");
    json!({
        "title": headline(signal),
        "description": signal.message(),
        "project": label("project").unwrap_or(&from.fleet),
        "instance": signal.address.as_ref().map_or_else(|| from.host.to_string(), ToString::to_string),
        "region": label("region"),
        "pool": pool,
        "node": &*from.host,
        "event": signal.event.as_str(),
        "severity": signal.severity.as_str(),
        "timestamp": signal.at.to_string(),
        "id": id,
        "labels": labels(to),
    })
}

#[cfg(test)]
mod tests {
    use super::super::EventName;
    use super::*;

    #[test]
    fn an_event_in_each_form() {
        let signal = Signal {
            event: EventName::PoolAtMax,
            at: "2026-06-01T12:00:00Z".parse().unwrap(),
            address: Some("pool.web".parse().unwrap()),
            severity: Severity::Warning,
            told: json!({ "type": "at_max", "message": "pool.web: 9 members <are> wanted & 5 allowed" }),
            notify: Vec::new(),
        };
        let from = Sender {
            fleet: "lab".into(),
            lineage: Some("0b1c".into()),
            host: "ops1".into(),
        };
        let mut forms = String::new();
        for format in [
            WebhookFormat::Simfleet,
            WebhookFormat::Slack,
            WebhookFormat::Teams,
            WebhookFormat::Crimson,
        ] {
            let to = Webhook {
                format,
                labels: [("project".into(), "prod".into())].into(),
                ..Webhook::to("https://example.net/")
            };
            let body = body("c0ffee", &signal, &to, &from);
            forms.push_str(&format!("{}:\n{body:#}\n", format.as_str()));
        }
        insta::assert_snapshot!(forms);
    }
}
