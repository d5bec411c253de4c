//! `simfleet agent`: what runs on a node.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use simfleet_provider_agent::{AgentOptions, serve};

use super::exit::{Exit, Failure};
use crate::diagnostic::Diagnostic;
use crate::view::failure::chain;

/// Run the agent of a node: it starts, watches and stops the node's simulators
///
/// The local provider starts agents by itself. An agent keeps what it knows in its data folder; one that is started
/// again there takes over the simulators that still run. SIGTERM ends the agent and leaves its simulators running.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet agent --data /var/lib/simfleet --listen 127.0.0.1:7070
  curl http://127.0.0.1:7070/healthz")]
pub(super) struct Agent {
    /// The address and port to listen on
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The folder for all that it keeps; it must exist
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl Agent {
    pub(super) async fn run(&self) -> Result<Exit, Failure> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::io(
                "The agent cannot start",
                "Finding its own program failed".to_owned(),
                &error,
            )
        })?;
        let options = AgentOptions {
            data: self.data.clone(),
            listen: self.listen,
            program,
        };
        match serve(options).await {
            Ok(()) => Ok(Exit::Success),
            Err(error) => Err(Diagnostic::error("The agent ended", chain(&error)).into()),
        }
    }
}
