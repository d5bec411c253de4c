//! The attributes of an object, and paths into them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Value;

/// The attributes of an object by name. An attribute that is `null` counts as absent: it is never stored.
///
/// Cheap to clone: what is cloned is shared until one of the two is changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes(Arc<BTreeMap<Arc<str>, Value>>);

impl Attributes {
    /// Returns no attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes attributes of the fields of an object.
    pub(crate) fn of(mut fields: Arc<BTreeMap<Arc<str>, Value>>) -> Self {
        if fields.values().any(Value::is_null) {
            Arc::make_mut(&mut fields).retain(|_, value| !value.is_null());
        }
        Attributes(fields)
    }

    /// Returns the value of an attribute; `None` where it is absent.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Returns an attribute that is a string.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// Sets an attribute; `null` removes it.
    pub fn set(&mut self, name: impl AsRef<str> + Into<Arc<str>>, value: impl Into<Value>) {
        let value = value.into();
        if value.is_null() {
            self.remove(name.as_ref());
            return;
        }
        let fields = Arc::make_mut(&mut self.0);
        match fields.get_mut(name.as_ref()) {
            Some(field) => *field = value,
            None => drop(fields.insert(name.into(), value)),
        }
    }

    /// Removes an attribute.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        match self.0.contains_key(name) {
            true => Arc::make_mut(&mut self.0).remove(name),
            false => None,
        }
    }

    /// Returns the attributes in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        self.0.iter()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether no attribute is unknown, at any depth.
    pub fn is_known(&self) -> bool {
        self.0.values().all(Value::is_known)
    }

    /// Returns the attributes as one object value.
    pub fn to_value(&self) -> Value {
        Value::fields(Arc::clone(&self.0))
    }
}

impl<K: Into<Arc<str>>, V: Into<Value>> FromIterator<(K, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value.into()));
        Attributes::of(Arc::new(fields.collect()))
    }
}

/// A path to a value inside attributes: `ports.gcs`, `env["A B"]`, `command[0]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path(pub Vec<PathStep>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PathStep {
    /// An element of a sequence, from 0.
    Index(u64),
    /// A field of an object or map.
    Name(Arc<str>),
}

impl Path {
    /// The path of one attribute.
    pub fn attribute(name: impl Into<Arc<str>>) -> Self {
        Path(vec![PathStep::Name(name.into())])
    }

    /// Returns the path one step further in.
    pub fn join(&self, step: PathStep) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Path(steps)
    }

    /// Returns the name of the attribute that the path starts at.
    pub fn root(&self) -> Option<&str> {
        match self.0.first()? {
            PathStep::Name(name) => Some(name),
            PathStep::Index(_) => None,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                PathStep::Index(index) => write!(f, "[{index}]")?,
                PathStep::Name(name) if is_identifier(name) => {
                    let dot = if i == 0 { "" } else { "." };
                    write!(f, "{dot}{name}")?;
                }
                PathStep::Name(name) => write!(f, "[{name:?}]")?,
            }
        }
        Ok(())
    }
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}
