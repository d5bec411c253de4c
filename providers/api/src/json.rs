//! Plain JSON: values that are known and not secret.

use serde_json::Value as Json;

use crate::number::NumberError;
use crate::{Data, Digest, Path, PathStep, Unknown, Value};

/// Returns JSON as a value: arrays are tuples, objects are objects.
pub fn from_json(json: &Json) -> Result<Value, NumberError> {
    Ok(match json {
        Json::Null => Value::NULL,
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => number.as_str().parse::<crate::Number>()?.into(),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => Value::tuple(items.iter().map(from_json).collect::<Result<Vec<_>, _>>()?),
        Json::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, field)| Ok((name.as_str(), from_json(field)?)))
                .collect::<Result<Vec<_>, NumberError>>()?;
            Value::object(fields)
        }
    })
}

/// What plain JSON has no form for; the caller decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hidden<'a> {
    /// A value that is marked as sensitive.
    Sensitive(&'a Value),
    /// A value that is not known yet.
    Unknown(&'a Unknown),
    /// A sensitive value of which only a digest is left.
    Redacted(&'a Digest),
}

/// A part of a value that plain JSON has no form for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is {what}", place(path))]
pub struct NotPlain {
    /// Where in the value.
    pub path: Path,
    /// `sensitive`, `not known yet` or `redacted`.
    pub what: &'static str,
}

fn place(path: &Path) -> String {
    match path.0.is_empty() {
        true => "the value".to_owned(),
        false => format!("`{path}`"),
    }
}

/// Returns a value as JSON, or says which part of it is sensitive or unknown.
pub fn to_json(value: &Value) -> Result<Json, NotPlain> {
    to_json_with(value, &mut |path, hidden| {
        let what = match hidden {
            Hidden::Sensitive(_) => "sensitive",
            Hidden::Unknown(_) => "not known yet",
            Hidden::Redacted(_) => "redacted",
        };
        Err(NotPlain {
            path: path.clone(),
            what,
        })
    })
}

/// Returns a value as JSON; `hidden` is asked for what stands for each part that is sensitive or unknown.
pub fn to_json_with<E>(
    value: &Value,
    hidden: &mut impl FnMut(&Path, Hidden<'_>) -> Result<Json, E>,
) -> Result<Json, E> {
    write(value, &mut Path(Vec::new()), hidden)
}

fn write<E>(
    value: &Value,
    path: &mut Path,
    hidden: &mut impl FnMut(&Path, Hidden<'_>) -> Result<Json, E>,
) -> Result<Json, E> {
    if value.is_sensitive() {
        return hidden(path, Hidden::Sensitive(value));
    }
    Ok(match value.data() {
        Data::Null => Json::Null,
        Data::Bool(value) => Json::Bool(*value),
        // The decimal text of a number is JSON as it is.
        Data::Number(number) => serde_json::to_value(number).unwrap_or(Json::Null),
        Data::String(text) => Json::String(text.to_string()),
        Data::Unknown(unknown) => return hidden(path, Hidden::Unknown(unknown)),
        Data::Redacted(digest) => return hidden(path, Hidden::Redacted(digest)),
        Data::Tuple(items) | Data::List(items) | Data::Set(items) => {
            let mut array = Vec::with_capacity(items.len());
            for (i, item) in items.iter().enumerate() {
                path.0.push(PathStep::Index(i as u64));
                array.push(write(item, path, hidden)?);
                path.0.pop();
            }
            Json::Array(array)
        }
        Data::Object(_) | Data::Map(_) => {
            let mut object = serde_json::Map::new();
            for (name, field) in value.as_fields().into_iter().flatten() {
                path.0.push(PathStep::Name(name.clone()));
                object.insert(name.to_string(), write(field, path, hidden)?);
                path.0.pop();
            }
            Json::Object(object)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn there_and_back() {
        let text = r#"{"a":[1,2.5,12345678901234567890.125,"x",true,null],"b":{}}"#;
        let json: Json = serde_json::from_str(text).unwrap();
        let value = from_json(&json).unwrap();
        assert_eq!(to_json(&value).unwrap().to_string(), text);
    }

    #[test]
    fn hidden_parts() {
        let value = Value::object([
            ("key", Value::from("secret").mark(true)),
            ("list", Value::tuple([Value::unknown("node.a.id")])),
        ]);
        let error = to_json(&value).unwrap_err();
        assert_eq!(error.to_string(), "`key` is sensitive");
        let shown = to_json_with(&value, &mut |path, _| Ok::<_, NotPlain>(json!(path.to_string())));
        assert_eq!(shown.unwrap(), json!({"key": "key", "list": ["list[0]"]}));
    }

    #[test]
    fn numbers_out_of_range_are_errors() {
        let json: Json = serde_json::from_str("[1e999999]").unwrap();
        assert_eq!(from_json(&json), Err(NumberError::OutOfRange));
    }
}
