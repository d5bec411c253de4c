//! `limits`: what no simulator may go beyond.

use crate::config::schema::{AttributeSchema, BlockSchema};

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new(
        "limits",
        "What no simulator may go beyond; the narrower of this and its own value holds.",
    )
    .attributes([
        AttributeSchema::count("max_simulators", 0, "how many there may be"),
        AttributeSchema::duration("idle_timeout", "how long one may be idle"),
        AttributeSchema::size("max_program", "how large a program may be"),
        AttributeSchema::size("max_snapshot", "how large a snapshot may be"),
        AttributeSchema::strings("allowed_images", "the images that may run: \"registry.example.net/*\""),
    ])
    .later()
}
