//! Errors of the library as diagnostics: the one place that walks a chain of causes.

use std::borrow::Cow;
use std::error::Error;

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use simfleet_state::{Locked, StateError};

use super::{FORMAT_VERSION, diagnostics as rendered};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fleet::{FleetError, leader};

/// Returns an error with its causes, each once: `cannot open x: permission denied`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors tell their cause themselves.
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Returns what a person needs to know of an error, and what to do about it.
pub fn diagnostics(error: &FleetError) -> Diagnostics {
    let detail = || chain(error);
    let (summary, hint) = match error {
        FleetError::Diagnostics(diagnostics) => return diagnostics.clone(),
        FleetError::State(error) => {
            let summary = match error {
                StateError::Locked(_) => "Locked by another run",
                StateError::Fenced { .. } => "Taken over by another run",
                _ => "The state cannot be used",
            };
            let is_led = |locked: &Locked| locked.by.iter().any(|(_, on, _)| on.contains(&leader()));
            let hint = match error {
                StateError::Locked(locked) if is_led(locked) => Some(
                    "one watch leads a fleet; with --standby this one waits, and follows it within 15 seconds of its end",
                ),
                error => error.hint(),
            };
            (summary, hint.map(Cow::Borrowed))
        }
        FleetError::Lost { .. } => (
            "The state is missing",
            Some(
                "bring it back, from a backup or with `simfleet state push`; to give up what it had, end its processes \
                 (`simfleet agent`) and remove the folder"
                    .into(),
            ),
        ),
        FleetError::Replaced { .. } => (
            "Another state",
            Some(
                "put the state of that lineage in its place; to give up what that one had, end its processes (`simfleet \
                 agent`) and remove the folder"
                    .into(),
            ),
        ),
        FleetError::Interrupted(_) => ("Stopped", None),
        FleetError::Stale { .. } => (
            "The plan is stale",
            Some("run the command again, which plans from what is recorded now; a saved plan is to be made anew".into()),
        ),
        FleetError::PlanFile(error) => ("The saved plan cannot be used", Some(error.hint().into())),
        FleetError::Audit(_) => (
            "Nobody could tell who did this",
            Some("let whoever runs this write the file of the `audit` block, or into the folder of the state".into()),
        ),
        FleetError::Ended(_) => (
            "The run ended early",
            Some("run the command again: it goes on from what was recorded".into()),
        ),
    };
    let diagnostic = Diagnostic::error(summary, detail());
    match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
    .into()
}

/// Returns what went wrong as one JSON document, for a verb that had no other to print.
pub fn document(diagnostics: &Diagnostics) -> Json {
    json!({
        "format_version": FORMAT_VERSION,
        "diagnostics": rendered::json(diagnostics),
    })
}

/// Returns what went wrong as JSON events: one for each diagnostic, and a summary as the last.
pub fn events(diagnostics: &Diagnostics, at: Timestamp) -> Vec<Json> {
    let event = |diagnostic: &Diagnostic| {
        json!({
            "type": "diagnostic",
            "at": at.to_string(),
            "message": diagnostic.summary,
            "diagnostic": rendered::one_json(diagnostic),
        })
    };
    let summary = json!({
        "type": "summary",
        "at": at.to_string(),
        "message": "Nothing was done.",
        "complete": false,
    });
    diagnostics.0.iter().map(event).chain([summary]).collect()
}
