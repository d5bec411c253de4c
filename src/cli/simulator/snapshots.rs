//! `simulator snapshots`: those that there are.

use std::time::SystemTime;

use clap::Args;
use jiff::Timestamp;
use serde_json::Map;
use simfleet_provider_api::runtime::Snapshot;
use simfleet_provider_api::{Ability, Provider};

use super::super::exit::{Exit, Failure};
use super::super::run::Run;
use super::Targets;
use crate::diagnostic::Diagnostic;

/// List the snapshots of simulators, oldest first
#[derive(Debug, Args)]
#[command(override_usage = "simfleet simulator snapshots [OPTIONS] [PATH] <ADDRESS>...")]
pub(super) struct Snapshots {
    #[command(flatten)]
    targets: Targets,
}

impl Snapshots {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (fleet, patterns) = self.targets.open(run)?;
        let all = fleet
            .reach("snapshots", Ability::Snapshot, Map::new(), &patterns)
            .await?;
        for one in &all {
            let Some(runtime) = one.provider.runtime() else {
                continue;
            };
            let snapshots = runtime.snapshots(&one.kind, &one.object).await.map_err(|error| {
                let detail = format!("Its snapshots cannot be read: {error}.");
                Diagnostic::error("No snapshots", detail).on(one.address.clone())
            })?;
            for snapshot in snapshots {
                run.terminal.print(&format!("{}  {}\n", one.address, line(&snapshot)))?;
            }
        }
        Ok(Exit::Success)
    }
}

/// Returns `NAME  2026-11-21T10:00:00Z  1234 bytes`.
fn line(snapshot: &Snapshot) -> String {
    let time = |made: SystemTime| Timestamp::try_from(made).map(|made| made.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let made = snapshot.made.and_then(|made| time(made).ok());
    let size = snapshot.size.map(|size| format!("{size} bytes"));
    let parts = [Some(snapshot.name.clone()), made, size];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}
