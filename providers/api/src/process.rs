//! A process of a simulator or of a node: the one kind that several providers have alike, with the words in which it is declared.

use crate::ty::Presence::{Optional, Required};
use crate::{Attribute, Kind, Number, Type, Value};

/// The kind of a supervised simulator process on a node.
pub const PROCESS: Kind = Kind::new("process");

/// How long a process has between SIGTERM and SIGKILL unless `stop_grace` says otherwise, in seconds.
pub const DEFAULT_STOP_GRACE: f64 = 10.0;

/// Returns what can be declared of a process; a provider adds what only it knows.
pub fn attributes() -> Vec<Attribute> {
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
        .default(Number::from_f64(DEFAULT_STOP_GRACE).map_or(Value::NULL, Value::from)),
        Attribute::new(
            "idle_timeout",
            Type::Number,
            "seconds after which it is stopped where nobody uses it, until somebody does",
        ),
        Attribute::new(
            "max_lifetime",
            Type::Number,
            "seconds after which it is stopped, until it is started",
        ),
        Attribute::new(
            "of_node",
            Type::Bool,
            "whether the node runs it itself, so that it takes no simulator's place",
        )
        .replaces(),
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

/// Returns how it is told whether something that runs is healthy; times are in seconds. It has one shape everywhere.
pub fn health_check_type() -> Type {
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
        ("real_time_factor_min", Type::Number, Optional),
    ])
}
