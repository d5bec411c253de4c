//! What a watch tells: a line each for people, a JSON event a line for programs.

use std::collections::BTreeSet;
use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use simfleet_provider_api::Address;

use super::diagnostics;
use super::document::Theme;
use super::progress::{self, milliseconds};
use super::state;
use crate::apply::Outcome;
use crate::plan::allocated;
use crate::scale::{Action, Decision, Step};
use crate::signals::alerts::Firing;
use crate::watch::Told;

/// Returns what is told to people: the time to the second, what it is about, and what happened.
pub fn render(told: &Told, at: Timestamp, theme: Theme) -> String {
    let at = at.strftime("%H:%M:%S");
    let mut text = format!("{at} {}\n", message(told));
    if let Told::Failed {
        because: Some(because), ..
    } = told
    {
        text.push_str(&diagnostics::render(because, theme));
    }
    text
}

fn message(told: &Told) -> String {
    match told {
        Told::Watching { pools, resources } => {
            format!(
                "watching {} and {}",
                count(*pools, "pool"),
                count(*resources, "resource")
            )
        }
        Told::Listening { url, .. } => format!("listening at {url}"),
        Told::StandsBy { leader } => format!("standing by: {leader} leads"),
        Told::Leads { after } => match after {
            Some(before) => format!("leading, after {before}"),
            None => "leading".to_owned(),
        },
        Told::Decided {
            pool,
            decision,
            because,
        } => format!("{pool}: {} ({because})", sized(decision)),
        Told::SourceFailed { pool, check, because } => format!("{pool}: check {check} has no value: {because}"),
        Told::SourceAnswers { pool, check } => format!("{pool}: check {check} has a value again"),
        Told::Unhealthy { node, because } => format!("{node} is unhealthy: {because}"),
        Told::Healthy { node } => format!("{node} is healthy again"),
        Told::Unreachable { node, because } => {
            format!(
                "{node} cannot be reached: {because}; it is not taken for lost, and counts as unhealthy until it is back"
            )
        }
        Told::Reachable { node } => format!("{node} can be reached again"),
        Told::Kept { address, allocation } => {
            format!(
                "{address} is {}: what is to be done with it waits until it is released",
                allocated(allocation)
            )
        }
        Told::Run(progress) => progress::text(progress),
        Told::Ran { outcome, .. } => format!("run ended: {}", ended(outcome)),
        Told::Failed { message, again, .. } => match again {
            Some(after) => format!("{message}; again in {}", progress::duration(*after)),
            None => message.clone(),
        },
        Told::Pending { message } => message.clone(),
        Told::Settled => "the files are as they were last applied".to_owned(),
        Told::Scaled {
            pool,
            made,
            gone,
            because,
        } => {
            let changes = [(made, "made"), (gone, "removed")];
            let changes = changes.iter().filter(|(members, _)| !members.is_empty());
            let changes: Vec<String> = changes
                .map(|(members, word)| format!("{} {word}", names(members)))
                .collect();
            format!("{pool}: {} ({because})", changes.join(", "))
        }
        Told::ScaleFailed { pool, because } => format!("{pool} could not be scaled: {because}"),
        Told::AtMax { pool, max, because } => {
            format!("{pool} is at its largest, {max}, and would be larger ({because})")
        }
        Told::BelowMax { pool } => format!("{pool} is not held by its largest size any more"),
        Told::Lost { address } => format!("{address} is gone"),
        Told::Found { address } => format!("{address} is there again"),
        Told::Stuck {
            part,
            failures,
            because,
        } => format!(
            "{} failed {failures} times, and is tried now and then only: {because}",
            list(part)
        ),
        Told::Recovered { part } => format!("{}: what failed works again, or is not asked for any more", list(part)),
        Told::AlertFiring { alert, on, firing, .. } => {
            format!(
                "{alert} fires, {}: {}",
                firing.severity.as_str(),
                about(on, &firing.because)
            )
        }
        Told::AlertResolved { alert, on, firing, .. } => {
            format!("{alert} is over: {}", about(on, &firing.because))
        }
        Told::WebhookFailed { webhook, because } => format!("{webhook} took no event: {because}"),
        Told::WebhookDelivers { webhook, missed: 1 } => format!("{webhook} takes events again; it missed one"),
        Told::WebhookDelivers { webhook, missed } => format!("{webhook} takes events again; it missed {missed}"),
        Told::WebhookDropped { webhook } => format!("{webhook} is too slow: its oldest events are dropped"),
        Told::Undelivered { webhook, events } => {
            format!("{webhook} was not sent {}, as the watch ended", count(*events, "event"))
        }
    }
}

fn alert_json(alert: &Address, on: &Address, firing: &Firing) -> Json {
    json!({
        "alert": alert, "on": on, "severity": firing.severity.as_str(), "since": firing.since.to_string(),
        "because": firing.because, "value": firing.value,
    })
}

/// Says what a reason is about, where it does not say so itself.
fn about(on: &Address, because: &str) -> String {
    let on = on.to_string();
    match because.contains(&on) {
        true => because.to_owned(),
        false => format!("{on}: {because}"),
    }
}

fn list(part: &BTreeSet<Address>) -> String {
    let addresses: Vec<String> = part.iter().map(ToString::to_string).collect();
    addresses.join(", ")
}

/// Returns the names of members, such as `m1, m2`.
fn names(members: &BTreeSet<Address>) -> String {
    let names: Vec<&str> = members.iter().filter_map(Address::child_name).collect();
    names.join(", ")
}

