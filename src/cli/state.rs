//! `simfleet state list` and `simfleet state show`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use simfleet_provider_api::Address;

use super::exit::{Exit, Failure};
use super::flags::{Looking, named};
use super::program::Run;
use crate::diagnostic::Diagnostic;
use crate::view::state;

/// Look into the state
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet state list
  simfleet state show 'simulator.vehicle.quad[0]'
  simfleet state show lab.hcl pool.field/m1")]
pub(super) struct State {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the addresses of all recorded resources, one a line
    List {
        /// The fleet: a file, or a folder with all its *.hcl files
        #[arg(default_value = ".")]
        path: PathBuf,
        #[command(flatten)]
        looking: Looking,
    },
    /// Show one recorded resource
    Show {
        /// The fleet, a file or a folder, and the address of a resource
        #[arg(value_name = "PATH] [ADDRESS", num_args = 1..=2, required = true)]
        path_and_address: Vec<String>,
        #[command(flatten)]
        looking: Looking,
    },
}

impl State {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::List { path, looking } => {
                let snapshot = looking.open(run, path.clone())?.snapshot().await?;
                run.terminal.print(&state::list(&snapshot.state))?;
            }
            Verb::Show {
                path_and_address,
                looking,
            } => {
                let (path, address) = named(path_and_address, |text| text.parse::<Address>().is_ok());
                let address = address.ok_or_else(|| {
                    Failure::usage("An address is missing.", "`simfleet state list` prints the addresses")
                })?;
                let address: Address = address.parse().map_err(|error| {
                    Failure::usage(format!("{error}."), "`simfleet state list` prints the addresses")
                })?;
                let state = looking.open(run, path)?.snapshot().await?.state;
                let Some(text) = state::render_one(&state, &address, run.terminal.out) else {
                    let known: Vec<String> = state.resources.keys().map(ToString::to_string).collect();
                    let detail = format!("{address} is not recorded.");
                    let diagnostic = Diagnostic::error("Unknown resource", detail);
                    return Err(diagnostic
                        .nearest(&address.to_string(), known.iter().map(String::as_str))
                        .into());
                };
                run.terminal.print(&text)?;
            }
        }
        Ok(Exit::Success)
    }
}
