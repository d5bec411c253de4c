//! `simfleet import`: an object that exists becomes that of a resource.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use simfleet_provider_api::Address;

use super::exit::{Exit, Failure};
use super::flags::{Variables, duration};
use super::reporting::reported;
use super::run::Run;

/// Have an object that exists be that of a declared resource
///
/// It is recorded as it is found, and nothing is done to it: `simfleet plan` then shows how it differs from what is
/// declared. With a container come the volumes that it has where those of its block are to be. An `import` block in the
/// fleet does the same as part of a plan.
#[derive(Debug, Args)]
#[command(
    override_usage = "simfleet import [OPTIONS] [PATH] <ADDRESS> <ID>",
    after_help = "\
Examples:
  simfleet import node.lab 3f2a9c           the object 3f2a9c becomes node.lab
  simfleet import fleets/ 'node.lab[0]' 3f2a9c"
)]
pub(super) struct Import {
    /// The fleet, a file or a folder; the address of the resource; the provider's id of the object
    #[arg(value_name = "ADDRESS> <ID", num_args = 1..=3, required = true)]
    path_address_and_id: Vec<String>,
    #[command(flatten)]
    variables: Variables,
    /// How long to wait for another run that works on the same resource
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    lock_timeout: Duration,
}

impl Import {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (path, address, id): (PathBuf, _, _) = match self.path_address_and_id.as_slice() {
            [path, address, id] => (path.into(), address, id),
            [address, id] => (".".into(), address, id),
            _ => {
                let detail = "The address of a resource and the provider's id of an object are needed.";
                return Err(Failure::usage(detail, "simfleet import [PATH] ADDRESS ID"));
            }
        };
        let address: Address = address
            .parse()
            .map_err(|error| Failure::usage(format!("{error}."), "simfleet import [PATH] ADDRESS ID"))?;
        let id: Arc<str> = id.as_str().into();
        let fleet = self.variables.open(run, path, self.lock_timeout)?;
        let adopted = reported(run, false, async |progress| {
            fleet.import(&address, &id, &progress).await
        })
        .await?;
        let lines = adopted
            .iter()
            .map(|(address, id)| format!("{address} is the object {id} from now on.\n"));
        run.terminal.print(&lines.collect::<String>())?;
        run.terminal
            .tell("Nothing was changed: `simfleet plan` shows how it differs from what is declared.\n");
        Ok(Exit::Success)
    }
}
