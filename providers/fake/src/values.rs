//! Values of simfleet as the fake cloud keeps them, and back, by the types of the schema.

use std::sync::Arc;

use serde_json::Value as Json;
use simfleet_provider_api::{Data, Number, Type, Value};

/// Why a value has no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    /// It is not known yet.
    #[error("its value is not known yet")]
    Unknown,
    /// Only a digest of it was kept.
    #[error("only a digest of its value is kept: it must be given again")]
    Redacted,
}

/// Returns a value as JSON. The mark of a sensitive value is lost.
pub fn to_json(value: &Value) -> Result<Json, NotJson> {
    let items = |items: &[Value]| {
        items
            .iter()
            .map(to_json)
            .collect::<Result<Vec<_>, _>>()
            .map(Json::Array)
    };
    Ok(match value.data() {
        Data::Null => Json::Null,
        Data::Bool(value) => Json::Bool(*value),
        Data::Number(number) => number.to_string().parse().map_or(Json::Null, Json::Number),
        Data::String(text) => Json::String(text.to_string()),
        Data::Tuple(list) | Data::List(list) | Data::Set(list) => items(list)?,
        Data::Object(_) | Data::Map(_) => {
            let fields = value.as_fields().into_iter().flatten();
            let fields = fields.map(|(name, value)| Ok((name.to_string(), to_json(value)?)));
            Json::Object(fields.collect::<Result<_, _>>()?)
        }
        Data::Unknown(_) => return Err(NotJson::Unknown),
        Data::Redacted(_) => return Err(NotJson::Redacted),
    })
}

/// Returns JSON as a canonical value of a type; `None` where it does not fit. Sets come in any order and are sorted; a
/// number may be written as a string, as some clouds do.
pub fn from_json(json: &Json, ty: &Type) -> Option<Value> {
    let each = |items: &[Json], of: &Type| items.iter().map(|item| from_json(item, of)).collect::<Option<Vec<_>>>();
    Some(match (ty, json) {
        (_, Json::Null) => Value::NULL,
        (Type::Any, json) => untyped(json)?,
        (Type::Bool, Json::Bool(value)) => (*value).into(),
        (Type::Number, Json::Number(number)) => number.as_str().parse::<Number>().ok()?.into(),
        (Type::Number, Json::String(text)) => text.parse::<Number>().ok()?.into(),
        (Type::String, Json::String(text)) => text.as_str().into(),
        (Type::List(of), Json::Array(items)) => Data::List(Arc::new(each(items, of)?)).into(),
        (Type::Set(of), Json::Array(items)) => {
            let mut items = items.clone();
            items.sort_by_key(Json::to_string);
            items.dedup();
            Data::Set(Arc::new(each(&items, of)?)).into()
        }
        (Type::Map(of), Json::Object(fields)) => {
            let fields = fields
                .iter()
                .map(|(name, json)| Some((Arc::from(name.as_str()), from_json(json, of)?)));
            Data::Map(Arc::new(fields.collect::<Option<_>>()?)).into()
        }
        _ => return None,
    })
}

fn untyped(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::NULL,
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => number.as_str().parse::<Number>().ok()?.into(),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => Value::tuple(items.iter().map(untyped).collect::<Option<Vec<_>>>()?),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, json)| Some((name.as_str(), untyped(json)?)));
            Value::object(fields.collect::<Option<Vec<_>>>()?)
        }
    })
}
