//! `simfleet top`: what nodes have to do, as it changes.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::exit::{Exit, Failure};
use super::flags::Looking;
use super::run::Run;
use super::status::now;
use crate::config::units::duration;
use crate::view::top as view;

/// Clears a terminal: to its upper left, and all below that erased (ECMA-48 CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[J";

/// Show the load of nodes, the busiest first, and the sizes of pools, as they change
///
/// Runs until it is stopped. Where it does not print to a terminal, it prints once, but for --json.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet top
  simfleet top --interval 10s
  simfleet top --once | head")]
pub(super) struct Top {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
    /// How long it shows the same
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    interval: Duration,
    /// Print once
    #[arg(long)]
    once: bool,
    /// Print JSON, one document a line each time
    #[arg(long)]
    json: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    match interval.is_zero() {
        true => Err("it must be longer than nothing".to_owned()),
        false => Ok(interval),
    }
}

impl Top {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        let is_terminal = std::io::stdout().is_terminal();
        let mut stop = run.signals.graceful();
        loop {
            let state = fleet.snapshot().await?.state;
            // Agents that hang have their time, and whoever wants to go need not wait for them.
            let status = tokio::select! {
                status = now(&fleet) => status?,
                _ = stop.wait_for(|stop| *stop) => return Ok(Exit::Success),
            };
            let text = match self.json {
                true => format!("{}\n", view::json(&status, &state.pools, Timestamp::now())),
                false => view::render(&status, &state.pools, run.terminal.out),
            };
            match is_terminal && !self.json && !self.once {
                true => run.terminal.print(&format!("{CLEAR}{text}"))?,
                false => run.terminal.print(&text)?,
            }
            if self.once || !is_terminal && !self.json {
                return Ok(Exit::Success);
            }
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                _ = stop.wait_for(|stop| *stop) => return Ok(Exit::Success),
            }
        }
    }
}
