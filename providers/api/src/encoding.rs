//! Values as JSON documents, for the state and for saved plans.
//!
//! What JSON lacks lies beside the document, by path: which values are unknown and which are sensitive. Nothing is told
//! by magic keys inside it, so any key of a user's map is safe; a key that starts with `$` gets a second one, as
//! serde_json itself reads `$serde_json::private::Number` as a number. A sensitive value has to be [redacted](redact) first:
//! encoding refuses one in the clear, so that no caller can store a secret by mistake.
//!
//! Lists, sets and tuples come back as tuples, maps and objects as objects: the schema's types tell them apart again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::value::Object;
use crate::{Attributes, Data, Digest, Number, Path, PathStep, Value};

/// Makes the digest that is kept of a sensitive value: [`digest`] with a salt of its own, so that equal secrets do not
/// look equal, and the value encrypted where there is a key.
pub type Digests<'a> = &'a mut dyn FnMut(&Value) -> Digest;

/// A value as a JSON document, with what JSON lacks beside it. `null` stands where a value is unknown or redacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoded {
    /// The document.
    pub value: serde_json::Value,
    /// Where it is unknown, in the order of the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownAt>,
    /// Where it is sensitive and known, in the order of the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensitive: Vec<SensitiveAt>,
}

/// A place where a document is unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnknownAt {
    /// The place.
    pub path: Path,
    /// What it comes from, such as `node.a.address`.
    pub origin: Arc<str>,
    /// Whether it will be sensitive.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

/// A place where a document is sensitive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensitiveAt {
    /// The place.
    pub path: Path,
    /// What is kept of the value there.
    pub digest: Digest,
}

/// Why a value cannot be encoded, or a document not be decoded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EncodingError {
    /// A sensitive value was to be stored in the clear.
    #[error("the value at `{path}` is sensitive and was not redacted")]
    InTheClear {
        /// Where.
        path: Path,
    },
    /// A number that JSON cannot hold.
    #[error("the number at `{path}` cannot be written")]
    Number {
        /// Where.
        path: Path,
    },
    /// A mark for a place that the document does not have.
    #[error("the document has no `{path}`, which is marked")]
    Dangling {
        /// Where.
        path: Path,
    },
    /// A document that should hold attributes and is no object.
    #[error("the document is not an object")]
    NotAnObject,
}

impl Encoded {
    /// Encodes a value.
    ///
    /// # Errors
    /// Where a sensitive value is not redacted.
    pub fn of(value: &Value) -> Result<Self, EncodingError> {
        let mut encoder = Encoder::default();
        let value = encoder.value(value)?;
        Ok(Encoded {
            value,
            unknown: encoder.unknown,
            sensitive: encoder.sensitive,
        })
    }

    /// Encodes attributes as one object.
    ///
    /// # Errors
    /// Where a sensitive value is not redacted.
    pub fn of_attributes(attributes: &Attributes) -> Result<Self, EncodingError> {
        Self::of(&attributes.to_value())
    }

    /// Returns the value: redacted and marked where it was sensitive.
    ///
    /// # Errors
    /// Where a mark is for a place that the document does not have.
    pub fn decode(&self) -> Result<Value, EncodingError> {
        let mut marks: BTreeMap<&Path, Value> = BTreeMap::new();
        for at in &self.unknown {
            marks.insert(&at.path, Value::unknown(at.origin.clone()).mark(at.sensitive));
        }
        for at in &self.sensitive {
            marks.insert(
                &at.path,
                Value::new(Data::Redacted(Arc::new(at.digest.clone()))).mark(true),
            );
        }
        let value = Decoder {
            marks: &mut marks,
            path: Path(Vec::new()),
        }
        .value(&self.value)?;
        match marks.into_keys().next() {
            Some(path) => Err(EncodingError::Dangling { path: path.clone() }),
            None => Ok(value),
        }
    }

    /// Returns the attributes, where the document is an object.
    ///
    /// # Errors
    /// Where it is none, or a mark is for a place that it does not have.
    pub fn decode_attributes(&self) -> Result<Attributes, EncodingError> {
        match self.decode()?.into_data() {
            Data::Object(Object { fields, .. }) => Ok(Attributes::of(fields)),
            _ => Err(EncodingError::NotAnObject),
        }
    }
}

/// Returns the value with each sensitive part replaced by a digest of it, and still marked.
///
/// A sensitive part that is not known as a whole becomes unknown as a whole: its shape is part of the secret. What is
/// redacted already stays as it is.
pub fn redact(value: &Value, digests: Digests<'_>) -> Value {
    change_sensitive(value, &mut |value| {
        let data = match (value.unknown_origin(), value.data()) {
            (Some(origin), _) => return Value::unknown(origin).mark(true),
            (None, Data::Redacted(digest)) => Data::Redacted(digest.clone()),
            (None, _) => Data::Redacted(Arc::new(digests(value))),
        };
        Value::new(data).mark(true)
    })
}

