//! The kind `network`.

use std::collections::BTreeMap;

use simfleet_provider_api::{Attributes, Found, Object, ObjectId, Observed, ProviderError, Step, Token, Value};

use crate::client::network::{NewNetwork, SeenNetwork};
use crate::client::{CallError, Engine, Why, rejected};
use crate::labels::{self, LINEAGE, NAME, TOKEN};
use crate::object::{declared_labels, name_of, string_map, text_map, typed};
use crate::schema::NETWORK;

pub(crate) async fn read(engine: &Engine, id: &ObjectId) -> Result<Observed, ProviderError> {
    Ok(engine
        .network(&id.0)
        .await?
        .map_or(Observed::Absent, |seen| Observed::Present(object(seen))))
}

pub(crate) async fn list(engine: &Engine) -> Result<Vec<Object>, ProviderError> {
    let networks = engine.networks_with(LINEAGE, &engine.lineage).await?;
    Ok(networks.into_iter().map(object).collect())
}

pub(crate) async fn find(engine: &Engine, token: &Token) -> Result<Found, ProviderError> {
    let made = engine.networks_with(TOKEN, &token.0).await?.into_iter().next();
    Ok(made.map_or(Found::Nothing, |seen| Found::Ready(object(seen))))
}

/// Networks of an old engine may share a name, so one that a cut-off call made is looked for first. Of two calls at once the
/// slower one is refused the interface, and finds what the faster one made.
pub(crate) async fn create(engine: &Engine, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
    if let Found::Ready(object) = find(engine, token).await? {
        return Ok(Step::Done(object));
    }
    let name = name_of(planned)?;
    let declared: BTreeMap<String, String> = string_map(planned.get("labels"));
    let network = NewNetwork {
        engine_name: labels::engine_name(name, &token.0),
        driver: planned.str("driver").unwrap_or("bridge").to_owned(),
        cidr: planned.str("cidr").map(str::to_owned),
        internal: planned.get("internal").and_then(Value::as_bool).unwrap_or_default(),
        interface: format!("sf-{}", labels::start_of(&token.0)),
        labels: labels::labels(&declared, &engine.lineage, name, token),
    };
    let id = match engine.create_network(network).await {
        Ok(id) => id,
        Err(error) if error.message.contains("same bridge name") || error.message.contains("already exists") => {
            return match find(engine, token).await.map_err(ProviderError::halfway)? {
                Found::Ready(object) => Ok(Step::Done(object)),
                // The other call is not done yet.
                _ => Err(ProviderError::Ambiguous { message: error.message }),
            };
        }
        Err(error) if matches!(error.why, Why::NotFound | Why::Conflict | Why::Refused) => {
            return Err(rejected(error.message, None));
        }
        Err(error) => return Err(error.into()),
    };
    match engine.network(&id).await.map_err(CallError::halfway)? {
        Some(seen) => Ok(Step::Done(object(seen))),
        None => Err(ProviderError::Conflict {
            message: format!("the network {id} was deleted as soon as it was made"),
        }),
    }
}

pub(crate) async fn delete(engine: &Engine, prior: &Object) -> Result<Step, ProviderError> {
    let Some(seen) = engine.network(&prior.id.0).await? else {
        return Ok(Step::Gone);
    };
    let what = format!("network `{}`", seen.engine_name);
    labels::check_owner(&seen.labels, &engine.lineage, &what)?;
    match engine.remove_network(&prior.id.0).await {
        Ok(()) => Ok(Step::Gone),
        Err(error) if matches!(error.why, Why::Refused | Why::Conflict) => {
            let mut members = Vec::new();
            for member in engine.members_of_network(&prior.id.0).await? {
                if engine.container(&member).await?.is_some() {
                    members.push(member);
                }
            }
            match members.is_empty() {
                // The engine is not done with those that were deleted just now.
                true if error.message.contains("active endpoints") => Err(ProviderError::NotSent {
                    message: error.message,
                    retry_after: None,
                }),
                true => Err(rejected(error.message, None)),
                false => Err(rejected(format!("containers are in it: {}", members.join(", ")), None)),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn object(seen: SeenNetwork) -> Object {
    let mut attributes = Attributes::new();
    attributes.set("name", seen.labels.get(NAME).unwrap_or(&seen.engine_name).as_str());
    attributes.set("driver", seen.driver);
    attributes.set("cidr", seen.cidr.map_or(Value::NULL, Value::from));
    attributes.set("internal", seen.internal);
    attributes.set("labels", text_map(&declared_labels(&seen.labels)));
    attributes.set("id", seen.id.as_str());
    attributes.set("engine_name", seen.engine_name);
    let object = Object {
        id: ObjectId(seen.id.into()),
        attributes,
        token: seen.labels.get(TOKEN).map(|token| Token(token.as_str().into())),
        version: None,
    };
    typed(&NETWORK, object)
}
