//! The kind `host`: a machine with an agent, which exists. It is looked at, and never made, changed or deleted.

use simfleet_provider_api::{Attributes, Object, ObjectId, Observed, ProviderError, Step, Value};

use crate::client::{AgentClient, ClientError};
use crate::schema::number;

pub(crate) async fn read(agent: &AgentClient, id: &ObjectId) -> Result<Observed, ClientError> {
    let seen = object(agent).await?;
    // Where another agent answers, or one that lost what it kept, this one is gone, and what it ran with it.
    Ok(match seen.id == *id {
        true => Observed::Present(seen),
        false => Observed::Absent,
    })
}

pub(crate) async fn list(agent: &AgentClient) -> Result<Vec<Object>, ClientError> {
    Ok(vec![object(agent).await?])
}

/// Adopts the machine.
pub(crate) async fn create(agent: &AgentClient) -> Result<Step, ProviderError> {
    Ok(Step::Done(object(agent).await?))
}

async fn object(agent: &AgentClient) -> Result<Object, ClientError> {
    let version = agent.version().await?;
    let node = agent.node().await?;
    let mut attributes = Attributes::new();
    attributes.set("runtime", agent.runtime());
    attributes.set("address", agent.host());
    attributes.set("cpus", node.cpus.map_or(Value::NULL, number));
    attributes.set("memory", node.memory.map_or(Value::NULL, Value::from));
    attributes.set("version", version.program);
    attributes.set("status", "running");
    attributes.set("id", node.health.node.as_str());
    Ok(Object {
        id: ObjectId(node.health.node.into()),
        attributes,
        token: None,
        version: None,
    })
}