/// Returns the attributes with each sensitive part replaced by a digest of it, as [`redact`] does.
pub fn redact_attributes(attributes: &Attributes, digests: Digests<'_>) -> Attributes {
    attributes
        .iter()
        .map(|(name, value)| (name.clone(), redact(value, digests)))
        .collect()
}

/// Returns the value with each redacted part replaced by what `open` makes of its digest, and still marked. A part of
/// which it makes nothing stays as it is.
pub fn reveal(value: &Value, open: &mut dyn FnMut(&Digest) -> Option<Value>) -> Value {
    change_sensitive(value, &mut |value| match value.data() {
        Data::Redacted(digest) => open(digest).map_or_else(|| value.clone(), |opened| opened.mark(true)),
        _ => value.clone(),
    })
}

/// Replaces the outermost sensitive parts of a value.
fn change_sensitive(value: &Value, change: &mut dyn FnMut(&Value) -> Value) -> Value {
    if value.is_sensitive() {
        return change(value);
    }
    if !value.has_sensitive() {
        return value.clone();
    }
    let items = |items: &[Value], change: &mut dyn FnMut(&Value) -> Value| {
        Arc::new(items.iter().map(|item| change_sensitive(item, change)).collect())
    };
    let fields = |fields: &BTreeMap<Arc<str>, Value>, change: &mut dyn FnMut(&Value) -> Value| {
        let changed = fields
            .iter()
            .map(|(name, field)| (name.clone(), change_sensitive(field, change)));
        Arc::new(changed.collect())
    };
    match value.data() {
        Data::Tuple(tuple) => Data::Tuple(items(tuple, change)).into(),
        Data::List(list) => Data::List(items(list, change)).into(),
        Data::Set(set) => Data::Set(items(set, change)).into(),
        Data::Map(map) => Data::Map(fields(map, change)).into(),
        Data::Object(object) => Data::Object(Object {
            fields: fields(&object.fields, change),
            origin: object.origin.clone(),
        })
        .into(),
        _ => value.clone(),
    }
}

/// Makes the digest of a value: `SHA-256(salt || canonical JSON)`. Whether it, or a part of it, is marked does not count.
pub fn digest(value: &Value, salt: [u8; 16]) -> Digest {
    Digest {
        salt: hex::encode(salt),
        sha256: hash(&salt, value),
        sealed: None,
    }
}

/// Returns whether the digest is that of this value. Types that JSON does not tell apart count as the same (a list, a
/// set and a tuple; a map and an object), so convert the value to the schema's type first: a set is sorted there.
pub fn digest_matches(digest: &Digest, value: &Value) -> bool {
    match value.data() {
        Data::Redacted(other) => **other == *digest,
        _ => hex::decode(&digest.salt).is_ok_and(|salt| value.is_known() && hash(&salt, value) == digest.sha256),
    }
}

fn hash(salt: &[u8], value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(text.as_bytes());
    hex::encode(hasher.finalize())
}

/// Writes a value as JSON in the one form that digests are made of: sorted keys, no spaces, plain numbers.
fn canonical(value: &Value, text: &mut String) {
    match value.data() {
        Data::Null => text.push_str("null"),
        Data::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Data::Number(number) => push(text, format_args!("{number}")),
        Data::String(string) => canonical_string(string, text),
        Data::Tuple(items) | Data::List(items) | Data::Set(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { "," });
                canonical(item, text);
            }
            text.push(']');
        }
        Data::Object(Object { fields, .. }) | Data::Map(fields) => {
            text.push('{');
            for (i, (name, field)) in fields.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { "," });
                canonical_string(name, text);
                text.push(':');
                canonical(field, text);
            }
            text.push('}');
        }
        // Neither is JSON, so neither can be mistaken for a value: a digest over one matches no value in the clear.
        Data::Unknown(_) => text.push_str("unknown"),
        Data::Redacted(digest) => push(text, format_args!("redacted:{}:{}", digest.salt, digest.sha256)),
    }
}

fn canonical_string(string: &str, text: &mut String) {
    push(text, format_args!("{}", serde_json::Value::from(string)));
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).expect("a string takes any text");
}

fn escape(key: &str) -> String {
    let dollar = if key.starts_with('$') { "$" } else { "" };
    format!("{dollar}{key}")
}

fn unescape(key: &str) -> &str {
    key.strip_prefix('$').unwrap_or(key)
}

