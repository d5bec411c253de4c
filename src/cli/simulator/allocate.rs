//! `simulator allocate`, `release`.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use simfleet_provider_api::Address;

use super::super::exit::{Exit, Failure};
use super::super::flags::duration;
use super::super::reporting::reported;
use super::super::run::Run;
use super::super::status;
use super::{Targets, show};
use crate::fleet;
use crate::view::control::{allocated, released};
use crate::view::status::simulators_json;

/// Take simulators for yourself, so that nobody else is given one and no scaler removes it
///
/// All that are named, or none; with --any one of them that is free and runs. `simfleet simulators` shows who has which.
/// `simfleet apply` says before it stops one, and `simfleet watch` does not before it is released.
#[derive(Debug, Args)]
#[command(
    override_usage = "simfleet simulator allocate [OPTIONS] [PATH] <ADDRESS>...",
    after_help = "\
Examples:
  simfleet simulator allocate 'simulator.px4.iris[0]'                      until it is released
  simfleet simulator allocate simulator.px4.iris --any --for 30m           one that is free, for half an hour
  simfleet simulator allocate simulator.px4.iris --any --wait 10m --json   as from a test: wait for one, print where it is"
)]
pub(super) struct Allocate {
    #[command(flatten)]
    targets: Targets,
    /// One of them that is free and runs
    #[arg(long)]
    any: bool,
    /// For how long: without it until it is released
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    length: Option<Duration>,
    /// How long to wait until they can be had
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    wait: Duration,
    /// Print the simulators as JSON, as `simfleet simulators -o json` does
    #[arg(long)]
    json: bool,
}

/// Give simulators back
#[derive(Debug, Args)]
#[command(override_usage = "simfleet simulator release [OPTIONS] [PATH] <ADDRESS>...")]
pub(super) struct Release {
    #[command(flatten)]
    targets: Targets,
    /// Also those that somebody else has
    #[arg(long)]
    force: bool,
}

impl Allocate {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (fleet, patterns) = self.targets.open_to_change(run)?;
        let how = fleet::Allocate {
            any: self.any,
            length: self.length,
            wait: self.wait,
        };
        let stop = run.signals.graceful();
        let all = reported(run, false, async |progress| {
            fleet.allocate(how, &patterns, &progress, stop).await
        })
        .await?;
        if self.json {
            let wanted: BTreeSet<&Address> = all.iter().map(|done| &done.address).collect();
            let mut simulators = status::now(&fleet).await?.simulators;
            simulators.retain(|simulator| wanted.contains(&simulator.address));
            run.terminal.print_json(&simulators_json(&simulators))?;
            return Ok(Exit::Success);
        }
        show(run, &all, allocated)
    }
}

impl Release {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (fleet, patterns) = self.targets.open_to_change(run)?;
        let all = reported(run, false, async |progress| {
            fleet.release(self.force, &patterns, &progress).await
        })
        .await?;
        show(run, &all, released)
    }
}
