//! `telemetry`: where series are written to.

use crate::config::forms;
use crate::config::schema::{AttributeSchema, BlockSchema};

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new(
        "telemetry",
        "Where the series of robots and of the fleet are written to.",
    )
    .labels(&["name"])
    .attributes([
        AttributeSchema::one_of("type", &["influxdb1", "influxdb2"], "what it is").required(),
        AttributeSchema::text("url", &forms::URL, "where it is").required(),
        AttributeSchema::string("token", "what lets simfleet write").sensitive(),
        AttributeSchema::string("org", "the organization, for influxdb2"),
        AttributeSchema::string("bucket", "the bucket, or the database").required(),
        AttributeSchema::count("batch_size", 1, "how many points are written at once").default(500u64),
        AttributeSchema::duration("flush_every", "how long a point waits for others").default("1s"),
        AttributeSchema::size(
            "buffer",
            "how much is kept while it does not answer; the oldest goes first",
        )
        .default("64MiB"),
    ])
    .resource(&[("name", "its name"), ("status", "whether it answers")])
    .later()
}
