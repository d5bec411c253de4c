//! Attributes as simfleet wants them to fields as the fake cloud takes them, and back to canonical attributes.

use simfleet_provider_api::{
    Attributes, Data, Kind, Mode, Object, ObjectId, Path, ProviderError, Schema, Token, Value,
};

use crate::calls::{Fields, Record};
use crate::cloud::OWN_LABEL;
use crate::kinds;
use crate::values::{NotJson, from_json, to_json};

/// What a create or update asks for.
#[derive(Debug)]
pub struct Wanted {
    /// The fields to send.
    pub fields: Fields,
    /// The attributes of which only a digest is known: they stay as they are.
    pub keep: Vec<String>,
}

/// Returns what to send. What only the far side sets is left out.
pub fn wanted(kind: &Kind, planned: &Attributes) -> Result<Wanted, ProviderError> {
    let schema = schema(kind)?;
    let (mut fields, mut keep) = (Fields::new(), Vec::new());
    for (name, value) in planned.iter() {
        let Some(attribute) = schema.attribute(name) else {
            return Err(ProviderError::Rejected {
                message: format!("a {kind} has no attribute `{name}`"),
                attribute: Some(Path::attribute(name.clone())),
            });
        };
        if !attribute.is_configurable() || (attribute.mode == Mode::OptionalComputed && value.is_unknown()) {
            continue;
        }
        match to_json(value) {
            Ok(json) => {
                fields.insert(name.to_string(), json);
            }
            Err(NotJson::Redacted) if matches!(value.data(), Data::Redacted(_)) => keep.push(name.to_string()),
            Err(cause) => {
                return Err(ProviderError::Rejected {
                    message: format!("`{name}` cannot be sent: {cause}"),
                    attribute: Some(Path::attribute(name.clone())),
                });
            }
        }
    }
    Ok(Wanted { fields, keep })
}

/// Returns an object of the cloud with canonical attributes.
pub fn object(kind: &Kind, mut record: Record) -> Result<Object, ProviderError> {
    let schema = schema(kind)?;
    if let Some(serde_json::Value::String(size)) = record.fields.get_mut("size") {
        size.make_ascii_lowercase();
    }
    if let Some(serde_json::Value::Object(labels)) = record.fields.get_mut("labels") {
        labels.remove(OWN_LABEL);
    }
    let mut attributes = Attributes::new();
    for attribute in &schema.attributes {
        let Some(json) = record.fields.get(attribute.name) else {
            continue;
        };
        let value: Value = from_json(json, &attribute.ty).ok_or_else(|| ProviderError::Broken {
            message: format!("`{}` of {} is not of type {}", attribute.name, record.id, attribute.ty),
        })?;
        attributes.set(attribute.name, value.mark(attribute.sensitive));
    }
    Ok(Object {
        id: ObjectId(record.id.into()),
        attributes,
        token: Some(Token(record.token.into())),
        version: Some(record.version.into()),
    })
}

fn schema(kind: &Kind) -> Result<&'static Schema, ProviderError> {
    kinds::schema(kind.as_str()).ok_or_else(|| ProviderError::Broken {
        message: format!("the fake cloud has no kind `{kind}`"),
    })
}
