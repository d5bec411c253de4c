//! `provider` blocks of providers that this build lacks, one file each: a fleet that uses them can be checked all the same.

use crate::config::schema::{AttributeSchema, AttributeType};

mod azure;
mod docker;
mod oci;
mod virtualbox;

/// Returns the settings of each, by name.
pub(super) fn settings() -> [(&'static str, Vec<AttributeSchema>); 4] {
    [
        ("docker", docker::settings()),
        ("azure", azure::settings()),
        ("oci", oci::settings()),
        ("virtualbox", virtualbox::settings()),
    ]
}

/// Returns the attribute for how calls are repeated.
fn retry() -> AttributeSchema {
    AttributeSchema::object(
        "retry",
        [
            AttributeSchema::count("max_attempts", 1, "how often a call is sent at most").default(8u64),
            AttributeSchema::new(
                "on",
                AttributeType::List(Box::new(AttributeType::Integer(400, 599))),
                "the status codes after which it is sent again",
            ),
            AttributeSchema::duration("base", "the first pause").default("1s"),
            AttributeSchema::duration("max", "the longest pause").default("32s"),
            AttributeSchema::one_of("jitter", &["full", "none"], "how far chance changes a pause").default("full"),
        ],
        "how calls are repeated",
    )
}
