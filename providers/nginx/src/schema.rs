//! The settings and kinds of the provider.

use std::sync::LazyLock;

use simfleet_provider_api::process::health_check_type;
use simfleet_provider_api::ssh::Ssh;
use simfleet_provider_api::{Attribute, Kind, Schema, Type};

/// The file of an upstream, without its servers.
pub const UPSTREAM: Kind = Kind::new("upstream");
/// A server of an upstream.
pub const SERVER: Kind = Kind::new("server");

/// Returns the settings: which nginx, and which file of it.
pub(crate) fn settings() -> &'static [Attribute] {
    static SETTINGS: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
        vec![
            Attribute::new(
                "host",
                Type::String,
                "Where nginx runs: ssh://user@host; without it this machine.",
            )
            .replaces(),
            Attribute::new("ssh", Ssh::setting(), "How a host at ssh:// is reached."),
            text("container", "The container there that nginx runs in.").replaces(),
            text(
                "engine",
                "The engine of the container, unix:// or tcp://; without it the one of the docker client there.",
            ),
            text("file", "The file of the upstream, in full.").required().replaces(),
            Attribute::new(
                "test",
                Type::list(Type::String),
                "The command that tests the configuration.",
            ),
            Attribute::new(
                "reload",
                Type::list(Type::String),
                "The command that has nginx read it.",
            ),
            Attribute::new(
                "health_check",
                health_check_type(),
                "What a server must answer before it is entered: http or tcp.",
            ),
            Attribute::new(
                "drain",
                Type::Number,
                "For how many seconds it is waited for the connections of a server that left.",
            ),
        ]
    });
    &SETTINGS
}

/// Returns the schemas of all kinds.
pub(crate) fn schemas() -> &'static [Schema] {
    static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| vec![upstream(), server()]);
    &SCHEMAS
}

fn upstream() -> Schema {
    Schema {
        kind: UPSTREAM,
        version: 1,
        doc: "An upstream of nginx, and the port at which requests for it arrive.",
        attributes: vec![
            text("name", "What it is called in the configuration of nginx.").required(),
            text(
                "algorithm",
                "Which server gets a request: round_robin, least_conn or ip_hash.",
            )
            .default("round_robin"),
            Attribute::new(
                "listen",
                Type::Number,
                "The port at which nginx listens for it; without it something else of nginx leads to it.",
            ),
            text("by_hand", "What somebody changed in the file."),
            text("id", "The token that it was made with.").computed(),
        ],
    }
}

fn server() -> Schema {
    Schema {
        kind: SERVER,
        version: 1,
        doc: "A server of an upstream of nginx.",
        attributes: vec![
            text("name", "What it is called.").required(),
            text("member", "The machine that it is: another one enters once it is there.")
                .required()
                .replaces(),
            text("address", "Where it answers: an address and a port.").required(),
            Attribute::new(
                "max_fails",
                Type::Number,
                "After how many failures it is left out for a while.",
            )
            .default(3u64),
            Attribute::new("fail_timeout", Type::Number, "For how long, in seconds.").default(10u64),
            text("by_hand", "Its line, as somebody changed it."),
            text("id", "The token that it was made with.").computed(),
        ],
    }
}

fn text(name: &'static str, doc: &'static str) -> Attribute {
    Attribute::new(name, Type::String, doc)
}
