//! `simfleet agent`: what runs on a node.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use simfleet_provider_agent::layout::{DATA, DataFolder};
use simfleet_provider_agent::{AgentOptions, dial, serve};

use super::exit::{Exit, Failure};
use crate::diagnostic::Diagnostic;
use crate::view::failure::chain;

/// Run the agent of a node: it starts, watches and stops the node's simulators
///
/// The local provider starts agents by itself, and a machine in a cloud gets one by `bootstrap`. An agent keeps what it knows in its data folder; one that is started
/// again there takes over the simulators that still run. SIGTERM ends the agent and leaves its simulators running.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  simfleet agent --data /var/lib/simfleet/agent --listen 127.0.0.1:7070
  curl http://127.0.0.1:7070/healthz
  simfleet agent --data /var/lib/simfleet/agent --listen 127.0.0.1:0 --address 0.0.0.0
  ssh ann@bench-3 simfleet agent dial"
)]
pub(super) struct Agent {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// The address and port to listen on
    #[arg(long, value_name = "ADDR", required = true)]
    listen: Option<SocketAddr>,
    /// The folder for all that it keeps; it must exist
    #[arg(long, value_name = "DIR", required = true)]
    data: Option<PathBuf>,
    /// The address that its simulators are told to listen at (SIMFLEET_ADDRESS): 0.0.0.0 where they are reached from other
    /// machines; that of --listen without it
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Connect standard input and output to the agent of this machine, after a line with its token
    ///
    /// What simfleet runs over ssh to reach the agent of another machine.
    Dial {
        /// The folder of the agent
        #[arg(long, value_name = "DIR", default_value = DATA)]
        data: PathBuf,
    },
}

impl Agent {
    pub(super) async fn run(&self) -> Result<Exit, Failure> {
        match (&self.verb, &self.listen, &self.data) {
            (Some(Verb::Dial { data }), ..) => {
                let ended = dial(&DataFolder::new(data));
                let ended = ended.map_err(|error| Diagnostic::error("Not connected", error.to_string()));
                Ok(ended.map(|()| Exit::Success)?)
            }
            (None, Some(listen), Some(data)) => run(*listen, self.address, data.clone()).await,
            _ => Err(Diagnostic::error("Missing flags", "An agent needs --listen and --data.").into()),
        }
    }
}

/// Runs an agent.
async fn run(listen: SocketAddr, address: Option<IpAddr>, data: PathBuf) -> Result<Exit, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::io(
            "The agent cannot start",
            "Finding its own program failed".to_owned(),
            &error,
        )
    })?;
    let options = AgentOptions {
        data,
        listen,
        address,
        program,
    };
    match serve(options).await {
        Ok(()) => Ok(Exit::Success),
        Err(error) => Err(Diagnostic::error("The agent ended", chain(&error)).into()),
    }
}
