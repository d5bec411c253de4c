//! `simfleet events` and `simfleet audit`: what was told, and who did what.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value as Json;

use super::exit::{Exit, Failure};
use super::flags::{Looking, duration};
use super::run::Run;
use crate::diagnostic::{Diagnostic, nearest};
use crate::fleet::Moment;
use crate::plan::Pattern;
use crate::signals::history::{Lines, is_since, settings};
use crate::signals::names::{EventName, matches};
use crate::view::events as view;

/// How often who follows looks for more.
const AGAIN: Duration = Duration::from_millis(250);

/// Show what `simfleet watch` told: decisions, runs, failures, alerts
///
/// It is kept beside the state, the newest 8 MiB and more of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet events                          what was told in the last day
  simfleet events --since 10m --follow     and what is told from now on
  simfleet events --event 'pool.*' --json  one JSON event a line")]
pub(super) struct Events {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
    /// From when on: how long ago, or a time
    #[arg(long, value_name = "DURATION|TIME", default_value = "24h", value_parser = since)]
    since: Timestamp,
    /// Only events of this name, such as pool.scaled_up or pool.*
    #[arg(long, value_name = "NAME", value_parser = event)]
    event: Vec<String>,
    /// Go on with what is told from now on
    #[arg(long)]
    follow: bool,
    /// Print JSON, one event a line, as `simfleet watch --json` does
    #[arg(long)]
    json: bool,
}

/// Show who did what by hand: the audit log
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet audit
  simfleet audit --address simulator.px4.iris --since 24h
  simfleet audit --json                    one JSON entry a line")]
pub(super) struct Audit {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
    /// From when on: how long ago, or a time
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Only what was done with this, such as simulator.px4.iris or simulator.px4.*
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<String>,
    /// Print JSON, one entry a line
    #[arg(long)]
    json: bool,
}

/// Reads how long ago something was, or when.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = duration(text) {
        return Ok(Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::MIN));
    }
    match text.parse() {
        Ok(Moment::Time(time)) => Ok(time),
        _ => Err("it is neither a duration such as 30m nor a time such as 2026-01-31T10:00:00Z".to_owned()),
    }
}

/// Reads the name of an event that there is, or a pattern that fits one.
fn event(text: &str) -> Result<String, String> {
    if EventName::WORDS.iter().any(|name| matches(text, name)) {
        return Ok(text.to_owned());
    }
    let near = nearest(text, EventName::WORDS.iter().copied());
    let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
    Err(format!("no event is called so{hint}"))
}

impl Events {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        let kept = settings(fleet.events_path());
        let failed = |error: std::io::Error| unreadable("events", &kept.path, &error);
        let (mut lines, told) = Lines::open(&kept.path, kept.keep).map_err(failed)?;
        let is_none = self.print(run, &told)?;
        if !self.follow {
            if is_none {
                let nothing = "Nothing was told in that time; `simfleet watch` tells.\n";
                run.terminal.tell(nothing);
            }
            return Ok(Exit::Success);
        }
        // Until it is stopped.
        loop {
            tokio::time::sleep(AGAIN).await;
            self.print(run, &lines.more().map_err(failed)?)?;
        }
    }

    /// Prints what is asked for; returns whether that is nothing.
    fn print(&self, run: &Run, told: &[Json]) -> Result<bool, Failure> {
        let is_asked = |event: &&Json| {
            let name = event["event"].as_str().unwrap_or_default();
            is_since(event, self.since)
                && (self.event.is_empty() || self.event.iter().any(|pattern| matches(pattern, name)))
        };
        let text: String = told
            .iter()
            .filter(is_asked)
            .map(|event| match self.json {
                true => format!("{event}\n"),
                false => view::line(event),
            })
            .collect();
        if !text.is_empty() {
            run.terminal.print(&text)?;
        }
        Ok(text.is_empty())
    }
}

impl Audit {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        let path = fleet.audit_settings().path;
        let (lines, entries) = Lines::open(&path, 0).map_err(|error| unreadable("audit log", &path, &error))?;
        let patterns = self.address.iter().map(|text| Pattern::from_str(text));
        let patterns: Vec<Pattern> = patterns
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::usage(error.to_string(), "name it as `simfleet state list` does"))?;
        let lineage = fleet.lineage();
        // Several fleets can share a log.
        let is_ours = |entry: &Json| match (&lineage, entry["lineage"].as_str()) {
            (Some(ours), Some(its)) => **ours == *its,
            _ => true,
        };
        let is_asked = |entry: &&Json| {
            let address = entry["address"].as_str().unwrap_or_default();
            let is_it = |pattern: &Pattern| address.parse().is_ok_and(|address| pattern.matches(&address));
            let since = self.since.is_none_or(|since| is_since(entry, since));
            is_ours(entry) && since && (patterns.is_empty() || patterns.iter().any(is_it))
        };
        let entries: Vec<&Json> = entries.iter().filter(is_asked).collect();
        if lines.damaged > 0 {
            let detail = format!("{} lines of `{}` are no JSON.", lines.damaged, path.display());
            let warning = Diagnostic::warning("Damaged audit log", detail);
            let warning = crate::view::diagnostics::render(&warning.into(), run.terminal.err);
            run.terminal.tell(&warning);
        }
        match self.json {
            true => {
                let text: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
                run.terminal.print(&text)?;
            }
            false => run.terminal.print(&view::audit(&entries, run.terminal.out))?,
        }
        Ok(Exit::Success)
    }
}

fn unreadable(what: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::io(
        "The log cannot be read",
        format!("Reading the {what} in `{}` failed", path.display()),
        error,
    )
}
