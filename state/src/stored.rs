//! The stored form of events and states: JSON, versioned, without any secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::encoding::{self, Digests};
use simfleet_provider_api::{Attributes, Value};

use crate::declaration::{Declaration, Operation, Outcome, Remains};
use crate::error::StateError;
use crate::event::{Configuration, Event};
use crate::state::State;

/// The version of the stored form of events, kept with each group. Raised with every change that an older simfleet could not
/// read, or would read and lose a part of; what older versions wrote is brought up to date by [`read`].
///
/// - 1: the first
/// - 2: `cordoned` and `uncordoned`; how a member is emptied, in its declaration. All of 1 is as it was.
/// - 3: `allocated` and `deallocated`. All of 2 is as it was.
pub const VERSION: u32 = 3;

/// The oldest version that is understood.
const OLDEST: u32 = 1;

/// Whether the stored form of a version is understood.
pub fn is_known(version: u32) -> bool {
    (OLDEST..=VERSION).contains(&version)
}

/// Why stored events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A newer simfleet wrote them.
    #[error("they have format {found}, and this simfleet knows formats up to {VERSION}")]
    Newer {
        /// Their version.
        found: u32,
    },
    /// They are none.
    #[error("they are not events")]
    Malformed {
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// Writes events that were redacted, as one JSON array.
///
/// # Errors
/// Where a sensitive value is in the clear.
pub fn write(events: &[Event]) -> Result<String, StateError> {
    let mut text = String::from("[");
    for (i, event) in events.iter().enumerate() {
        text.push_str(if i == 0 { "" } else { "," });
        text += &serde_json::to_string(event).map_err(|source| StateError::Unencodable {
            event: event.name(),
            source,
        })?;
    }
    text.push(']');
    Ok(text)
}

/// Reads events of this or an older version.
///
/// # Errors
/// Where they are newer, or none.
pub fn read(version: u32, text: &str) -> Result<Vec<Event>, ReadError> {
    match is_known(version) {
        true => serde_json::from_str(text).map_err(|source| ReadError::Malformed { source }),
        false => Err(ReadError::Newer { found: version }),
    }
}

/// What becomes of a value.
pub type Change<'a> = &'a mut dyn FnMut(&Value) -> Value;

/// Returns the event with every sensitive value replaced by a salted digest.
pub fn redacted(event: &Event, digests: Digests<'_>) -> Event {
    let mut event = event.clone();
    rewrite(&mut event, &mut |value| encoding::redact(value, digests));
    event
}

/// Changes every value of the language that an event holds.
pub fn rewrite(event: &mut Event, change: Change<'_>) {
    match event {
        Event::Started { operation, .. } => rewrite_operation(operation, change),
        Event::Succeeded { outcome, .. } | Event::Observed { outcome, .. } => match outcome {
            Outcome::Object(object) => rewrite_attributes(&mut object.attributes, change),
            Outcome::Gone => {}
        },
        Event::Failed { remains, .. } => match remains {
            Remains::Object(object) => rewrite_attributes(&mut object.attributes, change),
            Remains::AsBefore | Remains::Gone => {}
        },
        Event::Adopted { declared, object, .. } => {
            rewrite_declaration(declared, change);
            rewrite_attributes(&mut object.attributes, change);
        }
        Event::Redeclared { declared, .. } => rewrite_declaration(declared, change),
        Event::Outputs { values } => values.values_mut().for_each(|value| *value = change(value)),
        Event::Intended { configuration, .. } => rewrite_configuration(configuration, change),
        Event::Pushed { state } => rewrite_state(Arc::make_mut(state), change),
        // These hold no values of the language.
        Event::Began { .. }
        | Event::Accepted { .. }
        | Event::Abandoned { .. }
        | Event::Deposed { .. }
        | Event::Restored { .. }
        | Event::Tainted { .. }
        | Event::Untainted { .. }
        | Event::Cordoned { .. }
        | Event::Uncordoned { .. }
        | Event::Removed { .. }
        | Event::Reserved { .. }
        | Event::Released { .. }
        | Event::Held { .. }
        | Event::Unheld { .. }
        | Event::Allocated { .. }
        | Event::Deallocated { .. }
        | Event::Scaled { .. }
        | Event::Moved { .. } => {}
    }
}

/// Changes every value of the language that a state holds.
pub fn rewrite_state(state: &mut State, change: Change<'_>) {
    let deposed = state.deposed.values_mut().flat_map(BTreeMap::values_mut);
    for resource in state.resources.values_mut().chain(deposed) {
        rewrite_declaration(&mut resource.declared, change);
        rewrite_attributes(&mut resource.object.attributes, change);
    }
    for intent in state.intents.values_mut() {
        rewrite_operation(&mut intent.operation, change);
    }
    state.outputs.values_mut().for_each(|value| *value = change(value));
    rewrite_configuration(&mut state.configuration, change);
}

fn rewrite_operation(operation: &mut Operation, change: Change<'_>) {
    match operation {
        Operation::Create { declared } | Operation::Update { declared, .. } => rewrite_declaration(declared, change),
        Operation::Delete { .. } => {}
    }
}

fn rewrite_declaration(declared: &mut Declaration, change: Change<'_>) {
    rewrite_attributes(&mut declared.provider.settings, change);
    rewrite_attributes(&mut declared.inputs, change);
}

fn rewrite_configuration(configuration: &mut Option<Arc<Configuration>>, change: Change<'_>) {
    if let Some(configuration) = configuration {
        rewrite_attributes(&mut Arc::make_mut(configuration).variables, change);
    }
}

/// Most attributes hold nothing sensitive, and stay the same values in memory.
fn rewrite_attributes(attributes: &mut Attributes, change: Change<'_>) {
    if attributes.iter().any(|(_, value)| value.has_sensitive()) {
        *attributes = attributes
            .iter()
            .map(|(name, value)| (name.clone(), change(value)))
            .collect();
    }
}

/// For `#[serde(with = "…")]` on an [`Object`].
pub(crate) mod object {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use simfleet_provider_api::encoding::Encoded;
    use simfleet_provider_api::{Object, ObjectId, Token};

    #[derive(Serialize, Deserialize)]
    struct Stored {
        id: ObjectId,
        attributes: Encoded,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Token>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Arc<str>>,
    }

    pub fn serialize<S: Serializer>(object: &Object, serializer: S) -> Result<S::Ok, S::Error> {
        Stored {
            id: object.id.clone(),
            attributes: Encoded::of_attributes(&object.attributes).map_err(serde::ser::Error::custom)?,
            token: object.token.clone(),
            version: object.version.clone(),
        }
        .serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        Ok(Object {
            id: stored.id,
            attributes: stored
                .attributes
                .decode_attributes()
                .map_err(serde::de::Error::custom)?,
            token: stored.token,
            version: stored.version,
        })
    }
}

/// For `#[serde(with = "…")]` on values by name.
pub(crate) mod values {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
    use simfleet_provider_api::encoding::Encoded;

    use super::*;

    pub fn serialize<S: Serializer>(values: &BTreeMap<Arc<str>, Value>, serializer: S) -> Result<S::Ok, S::Error> {
        let encoded: BTreeMap<_, _> = values
            .iter()
            .map(|(name, value)| Ok((name, Encoded::of(value)?)))
            .collect::<Result<_, encoding::EncodingError>>()
            .map_err(ser::Error::custom)?;
        encoded.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Arc<str>, Value>, D::Error> {
        BTreeMap::<Arc<str>, Encoded>::deserialize(deserializer)?
            .into_iter()
            .map(|(name, encoded)| Ok((name, encoded.decode()?)))
            .collect::<Result<_, encoding::EncodingError>>()
            .map_err(de::Error::custom)
    }
}
