//! What a `process` looks like: its attributes, and the settings of the provider that manages it.

use std::sync::LazyLock;

use simfleet_provider_api::ty::Presence::{Optional, Required};
use simfleet_provider_api::{Attribute, Kind, Number, Schema, Type, Value};

/// The kind of a supervised simulator process on a node's agent.
pub const PROCESS: Kind = Kind::new("process");

/// Stands for the agent's own program as the first element of `command`, so that no path of a machine is in the state.
pub const SIMFLEET_PROGRAM: &str = "{simfleet}";

/// How long a process has between SIGTERM and SIGKILL unless `stop_grace` says otherwise, in seconds.
pub const DEFAULT_STOP_GRACE: f64 = 10.0;

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
    vec![
        Attribute::new("name", Type::String, "its name, unique on its node")
            .required()
            .replaces(),
        Attribute::new(
            "command",
            Type::list(Type::String),
            "the program and its arguments; a first element `{simfleet}` stands for the agent's own program",
        )
        .required()
        .replaces(),
        Attribute::new(
            "env",
            Type::map(Type::String),
            "environment variables, added to the few that the agent passes on",
        )
        .replaces(),
        Attribute::new(
            "working_dir",
            Type::String,
            "the absolute path of the folder that it runs in; without it a folder of its own that goes with it",
        )
        .replaces(),
        Attribute::new(
            "ports",
            Type::map(Type::Number),
            "the ports that it was given, by name; it sees each as SIMFLEET_PORT_NAME, and where to listen as SIMFLEET_ADDRESS",
        )
        .replaces(),
        Attribute::new(
            "ready",
            ready_type(),
            "what shows that it has started; without it, that it runs",
        ),
        Attribute::new(
            "restart",
            Type::String,
            "what the agent does when it exits: `no`, `on-failure`, `always` or `unless-stopped`",
        )
        .default("no"),
        Attribute::new(
            "stop_grace",
            Type::Number,
            "seconds between SIGTERM and SIGKILL when it is stopped",
        )
        .default(number(DEFAULT_STOP_GRACE)),
        Attribute::new("log", log_type(), "where its output goes, and how much of it is kept").replaces(),
        Attribute::new(
            "state",
            Type::String,
            "what it should be: `running`, `paused` or `stopped`",
        )
        .default("running"),
        Attribute::new(
            "health_check",
            health_check_type(),
            "how the agent tells whether it is healthy; shows in `status`",
        ),
        Attribute::new(
            "resources",
            resources_type(),
            "what it is expected to use, for placement; recorded, not enforced on a process",
        ),
        Attribute::new(
            "labels",
            Type::map(Type::String),
            "words about it, for people and queries",
        ),
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
    ]
}

fn ready_type() -> Type {
    Type::object([
        ("pattern", Type::String, Optional),
        ("tcp", Type::String, Optional),
        ("http", Type::String, Optional),
        ("mavlink", Type::String, Optional),
        ("timeout", Type::Number, Optional),
    ])
}

fn log_type() -> Type {
    Type::object([
        ("path", Type::String, Optional),
        ("max_size", Type::Number, Optional),
        ("keep", Type::Number, Optional),
    ])
}

fn resources_type() -> Type {
    Type::object([("cpu", Type::Number, Optional), ("memory", Type::Number, Optional)])
}

fn health_check_type() -> Type {
    Type::object([
        ("type", Type::String, Required),
        ("port", Type::String, Optional),
        ("url", Type::String, Optional),
        ("command", Type::list(Type::String), Optional),
        ("interval", Type::Number, Optional),
        ("timeout", Type::Number, Optional),
        ("start_period", Type::Number, Optional),
        ("healthy_threshold", Type::Number, Optional),
        ("unhealthy_threshold", Type::Number, Optional),
    ])
}

/// Returns a number as a value; not-a-number and the infinities, which no caller has, become `null`.
pub(crate) fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::NULL, Value::from)
}
