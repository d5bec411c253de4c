//! What happened to a fleet, and whether what is kept of it is sound.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use simfleet_state::{Checked, ConfigDigest};

use super::FORMAT_VERSION;
use super::document::{Document, Line, Theme, Tone};
use crate::fleet::{Happened, RunRecord};

/// How many resources of one kind of change are named.
const SHOWN: usize = 3;

/// Returns every run as text: a line, and one more for each kind of change.
pub fn render(runs: &[RunRecord], theme: Theme) -> String {
    let mut document = Document::new();
    if runs.is_empty() {
        document.line("Nothing is recorded.");
        return document.render(theme);
    }
    let rows: Vec<[String; 5]> = runs.iter().map(row).collect();
    let heads = ["serial", "time", "by", "configuration", "command"].map(str::to_owned);
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let cells = rows.iter().chain([&heads]).map(|row| row[column].chars().count());
        // The last one has no other beside it.
        if column == 4 { 0 } else { cells.max().unwrap_or(0) }
    });
    document.line(Line::new().tone(Tone::Faint, joined(&heads, widths)));
    for (run, row) in runs.iter().zip(&rows) {
        document.line(joined(row, widths));
        document.nest(10, |document| {
            for line in changes(run) {
                document.line(Line::new().tone(Tone::Faint, line));
            }
        });
    }
    document.render(theme)
}

fn row(run: &RunRecord) -> [String; 5] {
    let serials = match run.first == run.last {
        true => run.first.to_string(),
        false => format!("{}-{}", run.first, run.last),
    };
    let configuration = match &run.intended {
        None => "-".to_owned(),
        Some(None) => "(nothing)".to_owned(),
        Some(Some(ConfigDigest(digest))) => digest.chars().take(8).collect(),
    };
    let (by, command) = run.by.as_ref().map_or(("-", "-"), |(by, command)| (by, command));
    [
        serials,
        format!("{:.0}", run.began),
        by.to_owned(),
        configuration,
        command.to_owned(),
    ]
}

fn joined(row: &[String; 5], widths: [usize; 5]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// Returns a line for each kind of change, in the order in which they first happened.
fn changes(run: &RunRecord) -> Vec<String> {
    let mut kinds: Vec<&str> = Vec::new();
    let mut by_kind: BTreeMap<&str, Vec<&Happened>> = BTreeMap::new();
    for change in &run.changes {
        if !by_kind.contains_key(change.what) {
            kinds.push(change.what);
        }
        by_kind.entry(change.what).or_default().push(change);
    }
    kinds.into_iter().map(|kind| line(kind, &by_kind[kind])).collect()
}

fn line(kind: &str, changes: &[&Happened]) -> String {
    let named = |change: &&Happened| {
        let address = change.address.as_ref()?;
        Some(match (kind, &change.detail) {
            ("moved" | "sized", Some(detail)) => format!("{address} to {detail}"),
            (_, Some(detail)) => format!("{address} ({detail})"),
            (_, None) => address.to_string(),
        })
    };
    let names: Vec<String> = changes.iter().filter_map(named).collect();
    let mut text =
        [kind.to_owned()]
            .into_iter()
            .chain([names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ")]);
    let told = text
        .by_ref()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match names.len().saturating_sub(SHOWN) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// Returns every run as JSON, with each change.
pub fn json(runs: &[RunRecord]) -> Json {
    let runs: Vec<Json> = runs.iter().map(run_json).collect();
    json!({ "format_version": FORMAT_VERSION, "runs": runs })
}

fn run_json(run: &RunRecord) -> Json {
    let change = |change: &Happened| {
        json!({
            "serial": change.serial,
            "at": change.at.to_string(),
            "what": change.what,
            "address": change.address,
            "detail": change.detail,
        })
    };
    let configuration = match &run.intended {
        None => Json::Null,
        Some(config) => json!({ "digest": config }),
    };
    json!({
        "first_serial": run.first,
        "last_serial": run.last,
        "began": run.began.to_string(),
        "ended": run.ended.to_string(),
        "by": run.by.as_ref().map(|(by, _)| by),
        "command": run.by.as_ref().map(|(_, command)| command),
        "configuration": configuration,
        "changes": run.changes.iter().map(change).collect::<Vec<_>>(),
    })
}

/// Says that a state is sound.
pub fn checked(checked: Option<&Checked>) -> String {
    let Some(checked) = checked else {
        return "There is no state yet.\n".to_owned();
    };
    let Checked {
        lineage,
        serial,
        events,
        snapshots,
    } = checked;
    let list: Vec<String> = snapshots.iter().map(ToString::to_string).collect();
    let snapshots = match list.is_empty() {
        true => "no snapshot yet".to_owned(),
        false => format!("snapshots at {}", list.join(" and ")),
    };
    format!("The state is sound: lineage {lineage}, serial {serial}, {events} events, {snapshots}.\n")
}

/// Says that a state is sound, as JSON.
pub fn checked_json(checked: Option<&Checked>) -> Json {
    let Some(checked) = checked else {
        return json!({ "format_version": FORMAT_VERSION, "lineage": null, "serial": 0, "events": 0, "snapshots": [] });
    };
    json!({
        "format_version": FORMAT_VERSION,
        "lineage": checked.lineage,
        "serial": checked.serial,
        "events": checked.events,
        "snapshots": checked.snapshots,
    })
}
