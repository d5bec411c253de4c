//! What a `process` looks like: its attributes, and the settings of the provider that manages it.

use std::sync::LazyLock;

pub use simfleet_provider_api::process::PROCESS;
use simfleet_provider_api::{Attribute, Number, Schema, Type, Value, process};

/// Stands for the agent's own program as the first element of `command`, so that no path of a machine is in the state.
pub const SIMFLEET_PROGRAM: &str = "{simfleet}";

/// The settings of the provider.
pub(crate) fn settings() -> &'static [Attribute] {
    static SETTINGS: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
        vec![
            Attribute::new(
                "runtime",
                Type::String,
                "where the agent listens: `agent+http://HOST:PORT`",
            )
            .required(),
            Attribute::new(
                "token_file",
                Type::String,
                "the path of the file (0600) that holds the agent's bearer token",
            )
            .required(),
        ]
    });
    &SETTINGS
}

/// The schemas of the provider: `process`.
pub(crate) fn schemas() -> &'static [Schema] {
    static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
        vec![Schema {
            kind: PROCESS,
            version: 1,
            doc: "A simulator process that a node's agent starts, supervises and stops.",
            attributes: process_attributes(),
        }]
    });
    &SCHEMAS
}

fn process_attributes() -> Vec<Attribute> {
    let mut attributes = process::attributes();
    attributes.extend([
        Attribute::new(
            "status",
            Type::String,
            "`starting`, `running`, `unhealthy`, `paused`, `restarting`, `stopping`, `stopped` or `exited`",
        )
        .live(),
        Attribute::new("pid", Type::Number, "its process id while it lives").live(),
        Attribute::new("exit", Type::String, "how it last ended: `exit code 1`, `signal 9`, …").live(),
        Attribute::new("restarts", Type::Number, "how often the agent has restarted it").live(),
        Attribute::new("started", Type::String, "when it was last started, RFC 3339").live(),
    ]);
    attributes
}

/// Returns a number as a value; not-a-number and the infinities, which no caller has, become `null`.
pub(crate) fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::NULL, Value::from)
}