/// Returns what a decision does: `2 -> 4 members, 2 made`.
fn sized(decision: &Decision) -> String {
    let mut text = match decision.desired == decision.current {
        true => count(usize::try_from(decision.current).unwrap_or_default(), "member"),
        false => format!("{} -> {} members", decision.current, decision.desired),
    };
    let steps = [
        (Step::Undrain, "stay after all"),
        (Step::Resume, "resumed"),
        (Step::Create, "made"),
        (Step::Drain, "to go"),
        (Step::Cancel, "given up"),
    ];
    for (step, word) in steps {
        let members: Vec<&str> = decision
            .actions
            .iter()
            .filter(|Action(it, _)| *it == step)
            .map(|Action(_, id)| id.as_str())
            .collect();
        match (members.len(), step) {
            (0, _) => {}
            (made, Step::Create) => _ = write!(text, ", {made} {word}"),
            _ => {
                let names: Vec<String> = members.iter().map(|number| format!("m{number}")).collect();
                _ = write!(text, ", {} {word}", names.join(", "));
            }
        }
    }
    text
}

fn ended(outcome: &Outcome) -> String {
    let mut parts = vec![format!("{} done", outcome.done.len())];
    for (number, word) in [
        (outcome.failed.len(), "failed"),
        (outcome.skipped.len(), "skipped"),
        (outcome.open.len(), "left open"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    if outcome.interrupted {
        parts.push("stopped".to_owned());
    }
    parts.extend(outcome.stopped_by.clone());
    parts.join(", ")
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Returns what is told to programs.
pub fn event(told: &Told, at: Timestamp) -> Json {
    let (kind, more) = match told {
        Told::Run(progress) => return named(progress::event(progress, at), told),
        Told::Watching { pools, resources } => ("watching", json!({ "pools": pools, "resources": resources })),
        Told::Listening { address, url } => ("listening", json!({ "address": address.to_string(), "url": url })),
        Told::StandsBy { leader } => ("standing_by", json!({ "leader": leader })),
        Told::Leads { after } => ("leading", json!({ "after": after })),
        Told::Decided { pool, decision, .. } => ("decided", json!({ "pool": pool, "decision": decision })),
        Told::SourceFailed { pool, check, because } => (
            "source_failed",
            json!({ "pool": pool, "check": check, "because": because }),
        ),
        Told::SourceAnswers { pool, check } => ("source_answers", json!({ "pool": pool, "check": check })),
        Told::Unhealthy { node, because } => ("unhealthy", json!({ "address": node, "because": because })),
        Told::Healthy { node } => ("healthy", json!({ "address": node })),
        Told::Unreachable { node, because } => ("unreachable", json!({ "address": node, "because": because })),
        Told::Reachable { node } => ("reachable", json!({ "address": node })),
        Told::Kept { address, allocation } => (
            "kept",
            json!({ "address": address, "allocation": state::allocation(allocation) }),
        ),
        Told::Ran { part, outcome } => {
            let failed = outcome
                .failed
                .iter()
                .map(|(address, verb, error)| json!({ "address": address, "action": verb.as_str(), "error": error }));
            let failed: Vec<Json> = failed.collect();
            let more = json!({
                "addresses": part, "done": outcome.done.len(), "failed": failed, "skipped": outcome.skipped.len(),
                "open": outcome.open.len(), "interrupted": outcome.interrupted,
            });
            ("ran", more)
        }
        Told::Failed { because, again, .. } => {
            let diagnostics = because.as_ref().map(diagnostics::json);
            (
                "failed",
                json!({ "diagnostics": diagnostics, "again_ms": again.map(milliseconds) }),
            )
        }
        Told::Pending { .. } => ("pending", json!({})),
        Told::Settled => ("settled", json!({})),
        Told::Scaled {
            pool,
            made,
            gone,
            because,
        } => (
            "scaled",
            json!({ "pool": pool, "made": made, "gone": gone, "because": because }),
        ),
        Told::ScaleFailed { pool, because } => ("scale_failed", json!({ "pool": pool, "because": because })),
        Told::AtMax { pool, max, because } => ("at_max", json!({ "pool": pool, "max": max, "because": because })),
        Told::BelowMax { pool } => ("below_max", json!({ "pool": pool })),
        Told::Lost { address } => ("lost", json!({ "address": address })),
        Told::Found { address } => ("found", json!({ "address": address })),
        Told::Stuck {
            part,
            failures,
            because,
        } => (
            "stuck",
            json!({ "addresses": part, "failures": failures, "because": because }),
        ),
        Told::Recovered { part } => ("recovered", json!({ "addresses": part })),
        Told::AlertFiring { alert, on, firing, .. } => ("alert_firing", alert_json(alert, on, firing)),
        Told::AlertResolved { alert, on, firing, .. } => ("alert_resolved", alert_json(alert, on, firing)),
        Told::WebhookFailed { webhook, because } => {
            ("webhook_failed", json!({ "webhook": webhook, "because": because }))
        }
        Told::WebhookDelivers { webhook, missed } => {
            ("webhook_delivers", json!({ "webhook": webhook, "events": missed }))
        }
        Told::WebhookDropped { webhook } => ("webhook_dropped", json!({ "webhook": webhook })),
        Told::Undelivered { webhook, events } => {
            ("webhook_undelivered", json!({ "webhook": webhook, "events": events }))
        }
    };
    let mut event = json!({ "type": kind, "at": at.to_string(), "message": message(told) });
    if let (Some(event), Json::Object(more)) = (event.as_object_mut(), more) {
        event.extend(more);
    }
    named(event, told)
}

/// Adds the name under which it goes out, where it does.
fn named(mut event: Json, told: &Told) -> Json {
    if let (Some(event), Some(name)) = (event.as_object_mut(), told.event()) {
        event.insert("event".to_owned(), name.as_str().into());
    }
    event
}
