//! A process: a simulator on a fake node. Its attributes are those of a process under a simfleet agent.

use simfleet_provider_api::ty::Presence::{Optional, Required};
use simfleet_provider_api::{Attribute, Attributes, Kind, Path, PathStep, Problem, Schema, Type};

/// The kind.
pub const PROCESS: Kind = Kind::new("process");

/// Returns what a process looks like.
pub fn schema() -> Schema {
    Schema {
        kind: PROCESS,
        version: 1,
        doc: "A simulator on a node of the fake cloud; nothing runs.",
        attributes: vec![
            Attribute::new("name", Type::String, "The name.").required().replaces(),
            Attribute::new("host", Type::String, "The id of the node that it runs on.")
                .required()
                .replaces(),
            Attribute::new("command", Type::list(Type::String), "The program and its arguments.")
                .required()
                .replaces(),
            Attribute::new("env", Type::map(Type::String), "Its environment variables.").replaces(),
            Attribute::new("working_dir", Type::String, "The folder that it runs in.").replaces(),
            Attribute::new("ports", Type::map(Type::Number), "Its ports by name.").replaces(),
            Attribute::new("ready", ready(), "What shows that it has started."),
            Attribute::new("restart", Type::String, "When it is started again.").default("no"),
            Attribute::new("stop_grace", Type::Number, "How long it may take to stop, in seconds.").default(10u64),
            Attribute::new("log", log(), "Where its output goes.").replaces(),
            Attribute::new("state", Type::String, "What it should be: running, paused or stopped.").default("running"),
            Attribute::new("health_check", health_check(), "What shows that it works."),
            Attribute::new("resources", resources(), "What it is expected to use."),
            Attribute::new("labels", Type::map(Type::String), "Free text by name."),
            Attribute::new("status", Type::String, "What it is: running, paused or stopped.").live(),
            Attribute::new("pid", Type::Number, "Its process id while it runs.").live(),
        ],
    }
}

fn ready() -> Type {
    Type::object([
        ("pattern", Type::String, Optional),
        ("tcp", Type::String, Optional),
        ("http", Type::String, Optional),
        ("mavlink", Type::String, Optional),
        ("timeout", Type::Number, Optional),
    ])
}

fn log() -> Type {
    Type::object([
        ("path", Type::String, Optional),
        ("max_size", Type::Number, Optional),
        ("keep", Type::Number, Optional),
    ])
}

fn resources() -> Type {
    Type::object([("cpu", Type::Number, Optional), ("memory", Type::Number, Optional)])
}

fn health_check() -> Type {
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

/// Checks that there is a program to start.
pub fn check(desired: &Attributes) -> Vec<Problem> {
    let is_empty = |value: &simfleet_provider_api::Value| value.as_slice().is_some_and(<[_]>::is_empty);
    match desired.get("command").filter(|command| is_empty(command)) {
        Some(_) => vec![Problem {
            path: Path::attribute("command").join(PathStep::Index(0)),
            message: "the command is empty".to_owned(),
            hint: Some("its first element is the program".to_owned()),
        }],
        None => Vec::new(),
    }
}
