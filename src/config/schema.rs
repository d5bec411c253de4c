//! Schemas of the language's blocks: what may stand in a block, and what each attribute means.
//!
//! Not to be mixed up with the schemas of a provider's objects in `simfleet_provider_api`: a block is what a person
//! writes, an object what it expands to.

use std::sync::{Arc, OnceLock};

use simfleet_provider_api::{Mode, Type, Value};

use super::conform::conform;
use super::eval::Scope;
use super::forms::Form;
use super::record::Record;
use crate::diagnostic::Diagnostics;

/// What may stand in a block.
#[derive(Debug, Clone)]
pub struct BlockSchema {
    /// The type of the block: `pool`.
    pub name: &'static str,
    /// Its first label, where that chooses what may stand in it: `vehicle` of `simulator "vehicle" "quad"`.
    pub kind: Option<String>,
    /// What its labels are: `["name"]`, `["kind", "name"]`.
    pub labels: &'static [&'static str],
    /// Its attributes, in the order in which they are documented.
    pub attributes: Vec<AttributeSchema>,
    /// Whether attributes of any other name may stand in it too, as in `locals`.
    pub open: bool,
    /// The blocks in it.
    pub blocks: Vec<Nested>,
    /// Whether it takes the meta-arguments of a resource: `count`, `for_each`, `depends_on`, `provider` …
    pub meta: Meta,
    /// What other blocks can read of it beside its attributes: names and one sentence each.
    pub outputs: &'static [(&'static str, &'static str)],
    /// Whether it can be used.
    pub availability: Availability,
    /// What must hold between its attributes and the blocks in it, where no typed form checks that.
    pub rules: Vec<Rule>,
    /// What follows from its attributes, and from files beside the fleet.
    pub derive: Option<Derive>,
    /// One sentence for the reference documentation.
    pub doc: &'static str,
    /// See [`BlockSchema::parts`].
    parts: OnceLock<Vec<Arc<str>>>,
}

/// Reports what in a block does not go together, or is suspicious. What is not known is passed over.
pub type Rule = fn(&Record, &mut Diagnostics);

/// Adds to a block what follows from its attributes and from the files that they name. What is not known is passed over.
pub type Derive = fn(&mut Record, &dyn Scope, &mut Diagnostics);

/// Whether a block takes the meta-arguments of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// All of them.
    Resource,
    /// None.
    None,
}

/// Whether something of the language can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Now,
    /// It is checked, and a plan of it is refused: this version does not act on it.
    Later,
}

/// A block inside a block.
#[derive(Debug, Clone)]
pub struct Nested {
    /// What may stand in it.
    pub schema: Arc<BlockSchema>,
    /// How often it must be there. Of blocks that a kind tells apart, the count is that of all kinds.
    pub min: usize,
    /// How often it may be there.
    pub max: usize,
}

/// What is known of one attribute.
#[derive(Debug, Clone)]
pub struct AttributeSchema {
    /// Its name.
    pub name: &'static str,
    /// What it may be set to.
    pub ty: AttributeType,
    /// Whether it must be set, and what it is otherwise.
    pub presence: Presence,
    /// Whether it can be used.
    pub availability: Availability,
    /// Whether it is a secret: its value is never shown, and does not stand in the file.
    pub sensitive: bool,
    /// One sentence for the reference documentation.
    pub doc: &'static str,
}

/// Whether an attribute must be set, and what it is otherwise.
#[derive(Debug, Clone)]
pub enum Presence {
    /// It must.
    Required,
    /// It must; a rule of its block tells where it is not.
    Needed,
    /// It may.
    Optional,
    /// It may; otherwise it is this.
    Default {
        /// As it would be written.
        written: Value,
        /// As it is kept.
        value: Value,
    },
}

