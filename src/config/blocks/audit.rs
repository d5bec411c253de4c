//! `audit`: who did what.

use crate::config::schema::{AttributeSchema, BlockSchema};

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("audit", "Where it is written down who did what.")
        .attributes([
            AttributeSchema::string("path", "the file, a line of JSON each").required(),
            AttributeSchema::bool("fsync", "a line is safe before it is answered").default(false),
        ])
        .later()
}
