//! `serve`: the HTTP listener.

use crate::config::forms;
use crate::config::schema::{AttributeSchema, BlockSchema};

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("serve", "How `simfleet watch` is reached over HTTP.")
        .attributes([
            AttributeSchema::text("listen", &forms::LISTEN, "where it listens").default("127.0.0.1:8000"),
            AttributeSchema::object(
                "tls",
                [
                    AttributeSchema::string("cert", "the file of the certificate").required(),
                    AttributeSchema::string("key", "the file of its key").required(),
                ],
                "the certificate; needed beyond this machine",
            ),
            AttributeSchema::string("base_path", "what every path starts with, behind a proxy").default("/"),
            AttributeSchema::texts(
                "trusted_proxies",
                &forms::CIDR,
                "whose word is taken for who the client is",
            ),
            AttributeSchema::object(
                "cors",
                [AttributeSchema::texts("origins", &forms::URL, "from which pages it may be asked").required()],
                "which pages may ask it",
            ),
            AttributeSchema::object(
                "rate_limit",
                [
                    AttributeSchema::count("per_minute", 1, "requests a minute").default(100u64),
                    AttributeSchema::count("auth_per_minute", 1, "attempts to log in a minute").default(5u64),
                ],
                "how much one client may ask",
            ),
            AttributeSchema::some_of("compat", &["vbox_power"], "paths of other programs that it answers too"),
        ])
        .later()
}
