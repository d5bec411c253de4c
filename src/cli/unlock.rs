//! `simfleet unlock`: locks of a run that nobody can wait for.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::flags::{Looking, named};
use super::run::Run;
use crate::diagnostic::Diagnostic;
use crate::fleet::Held;
use crate::view::locks;

/// Show who holds locks, and drop them
///
/// Seldom needed: the locks of a run that died on this machine fall at once, and those of any other within 30 seconds of
/// its last sign of life. Whoever loses its locks can record nothing more.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet unlock                       shows who holds what, and asks
  simfleet unlock node.lab              only whoever holds that address
  simfleet unlock 6f1c --auto-approve   only that run, without asking")]
pub(super) struct Unlock {
    /// The fleet, a file or a folder; an address, or the id of a run or its beginning
    #[arg(value_name = "PATH] [ADDRESS|HOLDER", num_args = 0..=2)]
    path_and_holder: Vec<String>,
    /// Do not ask
    #[arg(long)]
    auto_approve: bool,
    #[command(flatten)]
    looking: Looking,
}

impl Unlock {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (path, wanted): (PathBuf, _) = named(&self.path_and_holder, |_| true);
        let fleet = self.looking.open(run, path)?;
        let mut held = fleet.holders().await?;
        if let Some(wanted) = &wanted {
            held.retain(|held: &Held| held.is_named(wanted));
            if held.is_empty() {
                let diagnostic = Diagnostic::error("Not locked", format!("Nobody holds `{wanted}`."));
                return Err(diagnostic.hint("`simfleet unlock` shows who holds what").into());
            }
        }
        run.terminal.print(&locks::render(&held, run.terminal.out))?;
        if held.is_empty() {
            return Ok(Exit::Success);
        }
        if !self.auto_approve {
            if !run.terminal.can_ask() {
                let hint = "give --auto-approve to drop these locks";
                return Err(Failure::usage(
                    "There is no terminal to ask whether to drop them.",
                    hint,
                ));
            }
            let question = "\nDo you want to drop these locks? Only \"yes\" will do: ";
            if run.terminal.ask(question).await != "yes" {
                run.terminal.tell("Nothing was changed.\n");
                return Ok(Exit::Failure);
            }
        }
        for Held { lease, .. } in &held {
            if fleet.unlock(&lease.holder.id).await? {
                run.terminal
                    .print(&format!("Dropped the locks of {}.\n", lease.holder))?;
            }
        }
        Ok(Exit::Success)
    }
}
