//! `simfleet why ADDRESS`: what leads to a change, or to none.

use clap::Args;
use simfleet_provider_api::Address;

use super::exit::{Exit, Failure};
use super::flags::{Planning, named, no_address, saved_plan};
use super::run::Run;
use crate::diagnostic::Diagnostic;
use crate::fleet::Fleet;
use crate::plan::{Mode, Plan, Planned};
use crate::view::why as view;
use crate::why::chains;

/// Show what leads to a change of a resource, or to none
///
/// From a plan that was kept nothing is looked at. Without one a plan is made as `simfleet plan` makes it;
/// --refresh=false takes what there is to be as recorded.
#[derive(Debug, Args)]
#[command(
    override_usage = "simfleet why [OPTIONS] [PATH|PLANFILE] <ADDRESS>",
    after_help = "\
Examples:
  simfleet why 'simulator.vehicle.quad[0]'
  simfleet why pool.field                        all members of a pool
  simfleet why plan.json node.a                  in a plan kept with `plan --out plan.json`
  simfleet why lab.hcl node.a --var size=3       in the plan of another fleet"
)]
pub(super) struct Why {
    /// The fleet, a file or a folder, or a plan that was kept; and the address of a resource or block
    #[arg(value_name = "ADDRESS", num_args = 1..=2, required = true)]
    path_and_address: Vec<String>,
    #[command(flatten)]
    planning: Planning,
    /// Of a plan that removes everything
    #[arg(long)]
    destroy: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Why {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        const HINT: &str =
            "`simfleet plan` shows the addresses of what changes, `simfleet state list` those of what is there";
        let (path, address) = named(&self.path_and_address, |text| text.parse::<Address>().is_ok());
        let address = address.ok_or_else(|| Failure::usage(no_address(&self.path_and_address), HINT))?;
        let address: Address = address
            .parse()
            .map_err(|error| Failure::usage(format!("{error}."), HINT))?;
        match saved_plan(&path)? {
            Some(file) => {
                let fleet = self.planning.open_saved(run, &file)?;
                let planned = fleet.replan(&file).await?;
                self.print(run, &fleet, &planned, &address)
            }
            None => {
                let mode = if self.destroy { Mode::Destroy } else { Mode::Apply };
                let fleet = self.planning.open(run, path, mode)?;
                let planned = fleet.plan().await?;
                self.print(run, &fleet, &planned, &address)
            }
        }
    }

    fn print(&self, run: &Run, fleet: &Fleet, planned: &Planned<'_>, address: &Address) -> Result<Exit, Failure> {
        let chains = chains(&planned.plan, fleet.config(), address);
        let pool = planned
            .session
            .sizes()
            .into_iter()
            .find(|pool| pool.address == *address);
        if chains.is_empty() && pool.is_none() {
            return Err(unknown(&planned.plan, address).into());
        }
        match self.json {
            true => run.terminal.print_json(&view::json(pool.as_ref(), &chains))?,
            false => run
                .terminal
                .print(&view::render(pool.as_ref(), &chains, run.terminal.out))?,
        }
        Ok(Exit::Success)
    }
}

fn unknown(plan: &Plan, address: &Address) -> Diagnostic {
    if let Some(unplaced) = plan.unplaced.iter().find(|unplaced| unplaced.address == *address) {
        let detail = format!("{address} is not made: {}.", unplaced.reason);
        return Diagnostic::error("Without a place", detail).hint("make room, with more nodes or a larger pool");
    }
    let names: Vec<String> = plan.changes.iter().map(|change| change.address.to_string()).collect();
    let detail = format!("{address} is neither declared nor recorded.");
    Diagnostic::error("Unknown resource", detail).nearest(&address.to_string(), names.iter().map(String::as_str))
}
