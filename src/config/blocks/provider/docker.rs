//! `provider "docker"`.

use crate::config::forms;
use crate::config::schema::AttributeSchema;

pub(super) fn settings() -> Vec<AttributeSchema> {
    vec![
        AttributeSchema::text(
            "host",
            &forms::ENGINE,
            "the engine: unix://, tcp:// or ssh://; without it the one of the docker client",
        ),
        super::super::tls(),
        AttributeSchema::object(
            "ssh",
            [
                AttributeSchema::string("key", "the file of the key"),
                AttributeSchema::string("known_hosts", "the file of the hosts that are known"),
                AttributeSchema::string(
                    "host_key_alias",
                    "what the key of the host is known by, where that is not its address: of a new one the first is believed",
                ),
            ],
            "how an engine at ssh:// is reached",
        ),
    ]
}
