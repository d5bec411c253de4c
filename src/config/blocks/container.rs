//! What a container is made of: a `service`, and the kinds of simulators that run in one.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::{Attributes, Value};

use super::build::{self, Build};
use crate::config::decode::Reader;
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// A container.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// What its image is built of; `image` is the tag that it gets then.
    pub build: Option<Build>,
    /// Those of its attributes that an engine takes as they are declared, by name. Can be unknown.
    pub attributes: Attributes,
    /// What it is called in its networks beside its own name: a list. Can be unknown.
    pub aliases: Option<Value>,
    /// What it may do beyond what containers may: a list. Can be unknown.
    pub cap_add: Option<Value>,
    /// What it may not do that containers may: a list. Can be unknown.
    pub cap_drop: Option<Value>,
    /// Devices of the host: a list. Can be unknown.
    pub devices: Option<Value>,
    /// Its limits of the system: a map. Can be unknown.
    pub ulimits: Option<Value>,
    /// What takes its output, where that is not the engine's own way. Can be unknown.
    pub log_driver: Option<Value>,
    /// What that is told: a map. Can be unknown.
    pub log_options: Option<Value>,
    /// The volumes and folders in it.
    pub volumes: Vec<Volume>,
    /// The files that are put into it, by their place: what is in each can be unknown.
    pub files: BTreeMap<Arc<str>, Value>,
}

/// A volume or a folder of the host in a container.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is in the container.
    pub target: Arc<str>,
    /// The folder of the host; without it a volume of its own. Can be unknown.
    pub source: Option<Value>,
    /// Whether the container can only read it. Can be unknown.
    pub read_only: Value,
    /// Where it is declared.
    pub span: Span,
}

/// The attributes that an engine takes as they are declared.
const TAKEN: [&str; 11] = [
    "image",
    "pull",
    "entrypoint",
    "command",
    "networks",
    "user",
    "working_dir",
    "hostname",
    "tmpfs",
    "stop_signal",
    "read_only",
];

/// Adds what every container has.
pub(super) fn schema(schema: BlockSchema) -> BlockSchema {
    let volume = BlockSchema::new(
        "volume",
        "A volume or a folder of the host in it. A volume is deleted with the block.",
    )
    .labels(&["name"])
    .attributes([
        AttributeSchema::text("target", &forms::INSIDE, "where it is in the container").required(),
        AttributeSchema::string(
            "source",
            "the folder of the host, relative to the module's; without it a volume of the label's name",
        ),
        AttributeSchema::bool("read_only", "the container cannot write to it").default(false),
    ]);
    let file = BlockSchema::new("file", "A file in it.").labels(&["name"]).attributes([
        AttributeSchema::text("target", &forms::INSIDE, "where it is in the container").required(),
        AttributeSchema::string("content", "what is in it").required(),
    ]);
    let ulimit = AttributeType::Text(&forms::LIMIT);
    schema
        .attributes([
            AttributeSchema::string(
                "image",
                "the image, by tag or digest; with `build`, the tag that it gets",
            ),
            AttributeSchema::one_of("pull", &["never", "missing", "always"], "when the image is pulled")
                .default("missing"),
            AttributeSchema::strings("entrypoint", "the program, where that is not the image's own"),
            AttributeSchema::strings("command", "what it runs, where that is not the image's own"),
            AttributeSchema::strings("networks", "the ids of the networks that it is in"),
            AttributeSchema::texts(
                "aliases",
                &forms::ALIAS,
                "what it is called in these networks, beside its name",
            ),
            AttributeSchema::string("user", "as whom it runs"),
            AttributeSchema::string("working_dir", "the folder that it runs in"),
            AttributeSchema::string("hostname", "what it calls itself"),
            AttributeSchema::string_map(
                "tmpfs",
                "folders in memory, with the options of each: { \"/run\" = \"size=64m\" }",
            ),
            AttributeSchema::bool("read_only", "it cannot write to its own files").default(false),
            AttributeSchema::texts(
                "cap_add",
                &forms::CAPABILITY,
                "what it may do beyond what containers may",
            ),
            AttributeSchema::texts("cap_drop", &forms::CAPABILITY, "what it may not do that containers may"),
            AttributeSchema::texts("devices", &forms::DEVICE, "devices of the host in it: \"/dev/kvm\""),
            AttributeSchema::new(
                "ulimits",
                AttributeType::Map(Box::new(ulimit)),
                "its limits of the system: { nofile = \"1024:2048\" }",
            ),
            AttributeSchema::string("stop_signal", "what tells it to end, where that is not the image's own"),
            AttributeSchema::string(
                "log_driver",
                "what takes its output, where that is not the engine's own way",
            ),
            AttributeSchema::string_map("log_options", "what that is told: { max-size = \"10m\" }"),
        ])
        .optional(build::schema())
        .any(volume)
        .any(file)
        .rule(build::image)
        .rule(latest)
        .rule(nameless)
        .rule(sealed)
}

