//! Schemas: what is known of a kind of object without any configuration.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Path, Type, Value};

/// A kind of object of a provider: `node`, `process`, `network` …
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kind(Cow<'static, str>);

impl Kind {
    /// Makes a kind of a name that is known when the provider is compiled.
    pub const fn new(name: &'static str) -> Self {
        Kind(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Kind {
    fn from(name: String) -> Self {
        Kind(Cow::Owned(name))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a kind of object looks like.
#[derive(Debug, Clone)]
pub struct Schema {
    /// The kind that this describes.
    pub kind: Kind,
    /// Raised with every change that recorded objects must be upgraded for.
    pub version: u32,
    /// One sentence for the reference documentation.
    pub doc: &'static str,
    /// The attributes, in the order in which they are documented.
    pub attributes: Vec<Attribute>,
}

impl Schema {
    /// Returns the facts of one attribute.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

/// The facts of one attribute.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// Its type. What a provider reads and what a plan wants are converted to it before they are compared.
    pub ty: Type,
    /// Who sets it.
    pub mode: Mode,
    /// Whether a change makes a new object.
    pub change: ChangeEffect,
    /// Whether it is never shown and never stored in the clear.
    pub sensitive: bool,
    /// One sentence for the reference documentation, with the unit.
    pub doc: &'static str,
}

/// Who sets an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// The configuration must.
    Required,
    /// The configuration may; without it the attribute is absent, and one that is there all the same is drift.
    Optional,
    /// The configuration may; without it the attribute has this value.
    Default(Value),
    /// The configuration may; without it the far side chooses, and keeps what it chose.
    OptionalComputed,
    /// The far side only. Known after the object is made; an update leaves it as it was.
    Computed,
    /// The far side only, at any time (`status`, `pid`): never compared, never drift, kept as last seen.
    Live,
}

/// What a change of an attribute does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeEffect {
    /// The object is updated in place.
    Update,
    /// The object is replaced.
    Replace,
}

impl Attribute {
    /// An attribute that the configuration may set and that is updated in place; change it with the methods below.
    pub fn new(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Attribute {
            name,
            ty,
            mode: Mode::Optional,
            change: ChangeEffect::Update,
            sensitive: false,
            doc,
        }
    }

    /// The configuration must set it.
    pub fn required(mut self) -> Self {
        self.mode = Mode::Required;
        self
    }

    /// It has a default.
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.mode = Mode::Default(value.into());
        self
    }

    /// The far side sets it, once.
    pub fn computed(mut self) -> Self {
        self.mode = Mode::Computed;
        self
    }

    /// The configuration may set it, else the far side does.
    pub fn optional_computed(mut self) -> Self {
        self.mode = Mode::OptionalComputed;
        self
    }

    /// The far side sets it, at any time.
    pub fn live(mut self) -> Self {
        self.mode = Mode::Live;
        self
    }

    /// A change makes a new object.
    pub fn replaces(mut self) -> Self {
        self.change = ChangeEffect::Replace;
        self
    }

    /// It is never shown and never stored in the clear.
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Whether the configuration may set it.
    pub fn is_configurable(&self) -> bool {
        !matches!(self.mode, Mode::Computed | Mode::Live)
    }
}

/// What a provider finds wrong in wanted attributes, before any call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub path: Path,
    /// What, and why, without the path: `must be above 0`.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// The name of a provider: `local`, `azure` …
pub type ProviderName = Arc<str>;
