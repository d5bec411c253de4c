//! `state list`, `state show`, `state history`, `state check`.

use std::path::PathBuf;

use clap::Args;
use simfleet_provider_api::Address;

use super::super::exit::{Exit, Failure};
use super::super::flags::{Looking, named, no_address, not_an_address};
use super::super::run::Run;
use crate::diagnostic::Diagnostic;
use crate::fleet::Moment;
use crate::view::{history, state};

/// Print the addresses of all recorded resources, one a line
#[derive(Debug, Args)]
pub(super) struct List {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    /// What was recorded then: a serial, or a time such as 2026-01-31T10:00:00Z
    #[arg(long, value_name = "SERIAL|TIME")]
    at: Option<Moment>,
    #[command(flatten)]
    looking: Looking,
}

/// Show one recorded resource, or with --at all
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The fleet, a file or a folder, and the address of a resource
    #[arg(value_name = "PATH] [ADDRESS", num_args = 0..=2)]
    path_and_address: Vec<String>,
    /// What was recorded then: a serial, or a time such as 2026-01-31T10:00:00Z
    #[arg(long, value_name = "SERIAL|TIME")]
    at: Option<Moment>,
    #[command(flatten)]
    looking: Looking,
}

/// Show every run: when, who, the command, and what it changed
#[derive(Debug, Args)]
pub(super) struct History {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Check that the whole state is as it was written
///
/// Every page, checksum and event, the snapshots against the events before them, and what holds of every state.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        let snapshot = fleet.snapshot_at(self.at).await?;
        let list = state::list(&snapshot.state);
        if list.is_empty() {
            run.terminal.tell("Nothing is recorded.\n");
        }
        run.terminal.print(&list)?;
        Ok(Exit::Success)
    }
}

impl Show {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (path, address) = named(&self.path_and_address, |text| text.parse::<Address>().is_ok());
        let address: Option<Address> = match &address {
            Some(address) => Some(address.parse().map_err(|error| not_an_address(&error))?),
            None if self.at.is_some() => None,
            None => {
                return Err(not_an_address(
                    &no_address(&self.path_and_address).trim_end_matches('.'),
                ));
            }
        };
        let state = self.looking.open(run, path)?.snapshot_at(self.at).await?.state;
        let Some(address) = address else {
            run.terminal.print(&state::render(&state, run.terminal.out))?;
            return Ok(Exit::Success);
        };
        let Some(text) = state::render_one(&state, &address, run.terminal.out) else {
            let known: Vec<String> = state.resources.keys().map(ToString::to_string).collect();
            let then = self.at.map_or("", |_| " at that time");
            let diagnostic = Diagnostic::error("Unknown resource", format!("{address} is not recorded{then}."));
            let diagnostic = diagnostic.nearest(&address.to_string(), known.iter().map(String::as_str));
            return Err(match diagnostic.hint {
                Some(_) => diagnostic,
                None => diagnostic.hint("`simfleet state list` prints what is recorded"),
            }
            .into());
        };
        run.terminal.print(&text)?;
        Ok(Exit::Success)
    }
}

impl History {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        let runs = fleet.history().await?;
        match self.json {
            true => run.terminal.print_json(&history::json(&runs))?,
            false => run.terminal.print(&history::render(&runs, run.terminal.out))?,
        }
        Ok(Exit::Success)
    }
}

impl Check {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        let checked = fleet.check().await?;
        match self.json {
            true => run.terminal.print_json(&history::checked_json(checked.as_ref()))?,
            false => run.terminal.print(&history::checked(checked.as_ref()))?,
        }
        Ok(Exit::Success)
    }
}
