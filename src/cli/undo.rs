//! `simfleet undo`: back to what was applied before.

use std::path::PathBuf;

use clap::Args;

use super::apply::Manner;
use super::exit::{Exit, Failure};
use super::flags::{Planning, named};
use super::run::Run;
use crate::fleet::Goal;
use crate::plan::Mode;

/// Go back to the configuration that was applied before
///
/// An ordinary plan, back to the configuration that the state keeps: shown, agreed to, applied. Without a serial it is the
/// one before that of the last run, so that a second undo takes back the first. The files stay as they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet undo                    back to what was applied before
  simfleet undo 12                 back to what was applied at serial 12; see `simfleet state history`")]
pub(super) struct Undo {
    /// The fleet, a file or a folder; the serial to go back to
    #[arg(value_name = "PATH] [SERIAL", num_args = 0..=2)]
    path_and_serial: Vec<String>,
    #[command(flatten)]
    planning: Planning,
    #[command(flatten)]
    manner: Manner,
}

impl Undo {
    pub(super) fn is_json(&self) -> bool {
        self.manner.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (path, serial): (PathBuf, _) = named(&self.path_and_serial, |text| text.parse::<u64>().is_ok());
        let wrong = |text: &String| {
            let hint = "`simfleet state history` shows the serials";
            text.parse::<u64>()
                .map_err(|_| Failure::usage(format!("`{text}` is not a serial."), hint))
        };
        let serial = serial.as_ref().map(wrong).transpose()?;
        // As for a run that removes everything: variables of now need not be set to go back to those of then.
        let fleet = self.planning.open(run, path, Mode::Destroy)?;
        let (since, goal) = fleet.earlier_goal(serial).await?;
        let fleet = fleet.back_to(&goal)?;
        self.manner.check(run)?;
        if !self.manner.json {
            let what = match goal {
                Goal::Configuration(_) => "the configuration",
                Goal::Nothing => "nothing, as everything was removed: that",
            };
            run.terminal
                .tell(&format!("Back to {what} that was applied at serial {since}.\n\n"));
        }
        let exit = self.manner.change(run, &fleet).await?;
        if exit == Exit::Success && !self.manner.json {
            run.terminal
                .tell("The files are as they were: `simfleet apply` goes forward to them again.\n");
        }
        Ok(exit)
    }
}
