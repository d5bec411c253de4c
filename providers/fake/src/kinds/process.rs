//! A process: a simulator on a fake node. Its attributes are those of a process under a simfleet agent.

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
            Attribute::new("command", Type::list(Type::String), "The program and its arguments.").required(),
            Attribute::new("env", Type::map(Type::String), "Its environment variables."),
            Attribute::new("working_dir", Type::String, "The folder that it starts in."),
            Attribute::new("ports", Type::map(Type::Number), "Its ports by name."),
            Attribute::new("restart", Type::String, "When it is started again.").default("on-failure"),
            Attribute::new("stop_grace", Type::String, "How long it may take to stop, with a unit.").default("10s"),
            Attribute::new("state", Type::String, "What it shall do: running or stopped.").default("running"),
            Attribute::new("resources", Type::Any, "What it may use."),
            Attribute::new("health_check", Type::Any, "How it is told that it works."),
            Attribute::new("ready", Type::Any, "How it is told that it has started."),
            Attribute::new("log", Type::Any, "Where its output goes."),
            Attribute::new("status", Type::String, "What it does: running or stopped.").live(),
            Attribute::new("pid", Type::Number, "Its process id.").live(),
        ],
    }
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