/// What an attribute may be set to, and what is kept of it.
#[derive(Debug, Clone)]
pub enum AttributeType {
    /// A value of a type; it is converted.
    Value(Type),
    /// A whole number from a range, both ends included.
    Integer(u64, u64),
    /// A number from a range, both ends included.
    Number(f64, f64),
    /// A number from 0 to 100.
    Percent,
    /// A string with a unit, `"90s"`; kept as a number of seconds.
    Duration,
    /// A duration, or one of some words.
    DurationOr(&'static [&'static str]),
    /// A string with a unit, `"512MiB"`; kept as a number of bytes.
    Size,
    /// One of some strings.
    Enum(&'static [&'static str]),
    /// A string of a form: `"10.0.0.0/16"`.
    Text(&'static Form),
    /// An object with these fields, and no others.
    Object(Vec<AttributeSchema>),
    /// A map from names to values of a type.
    Map(Box<AttributeType>),
    /// A list of values of a type.
    List(Box<AttributeType>),
    /// A resource of one of these blocks, or one of some words instead.
    Reference(&'static [&'static str], &'static [&'static str]),
    /// Not evaluated with the block: whoever needs it takes the expression.
    Expression,
}

impl BlockSchema {
    /// A block without labels, attributes and blocks; the methods below add them.
    pub fn new(name: &'static str, doc: &'static str) -> Self {
        BlockSchema {
            name,
            kind: None,
            labels: &[],
            attributes: Vec::new(),
            open: false,
            blocks: Vec::new(),
            meta: Meta::None,
            outputs: &[],
            availability: Availability::Now,
            rules: Vec::new(),
            derive: None,
            doc,
            parts: OnceLock::new(),
        }
    }

    /// Says that this version checks it and does not act on it.
    pub fn later(mut self) -> Self {
        self.availability = Availability::Later;
        self
    }

    /// Adds what must hold in it.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Says what follows from its attributes.
    pub fn derive(mut self, derive: Derive) -> Self {
        self.derive = Some(derive);
        self
    }

    /// Says what the first label must be for this schema.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Says what its labels are.
    pub fn labels(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    /// Lets attributes of any name stand in it.
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Adds attributes.
    pub fn attributes(mut self, attributes: impl IntoIterator<Item = AttributeSchema>) -> Self {
        self.attributes.extend(attributes);
        self
    }

    /// Adds a block that may be there once.
    pub fn optional(self, schema: BlockSchema) -> Self {
        self.nested(schema, 0, 1)
    }

    /// Adds a block that must be there once.
    pub fn once(self, schema: BlockSchema) -> Self {
        self.nested(schema, 1, 1)
    }

    /// Adds a block that may be there any number of times.
    pub fn any(self, schema: BlockSchema) -> Self {
        self.nested(schema, 0, usize::MAX)
    }

    /// Adds a block that may be there some number of times.
    pub fn nested(mut self, schema: BlockSchema, min: usize, max: usize) -> Self {
        let schema = Arc::new(schema);
        self.blocks.push(Nested { schema, min, max });
        self
    }

    /// It takes the meta-arguments of a resource.
    pub fn resource(mut self, outputs: &'static [(&'static str, &'static str)]) -> Self {
        self.meta = Meta::Resource;
        self.outputs = outputs;
        self
    }

    /// Returns the schema of an attribute, that of a meta-argument too.
    pub fn attribute(&self, name: &str) -> Option<&AttributeSchema> {
        let mut all = self.attributes.iter().chain(self.meta_attributes());
        all.find(|attribute| attribute.name == name)
    }

    /// The names that can be read of it: its outputs, its attributes and its blocks.
    pub fn parts(&self) -> &[Arc<str>] {
        self.parts.get_or_init(|| {
            let outputs = self.outputs.iter().map(|(name, _)| *name);
            let attributes = self.attributes.iter().map(|attribute| attribute.name);
            let blocks = self.blocks.iter().map(|nested| nested.schema.name);
            let mut parts: Vec<Arc<str>> = Vec::new();
            for part in outputs.chain(attributes).chain(blocks) {
                // Blocks that a kind tells apart have one name.
                if !parts.iter().any(|known| **known == *part) {
                    parts.push(part.into());
                }
            }
            parts
        })
    }

    /// The meta-arguments that it takes as attributes.
    pub fn meta_attributes(&self) -> &'static [AttributeSchema] {
        match self.meta {
            Meta::Resource => super::meta::attributes(),
            Meta::None => &[],
        }
    }

    /// The blocks in it, those of meta-arguments too.
    pub fn all_blocks(&self) -> impl Iterator<Item = &Nested> {
        let meta = match self.meta {
            Meta::Resource => super::meta::blocks(),
            Meta::None => &[],
        };
        self.blocks.iter().chain(meta)
    }
}

