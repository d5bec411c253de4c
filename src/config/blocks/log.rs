//! `log`: where the log of `simfleet watch` goes.

use crate::config::schema::{AttributeSchema, BlockSchema};

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("log", "Where the log of `simfleet watch` goes, beside standard error.")
        .kind("file")
        .labels(&["type"])
        .attributes([
            AttributeSchema::string("path", "the file").required(),
            AttributeSchema::size("max_size", "the size at which a new file is begun").default("10MiB"),
            AttributeSchema::count("keep", 0, "how many old files are kept").default(5u64),
        ])
        .later()
}
