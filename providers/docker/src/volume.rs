//! The kind `volume`.

use std::collections::BTreeMap;

use simfleet_provider_api::{Attributes, Found, Object, ObjectId, Observed, ProviderError, Step, Token};

use crate::client::volume::{NewVolume, SeenVolume};
use crate::client::{Engine, Why, rejected};
use crate::labels::{self, LINEAGE, NAME, TOKEN};
use crate::object::{declared_labels, name_of, string_map, text_map, typed};
use crate::schema::VOLUME;

pub(crate) async fn read(engine: &Engine, id: &ObjectId) -> Result<Observed, ProviderError> {
    Ok(engine
        .volume(&id.0)
        .await?
        .map_or(Observed::Absent, |seen| Observed::Present(object(seen))))
}

pub(crate) async fn list(engine: &Engine) -> Result<Vec<Object>, ProviderError> {
    let volumes = engine.volumes_with(LINEAGE, &engine.lineage).await?;
    Ok(volumes.into_iter().map(object).collect())
}

pub(crate) async fn find(engine: &Engine, token: &Token) -> Result<Found, ProviderError> {
    let made = engine.volumes_with(TOKEN, &token.0).await?.into_iter().next();
    Ok(made.map_or(Found::Nothing, |seen| Found::Ready(object(seen))))
}

/// The engine makes a volume of a name once: asked again, it returns the one that is there.
pub(crate) async fn create(engine: &Engine, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
    let name = name_of(planned)?;
    let declared: BTreeMap<String, String> = string_map(planned.get("labels"));
    let volume = NewVolume {
        engine_name: labels::engine_name(name, &token.0),
        driver: planned.str("driver").unwrap_or("local").to_owned(),
        options: string_map(planned.get("options")),
        labels: labels::labels(&declared, &engine.lineage, name, token),
    };
    let made = engine.create_volume(volume).await.map_err(|error| match error.why {
        Why::NotFound | Why::Conflict | Why::Refused => rejected(error.message, None),
        _ => error.into(),
    })?;
    Ok(Step::Done(object(made)))
}

pub(crate) async fn delete(engine: &Engine, prior: &Object) -> Result<Step, ProviderError> {
    let Some(seen) = engine.volume(&prior.id.0).await? else {
        return Ok(Step::Gone);
    };
    let what = format!("volume `{}`", seen.engine_name);
    labels::check_owner(&seen.labels, &engine.lineage, &what)?;
    match engine.remove_volume(&prior.id.0).await {
        Ok(()) => Ok(Step::Gone),
        // Containers have it.
        Err(error) if error.why == Why::Conflict => Err(rejected(error.message, None)),
        Err(error) => Err(error.into()),
    }
}

fn object(seen: SeenVolume) -> Object {
    let mut attributes = Attributes::new();
    attributes.set("name", seen.labels.get(NAME).unwrap_or(&seen.engine_name).as_str());
    attributes.set("driver", seen.driver);
    attributes.set("options", text_map(&seen.options));
    attributes.set("labels", text_map(&declared_labels(&seen.labels)));
    attributes.set("id", seen.engine_name.as_str());
    let object = Object {
        id: ObjectId(seen.engine_name.into()),
        attributes,
        token: seen.labels.get(TOKEN).map(|token| Token(token.as_str().into())),
        version: None,
    };
    typed(&VOLUME, object)
}
