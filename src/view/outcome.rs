//! How an apply ended.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use simfleet_provider_api::Address;

use super::document::{Document, Line, Theme, Tone};
use super::progress::done;
use crate::apply::{Outcome, Verb};
use crate::plan::Unplaced;

/// How many resources were changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Made.
    pub create: usize,
    /// Changed in place, or looked at.
    pub update: usize,
    /// Deleted and made anew.
    pub replace: usize,
    /// Deleted.
    pub delete: usize,
    /// Dropped from the state.
    pub forget: usize,
}

impl Counts {
    /// Counts what was done. What was both deleted and made was replaced.
    pub fn of(outcome: &Outcome) -> Self {
        let with = |verb: Verb| -> BTreeSet<&Address> {
            outcome
                .done
                .iter()
                .filter(|(_, done)| *done == verb)
                .map(|(address, _)| address)
                .collect()
        };
        let (created, deleted) = (with(Verb::Create), with(Verb::Delete));
        let replace = created.intersection(&deleted).count();
        Counts {
            create: created.len() - replace,
            update: with(Verb::Update).union(&with(Verb::Check)).count(),
            replace,
            delete: deleted.len() - replace,
            forget: with(Verb::Forget).len(),
        }
    }
}

/// Returns how an apply ended, as text; `again` is the command that continues it.
pub fn render(outcome: &Outcome, again: &str, theme: Theme) -> String {
    let mut document = Document::new();
    section("Failed:", &outcome.failed, Tone::Bad, &mut document);
    section("Not begun:", &outcome.skipped, Tone::Change, &mut document);
    if !outcome.open.is_empty() {
        heading(
            "Begun, with an end that is not known; the next run looks for it:",
            &mut document,
        );
        for (address, verb) in &outcome.open {
            document.line(item(address, *verb, Tone::Change));
        }
    }
    if !outcome.unplaced.is_empty() {
        heading("Without a place, so not made:", &mut document);
        for Unplaced { address, reason, .. } in &outcome.unplaced {
            document.line(
                Line::new()
                    .text("  ")
                    .tone(Tone::Bad, address.to_string())
                    .text(format!(": {reason}")),
            );
        }
    }
    if let Some(why) = &outcome.stopped_by {
        document.blank();
        document.line(
            Line::new()
                .tone(Tone::Bad, "The run ended early")
                .text(format!(": {why}")),
        );
    }
    document.blank();
    document.line(summary(outcome));
    if !outcome.is_complete() {
        // The same command finds no place either.
        let is_short = Outcome {
            unplaced: Vec::new(),
            ..outcome.clone()
        };
        document.line(match is_short.is_complete() {
            true => format!("Make room, with more nodes or a larger pool, and run it again: {again}"),
            false => format!("To go on: {again}"),
        });
    }
    document.render(theme)
}

fn heading(text: &str, document: &mut Document) {
    document.blank();
    document.line(Line::new().tone(Tone::Strong, text));
}

fn item(address: &Address, verb: Verb, tone: Tone) -> Line {
    Line::new()
        .text("  ")
        .tone(tone, address.to_string())
        .text(format!(": {}", verb.as_str()))
}

fn section(title: &str, items: &[(Address, Verb, String)], tone: Tone, document: &mut Document) {
    if items.is_empty() {
        return;
    }
    heading(title, document);
    for (address, verb, why) in items {
        document.line(item(address, *verb, tone));
        document.nest(6, |document| document.line(why.trim_end()));
    }
}

/// Returns the last line: what was done.
fn summary(outcome: &Outcome) -> Line {
    let Counts {
        create,
        update,
        replace,
        delete,
        forget,
    } = Counts::of(outcome);
    let (tone, head) = match (outcome.is_complete(), outcome.interrupted) {
        (true, _) => (Tone::Good, "Done:"),
        (false, true) => (Tone::Change, "Interrupted:"),
        (false, false) => (Tone::Bad, "Not complete:"),
    };
    let mut text = format!(
        " {create} {}, {update} {}, {replace} replaced, {delete} {}",
        done(Verb::Create),
        done(Verb::Update),
        done(Verb::Delete)
    );
    for (count, words) in [
        (forget, done(Verb::Forget)),
        (outcome.failed.len(), "failed"),
        (outcome.skipped.len(), "not begun"),
        (outcome.open.len(), "open"),
        (outcome.unplaced.len(), "without a place"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {words}"));
        }
    }
    Line::new().tone(tone, head).text(format!("{text}."))
}

/// Returns the last JSON event of an apply.
pub fn event(outcome: &Outcome, at: Timestamp, again: &str) -> Json {
    let Counts {
        create,
        update,
        replace,
        delete,
        forget,
    } = Counts::of(outcome);
    let with_why = |items: &[(Address, Verb, String)], name: &str| -> Vec<Json> {
        items
            .iter()
            .map(|(address, verb, why)| json!({"address": address, "action": verb.as_str(), name: why}))
            .collect()
    };
    let mut message = Document::new();
    message.line(summary(outcome));
    json!({
        "type": "summary",
        "at": at.to_string(),
        "message": message.render(Theme::Plain).trim_end(),
        "complete": outcome.is_complete(),
        "create": create,
        "update": update,
        "replace": replace,
        "delete": delete,
        "forget": forget,
        "failed": with_why(&outcome.failed, "error"),
        "skipped": with_why(&outcome.skipped, "because"),
        "open": outcome
            .open
            .iter()
            .map(|(address, verb)| json!({"address": address, "action": verb.as_str()}))
            .collect::<Vec<_>>(),
        "timed_out": outcome.timed_out,
        "unplaced": outcome
            .unplaced
            .iter()
            .map(|Unplaced { address, reason, .. }| json!({"address": address, "reason": reason}))
            .collect::<Vec<_>>(),
        "interrupted": outcome.interrupted,
        "stopped_by": outcome.stopped_by,
        "continue": (!outcome.is_complete()).then_some(again),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn complete() -> Outcome {
        Outcome {
            done: vec![
                (at("node.a"), Verb::Create),
                (at("node.b"), Verb::Delete),
                (at("node.c"), Verb::Delete),
                (at("node.b"), Verb::Create),
                (at("node.d"), Verb::Update),
                (at("node.e"), Verb::Check),
                (at("node.f"), Verb::Forget),
            ],
            ..Outcome::default()
        }
    }

    fn failed() -> Outcome {
        Outcome {
            failed: vec![(at("node.x"), Verb::Create, "no space left\non the disk\n".into())],
            skipped: vec![(at("simulator.exec.y[0]"), Verb::Create, "node.x failed".into())],
            open: vec![(at("node.z"), Verb::Delete)],
            stopped_by: Some("the state cannot be written".into()),
            ..complete()
        }
    }

    #[test]
    fn ends() {
        let interrupted = Outcome {
            interrupted: true,
            ..Outcome::default()
        };
        let again = "simfleet apply fleet.hcl";
        insta::assert_snapshot!("complete", render(&complete(), again, Theme::Plain));
        insta::assert_snapshot!("failed", render(&failed(), again, Theme::Plain));
        insta::assert_snapshot!("interrupted", render(&interrupted, again, Theme::Plain));
        let event = event(&failed(), Timestamp::UNIX_EPOCH, again);
        insta::assert_snapshot!("failed_json", format!("{event:#}"));
    }
}
