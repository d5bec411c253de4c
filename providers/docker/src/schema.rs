//! The settings and kinds of the provider.

use std::sync::LazyLock;

use simfleet_provider_api::Presence::{Optional, Required};
use simfleet_provider_api::process::health_check_type;
use simfleet_provider_api::ssh::Ssh;
use simfleet_provider_api::{Attribute, Kind, Schema, Type};

/// A network of an engine.
pub const NETWORK: Kind = Kind::new("network");
/// A named volume of an engine.
pub const VOLUME: Kind = Kind::new("volume");
/// An image that is built.
pub const IMAGE: Kind = Kind::new("image");
/// A container.
pub const CONTAINER: Kind = Kind::new("container");
/// An engine that exists, as a node that containers are placed on.
pub const ENGINE: Kind = Kind::new("engine");

/// Returns the settings of a `provider "docker"` block.
pub(crate) fn settings() -> &'static [Attribute] {
    static SETTINGS: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
        let file = |name| (name, Type::String, Optional);
        vec![
            Attribute::new(
                "host",
                Type::String,
                "The engine: unix://, tcp:// or ssh://; without it the one of the docker client.",
            )
            .replaces(),
            Attribute::new(
                "tls",
                Type::object([file("ca"), file("cert"), file("key")]),
                "The files of the certificates for an engine at tcp://.",
            ),
            Attribute::new("ssh", Ssh::setting(), "How an engine at ssh:// is reached."),
        ]
    });
    &SETTINGS
}

/// Returns the schemas of all kinds.
pub(crate) fn schemas() -> &'static [Schema] {
    static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| vec![network(), volume(), image(), container(), engine()]);
    &SCHEMAS
}

fn network() -> Schema {
    Schema {
        kind: NETWORK,
        version: 1,
        doc: "A network of a Docker engine.",
        attributes: vec![
            name(),
            text("driver", "How it is made.").default("bridge").replaces(),
            text("cidr", "Its addresses; without it the engine chooses them.")
                .optional_computed()
                .replaces(),
            Attribute::new("internal", Type::Bool, "Nothing in it reaches what is outside.")
                .default(false)
                .replaces(),
            labels(),
            text("id", "Its identity at the engine.").computed(),
            text("engine_name", "Its name at the engine.").computed(),
        ],
    }
}

fn volume() -> Schema {
    Schema {
        kind: VOLUME,
        version: 1,
        doc: "A named volume of a Docker engine.",
        attributes: vec![
            name(),
            text("driver", "What keeps it.").default("local").replaces(),
            Attribute::new("options", Type::map(Type::String), "What the driver is told.").replaces(),
            labels(),
            text("id", "Its name at the engine.").computed(),
        ],
    }
}

fn image() -> Schema {
    Schema {
        kind: IMAGE,
        version: 1,
        doc: "An image that a Docker engine builds.",
        attributes: vec![
            name(),
            text("tag", "Its tag, where that is not made of its name.").replaces(),
            text(
                "context",
                "The folder that it is built of, relative to the folder of the fleet.",
            )
            .required()
            .replaces(),
            text("context_digest", "The SHA-256 of what is in that folder.")
                .required()
                .replaces(),
            text("dockerfile", "How it is built: a file of that folder.")
                .default("Dockerfile")
                .replaces(),
            Attribute::new("args", Type::map(Type::String), "The arguments of the Dockerfile.").replaces(),
            text(
                "target",
                "The stage of the Dockerfile that it is; the last one without it.",
            )
            .replaces(),
            text("id", "Its identity at the engine.").computed(),
        ],
    }
}