impl Container {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let record = reader.record();
        let taken = |name: &'static str| Some((name, record.get(name)?.clone()));
        let attributes = TAKEN.into_iter().filter_map(taken).collect();
        let aliases = reader.maybe("aliases");
        let (cap_add, cap_drop) = (reader.maybe("cap_add"), reader.maybe("cap_drop"));
        let (devices, ulimits) = (reader.maybe("devices"), reader.maybe("ulimits"));
        let (log_driver, log_options) = (reader.maybe("log_driver"), reader.maybe("log_options"));
        if let (Some(None), Some(Some(_))) = (&log_driver, &log_options) {
            let detail = "`log_options` are those of a `log_driver`, and there is none.";
            let diagnostic = Diagnostic::error("Missing attribute", detail);
            reader.error(diagnostic.hint("name it: log_driver = \"json-file\""), "log_options");
        }
        let build = reader.block("build", Build::decode);
        let volumes = reader.blocks("volume", Volume::decode);
        let files = reader.blocks("file", file);
        reader.rule(distinct);
        Some(Container {
            build: build?,
            attributes,
            aliases: aliases?,
            cap_add: cap_add?,
            cap_drop: cap_drop?,
            devices: devices?,
            ulimits: ulimits?,
            log_driver: log_driver?,
            log_options: log_options?,
            volumes: volumes?,
            files: files?.into_iter().collect(),
        })
    }
}

impl Volume {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (target, source, read_only) = (reader.take("target"), reader.maybe("source"), reader.take("read_only"));
        let volume = || {
            Some(Volume {
                name: record.label(0),
                target: target?,
                source: source?,
                read_only: read_only?,
                span: record.span().clone(),
            })
        };
        let volume = volume();
        reader.finish(volume)
    }
}

/// Reads a file: its place, and what is in it.
fn file(record: &Record) -> Result<(Arc<str>, Value), Diagnostics> {
    let mut reader = Reader::new(record);
    let (target, content) = (reader.take("target"), reader.take("content"));
    reader.finish(target.zip(content))
}

/// No two things are at one place in a container.
fn distinct(record: &Record, found: &mut Diagnostics) {
    let mut places: BTreeMap<&str, &Span> = BTreeMap::new();
    for block in record.blocks("volume").chain(record.blocks("file")) {
        let span = block.attribute_span("target").unwrap_or(block.span());
        let Some(target) = block.get("target").and_then(Value::as_str) else {
            continue;
        };
        if let Some(first) = places.insert(target.trim_end_matches('/'), span) {
            let detail = format!("Two things are to be at {target}.");
            let diagnostic = Diagnostic::error("Same place twice", detail).at(span.clone());
            found.push(diagnostic.related(first.clone(), "the first one"));
        }
    }
}

/// Into a container that cannot write to its own files an engine puts files in volumes only, that it can write to.
fn sealed(record: &Record, found: &mut Diagnostics) {
    let is_true = |record: &Record| record.get("read_only").and_then(Value::as_bool) == Some(true);
    let target = |record: &Record| record.get("target").and_then(Value::as_str).map(str::to_owned);
    let is_in_a_volume = |file: &Record| {
        let mut volumes = record.blocks("volume").filter(|volume| !is_true(volume));
        volumes.any(|volume| {
            let (folder, file) = (target(volume), target(file));
            let rest = file.as_deref().zip(folder.as_deref());
            let rest = rest.and_then(|(file, folder)| file.strip_prefix(folder.trim_end_matches('/')));
            rest.is_some_and(|rest| rest.starts_with('/'))
        })
    };
    if !is_true(record) {
        return;
    }
    for file in record.blocks("file").filter(|file| !is_in_a_volume(file)) {
        let detail = "With `read_only`, the engine can put a file into a volume only.";
        let diagnostic = Diagnostic::error("Conflicting attributes", detail).at(Some(file.span().clone()));
        let span = record.attribute_span("read_only").unwrap_or(record.span());
        let diagnostic = diagnostic.related(span.clone(), "so that it cannot be written to");
        found.push(diagnostic.hint("have the file in the image, or on the host and in it with a `volume`"));
    }
}

/// In the network that containers are in by default an engine knows no names.
fn nameless(record: &Record, found: &mut Diagnostics) {
    let is_empty = |name: &str| record.get(name).is_none_or(|value| value.is_null() || value.is_empty());
    if is_empty("networks") && !is_empty("aliases") {
        let detail = "`aliases` are what it is called in its networks, and it is in none.";
        let span = record.attribute_span("aliases").cloned();
        let diagnostic = Diagnostic::error("Missing attribute", detail).at(span);
        found.push(diagnostic.hint("name them: networks = [network.NAME.id]"));
    }
}

/// An image without a tag, or with this one, is another one every day.
pub(super) fn latest(record: &Record, found: &mut Diagnostics) {
    let Some(image) = record.get("image").and_then(Value::as_str) else {
        return;
    };
    if record.blocks("build").next().is_some() {
        return;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    let is_latest = match name.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => !name.contains('@'),
    };
    if is_latest {
        let detail = format!("`image` is {image:?}: what that is changes, and no plan shows it.");
        let span = record.attribute_span("image").cloned();
        let diagnostic = Diagnostic::warning("W04 image without a version", detail).at(span);
        found.push(diagnostic.hint("name a tag or a digest"));
    }
}
