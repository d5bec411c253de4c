//! `node_agent`: one watcher of many, as a hub sees it.

use crate::config::forms;
use crate::config::schema::{AttributeSchema, BlockSchema};

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("node_agent", "One watcher of many, as a hub sees it.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::text("hub", &forms::URL, "where the hub is").required(),
            AttributeSchema::string("api_key", "what it is known by there")
                .sensitive()
                .required(),
            AttributeSchema::duration("heartbeat", "how often it tells that it is there").default("60s"),
            AttributeSchema::duration("offline_after", "how long it may be silent").default("5m"),
            AttributeSchema::bool("accept_config", "it takes signed configurations from there").default(false),
        ])
        .later()
}
