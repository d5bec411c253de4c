//! `simfleet plan`: what would change, and why.

use std::mem::ManuallyDrop;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::flags::{Planning, warn, warn_unseen};
use super::run::Run;
use crate::plan::{self, Action, Mode};
use crate::view::plan::{Detail, Purpose, View, json};

/// Show what would change, and why; nothing is changed
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet plan                              the fleet in this folder
  simfleet plan lab.hcl --var vehicles=5     another one, with a variable
  simfleet plan --out plan.json              keep the plan for `simfleet apply plan.json`
  simfleet plan --detailed-exitcode          exit with 2 where there is something to do
  simfleet plan --fail-on interrupt          exit with 5 where it would interrupt a simulator")]
pub(super) struct Plan {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    planning: Planning,
    /// Plan to remove everything
    #[arg(long)]
    destroy: bool,
    /// Plan to record what is there, and to change nothing
    #[arg(long, conflicts_with_all = ["destroy", "replace"])]
    refresh_only: bool,
    /// Keep the plan in this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 2 where there are changes, 0 where there are none; what cannot be reached, or has no place, is told and
    /// is no change
    #[arg(long)]
    detailed_exitcode: bool,
    /// Exit with 5 where the plan does this
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    fail_on: Vec<FailOn>,
    /// Show every instance, also where several change alike
    #[arg(long)]
    expand: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a plan must not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// It interrupts a running simulator.
    Interrupt,
    /// It deletes something.
    Destroy,
    /// It makes something anew.
    Replace,
}

impl FailOn {
    fn is_hit(self, plan: &plan::Plan) -> bool {
        let does = |action| plan.changes.iter().any(|change| change.action == action);
        match self {
            FailOn::Interrupt => !plan.interrupts.is_empty(),
            FailOn::Destroy => does(Action::Delete) || does(Action::Replace),
            FailOn::Replace => does(Action::Replace),
        }
    }
}

/// Returns what a run is for.
pub(super) fn mode(destroy: bool, refresh_only: bool) -> Mode {
    match (destroy, refresh_only) {
        (true, _) => Mode::Destroy,
        (_, true) => Mode::Refresh,
        _ => Mode::Apply,
    }
}

impl Plan {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        // `apply` would take it for a fleet, and it may be one.
        if let Some(file) = self
            .out
            .as_ref()
            .filter(|file| file.extension().is_some_and(|ending| ending == "hcl"))
        {
            let detail = format!("`{}` is the name of a fleet file, not of a plan.", file.display());
            return Err(Failure::usage(&detail, "give it another ending: --out fleet.plan"));
        }
        let mode = mode(self.destroy, self.refresh_only);
        // The process ends with this verb: to give a large fleet back piece by piece would take a tenth of the run.
        let fleet = ManuallyDrop::new(self.planning.open(run, self.path.clone(), mode)?);
        let planned = ManuallyDrop::new(fleet.plan().await?);
        warn(run, &planned.warnings);
        if self.json {
            run.terminal
                .print_json(&json::document(&planned.plan, fleet.estimate(&planned)))?;
        } else {
            let detail = if self.expand { Detail::Expanded } else { Detail::Folded };
            let view = View {
                plan: &planned.plan,
                detail,
                purpose: Purpose::of(mode),
                estimate: fleet.estimate(&planned),
            };
            run.terminal.print(&view.render(run.terminal.out))?;
        }
        warn_unseen(run, &planned.plan);
        if let Some(file) = &self.out {
            fleet.save_plan(&planned, file)?;
            let file = file.display();
            run.terminal
                .tell(&format!("\nKept in {file}. To carry it out: simfleet apply {file}\n"));
        }
        if let Some(what) = self.fail_on.iter().find(|what| what.is_hit(&planned.plan)) {
            let what = what
                .to_possible_value()
                .map(|value| value.get_name().to_owned())
                .unwrap_or_default();
            run.terminal.tell(&format!("Refused by --fail-on {what}.\n"));
            return Ok(Exit::Refused);
        }
        match self.detailed_exitcode && !planned.plan.is_empty() {
            true => Ok(Exit::Changes),
            false => Ok(Exit::Success),
        }
    }
}
