//! A network: what a node can need before it.

use simfleet_provider_api::{Attribute, Kind, Schema, Type};

/// The kind.
pub const NETWORK: Kind = Kind::new("network");

/// Returns what a network looks like.
pub fn schema() -> Schema {
    Schema {
        kind: NETWORK,
        version: 1,
        doc: "A network of the fake cloud; it cannot be deleted while a node is in it.",
        attributes: vec![
            Attribute::new("name", Type::String, "The name.").required().replaces(),
            Attribute::new("cidr", Type::String, "The range of its addresses.")
                .default("10.0.0.0/16")
                .replaces(),
            Attribute::new("labels", Type::map(Type::String), "Free text by name."),
        ],
    }
}
