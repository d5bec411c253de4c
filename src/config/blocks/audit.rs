//! `audit`: who did what.

use std::sync::Arc;

use crate::audit::{AuditSettings, Durability};
use crate::config::check::Body;
use crate::config::decode::Reader;
use crate::config::record::{Mode, Record};
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::config::scope::Constants;
use crate::diagnostic::Diagnostics;

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("audit", "Where it is written down who did what by hand.").attributes([
        AttributeSchema::string(
            "path",
            "the file, a line of JSON each; without the block, `audit.jsonl` beside the state",
        )
        .required(),
        AttributeSchema::bool("fsync", "a line is on the disk before the command ends").default(false),
    ])
}

/// Reads the block; a relative path starts at the folder of the fleet.
pub(in crate::config) fn read(
    body: &Body,
    constants: &Constants<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<AuditSettings> {
    let record = Record::sound(body, constants, Mode::Plan, diagnostics)?;
    let decode = || {
        let mut reader = Reader::new(&record);
        let (path, fsync) = (reader.take::<Arc<str>>("path"), reader.take("fsync"));
        let settings = || {
            Some(AuditSettings {
                path: constants.folder.join(&*path?),
                durability: match fsync? {
                    true => Durability::Synced,
                    false => Durability::Written,
                },
            })
        };
        let settings = settings();
        reader.finish(settings)
    };
    diagnostics.keep(decode())
}
