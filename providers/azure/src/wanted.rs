//! Attributes as simfleet wants them to JSON, and JSON that was read to canonical attributes.

use serde_json::{Map, Value as Json};
use simfleet_provider_api::json::{Hidden, NotPlain, from_json, to_json_with};
use simfleet_provider_api::{Attributes, Data, Mode, Path, ProviderError, Schema, Value, convert};

/// What a create or update asks for, in the types of the schema.
#[derive(Debug)]
pub(crate) struct Wanted(Map<String, Json>);

impl Wanted {
    /// Reads what is planned. What only the far side sets is left out, and so is a secret of which only a digest is kept.
    ///
    /// # Errors
    /// `Rejected` where something is missing, is not known, or does not fit.
    pub(crate) fn of(schema: &Schema, planned: &Attributes) -> Result<Self, ProviderError> {
        let rejected = |name: &str, problem: String| ProviderError::Rejected {
            message: format!("`{name}` of a {} {problem}", schema.kind),
            attribute: Some(Path::attribute(name)),
        };
        let mut fields = Map::new();
        for attribute in schema.attributes.iter().filter(|attribute| attribute.is_configurable()) {
            let name = attribute.name;
            let default = match &attribute.mode {
                Mode::Default(value) => Some(value),
                _ => None,
            };
            let Some(value) = planned.get(name).or(default) else {
                match attribute.mode {
                    Mode::Required => return Err(rejected(name, "is missing".to_owned())),
                    _ => continue,
                }
            };
            let is_left = attribute.mode == Mode::OptionalComputed && value.is_unknown();
            if is_left || matches!(value.data(), Data::Redacted(_)) {
                continue;
            }
            let value =
                convert(value, &attribute.ty).map_err(|error| rejected(name, format!("does not fit: {error}")))?;
            let json = revealed(&value).map_err(|error| rejected(name, format!("cannot be sent: {error}")))?;
            fields.insert(name.to_owned(), json);
        }
        if let Some((name, _)) = planned.iter().find(|(name, _)| schema.attribute(name).is_none()) {
            return Err(rejected(name, "is no attribute of it".to_owned()));
        }
        Ok(Wanted(fields))
    }

    /// Returns an attribute; `null` where it is absent.
    pub(crate) fn get(&self, name: &str) -> &Json {
        self.0.get(name).unwrap_or(&Json::Null)
    }

    pub(crate) fn str(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or_default()
    }

    pub(crate) fn items(&self, name: &str) -> impl Iterator<Item = &Json> {
        self.get(name).as_array().into_iter().flatten()
    }

    /// Returns `{"id": …}` of the object that an attribute names; `null` where it names none.
    pub(crate) fn reference(&self, name: &str) -> Json {
        match self.get(name).as_str() {
            Some(id) => serde_json::json!({ "id": id }),
            None => Json::Null,
        }
    }
}

/// Returns JSON for the far side itself, secrets in the clear.
fn revealed(value: &Value) -> Result<Json, NotPlain> {
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

/// Returns canonical attributes: in the types of the schema, without what is `null`.
///
/// # Errors
/// `Broken` where the far side shows what the schema has no form for.
pub(crate) fn canonical(schema: &Schema, seen: &Json) -> Result<Attributes, ProviderError> {
    let broken = |name: &str, problem: String| ProviderError::Broken {
        message: format!("Azure shows a {} whose `{name}` does not fit: {problem}", schema.kind),
    };
    let mut attributes = Attributes::new();
    for attribute in &schema.attributes {
        let name = attribute.name;
        let Some(json) = seen.get(name).filter(|json| !json.is_null()) else {
            continue;
        };
        let value = from_json(json).map_err(|error| broken(name, error.to_string()))?;
        let value = convert(&value, &attribute.ty).map_err(|error| broken(name, error.to_string()))?;
        attributes.set(name, value.mark(attribute.sensitive));
    }
    Ok(attributes)
}

/// Returns the id of something in Azure in one spelling: no service keeps the case that it was given.
pub(crate) fn folded(id: &str) -> String {
    id.trim_end_matches('/').to_lowercase()
}

/// Returns the folded id of what a field `{"id": …}` names; `null` where it names nothing.
pub(crate) fn folded_reference(field: Option<&Json>) -> Json {
    let id = field.and_then(|field| field.get("id")?.as_str());
    id.map_or(Json::Null, |id| folded(id).into())
}

/// Returns a copy of an object without the fields that are `null`, at any depth.
pub(crate) fn without_nulls(json: Json) -> Json {
    match json {
        Json::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, field)| !field.is_null());
            Json::Object(fields.map(|(name, field)| (name, without_nulls(field))).collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}
