//! `service`: a container that what is simulated needs, such as a broker or a store.

use simfleet_provider_api::Value;

use super::{health_check, process, simulator};
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

pub(super) fn schema() -> BlockSchema {
    container(BlockSchema::new(
        "service",
        "A container that the fleet needs, such as a broker or a store.",
    ))
    .labels(&["name"])
    .attributes([
        process::env(),
        process::restart().default("unless-stopped"),
        simulator::resources(),
        AttributeSchema::texts(
            "publish",
            &forms::PUBLISHED,
            "ports of the host that lead to it: \"8080:80\"",
        ),
    ])
    .optional(health_check::schema())
    .resource(&[
        ("id", "its identity at its provider"),
        ("name", "its name"),
        ("address", "the address at which it is reached"),
        ("status", "what it does now"),
    ])
    .later()
}

/// Adds what every container has.
pub(super) fn container(schema: BlockSchema) -> BlockSchema {
    let volume = BlockSchema::new("volume", "A volume in it.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::string("target", "where it is in the container").required(),
            AttributeSchema::string(
                "source",
                "the folder of the host; without it a volume of the label's name",
            ),
            AttributeSchema::bool("read_only", "the container cannot write to it").default(false),
        ]);
    let file = BlockSchema::new("file", "A file in it.").labels(&["name"]).attributes([
        AttributeSchema::string("target", "where it is in the container").required(),
        AttributeSchema::string("content", "what is in it").required(),
    ]);
    schema
        .attributes([
            AttributeSchema::string("image", "the image").required(),
            AttributeSchema::strings("command", "what it runs, where that is not the image's own"),
            AttributeSchema::strings("networks", "the ids of the networks that it is in"),
            AttributeSchema::string("user", "as whom it runs"),
        ])
        .any(volume)
        .any(file)
        .rule(latest)
}

/// An image without a tag, or with this one, is another one every day.
pub(super) fn latest(record: &Record, found: &mut Diagnostics) {
    let Some(image) = record.get("image").and_then(Value::as_str) else {
        return;
    };
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
