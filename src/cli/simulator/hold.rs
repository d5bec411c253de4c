//! `simulator start`, `stop`, `pause`, `resume`.

use std::time::Duration;

use clap::Args;

use super::super::exit::{Exit, Failure};
use super::super::flags::duration;
use super::super::run::Run;
use super::Targets;
use crate::control::Control;

/// Start simulators that were stopped or paused by hand, or that ended
///
/// The hold ends. What is declared as stopped is stopped again by the next apply.
#[derive(Debug, Args)]
#[command(override_usage = "simfleet simulator start [OPTIONS] [PATH] <ADDRESS>...")]
pub(super) struct Start {
    #[command(flatten)]
    targets: Targets,
}

/// Stop simulators, and hold them so
///
/// They keep their node and their ports. Plan and apply leave them stopped until they are started again.
#[derive(Debug, Args)]
#[command(
    override_usage = "simfleet simulator stop [OPTIONS] [PATH] <ADDRESS>...",
    after_help = "\
Examples:
  simfleet simulator stop simulator.exec.job
  simfleet simulator stop 'simulator.exec.job[0]' --for 2h"
)]
pub(super) struct Stop {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    lasting: Lasting,
}

/// Pause simulators where they are, and hold them so
#[derive(Debug, Args)]
#[command(override_usage = "simfleet simulator pause [OPTIONS] [PATH] <ADDRESS>...")]
pub(super) struct Pause {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    lasting: Lasting,
}

/// Have paused simulators go on
#[derive(Debug, Args)]
#[command(override_usage = "simfleet simulator resume [OPTIONS] [PATH] <ADDRESS>...")]
pub(super) struct Resume {
    #[command(flatten)]
    targets: Targets,
}

#[derive(Debug, Args)]
struct Lasting {
    /// For how long: the first plan after that wants what is declared again
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    length: Option<Duration>,
}

impl Start {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        self.targets.control(run, &Control::Start).await
    }
}

impl Stop {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let length = self.lasting.length;
        self.targets.control(run, &Control::Stop { length }).await
    }
}

impl Pause {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let length = self.lasting.length;
        self.targets.control(run, &Control::Pause { length }).await
    }
}

impl Resume {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        self.targets.control(run, &Control::Resume).await
    }
}