fn container() -> Schema {
    let mount = Type::object([
        ("type", Type::String, Required),
        ("source", Type::String, Optional),
        ("target", Type::String, Required),
        ("read_only", Type::Bool, Optional),
    ]);
    let limits = Type::object([("cpu", Type::Number, Optional), ("memory", Type::Number, Optional)]);
    let log = Type::object([
        ("driver", Type::String, Required),
        ("options", Type::map(Type::String), Optional),
    ]);
    Schema {
        kind: CONTAINER,
        version: 1,
        doc: "A container of a Docker engine.",
        attributes: vec![
            name(),
            text("image", "The image, by tag or digest.").required().replaces(),
            text("pull", "When the image is pulled: never, missing or always; always means at every make.")
                .default("missing")
                .replaces(),
            texts("entrypoint", "The program, where that is not the image's own.").replaces(),
            texts("command", "What it runs, where that is not the image's own.").replaces(),
            Attribute::new("env", Type::map(Type::String), "Environment variables beside the image's own.").replaces(),
            text("user", "As whom it runs, where that is not the image's own.").replaces(),
            text("working_dir", "The folder that it runs in, where that is not the image's own.").replaces(),
            text("hostname", "What it calls itself.").optional_computed().replaces(),
            set(
                "publish",
                "Ports of the host that lead to it, in full: \"0.0.0.0:8080:80/tcp\"; without a number the engine chooses.",
            )
            .replaces(),
            Attribute::new(
                "ports",
                Type::map(Type::Number),
                "The ports of its host that it was given, by name.",
            )
            .replaces(),
            set("networks", "The ids of the networks that it is in; the engine's own without any."),
            set("aliases", "What it is called in these networks."),
            Attribute::new("mounts", Type::Set(Box::new(mount)), "Volumes and folders of the host in it.").replaces(),
            Attribute::new(
                "tmpfs",
                Type::map(Type::String),
                "Folders in memory and the options of each, by place.",
            )
            .replaces(),
            Attribute::new(
                "files",
                Type::map(Type::String),
                "Files that are put into it before it starts: what is in them, by place.",
            )
            .replaces(),
            labels(),
            text("restart", "What is done when it ends by itself.").default("no"),
            Attribute::new("resources", limits, "The most that it gets: processors, and bytes of memory."),
            Attribute::new("health_check", health_check_type(), "How it is told whether it is healthy; times in seconds.")
                .replaces(),
            text("stop_signal", "What tells it to end, where that is not the image's own.").replaces(),
            Attribute::new("stop_grace", Type::Number, "How many seconds it has to end before it is killed.").replaces(),
            Attribute::new("read_only", Type::Bool, "It cannot write to its own files.")
                .default(false)
                .replaces(),
            set("cap_add", "What it may do beyond what containers may.").replaces(),
            set("cap_drop", "What it may not do that containers may.").replaces(),
            set("devices", "Devices of the host in it, in full: \"/dev/kvm:/dev/kvm:rwm\".").replaces(),
            Attribute::new(
                "ulimits",
                Type::map(Type::String),
                "Its limits of the system, by name: \"1024:2048\", soft and hard.",
            )
            .replaces(),
            Attribute::new("log", log, "Where its output goes, where that is not the engine's own way.").replaces(),
            text("state", "What it should do: running, paused or stopped.").default("running"),
            text("id", "Its identity at the engine.").computed(),
            text("image_id", "The image that it was made of, by its digest.").computed(),
            text("address", "The address of its host, at which its published ports are reached.").computed(),
            text("status", "What it does now.").live(),
            text("started_at", "When it was last started.").live(),
            text("health", "Whether it is healthy: starting, healthy or unhealthy.").live(),
            Attribute::new("exit_code", Type::Number, "What it ended with.").live(),
            text("exit", "How it ended, in words: exit code 137, as it wanted more memory than it may have.").live(),
            Attribute::new(
                "published",
                Type::map(Type::String),
                "Where each of its published ports is now, by the port within: 80/tcp = 127.0.0.1:8080.",
            )
            .live(),
            Attribute::new("ips", Type::map(Type::String), "Its addresses, by the name of the network.").live(),
            Attribute::new("volumes", Type::map(Type::String), "The volumes in it, by place.").live(),
        ],
    }
}

fn engine() -> Schema {
    Schema {
        kind: ENGINE,
        version: 1,
        doc: "A Docker engine that exists. It is looked at only: never made, and never deleted.",
        attributes: vec![
            text("runtime", "Where it is.").required().replaces(),
            text("id", "What it calls itself.").computed(),
            text(
                "address",
                "The address at which the published ports of its containers are reached.",
            )
            .computed(),
            Attribute::new("cpus", Type::Number, "The processors of its machine.").live(),
            Attribute::new("memory", Type::Number, "The memory of its machine, in bytes.").live(),
            text("version", "Its version.").live(),
            text("status", "Whether it answers.").live(),
        ],
    }
}

fn name() -> Attribute {
    text("name", "Its name in the fleet.").required()
}

fn labels() -> Attribute {
    Attribute::new(
        "labels",
        Type::map(Type::String),
        "Words about it, beside the image's own.",
    )
    .replaces()
}

fn text(name: &'static str, doc: &'static str) -> Attribute {
    Attribute::new(name, Type::String, doc)
}

fn texts(name: &'static str, doc: &'static str) -> Attribute {
    Attribute::new(name, Type::list(Type::String), doc)
}

fn set(name: &'static str, doc: &'static str) -> Attribute {
    Attribute::new(name, Type::Set(Box::new(Type::String)), doc)
}
