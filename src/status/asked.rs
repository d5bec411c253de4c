//! What agents are asked for, beside what was seen of objects.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use simfleet_provider_agent::AgentClient;
use simfleet_provider_agent::protocol::NodeMetrics;
use simfleet_provider_api::{Address, Observed, Value};
use simfleet_state::State;

use super::{Load, exit, looked_at};
use crate::health::{self, Verdict};
use crate::lower::with_parts;
use crate::refresh::Observations;

/// What the agents of nodes tell beside the attributes of objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// When they were asked.
    pub at: Timestamp,
    /// The loads of nodes.
    pub loads: BTreeMap<Address, Load>,
    /// The last lines of the logs of simulators that ended.
    pub last_lines: BTreeMap<Address, String>,
    /// What looks at nodes with a `health_check` found.
    pub verdicts: BTreeMap<Address, Verdict>,
}

impl Asked {
    /// Asks the agents of the nodes that were seen. One that does not answer within `patience` tells nothing.
    pub async fn of(state: &State, seen: &Observations, patience: Duration) -> Self {
        let (loads, last_lines, verdicts) = futures::join!(
            loads(state, seen, patience),
            last_lines(state, seen, patience),
            health::of_all(state, seen)
        );
        Asked {
            at: Timestamp::now(),
            loads,
            last_lines,
            verdicts,
        }
    }
}

async fn loads(state: &State, seen: &Observations, patience: Duration) -> BTreeMap<Address, Load> {
    let agents = state
        .resources
        .keys()
        .filter_map(|address| Some((address, agent(state, seen, address, patience)?)));
    stream::iter(agents)
        .map(|(address, client)| async move { (address, client.metrics().await) })
        .buffer_unordered(16)
        .filter_map(|(address, metrics)| async move {
            let NodeMetrics { cpu, memory, .. } = metrics.ok()?;
            let memory = memory.percent;
            Some((address.clone(), Load { cpu, memory }))
        })
        .collect()
        .await
}

async fn last_lines(state: &State, seen: &Observations, patience: Duration) -> BTreeMap<Address, String> {
    let ended = state.resources.iter().filter_map(|(address, resource)| {
        let (attributes, health) = looked_at(resource, seen.get(address));
        exit(attributes, &health)?;
        let host = resource.declared.hosted_on.as_ref()?;
        let (client, name) = (agent(state, seen, host, patience)?, attributes.str("name")?);
        Some((address, client, name))
    });
    stream::iter(ended)
        .map(|(address, client, name)| async move { (address, client.logs(name, 1).await) })
        .buffer_unordered(16)
        .filter_map(|(address, lines)| async move { Some((address.clone(), lines.ok()?.pop()?)) })
        .collect()
        .await
}

/// Returns the client of a node's agent; `None` where it has none, or was not seen.
fn agent(state: &State, seen: &Observations, node: &Address, patience: Duration) -> Option<AgentClient> {
    let Some(Observed::Present(object)) = seen.get(node) else {
        return None;
    };
    let mut attributes = with_parts(node, &object.attributes, state).into_owned();
    // The path of the token file is recorded; an agent that was only seen may not tell it.
    let recorded = state.resources.get(node)?.object.attributes.get("token_file");
    if attributes.str("token_file").is_none() {
        attributes.set("token_file", recorded.cloned().unwrap_or(Value::NULL));
    }
    let client = AgentClient::of_settings(&attributes).ok()?;
    Some(client.with_timeout(patience))
}
