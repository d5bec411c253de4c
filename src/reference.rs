//! The reference of the language: every block and every kind of object, taken from their schemas. Pure.

use std::collections::BTreeMap;

use simfleet_provider_api::{Attribute, ChangeEffect, Kind, Mode, Schema, Value};

use crate::config::blocks::fleet_schema;
use crate::config::schema::{AttributeSchema, AttributeType, Availability, BlockSchema, MOST, Meta, Nested, Presence};
use crate::fleet::with_providers;
use crate::lower::in_resource;
use crate::providers::Registry;

/// A cloud for tests, which is no part of what users are told.
pub(crate) const FOR_TESTS: &str = "fake";

/// One block of the language, or one kind of object.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// `pool`, `simulator.vehicle`, `provider.local`; `local/node` for a kind of object.
    pub name: String,
    /// Whether it is a block or an object.
    pub group: Group,
    /// How it is written: `simulator "vehicle" "NAME"`.
    pub header: String,
    /// One sentence.
    pub doc: String,
    /// What can be set of it and of the blocks in it.
    pub rows: Vec<Row>,
    /// The blocks in it.
    pub blocks: Vec<Inner>,
    /// What others can read of it beside that: names and one sentence each.
    pub outputs: Vec<(&'static str, &'static str)>,
    /// Whether it takes what every resource does: the entry [`RESOURCE`].
    pub is_resource: bool,
    /// Whether this version acts on it; it is checked in any case.
    pub available: bool,
}

/// The name of the entry of what every resource block takes.
pub const RESOURCE: &str = "resource";

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What a person writes.
    Block,
    /// What it expands to: what a plan shows and the state holds.
    Object,
}

/// One attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name, behind those of the blocks that it is in: `autoscale.min`.
    pub path: String,
    /// What it may be set to, in words.
    pub ty: String,
    /// Who sets it.
    pub presence: Setting,
    /// The providers whose objects are made anew when it changes.
    pub replaces: Vec<&'static str>,
    /// Whether it is never shown.
    pub sensitive: bool,
    /// Whether this version acts on it.
    pub available: bool,
    /// One sentence.
    pub doc: &'static str,
}

/// Who sets an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// The configuration must.
    Required,
    /// The configuration may.
    Optional,
    /// The configuration may; otherwise it is this, as it would be written.
    Default(Value),
    /// The configuration may, else the provider does.
    OptionalComputed,
    /// The provider, when the object is made.
    Computed,
    /// The provider, at any time.
    Live,
}

/// A block in a block.
#[derive(Debug, Clone, PartialEq)]
pub struct Inner {
    /// Its name, behind those of the blocks that it is in.
    pub path: String,
    /// What its labels are, as they are written: `"NAME"`; without the one that its name says.
    pub labels: String,
    /// How often it can be there, in words.
    pub times: String,
    /// Whether this version acts on it.
    pub available: bool,
    /// One sentence.
    pub doc: &'static str,
}

/// Returns all entries: blocks in the order of the language, then objects by provider and kind.
pub fn entries(registry: &Registry) -> Vec<Entry> {
    let mut providers = with_providers(&Default::default()).providers;
    providers.remove(FOR_TESTS);
    let fleet = fleet_schema(&providers);
    let blocks = fleet.blocks.iter().map(|nested| block(&nested.schema, registry));
    // What can be used comes first.
    let (mut entries, later): (Vec<Entry>, Vec<Entry>) = blocks.partition(|entry| entry.available);
    entries.push(resource());
    entries.extend(later);
    for name in registry.names().filter(|name| *name != FOR_TESTS) {
        let schemas = registry.get(name).map(|provider| provider.schemas().to_vec());
        entries.extend(schemas.unwrap_or_default().iter().map(|schema| object(name, schema)));
    }
    entries
}

fn name_of(schema: &BlockSchema) -> String {
    match &schema.kind {
        Some(kind) => format!("{}.{kind}", schema.name),
        None => schema.name.to_owned(),
    }
}