#[derive(Default)]
struct Encoder {
    path: Vec<PathStep>,
    unknown: Vec<UnknownAt>,
    sensitive: Vec<SensitiveAt>,
}

impl Encoder {
    fn here(&self) -> Path {
        Path(self.path.clone())
    }

    fn value(&mut self, value: &Value) -> Result<serde_json::Value, EncodingError> {
        if value.is_sensitive() && !matches!(value.data(), Data::Redacted(_) | Data::Unknown(_)) {
            return Err(EncodingError::InTheClear { path: self.here() });
        }
        Ok(match value.data() {
            Data::Null => serde_json::Value::Null,
            Data::Bool(value) => (*value).into(),
            Data::Number(number) => number
                .to_string()
                .parse::<serde_json::Number>()
                .map_err(|_| EncodingError::Number { path: self.here() })?
                .into(),
            Data::String(text) => serde_json::Value::from(&**text),
            Data::Tuple(items) | Data::List(items) | Data::Set(items) => {
                let mut array = Vec::with_capacity(items.len());
                for (i, item) in items.iter().enumerate() {
                    array.push(self.at(PathStep::Index(i as u64), item)?);
                }
                array.into()
            }
            Data::Object(Object { fields, .. }) | Data::Map(fields) => {
                let mut object = serde_json::Map::new();
                for (name, field) in fields.iter() {
                    object.insert(escape(name), self.at(PathStep::Name(name.clone()), field)?);
                }
                object.into()
            }
            Data::Unknown(unknown) => {
                self.unknown.push(UnknownAt {
                    path: self.here(),
                    origin: unknown.origin.clone(),
                    sensitive: value.is_sensitive(),
                });
                serde_json::Value::Null
            }
            Data::Redacted(digest) => {
                self.sensitive.push(SensitiveAt {
                    path: self.here(),
                    digest: Digest::clone(digest),
                });
                serde_json::Value::Null
            }
        })
    }

    fn at(&mut self, step: PathStep, value: &Value) -> Result<serde_json::Value, EncodingError> {
        self.path.push(step);
        let encoded = self.value(value);
        self.path.pop();
        encoded
    }
}

struct Decoder<'a, 'b> {
    /// The marks that are still to come.
    marks: &'a mut BTreeMap<&'b Path, Value>,
    path: Path,
}

impl Decoder<'_, '_> {
    fn value(&mut self, json: &serde_json::Value) -> Result<Value, EncodingError> {
        if let Some(marked) = self.marks.remove(&self.path) {
            return Ok(marked);
        }
        Ok(match json {
            serde_json::Value::Null => Value::NULL,
            serde_json::Value::Bool(value) => (*value).into(),
            serde_json::Value::Number(number) => number
                .as_str()
                .parse::<Number>()
                .map_err(|_| EncodingError::Number {
                    path: self.path.clone(),
                })?
                .into(),
            serde_json::Value::String(text) => text.as_str().into(),
            serde_json::Value::Array(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (i, item) in items.iter().enumerate() {
                    values.push(self.at(PathStep::Index(i as u64), item)?);
                }
                Value::tuple(values)
            }
            serde_json::Value::Object(fields) => {
                let mut values = Vec::with_capacity(fields.len());
                for (name, field) in fields {
                    let name: Arc<str> = unescape(name).into();
                    values.push((name.clone(), self.at(PathStep::Name(name), field)?));
                }
                Value::object(values)
            }
        })
    }

    fn at(&mut self, step: PathStep, json: &serde_json::Value) -> Result<Value, EncodingError> {
        self.path.0.push(step);
        let value = self.value(json);
        self.path.0.pop();
        value
    }
}

/// For `#[serde(with = "…")]` on a field of type [`Value`].
pub mod value {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    use super::Encoded;
    use crate::Value;

    /// Writes the value as an [`Encoded`]; fails where it has a sensitive part in the clear.
    pub fn serialize<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
        Encoded::of(value).map_err(ser::Error::custom)?.serialize(serializer)
    }

    /// Reads a value that was written as an [`Encoded`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        Encoded::deserialize(deserializer)?.decode().map_err(de::Error::custom)
    }
}

/// For `#[serde(with = "…")]` on a field of type [`Attributes`].
pub mod attributes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    use super::Encoded;
    use crate::Attributes;

    /// Writes the attributes as an [`Encoded`]; fails where they have a sensitive part in the clear.
    pub fn serialize<S: Serializer>(attributes: &Attributes, serializer: S) -> Result<S::Ok, S::Error> {
        Encoded::of_attributes(attributes)
            .map_err(ser::Error::custom)?
            .serialize(serializer)
    }

    /// Reads attributes that were written as an [`Encoded`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Attributes, D::Error> {
        Encoded::deserialize(deserializer)?
            .decode_attributes()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