impl AttributeSchema {
    /// An attribute that may be set; change it with the methods below.
    pub fn new(name: &'static str, ty: AttributeType, doc: &'static str) -> Self {
        AttributeSchema {
            name,
            ty,
            presence: Presence::Optional,
            availability: Availability::Now,
            sensitive: false,
            doc,
        }
    }

    /// Says that this version checks it and does not act on it.
    pub fn later(mut self) -> Self {
        self.availability = Availability::Later;
        self
    }

    /// Says that it is a secret.
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// A string.
    pub fn string(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Value(Type::String), doc)
    }

    /// A truth value.
    pub fn bool(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Value(Type::Bool), doc)
    }

    /// A list of strings.
    pub fn strings(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Value(Type::list(Type::String)), doc)
    }

    /// A map of strings.
    pub fn string_map(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Value(Type::map(Type::String)), doc)
    }

    /// A duration.
    pub fn duration(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Duration, doc)
    }

    /// A number of things: a whole number from `from` on.
    pub fn count(name: &'static str, from: u64, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Integer(from, MOST), doc)
    }

    /// A number of a range, both ends included.
    pub fn number(name: &'static str, from: f64, to: f64, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Number(from, to), doc)
    }

    /// One of some strings.
    pub fn one_of(name: &'static str, words: &'static [&'static str], doc: &'static str) -> Self {
        Self::new(name, AttributeType::Enum(words), doc)
    }

    /// Some of some strings.
    pub fn some_of(name: &'static str, words: &'static [&'static str], doc: &'static str) -> Self {
        Self::new(name, AttributeType::List(Box::new(AttributeType::Enum(words))), doc)
    }

    /// A size.
    pub fn size(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Size, doc)
    }

    /// A port.
    pub fn port(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Integer(1, 65_535), doc)
    }

    /// A string of a form.
    pub fn text(name: &'static str, form: &'static Form, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Text(form), doc)
    }

    /// A list of strings of a form.
    pub fn texts(name: &'static str, form: &'static Form, doc: &'static str) -> Self {
        Self::new(name, AttributeType::List(Box::new(AttributeType::Text(form))), doc)
    }

    /// An object.
    pub fn object(name: &'static str, fields: impl IntoIterator<Item = AttributeSchema>, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Object(fields.into_iter().collect()), doc)
    }

    /// A resource of one of these blocks.
    pub fn reference(name: &'static str, blocks: &'static [&'static str], doc: &'static str) -> Self {
        Self::new(name, AttributeType::Reference(blocks, &[]), doc)
    }

    /// A list of resources of one of these blocks.
    pub fn references(name: &'static str, blocks: &'static [&'static str], doc: &'static str) -> Self {
        let one = AttributeType::Reference(blocks, &[]);
        Self::new(name, AttributeType::List(Box::new(one)), doc)
    }

    /// An expression that is not evaluated with the block.
    pub fn expression(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, AttributeType::Expression, doc)
    }

    /// It must be set.
    pub fn required(mut self) -> Self {
        self.presence = Presence::Required;
        self
    }

    /// It must be set, and a rule of its block tells where it is not, in words of its own.
    pub fn needed(mut self) -> Self {
        self.presence = Presence::Needed;
        self
    }

    /// It has a default, given as it would be written.
    pub fn default(mut self, written: impl Into<Value>) -> Self {
        let written = written.into();
        // A default that does not conform would be a mistake of this program; a test looks at every one.
        let value = conform(&written, &self.ty).unwrap_or(Value::NULL);
        self.presence = Presence::Default { written, value };
        self
    }

    /// Returns how a setting of a provider is written in its block.
    pub fn of_provider(attribute: &simfleet_provider_api::Attribute) -> Self {
        let plain = AttributeSchema {
            sensitive: attribute.sensitive,
            ..Self::new(
                attribute.name,
                AttributeType::Value(attribute.ty.clone()),
                attribute.doc,
            )
        };
        match &attribute.mode {
            Mode::Required => plain.required(),
            Mode::Default(value) => plain.default(value.clone()),
            Mode::Optional | Mode::OptionalComputed | Mode::Computed | Mode::Live => plain,
        }
    }
}

/// The most that a number of things may be: beyond it, it is a mistake that would take all memory.
pub const MOST: u64 = 1_000_000;
