//! `simfleet simulator`: what is done with simulators by hand.
//!
//! - `hold`: start, stop, pause and resume; `act`: reset, load, snapshot and restore; `allocate`: whose they are
//! - `logs`: what they write; `console`, `gdb`: ways in

mod act;
mod allocate;
mod console;
mod gdb;
mod hold;
mod logs;
mod snapshots;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use simfleet_provider_api::Address;

use super::exit::{Exit, Failure};
use super::flags::{Looking, addresses, duration};
use super::reporting::reported;
use super::run::Run;
use crate::control::{Control, Done, Now};
use crate::fleet::Fleet;
use crate::plan::Pattern;
use crate::view;
use crate::view::Theme;

/// Start, stop, pause, reset simulators by hand; take them for yourself; read what they write
///
/// What is stopped or paused by hand is held so: plan and apply leave it alone until it is started again, or with
/// --release-holds. Each call is written to the audit log.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet simulator stop 'simulator.exec.job[3]'          one instance, until it is started
  simfleet simulator pause simulator.px4.iris --for 10m    all instances, for ten minutes
  simfleet simulator start simulator.px4.iris              and on they go
  simfleet simulator logs simulator.px4.iris --follow")]
pub(super) struct Simulator {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Start(hold::Start),
    Stop(hold::Stop),
    Pause(hold::Pause),
    Resume(hold::Resume),
    Reset(act::Reset),
    Load(act::Load),
    Snapshot(act::Snapshot),
    Restore(act::Restore),
    Snapshots(snapshots::Snapshots),
    Allocate(allocate::Allocate),
    Release(allocate::Release),
    Logs(logs::Logs),
    Console(console::Console),
    Gdb(gdb::Gdb),
}

impl Simulator {
    pub(super) fn is_json(&self) -> bool {
        match &self.verb {
            Verb::Allocate(verb) => verb.is_json(),
            _ => false,
        }
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Start(verb) => verb.run(run).await,
            Verb::Stop(verb) => verb.run(run).await,
            Verb::Pause(verb) => verb.run(run).await,
            Verb::Resume(verb) => verb.run(run).await,
            Verb::Reset(verb) => verb.run(run).await,
            Verb::Load(verb) => verb.run(run).await,
            Verb::Snapshot(verb) => verb.run(run).await,
            Verb::Restore(verb) => verb.run(run).await,
            Verb::Snapshots(verb) => verb.run(run).await,
            Verb::Allocate(verb) => verb.run(run).await,
            Verb::Release(verb) => verb.run(run).await,
            Verb::Logs(verb) => verb.run(run).await,
            Verb::Console(verb) => verb.run(run).await,
            Verb::Gdb(verb) => verb.run(run).await,
        }
    }
}

/// Which simulators, and how long to wait for them.
#[derive(Debug, Args)]
struct Targets {
    /// The fleet, a file or a folder; simulators: instances, or blocks with all their instances
    #[arg(value_name = "ADDRESS", num_args = 1.., required = true)]
    path_and_addresses: Vec<String>,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
struct Waiting {
    #[command(flatten)]
    looking: Looking,
    /// How long to wait for another run that works on the same simulators
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    lock_timeout: Duration,
}

impl Targets {
    /// Does something with them, and tells what was done.
    async fn control(&self, run: &Run, control: &Control) -> Result<Exit, Failure> {
        let (path, patterns) = addresses(&self.path_and_addresses)?;
        self.waiting.control(run, path, &patterns, control).await
    }

    /// Reads the fleet, to change something of it.
    fn open_to_change(&self, run: &Run) -> Result<(Fleet, Vec<Pattern>), Failure> {
        let (path, patterns) = addresses(&self.path_and_addresses)?;
        let waiting = &self.waiting;
        Ok((
            waiting.looking.open_to_change(run, path, waiting.lock_timeout)?,
            patterns,
        ))
    }

    /// Reads the fleet.
    fn open(&self, run: &Run) -> Result<(Fleet, Vec<Pattern>), Failure> {
        let (path, patterns) = addresses(&self.path_and_addresses)?;
        Ok((self.waiting.looking.open(run, path)?, patterns))
    }
}

impl Waiting {
    async fn control(
        &self,
        run: &Run,
        path: PathBuf,
        patterns: &[Pattern],
        control: &Control,
    ) -> Result<Exit, Failure> {
        let fleet = self.looking.open_to_change(run, path, self.lock_timeout)?;
        let stop = run.signals.graceful();
        let interrupted = stop.clone();
        let all = reported(run, false, async |progress| {
            fleet.control(control, patterns, &progress, stop).await
        })
        .await?;
        let exit = show(run, &all, |done, theme| view::control::render(control, done, theme))?;
        Ok(match *interrupted.borrow() && exit == Exit::Failure {
            true => Exit::Interrupted,
            false => exit,
        })
    }
}

/// Tells what was done, and why something was not.
fn show(run: &Run, all: &[Done], render: impl FnOnce(&[(&Address, &Now)], Theme) -> String) -> Result<Exit, Failure> {
    let (done, failed) = view::control::split(all);
    run.terminal.print(&render(&done, run.terminal.out))?;
    if failed.0.is_empty() {
        return Ok(Exit::Success);
    }
    run.terminal.tell(&view::diagnostics::render(&failed, run.terminal.err));
    Ok(Exit::Failure)
}
