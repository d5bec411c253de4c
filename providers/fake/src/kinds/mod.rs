//! The kinds of object that the fake cloud has.

mod network;
mod node;
mod process;

use std::sync::LazyLock;

use simfleet_provider_api::{Attributes, Kind, Problem, Schema};

pub use network::NETWORK;
pub use node::NODE;
pub use process::PROCESS;

/// Returns the schemas of all kinds.
pub fn schemas() -> &'static [Schema] {
    static SCHEMAS: LazyLock<Vec<Schema>> =
        LazyLock::new(|| vec![network::schema(), node::schema(), process::schema()]);
    &SCHEMAS
}

/// Returns the schema of one kind.
pub fn schema(kind: &str) -> Option<&'static Schema> {
    schemas().iter().find(|schema| schema.kind.as_str() == kind)
}

/// Checks wanted attributes beyond their types.
pub fn check(kind: &Kind, desired: &Attributes) -> Vec<Problem> {
    match kind.as_str() {
        "node" => node::check(desired),
        "process" => process::check(desired),
        _ => Vec::new(),
    }
}
