//! `log`: where the log of `simfleet watch` goes.

use std::sync::Arc;

use crate::config::check::Body;
use crate::config::decode::Reader;
use crate::config::record::{Mode, Record};
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::config::scope::Constants;
use crate::diagnostic::Diagnostics;
use crate::signals::rotating::RotatingSettings;

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new(
        "log",
        "Where the log of `simfleet watch` goes, beside standard error: with all that it tells.",
    )
    .kind("file")
    .labels(&["type"])
    .attributes([
        AttributeSchema::string("path", "the file; a relative path starts at the folder of the fleet").required(),
        AttributeSchema::size("max_size", "the size at which a new file is begun").default("10MiB"),
        AttributeSchema::count("keep", 0, "how many old files are kept").default(5u64),
    ])
}

/// Reads the block.
pub(in crate::config) fn read(
    body: &Body,
    constants: &Constants<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<RotatingSettings> {
    let record = Record::sound(body, constants, Mode::Plan, diagnostics)?;
    let mut reader = Reader::new(&record);
    let (path, max_size, keep) = (
        reader.take::<Arc<str>>("path"),
        reader.take("max_size"),
        reader.take("keep"),
    );
    let settings = || {
        Some(RotatingSettings {
            path: constants.folder.join(&*path?),
            max_size: max_size?,
            keep: keep?,
        })
    };
    let settings = settings();
    diagnostics.keep(reader.finish(settings))
}
