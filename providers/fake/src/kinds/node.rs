//! A node: a machine of the fake cloud.

use simfleet_provider_api::{Attribute, Attributes, Kind, Path, Problem, Schema, Type};

/// The kind.
pub const NODE: Kind = Kind::new("node");

/// The sizes that the cloud offers.
const SIZES: [&str; 3] = ["small", "medium", "large"];

/// Returns what a node looks like.
pub fn schema() -> Schema {
    let text_map = || Type::map(Type::String);
    Schema {
        kind: NODE,
        version: 1,
        doc: "A machine of the fake cloud; the processes on it go with it.",
        attributes: vec![
            Attribute::new("name", Type::String, "The name.").required().replaces(),
            Attribute::new("size", Type::String, "The size: small, medium or large.").default("small"),
            Attribute::new("image", Type::String, "What it boots.")
                .default("base")
                .replaces(),
            Attribute::new(
                "zone",
                Type::String,
                "Where it stands; the cloud chooses when it is not given.",
            )
            .optional_computed()
            .replaces(),
            Attribute::new(
                "state",
                Type::String,
                "What it should do: running, or stopped; running without it.",
            ),
            Attribute::new("cpus", Type::Number, "The number of its processors."),
            Attribute::new("memory", Type::Number, "Its memory in bytes."),
            Attribute::new("max_simulators", Type::Number, "How many simulators it takes."),
            Attribute::new(
                "networks",
                Type::Set(Box::new(Type::String)),
                "The ids of the networks that it is in.",
            ),
            Attribute::new("labels", text_map(), "Free text by name, for simfleet."),
            Attribute::new("tags", text_map(), "Free text by name, for the cloud."),
            Attribute::new("password", Type::String, "The password of its administrator.").sensitive(),
            Attribute::new("address", Type::String, "Its IP address.").computed(),
            Attribute::new("runtime", Type::String, "Where its simulators run: fake://ID.").computed(),
            Attribute::new("status", Type::String, "What it does: running or stopped.").live(),
        ],
    }
}

/// Checks the size.
pub fn check(desired: &Attributes) -> Vec<Problem> {
    match desired.str("size") {
        Some(size) if !SIZES.contains(&size) => vec![Problem {
            path: Path::attribute("size"),
            message: format!("there is no size `{size}`"),
            hint: Some(format!("the sizes are {}", SIZES.join(", "))),
        }],
        _ => Vec::new(),
    }
}
