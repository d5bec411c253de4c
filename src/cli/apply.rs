//! `simfleet apply` and `simfleet destroy`: carrying out a plan that the user agreed to.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::again::quoted;
use super::exit::{Exit, Failure};
use super::flags::{Planning, saved_plan, warn, warn_unseen};
use super::plan::mode;
use super::reporting::reported;
use super::run::Run;
use crate::apply::Outcome;
use crate::fleet::{Fleet, FleetError};
use crate::plan::{Mode, PlanFile, Planned};
use crate::view::plan::{Detail, Purpose, View, json};
use crate::view::{outcome, outputs};

/// How often a plan is made at the most, where other runs change what it was made from.
const ATTEMPTS: usize = 10;

/// Change the fleet to what is declared
///
/// Shows the plan and asks first. Ctrl-C once begins nothing new, ends the calls in flight, and leaves what a
/// provider still works on to the next run; twice ends at once.
/// Both lose nothing: the next apply goes on. It exits with 1 where something failed, and where a simulator has no place.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet apply                             the fleet in this folder
  simfleet apply lab.hcl --var vehicles=5    another one, with a variable
  simfleet apply --auto-approve              without asking, as in scripts
  simfleet apply plan.json                   exactly what `simfleet plan --out plan.json` showed
  simfleet apply --auto-approve --json       one JSON event a line, the last one of type summary")]
pub(super) struct Apply {
    /// The fleet, a file or a folder; or a plan that was kept with `plan --out`
    #[arg(default_value = ".", value_name = "PATH|PLANFILE")]
    path: PathBuf,
    #[command(flatten)]
    planning: Planning,
    /// Remove everything instead
    #[arg(long)]
    destroy: bool,
    /// Record what is there, and change nothing
    #[arg(long, conflicts_with_all = ["destroy", "replace"])]
    refresh_only: bool,
    #[command(flatten)]
    manner: Manner,
}

/// Remove everything that is recorded
///
/// Shows the plan and asks first. What is not reachable now is not removed, and stays recorded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet destroy                           the fleet in this folder
  simfleet destroy lab.hcl --auto-approve    another one, without asking")]
pub(super) struct Destroy {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    planning: Planning,
    #[command(flatten)]
    manner: Manner,
}

/// How a plan is agreed to, and how its apply is told.
#[derive(Debug, Clone, Args)]
pub(super) struct Manner {
    /// Do not ask
    #[arg(long)]
    auto_approve: bool,
    /// Show every instance, also where several change alike
    #[arg(long)]
    expand: bool,
    /// Print JSON, one event a line
    #[arg(long)]
    pub(super) json: bool,
}

impl Apply {
    pub(super) fn is_json(&self) -> bool {
        self.manner.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        if let Some(file) = saved_plan(&self.path)? {
            return self.run_saved(run, &file).await;
        }
        let mode = mode(self.destroy, self.refresh_only);
        let fleet = self.planning.open(run, self.path.clone(), mode)?;
        self.manner.check(run)?;
        self.manner.change(run, &fleet).await
    }

    /// Carries out a plan that was agreed to when it was saved.
    async fn run_saved(&self, run: &Run, file: &PlanFile) -> Result<Exit, Failure> {
        if self.destroy || self.refresh_only {
            let hint = "give --destroy to `simfleet plan --out FILE`";
            return Err(Failure::usage("A saved plan says already what is to be done.", hint));
        }
        let fleet = self.planning.open_saved(run, file)?;
        let manner = &self.manner;
        reported(run, manner.json, async |progress| fleet.recover(&progress).await).await?;
        let planned = fleet.replan(file).await?;
        warn(run, &planned.warnings);
        manner.show(run, &fleet, &planned)?;
        // The plan is stale after this, so that only a new one can go on.
        let verb = match file.mode {
            Mode::Destroy => "destroy",
            Mode::Apply => "apply",
            Mode::Refresh => "apply --refresh-only",
        };
        let again = format!("simfleet {verb} {}", quoted(&file.path.to_string_lossy()));
        manner.carry_out(run, &fleet, planned, &again).await
    }
}

impl Destroy {
    pub(super) fn is_json(&self) -> bool {
        self.manner.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.planning.open(run, self.path.clone(), Mode::Destroy)?;
        self.manner.check(run)?;
        self.manner.change(run, &fleet).await
    }
}

