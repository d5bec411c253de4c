//! Reads typed values, and says where one is not what it should be.

use std::collections::BTreeMap;

use simfleet_provider_api::{Data, Path, PathStep, Value};

use super::Wrong;

/// Reads typed values out of attributes, or out of an object inside them.
pub(super) struct Reader<'a> {
    /// Where it reads; nothing for the attributes themselves.
    pub path: Option<Path>,
    /// Finds a value by its name.
    pub get: &'a dyn Fn(&str) -> Option<&'a Value>,
}

impl<'a> Reader<'a> {
    pub fn at(&self, name: &str) -> Path {
        match &self.path {
            Some(path) => path.join(PathStep::Name(name.into())),
            None => Path::attribute(name),
        }
    }

    pub fn get(&self, name: &str) -> Result<Option<&'a Value>, Wrong> {
        let Some(value) = (self.get)(name) else {
            return Ok(None);
        };
        match value.data() {
            Data::Null => Ok(None),
            Data::Unknown(_) => Err(Wrong::new(self.at(name), "is not known yet")),
            Data::Redacted(_) => Err(Wrong::new(
                self.at(name),
                "is a secret of which only a digest is kept; give it again",
            )),
            _ => Ok(Some(value)),
        }
    }

    pub fn string(&self, name: &str) -> Result<Option<String>, Wrong> {
        self.get(name)?
            .map(|value| Self::as_string(value).map_err(|message| Wrong::new(self.at(name), message)))
            .transpose()
    }

    pub fn number(&self, name: &str) -> Result<Option<f64>, Wrong> {
        self.get(name)?
            .map(|value| match value.as_number() {
                Some(number) if number.as_f64().is_finite() => Ok(number.as_f64()),
                _ => Err(Wrong::new(self.at(name), "must be a number")),
            })
            .transpose()
    }

    pub fn whole(&self, name: &str) -> Result<Option<u64>, Wrong> {
        self.get(name)?
            .map(|value| {
                value
                    .as_u64()
                    .ok_or_else(|| Wrong::new(self.at(name), "must be a whole number"))
            })
            .transpose()
    }

    pub fn truth(&self, name: &str) -> Result<Option<bool>, Wrong> {
        self.get(name)?
            .map(|value| {
                value
                    .as_bool()
                    .ok_or_else(|| Wrong::new(self.at(name), "must be true or false"))
            })
            .transpose()
    }

    /// Reads one of the words of a unit enum.
    pub fn word<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Wrong> {
        let Some(word) = self.string(name)? else {
            return Ok(None);
        };
        serde_json::from_value(serde_json::Value::String(word))
            .map(Some)
            .map_err(|error| Wrong::new(self.at(name), format!("has no such value: {error}")))
    }

    pub fn strings(&self, name: &str) -> Result<Option<Vec<String>>, Wrong> {
        let Some(value) = self.get(name)? else {
            return Ok(None);
        };
        let Some(items) = value.as_slice() else {
            return Err(Wrong::new(self.at(name), "must be a list of strings"));
        };
        (0u64..)
            .zip(items)
            .map(|(index, item)| {
                Self::as_string(item).map_err(|message| Wrong::new(self.at(name).join(PathStep::Index(index)), message))
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    pub fn map<T>(
        &self,
        name: &str,
        read: impl Fn(&Value) -> Result<T, &'static str>,
    ) -> Result<Option<BTreeMap<String, T>>, Wrong> {
        let Some(value) = self.get(name)? else {
            return Ok(None);
        };
        let Some(fields) = value.as_fields() else {
            return Err(Wrong::new(self.at(name), "must be a map"));
        };
        fields
            .iter()
            .filter(|(_, field)| !field.is_null())
            .map(|(key, field)| match read(field) {
                Ok(value) => Ok((key.to_string(), value)),
                Err(message) => Err(Wrong::new(self.at(name).join(PathStep::Name(key.clone())), message)),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    pub fn object<T>(&self, name: &str, read: impl FnOnce(Reader<'_>) -> Result<T, Wrong>) -> Result<Option<T>, Wrong> {
        let Some(value) = self.get(name)? else {
            return Ok(None);
        };
        if value.as_fields().is_none() {
            return Err(Wrong::new(self.at(name), "must be an object"));
        }
        read(Reader {
            path: Some(self.at(name)),
            get: &|field| value.get(field),
        })
        .map(Some)
    }

    pub fn as_string(value: &Value) -> Result<String, &'static str> {
        value.as_str().map(str::to_owned).ok_or("must be a string")
    }

    pub fn as_port(value: &Value) -> Result<u16, &'static str> {
        value
            .as_u64()
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port > 0)
            .ok_or("must be a port: 1 to 65535")
    }
}
