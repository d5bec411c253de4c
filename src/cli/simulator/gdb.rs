//! `simulator gdb`: where a debugger gets in.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use serde_json::Map;
use simfleet_provider_api::{Ability, Provider};

use super::super::exit::{Exit, Failure};
use super::super::run::Run;
use super::Targets;
use crate::diagnostic::Diagnostic;

/// Print the command of GDB that leads into a simulator
#[derive(Debug, Args)]
#[command(
    override_usage = "simfleet simulator gdb [OPTIONS] [PATH] <ADDRESS>...",
    after_help = "\
Examples:
  gdb-multiarch firmware.elf -ex \"$(simfleet simulator gdb simulator.qemu.arm)\""
)]
pub(super) struct Gdb {
    #[command(flatten)]
    targets: Targets,
    /// Start gdb-multiarch, or gdb, there
    #[arg(long)]
    run: bool,
}

impl Gdb {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (fleet, patterns) = self.targets.open(run)?;
        for one in fleet.reach("gdb", Ability::Debug, Map::new(), &patterns).await? {
            let Some(runtime) = one.provider.runtime() else {
                continue;
            };
            let endpoint = runtime.debugger(&one.kind, &one.object).await.map_err(|error| {
                let detail = format!("No debugger gets in: {error}.");
                Diagnostic::error("Not reachable", detail).on(one.address.clone())
            })?;
            match self.run {
                true => return debug(&endpoint),
                false => run.terminal.print(&format!("target remote {endpoint}\n"))?,
            }
        }
        Ok(Exit::Success)
    }
}

/// Becomes a debugger that is connected.
fn debug(endpoint: &str) -> Result<Exit, Failure> {
    let command = format!("target remote {endpoint}");
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for debugger in DEBUGGERS {
        // It returns only where it fails.
        last = Command::new(debugger).args(["-ex", &command]).exec();
    }
    let names = DEBUGGERS.join(" or ");
    Err(Failure::io("No debugger", format!("Starting {names} failed"), &last))
}

/// The debuggers that are tried: one for all processors first.
const DEBUGGERS: [&str; 2] = ["gdb-multiarch", "gdb"];