impl Manner {
    /// Finishes what earlier runs began, makes a plan, asks, and carries it out. Where another run was faster, it plans anew
    /// if nobody has to agree: who agreed to a plan agreed to that one.
    pub(super) async fn change(&self, run: &Run, fleet: &Fleet) -> Result<Exit, Failure> {
        let mut attempts = 1;
        loop {
            match self.change_once(run, fleet).await {
                Err(Failure::Fleet(FleetError::Stale { address })) if self.auto_approve && attempts < ATTEMPTS => {
                    attempts += 1;
                    let text = format!("Another run changed {address} after this plan was made. Planning anew.\n\n");
                    run.terminal.tell(&text);
                }
                ended => return ended,
            }
        }
    }

    async fn change_once(&self, run: &Run, fleet: &Fleet) -> Result<Exit, Failure> {
        reported(run, self.json, async |progress| fleet.recover(&progress).await).await?;
        let planned = fleet.plan().await?;
        warn(run, &planned.warnings);
        self.show(run, fleet, &planned)?;
        warn_unseen(run, &planned.plan);
        if planned.plan.is_empty() {
            reported(run, self.json, async |progress| fleet.settle(&planned, &progress).await).await?;
            let outcome = Outcome {
                unplaced: planned.plan.unplaced.clone(),
                ..Outcome::default()
            };
            if self.json || !outcome.is_complete() {
                self.end(run, &outcome, &run.again.typed(fleet.config()))?;
            }
            return Ok(match outcome.is_complete() {
                true => Exit::Success,
                false => Exit::Failure,
            });
        }
        if !self.auto_approve && !agreed(run, fleet).await {
            run.terminal.tell("Nothing was changed.\n");
            return Ok(Exit::Failure);
        }
        self.carry_out(run, fleet, planned, &run.again.typed(fleet.config()))
            .await
    }

    /// Refuses what could only end with a question that nobody answers.
    pub(super) fn check(&self, run: &Run) -> Result<(), Failure> {
        if self.auto_approve {
            return Ok(());
        }
        let hint = "look at `simfleet plan`, then give --auto-approve, or apply a plan kept with `plan --out`";
        if self.json {
            return Err(Failure::usage("With --json nobody is asked whether to go on.", hint));
        }
        match run.terminal.can_ask() {
            true => Ok(()),
            false => Err(Failure::usage("There is no terminal to ask whether to go on.", hint)),
        }
    }

    fn show(&self, run: &Run, fleet: &Fleet, planned: &Planned<'_>) -> Result<(), Failure> {
        let detail = if self.expand { Detail::Expanded } else { Detail::Folded };
        let view = View {
            plan: &planned.plan,
            detail,
            purpose: purpose(fleet),
            estimate: fleet.estimate(planned),
        };
        match self.json {
            true => run
                .terminal
                .print(&format!("{}\n", json::event(view, Timestamp::now()))),
            false => run.terminal.print(&view.render(run.terminal.out)),
        }
    }

    async fn carry_out(&self, run: &Run, fleet: &Fleet, planned: Planned<'_>, again: &str) -> Result<Exit, Failure> {
        let stop = run.signals.graceful();
        if !self.json {
            run.terminal.tell("\n");
        }
        let outcome = reported(run, self.json, async |progress| {
            fleet.apply(planned, &progress, stop).await
        })
        .await?;
        self.end(run, &outcome, again)?;
        warn(run, &outcome.warnings);
        if !self.json && outcome.is_complete() && purpose(fleet) == Purpose::Apply {
            let recorded = fleet.snapshot().await?.state.outputs;
            if !recorded.is_empty() {
                run.terminal.print("\nOutputs:\n\n")?;
                run.terminal.print(&outputs::render(&recorded, run.terminal.out))?;
            }
        }
        Ok(match outcome.is_complete() {
            true => Exit::Success,
            false if outcome.interrupted => Exit::Interrupted,
            false if outcome.is_only_late() => Exit::TimedOut,
            false => Exit::Failure,
        })
    }

    fn end(&self, run: &Run, outcome: &Outcome, again: &str) -> Result<(), Failure> {
        match self.json {
            true => run
                .terminal
                .print(&format!("{}\n", outcome::event(outcome, Timestamp::now(), again))),
            false => run
                .terminal
                .print(&format!("\n{}", outcome::render(outcome, again, run.terminal.out))),
        }
    }
}

fn purpose(fleet: &Fleet) -> Purpose {
    Purpose::of(fleet.options().mode)
}

async fn agreed(run: &Run, fleet: &Fleet) -> bool {
    let question = match purpose(fleet) {
        Purpose::Apply => "Do you want to apply this?",
        Purpose::Refresh => "Do you want to record this?",
        Purpose::Destroy => "Do you want to destroy all of this? There is no way back.",
    };
    run.terminal.ask(&format!("\n{question} Only \"yes\" will do: ")).await == "yes"
}
