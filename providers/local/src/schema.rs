//! What a `node` of this machine looks like, and the settings of the provider.

use std::sync::LazyLock;

use simfleet_provider_api::{Attribute, Kind, Schema, Type};

/// The kind of a node: one agent process on loopback.
pub const NODE: Kind = Kind::new("node");

/// The settings of the provider.
pub(crate) fn settings() -> &'static [Attribute] {
    static SETTINGS: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
        vec![Attribute::new(
            "data_dir",
            Type::String,
            "the folder for the nodes' files, a relative path from the fleet's folder; without it one beside the state",
        )
        // The nodes stay where their files are.
        .replaces()]
    });
    &SETTINGS
}

/// The schemas of the provider: `node`.
pub(crate) fn schemas() -> &'static [Schema] {
    static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
        vec![Schema {
            kind: NODE,
            version: 1,
            doc: "A node on this machine: an agent process on a loopback address of its own.",
            attributes: vec![
                Attribute::new("name", Type::String, "its name, unique in the fleet")
                    .required()
                    .replaces(),
                Attribute::new(
                    "cpus",
                    Type::Number,
                    "the cpus that its load is a percentage of; without it those of the machine",
                ),
                Attribute::new(
                    "memory",
                    Type::Number,
                    "the memory in bytes that its load is a percentage of; without it that of the machine",
                ),
                Attribute::new("max_simulators", Type::Number, "how many simulators it takes"),
                Attribute::new(
                    "labels",
                    Type::map(Type::String),
                    "words about it, for people and queries",
                ),
                Attribute::new("address", Type::String, "its loopback address").computed(),
                Attribute::new(
                    "runtime",
                    Type::String,
                    "where its agent listens: `agent+http://ADDRESS:PORT`",
                )
                .computed(),
                Attribute::new(
                    "token_file",
                    Type::String,
                    "the path of the file (0600) that holds its agent's bearer token",
                )
                .computed(),
                Attribute::new("data_dir", Type::String, "the folder that holds its files").computed(),
                Attribute::new("status", Type::String, "`running` or `stopping`").live(),
                Attribute::new("pid", Type::Number, "the process id of its agent").live(),
                Attribute::new("started", Type::String, "when its agent started, RFC 3339").live(),
            ],
        }]
    });
    &SCHEMAS
}
