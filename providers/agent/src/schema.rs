//! What a `process` and a `machine` look like: its attributes, and the settings of the provider that manages it.

use std::sync::LazyLock;

pub use simfleet_provider_api::process::PROCESS;
use simfleet_provider_api::ssh::Ssh;
use simfleet_provider_api::{Attribute, Kind, Number, Presence, Schema, Type, Value, process};

use crate::spec::OF_A_PROCESS;

/// The kind of a machine that QEMU emulates.
pub const MACHINE: Kind = Kind::new("machine");

/// Stands for the agent's own program as the first element of `command`, so that no path of a machine is in the state.
pub const SIMFLEET_PROGRAM: &str = "{simfleet}";

/// The kind of a machine with an agent, which exists.
pub const HOST: Kind = Kind::new("host");

/// The settings of the provider.
pub(crate) fn settings() -> &'static [Attribute] {
    static SETTINGS: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
        vec![
            Attribute::new(
                "runtime",
                Type::String,
                "where the agent is reached: `agent+http://HOST:PORT`, or `agent+ssh://USER@HOST`",
            )
            .required(),
            Attribute::new(
                "token_file",
                Type::String,
                "the path of the file (0600) that holds the bearer token of one at an address",
            ),
            Attribute::new(
                "ssh",
                Ssh::setting(),
                "how the machine of one at ssh:// is logged in to",
            ),
        ]
    });
    &SETTINGS
}

/// The schemas of the provider: `process`, `machine` and `host`.
pub(crate) fn schemas() -> &'static [Schema] {
    static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
        vec![
            Schema {
                kind: PROCESS,
                version: 1,
                doc: "A simulator process that a node's agent starts, supervises and stops.",
                attributes: process_attributes(),
            },
            Schema {
                kind: MACHINE,
                version: 1,
                doc: "A machine that QEMU emulates, as a process that a node's agent starts, supervises and stops.",
                attributes: machine_attributes(),
            },
            Schema {
                kind: HOST,
                version: 1,
                doc: "A machine with an agent, which exists. It is looked at only: never made, and never deleted.",
                attributes: host_attributes(),
            },
        ]
    });
    &SCHEMAS
}

fn process_attributes() -> Vec<Attribute> {
    let mut attributes = process::attributes();
    attributes.extend([
        Attribute::new(
            "status",
            Type::String,
            "`starting`, `running`, `unhealthy`, `paused`, `restarting`, `stopping`, `stopped` or `exited`",
        )
        .live(),
        Attribute::new(
            "problem",
            Type::String,
            "why it is unhealthy: what its check found last",
        )
        .live(),
        Attribute::new(
            "stopped_because",
            Type::String,
            "why it is stopped although it is to run: `idle for 30m`",
        )
        .live(),
        Attribute::new("pid", Type::Number, "its process id while it lives").live(),
        Attribute::new("exit", Type::String, "how it last ended: `exit code 1`, `signal 9`, …").live(),
        Attribute::new("restarts", Type::Number, "how often the agent has restarted it").live(),
        Attribute::new("started", Type::String, "when it was last started, RFC 3339").live(),
    ]);
    attributes
}

fn host_attributes() -> Vec<Attribute> {
    let text = |name, doc| Attribute::new(name, Type::String, doc);
    vec![
        text("runtime", "Where its agent is reached.").required().replaces(),
        text("id", "What its agent calls itself.").computed(),
        text(
            "address",
            "The address at which the ports of its simulators are reached.",
        )
        .computed(),
        Attribute::new("cpus", Type::Number, "Its processors.").live(),
        Attribute::new("memory", Type::Number, "Its memory, in bytes.").live(),
        text("version", "The version of its agent.").live(),
        text("status", "Whether its agent answers.").live(),
    ]
}

fn machine_attributes() -> Vec<Attribute> {
    let text = |name, doc| Attribute::new(name, Type::String, doc).replaces();
    let mut attributes = process_attributes();
    attributes.retain(|attribute| !OF_A_PROCESS.contains(&attribute.name));
    for attribute in &mut attributes {
        attribute.doc = match attribute.name {
            "state" => "what it should be: `running`, `paused` (held by its monitor) or `stopped`",
            "status" => {
                "`starting`, `running`, `unhealthy`, `paused`, `waiting` or `debugged` (for or by a debugger), `restarting`, \
                 `stopping`, `stopped`, `exited`, or QEMU's word for what else holds it: `guest-panicked`, `io-error` …"
            }
            _ => attribute.doc,
        };
    }
    let name = attributes.iter().position(|attribute| attribute.name == "name");
    let own = [
        text("binary", "the program that emulates it: `qemu-system-arm`").required(),
        text("machine", "which machine: `-machine`").required(),
        text("cpu", "its processor: `-cpu`"),
        Attribute::new("memory", Type::Number, "its memory in bytes").replaces(),
        text("program", "the SHA-256 of what it runs"),
        Attribute::new(
            "program_file",
            Type::String,
            "the file that has it, relative to the folder of the fleet; the agent keeps a copy",
        ),
        Attribute::new("drives", Type::list(drive_type()), "its disks").replaces(),
        Attribute::new(
            "semihosting",
            Type::Bool,
            "whether its program may use files of the node",
        )
        .default(false)
        .replaces(),
        Attribute::new(
            "consoles",
            Type::list(console_type()),
            "its serial lines, the first one first; a log is relative to the folder of the fleet, in bytes",
        )
        .replaces(),
        Attribute::new(
            "forwards",
            Type::list(forward_type()),
            "its ports that are reached at those of the node; with any it has a network of its own",
        )
        .replaces(),
        Attribute::new(
            "gdb",
            gdb_type(),
            "where a debugger gets in; without a port one is chosen, and kept",
        )
        .replaces(),
        Attribute::new(
            "snapshot",
            snapshot_type(),
            "where its snapshots are kept, relative to the folder of the fleet, how many, and how many bytes each may have",
        ),
        Attribute::new("arguments", Type::list(Type::String), "further arguments of QEMU").replaces(),
    ];
    let at = name.map_or(0, |name| name + 1);
    attributes.splice(at..at, own);
    attributes.extend([
        Attribute::new("gdb_port", Type::Number, "the port at which a debugger gets in").live(),
        Attribute::new("qemu", Type::String, "the version of QEMU while it lives").live(),
    ]);
    attributes
}

fn drive_type() -> Type {
    use Presence::{Optional, Required};
    Type::object([
        ("name", Type::String, Required),
        ("path", Type::String, Required),
        ("format", Type::String, Required),
        ("interface", Type::String, Optional),
    ])
}

fn forward_type() -> Type {
    use Presence::Required;
    Type::object([
        ("protocol", Type::String, Required),
        ("host", Type::Number, Required),
        ("guest", Type::Number, Required),
    ])
}

fn console_type() -> Type {
    use Presence::{Optional, Required};
    Type::object([
        ("name", Type::String, Required),
        ("stream", Type::Bool, Required),
        ("log", Type::String, Optional),
        ("max_size", Type::Number, Required),
    ])
}

fn snapshot_type() -> Type {
    use Presence::{Optional, Required};
    Type::object([
        ("store", Type::String, Optional),
        ("keep", Type::Number, Required),
        ("max_size", Type::Number, Optional),
    ])
}

fn gdb_type() -> Type {
    use Presence::{Optional, Required};
    Type::object([
        ("bind", Type::String, Required),
        ("port", Type::Number, Optional),
        ("wait", Type::Bool, Required),
    ])
}

/// Returns a number as a value; not-a-number and the infinities, which no caller has, become `null`.
pub(crate) fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::NULL, Value::from)
}
