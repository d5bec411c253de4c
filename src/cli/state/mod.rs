//! `simfleet state …`: looking into the state, and changing it by hand.
//!
//! - `look`: list, show, history, check; `edit`: mv, rm, pull, push

mod edit;
mod look;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::run::Run;

/// Look into the state, or change it by hand
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet state list
  simfleet state show 'simulator.vehicle.quad[0]'
  simfleet state show lab.hcl pool.field/m1
  simfleet state history                            every run, with what it changed
  simfleet state show --at 12                       what was recorded at serial 12
  simfleet state mv value.old value.new             a new name in the files: nothing is made again
  simfleet state mv module.old 'module.new[0]'      all that is in a module
  simfleet state rm node.lab                        forget it: nothing is done to the node
  simfleet state pull > state.json                  everything that is recorded, as JSON
  simfleet state push state.json                    have that be what is recorded
  simfleet state check                              is the whole file as it was written?")]
pub(super) struct State {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(look::List),
    Show(look::Show),
    History(look::History),
    Check(look::Check),
    Mv(edit::Mv),
    Rm(edit::Rm),
    Pull(edit::Pull),
    Push(edit::Push),
}

impl State {
    pub(super) fn is_json(&self) -> bool {
        match &self.verb {
            Verb::History(verb) => verb.is_json(),
            Verb::Check(verb) => verb.is_json(),
            Verb::Pull(_) => true,
            _ => false,
        }
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::List(verb) => verb.run(run).await,
            Verb::Show(verb) => verb.run(run).await,
            Verb::History(verb) => verb.run(run).await,
            Verb::Check(verb) => verb.run(run).await,
            Verb::Mv(verb) => verb.run(run).await,
            Verb::Rm(verb) => verb.run(run).await,
            Verb::Pull(verb) => verb.run(run).await,
            Verb::Push(verb) => verb.run(run).await,
        }
    }
}
