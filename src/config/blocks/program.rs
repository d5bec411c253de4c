//! `program`: what a simulated machine runs.

use crate::config::forms;
use crate::config::schema::{AttributeSchema, BlockSchema};

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("program", "What a simulated machine runs: firmware, a kernel.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::string("path", "the file").required(),
            AttributeSchema::text("sha256", &forms::SHA256, "what it must be: filesha256(\"…\")"),
        ])
        .resource(&[("id", "its content, as a SHA-256"), ("name", "its name")])
        .later()
}
