//! `simfleet show`: what is recorded, or what a saved plan says.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::flags::{Looking, saved_plan};
use super::run::Run;
use crate::fleet::Moment;
use crate::plan::PlanFile;
use crate::view::plan::{Detail, Purpose, View, json};
use crate::view::state;

/// Show what is recorded, or a plan that was kept
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet show                    what is recorded of the fleet in this folder
  simfleet show lab.hcl --json     of another one, for programs
  simfleet show --at 12            what was recorded at serial 12; see `simfleet state history`
  simfleet show plan.json          a plan that was kept with `plan --out plan.json`")]
pub(super) struct Show {
    /// The fleet, a file or a folder; or a plan that was kept with `plan --out`
    #[arg(default_value = ".", value_name = "PATH|PLANFILE")]
    path: PathBuf,
    /// What was recorded then: a serial, or a time such as 2026-01-31T10:00:00Z
    #[arg(long, value_name = "SERIAL|TIME")]
    at: Option<Moment>,
    #[command(flatten)]
    looking: Looking,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        if let Some(file) = saved_plan(&self.path)? {
            return self.run_saved(run, &file).await;
        }
        let snapshot = self.looking.open(run, self.path.clone())?.snapshot_at(self.at).await?;
        match self.json {
            true => run.terminal.print_json(&state::json(&snapshot))?,
            false => run.terminal.print(&state::render(&snapshot.state, run.terminal.out))?,
        }
        Ok(Exit::Success)
    }

    /// Shows a saved plan, unless what it was made from has changed.
    async fn run_saved(&self, run: &Run, file: &PlanFile) -> Result<Exit, Failure> {
        let fleet = self.looking.open_saved(run, file)?;
        let planned = fleet.replan(file).await?;
        if self.json {
            run.terminal
                .print_json(&json::document(&planned.plan, fleet.estimate(&planned)))?;
        } else {
            let purpose = Purpose::of(file.mode);
            let view = View {
                plan: &planned.plan,
                detail: Detail::Folded,
                purpose,
                estimate: fleet.estimate(&planned),
            };
            run.terminal.print(&view.render(run.terminal.out))?;
        }
        Ok(Exit::Success)
    }
}
