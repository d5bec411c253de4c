//! `report`: what is written down now and then.

use crate::config::forms;
use crate::config::schema::{AttributeSchema, BlockSchema};

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("report", "What is written down now and then.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::text("every", &forms::RHYTHM, "when: \"24h\", \"cron(0 8 * * 1)\"").required(),
            AttributeSchema::text("timezone", &forms::TIMEZONE, "the time zone").default("UTC"),
            AttributeSchema::some_of("format", &["json", "html", "csv"], "in which forms").required(),
            AttributeSchema::duration("window", "about how long").default("24h"),
            AttributeSchema::string("path", "where to: \"reports/{date}\"").required(),
            AttributeSchema::strings("exec", "a command that gets the report as JSON"),
        ])
        .resource(&[("name", "its name")])
        .later()
}
