//! `simfleet status`, `nodes` and `simulators`: what runs now.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value as Json;

use super::exit::{Exit, Failure};
use super::flags::Looking;
use super::run::Run;
use crate::fleet::Fleet;
use crate::status::{self, Asked};
use crate::view::status as view;

/// How long a node has to tell its load, and how its simulators ended.
const PATIENCE: Duration = Duration::from_secs(3);

/// Show what runs now: nodes, simulators, and what is wrong with any
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet status
  simfleet status lab.hcl -o json")]
pub(super) struct Status {
    #[command(flatten)]
    looking: LookingAt,
}

/// Show the nodes: status, address, simulators, load
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet nodes
  simfleet nodes lab.hcl -o json")]
pub(super) struct Nodes {
    #[command(flatten)]
    looking: LookingAt,
}

/// Show the simulators: node, status, endpoints
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet simulators
  simfleet simulators -o json | jq -r '.[].endpoints.gcs'")]
pub(super) struct Simulators {
    #[command(flatten)]
    looking: LookingAt,
}

#[derive(Debug, Args)]
struct LookingAt {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
    /// How it is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Print JSON: the same as -o json
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Returns what runs now.
pub(super) async fn now(fleet: &Fleet) -> Result<status::Status, Failure> {
    let snapshot = fleet.snapshot().await?;
    let seen = fleet.observe(&snapshot).await;
    let asked = Asked::of(&snapshot.state, &seen, PATIENCE).await;
    Ok(status::Status::of(&snapshot.state, &seen, &asked))
}

impl LookingAt {
    fn is_json(&self) -> bool {
        self.json || self.output == Format::Json
    }

    fn open(&self, run: &Run) -> Result<Fleet, Failure> {
        self.looking.open(run, self.path.clone())
    }

    fn print(
        &self,
        run: &Run,
        status: &status::Status,
        json: impl FnOnce(&status::Status) -> Json,
        text: impl FnOnce(&status::Status) -> String,
    ) -> Result<Exit, Failure> {
        match self.is_json() {
            true => run.terminal.print_json(&json(status))?,
            false => run.terminal.print(&text(status))?,
        }
        Ok(Exit::Success)
    }
}

impl Status {
    pub(super) fn is_json(&self) -> bool {
        self.looking.is_json()
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run)?;
        let mut status = now(&fleet).await?;
        status.pools = fleet.sizes().await?;
        let text = |status: &status::Status| view::render(status, run.terminal.out);
        self.looking.print(run, &status, view::json, text)
    }
}

impl Nodes {
    pub(super) fn is_json(&self) -> bool {
        self.looking.is_json()
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let status = now(&self.looking.open(run)?).await?;
        let json = |status: &status::Status| view::nodes_json(&status.nodes);
        let text = |status: &status::Status| view::nodes(&status.nodes);
        self.looking.print(run, &status, json, text)
    }
}

impl Simulators {
    pub(super) fn is_json(&self) -> bool {
        self.looking.is_json()
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let status = now(&self.looking.open(run)?).await?;
        let json = |status: &status::Status| view::simulators_json(&status.simulators);
        let text = |status: &status::Status| view::simulators(&status.simulators);
        self.looking.print(run, &status, json, text)
    }
}