fn block(schema: &BlockSchema, registry: &Registry) -> Entry {
    let mut header = schema.name.to_owned();
    if let Some(kind) = &schema.kind {
        header.push_str(&format!(" \"{kind}\""));
    }
    header.push_str(&labels(schema));
    let mut entry = Entry {
        name: name_of(schema),
        group: Group::Block,
        header,
        doc: schema.doc.to_owned(),
        rows: Vec::new(),
        blocks: Vec::new(),
        outputs: schema.outputs.to_vec(),
        is_resource: schema.meta == Meta::Resource,
        available: schema.availability == Availability::Now,
    };
    fill(&mut entry, "", &schema.attributes, &schema.blocks);
    let replaces = match (schema.name, schema.kind.as_deref()) {
        ("provider", Some(name)) => places(name, registry),
        _ => replacing(schema, registry),
    };
    for row in &mut entry.rows {
        let root = row.path.split('.').next().unwrap_or_default();
        row.replaces = replaces.get(goes_into(schema, root)).cloned().unwrap_or_default();
    }
    entry
}

/// Returns the labels of a block as they are written, but for the one that is its kind: ` "NAME"`.
fn labels(schema: &BlockSchema) -> String {
    let labels = schema.labels.iter().skip(usize::from(schema.kind.is_some()));
    labels.map(|label| format!(" \"{}\"", label.to_uppercase())).collect()
}

/// Returns what every resource block takes.
fn resource() -> Entry {
    let schema = BlockSchema::new(RESOURCE, "What every resource block takes.").resource(&[]);
    let mut entry = Entry {
        name: RESOURCE.to_owned(),
        group: Group::Block,
        header: "node, pool, simulator, value …".to_owned(),
        doc: "What every resource block takes beside its own attributes.".to_owned(),
        rows: Vec::new(),
        blocks: Vec::new(),
        outputs: Vec::new(),
        is_resource: false,
        available: true,
    };
    let blocks: Vec<Nested> = schema.all_blocks().cloned().collect();
    fill(&mut entry, "", schema.meta_attributes(), &blocks);
    entry
}

/// Adds attributes and the blocks beside them, those in them too.
fn fill(entry: &mut Entry, within: &str, attributes: &[AttributeSchema], blocks: &[Nested]) {
    for attribute in attributes {
        let path = format!("{within}{}", attribute.name);
        let presence = match &attribute.presence {
            Presence::Required | Presence::Needed => Setting::Required,
            Presence::Optional => Setting::Optional,
            Presence::Default { written, .. } => Setting::Default(written.clone()),
        };
        entry.rows.push(Row {
            path: path.clone(),
            ty: words(&attribute.ty),
            presence,
            replaces: Vec::new(),
            sensitive: attribute.sensitive,
            available: attribute.availability == Availability::Now,
            doc: attribute.doc,
        });
        if let AttributeType::Object(fields) = &attribute.ty {
            fill(entry, &format!("{path}."), fields, &[]);
        }
    }
    for Nested { schema, min, max } in blocks {
        let path = format!("{within}{}", name_of(schema));
        let times = match (min, max) {
            (0, 1) => "at most once".to_owned(),
            (1, 1) => "once".to_owned(),
            (0, &usize::MAX) => "any number of times".to_owned(),
            (min, &usize::MAX) => format!("at least {min} times"),
            (min, max) => format!("{min} to {max} times"),
        };
        entry.blocks.push(Inner {
            path: path.clone(),
            labels: labels(schema),
            times,
            available: schema.availability == Availability::Now,
            doc: schema.doc,
        });
        fill(entry, &format!("{path}."), &schema.attributes, &schema.blocks);
    }
}

/// Returns the settings of a provider that say where its objects are, as [`replacing`] does.
fn places(provider: &str, registry: &Registry) -> BTreeMap<&'static str, Vec<&'static str>> {
    let Some(provider) = registry.get(provider) else {
        return BTreeMap::new();
    };
    let settings = provider.settings().iter();
    let places = settings.filter(|setting| setting.change == ChangeEffect::Replace);
    places.map(|setting| (setting.name, vec![provider.name()])).collect()
}

