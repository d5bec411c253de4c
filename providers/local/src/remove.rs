//! Ends what is left of a node whose agent is not there to do it, or does not answer.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::Signal;
use simfleet_provider_agent::identity::ProcessIdentity;
use simfleet_provider_agent::layout::{Claim, DataFolder, SimulatorFolder};
use simfleet_provider_agent::{durable, sweep};
use tokio::time::{Instant, timeout_at};

/// How long after its grace a shim is waited for.
const MARGIN: Duration = Duration::from_secs(2);

/// Kills an agent that does not answer, and returns when it has ended.
pub(crate) async fn kill_agent(agent: &ProcessIdentity) -> io::Result<()> {
    agent.signal(Signal::KILL)?;
    tokio::time::timeout(Duration::from_secs(10), agent.ended())
        .await
        .map_err(|_| io::Error::other(format!("process {} does not end", agent.pid)))
}

/// Ends the simulators of a node whose agent has ended: each by its shim within its grace, then whatever carries the
/// node's cookie. Returns when none of them lives.
pub(crate) async fn end_simulators(data: &DataFolder) -> io::Result<()> {
    let mut shims = Vec::new();
    for folder in simulators(data)? {
        let running: Option<serde_json::Value> = durable::read_json(&folder.running())?;
        let shim = running.and_then(|running| serde_json::from_value::<ProcessIdentity>(running["shim"].clone()).ok());
        let Some(shim) = shim.filter(ProcessIdentity::is_alive) else {
            continue;
        };
        shim.signal(Signal::TERM)?;
        let spec: Option<serde_json::Value> = durable::read_json(&folder.spec())?;
        let grace = spec.and_then(|spec| spec["grace"].as_f64()).unwrap_or_default();
        let grace = Duration::try_from_secs_f64(grace).unwrap_or_default();
        shims.push((shim, Instant::now() + grace + MARGIN));
    }
    for (shim, deadline) in shims {
        if timeout_at(deadline, shim.ended()).await.is_err() {
            shim.signal(Signal::KILL)?;
        }
    }
    let Some(claim) = durable::read_json::<Claim>(&data.claim())? else {
        return Ok(());
    };
    if sweep(&format!("{}:", claim.node)).await {
        Ok(())
    } else {
        Err(io::Error::other("some processes of its simulators do not end"))
    }
}

fn simulators(data: &DataFolder) -> io::Result<Vec<SimulatorFolder>> {
    match fs::read_dir(data.simulators()) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| SimulatorFolder::new(entry.path())))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
