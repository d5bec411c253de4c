//! The kind `engine`: an engine that exists. It is looked at, and never made, changed or deleted.

use simfleet_provider_api::{Attributes, Object, ObjectId, Observed, ProviderError, Step, Value};

use crate::client::{Engine, Machine};
use crate::object::typed;
use crate::schema::ENGINE;

pub(crate) async fn read(engine: &Engine, id: &ObjectId) -> Result<Observed, ProviderError> {
    let seen = object(engine).await?;
    // Where another engine answers, this one is gone, and its containers with it.
    Ok(match seen.id == *id {
        true => Observed::Present(seen),
        false => Observed::Absent,
    })
}

pub(crate) async fn list(engine: &Engine) -> Result<Vec<Object>, ProviderError> {
    Ok(vec![object(engine).await?])
}

/// Adopts the engine.
pub(crate) async fn create(engine: &Engine) -> Result<Step, ProviderError> {
    Ok(Step::Done(object(engine).await?))
}

async fn object(engine: &Engine) -> Result<Object, ProviderError> {
    let Machine {
        id,
        cpus,
        memory,
        version,
    } = engine.look().await?;
    let mut attributes = Attributes::new();
    attributes.set("runtime", engine.runtime.as_str());
    attributes.set("address", engine.endpoint.address());
    attributes.set("cpus", Value::from(cpus));
    attributes.set("memory", Value::from(memory));
    attributes.set("version", version);
    attributes.set("status", "running");
    attributes.set("id", id.as_str());
    let object = Object {
        id: ObjectId(id.into()),
        attributes,
        token: None,
        version: None,
    };
    Ok(typed(&ENGINE, object))
}