/// Returns the providers of which a change of an attribute makes a new object, by attribute, for the objects that a block
/// becomes.
fn replacing(schema: &BlockSchema, registry: &Registry) -> BTreeMap<&'static str, Vec<&'static str>> {
    let kind = match (schema.name, schema.kind.as_deref()) {
        ("node" | "pool", _) => "node",
        ("service", _) | ("simulator", Some("container" | "px4")) => "container",
        ("simulator", Some("qemu")) => "machine",
        ("simulator", _) => "process",
        ("network", _) => "network",
        ("value", _) => "value",
        _ => return BTreeMap::new(),
    };
    let mut replacing: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for name in registry.names().filter(|name| *name != FOR_TESTS) {
        let schema = registry.schema(name, &Kind::new(kind));
        for attribute in schema.into_iter().flat_map(|schema| &schema.attributes) {
            // The name of an object is that of the block: it is not set by an attribute.
            if attribute.change == ChangeEffect::Replace && attribute.name != "name" {
                replacing.entry(attribute.name).or_default().push(name);
            }
        }
    }
    replacing
}

/// Returns what an attribute or a block of a block goes into in the object.
fn goes_into<'n>(schema: &BlockSchema, name: &'n str) -> &'n str {
    match (schema.kind.as_deref(), name) {
        (Some("px4"), "model" | "world" | "home" | "headless") => "env",
        (Some("px4"), "instance") | (Some("vehicle"), "model" | "home" | "instance") => "command",
        _ => in_resource(name),
    }
}

fn object(provider: &'static str, schema: &Schema) -> Entry {
    let row = |attribute: &Attribute| Row {
        path: attribute.name.to_owned(),
        ty: attribute.ty.to_string(),
        presence: match &attribute.mode {
            Mode::Required => Setting::Required,
            Mode::Optional => Setting::Optional,
            Mode::Default(value) => Setting::Default(value.clone()),
            Mode::OptionalComputed => Setting::OptionalComputed,
            Mode::Computed => Setting::Computed,
            Mode::Live => Setting::Live,
        },
        replaces: match attribute.change {
            ChangeEffect::Replace => vec![provider],
            ChangeEffect::Update => Vec::new(),
        },
        sensitive: attribute.sensitive,
        available: true,
        doc: attribute.doc,
    };
    Entry {
        name: format!("{provider}/{}", schema.kind),
        group: Group::Object,
        header: format!("{} of the provider `{provider}`", schema.kind),
        doc: schema.doc.to_owned(),
        rows: schema.attributes.iter().map(row).collect(),
        blocks: Vec::new(),
        outputs: Vec::new(),
        is_resource: false,
        available: true,
    }
}

/// Returns what an attribute may be set to, in words.
fn words(ty: &AttributeType) -> String {
    let choice = |words: &[&str]| {
        words
            .iter()
            .map(|word| format!("\"{word}\""))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match ty {
        AttributeType::Value(ty) => ty.to_string(),
        AttributeType::Integer(from, MOST) => format!("whole number from {from}"),
        AttributeType::Integer(from, to) => format!("whole number, {from} to {to}"),
        AttributeType::Number(f64::MIN, f64::MAX) => "number".to_owned(),
        AttributeType::Number(f64::MIN, to) => format!("number, at most {to}"),
        AttributeType::Number(from, to) if *to < f64::MAX => format!("number, {from} to {to}"),
        AttributeType::Number(from, _) => format!("number from {from}"),
        AttributeType::Percent => "percent, 0 to 100".to_owned(),
        AttributeType::Duration => "duration: \"90s\"".to_owned(),
        AttributeType::DurationOr(words) => format!("duration, or {}", choice(words)),
        AttributeType::Size => "size: \"512MiB\"".to_owned(),
        AttributeType::Enum(words) => format!("one of {}", choice(words)),
        AttributeType::Object(_) => "object".to_owned(),
        AttributeType::Map(of) => format!("map({})", self::words(of)),
        AttributeType::List(of) => format!("list({})", self::words(of)),
        AttributeType::Text(form) => format!("{}: {:?}", form.name, form.example),
        AttributeType::Reference(blocks, []) => format!("reference to a {}", blocks.join(" or ")),
        AttributeType::Reference(blocks, words) => {
            format!("reference to a {}, or {}", blocks.join(" or "), choice(words))
        }
        AttributeType::Expression => "expression".to_owned(),
    }
}
