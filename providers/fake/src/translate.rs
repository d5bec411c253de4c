//! Attributes as simfleet wants them to fields as the fake cloud takes them, and back to canonical attributes.

use serde_json::Value as Json;
use simfleet_provider_api::json::{Hidden, NotPlain, from_json, to_json_with};
use simfleet_provider_api::{
    Attribute, Attributes, Data, Kind, Mode, Object, ObjectId, Path, ProviderError, Schema, Token, Value, convert,
};

use crate::calls::{Fields, Record};
use crate::cloud::OWN_LABEL;
use crate::kinds;

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
        if matches!(value.data(), Data::Redacted(_)) {
            keep.push(name.to_string());
            continue;
        }
        let json = revealed(value).map_err(|cause| ProviderError::Rejected {
            message: format!("`{name}` of a {kind} cannot be sent: {cause}"),
            attribute: Some(Path::attribute(name.clone())),
        })?;
        fields.insert(name.to_string(), json);
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
        let value = canonical(json, attribute).ok_or_else(|| ProviderError::Broken {
            message: format!("`{}` of {} is not of type {}", attribute.name, record.id, attribute.ty),
        })?;
        attributes.set(attribute.name, value);
    }
    Ok(Object {
        id: ObjectId(record.id.into()),
        attributes,
        token: Some(Token(record.token.into())),
        version: Some(record.version.into()),
    })
}

/// Returns a field as a value of the attribute's type: sets sorted, numbers that come as strings as numbers.
fn canonical(json: &Json, attribute: &Attribute) -> Option<Value> {
    let value = from_json(json).ok()?;
    let value = convert(&value, &attribute.ty).ok()?;
    Some(value.mark(attribute.sensitive))
}

/// Returns a value as JSON, secrets in the clear: what the cloud is sent.
pub fn revealed(value: &Value) -> Result<Json, NotPlain> {
    to_json_with(value, &mut |path, hidden| match hidden {
        Hidden::Sensitive(value) => revealed(&value.clone().unmarked()),
        Hidden::Unknown(_) => Err(NotPlain {
            path: path.clone(),
            what: "not known yet",
        }),
        Hidden::Redacted(_) => Err(NotPlain {
            path: path.clone(),
            what: "kept as a digest only",
        }),
    })
}

fn schema(kind: &Kind) -> Result<&'static Schema, ProviderError> {
    kinds::schema(kind.as_str()).ok_or_else(|| ProviderError::Broken {
        message: format!("the fake cloud has no kind `{kind}`"),
    })
}
