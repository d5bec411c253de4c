//! A process: a simulator on a fake node. Its attributes are those of a process under a simfleet agent.

pub use simfleet_provider_api::process::PROCESS;
use simfleet_provider_api::{Attribute, Attributes, Path, PathStep, Problem, Schema, Type, process};

/// Returns what a process looks like.
pub fn schema() -> Schema {
    let mut attributes = process::attributes();
    attributes.extend([
        Attribute::new("host", Type::String, "The id of the node that it runs on.")
            .required()
            .replaces(),
        Attribute::new("status", Type::String, "What it is: running, paused or stopped.").live(),
        Attribute::new("pid", Type::Number, "Its process id while it runs.").live(),
    ]);
    Schema {
        kind: PROCESS,
        version: 1,
        doc: "A simulator on a node of the fake cloud; nothing runs.",
        attributes,
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
