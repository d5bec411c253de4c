//! Numbers in JSON, which has none that are not finite: those are the texts `nan`, `inf` and `-inf`.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.is_finite() {
        number.serialize(serializer)
    } else if number.is_nan() {
        "nan".serialize(serializer)
    } else if number.is_sign_positive() {
        "inf".serialize(serializer)
    } else {
        "-inf".serialize(serializer)
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    read(&Value::deserialize(deserializer)?)
}

fn read<E: Error>(value: &Value) -> Result<f64, E> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "nan" => Some(f64::NAN),
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    };
    number.ok_or_else(|| E::custom(format!("{value} is not a number, \"nan\", \"inf\" or \"-inf\"")))
}

/// The same for numbers that may be missing.
pub(super) mod option {
    use super::*;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(in crate::scale) fn serialize<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => super::serialize(number, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::scale) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(None),
            value => read(&value).map(Some),
        }
    }
}
