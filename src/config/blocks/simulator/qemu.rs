//! `simulator "qemu"`: a machine under QEMU.

use std::net::IpAddr;
use std::sync::Arc;

use simfleet_provider_api::Value;

use super::{Kind, Simulator};
use crate::config::blocks::{Block, process};
use crate::config::decode::Reader;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

const FORMATS: &[&str] = &["qcow2", "raw"];

/// What is particular to a machine under QEMU.
#[derive(Debug, Clone, PartialEq)]
pub struct Qemu {
    /// The program that emulates it. Can be unknown.
    pub binary: Value,
    /// Which machine. Can be unknown.
    pub machine: Value,
    /// Its processor. Can be unknown.
    pub cpu: Option<Value>,
    /// Its memory in bytes.
    pub memory: Option<u64>,
    /// The `program` that it runs.
    pub program: Option<Value>,
    /// Whether its program may use files of its node.
    pub semihosting: bool,
    /// Further arguments of QEMU. Can be unknown.
    pub arguments: Option<Value>,
    /// Its disks.
    pub drives: Vec<Drive>,
    /// Its serial lines, in their order.
    pub consoles: Vec<Console>,
    /// Where a debugger gets in.
    pub gdb: Option<Gdb>,
    /// Where snapshots are kept.
    pub snapshot: Option<SnapshotStore>,
}

/// Where snapshots are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotStore {
    /// The folder, relative to that of its module; `{name}` in it is the machine's name. Can be unknown.
    pub store: Value,
    /// How many: the oldest give way.
    pub keep: u64,
}

/// A disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Drive {
    /// Its name.
    pub name: Arc<str>,
    /// The file, relative to the folder of its module. Can be unknown.
    pub path: Value,
    /// Its form.
    pub format: Value,
    /// How it is attached.
    pub interface: Option<Value>,
}

/// A serial line.
#[derive(Debug, Clone, PartialEq)]
pub struct Console {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it can be watched.
    pub stream: bool,
    /// The file that it is written to, relative to the folder of its module; `{name}` in it is the machine's name. Can be
    /// unknown.
    pub log: Option<Value>,
    /// Bytes after which a new file is begun.
    pub max_size: u64,
}

/// Where a debugger gets in.
#[derive(Debug, Clone, PartialEq)]
pub struct Gdb {
    /// The address. Can be unknown.
    pub bind: Value,
    /// The port; without one any that is free.
    pub port: Option<u16>,
    /// Whether the machine starts when a debugger has it start.
    pub wait: bool,
}

pub(in crate::config::blocks) fn schema() -> BlockSchema {
    let drive = BlockSchema::new("drive", "A disk of the machine.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::string("path", "the file").required(),
            AttributeSchema::one_of("format", FORMATS, "its form").default("qcow2"),
            AttributeSchema::string(
                "interface",
                "how it is attached: \"virtio\", \"sd\"; the machine's own way without it",
            ),
        ]);
    let console = BlockSchema::new("console", "A console of the machine.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::bool("stream", "it can be watched").default(true),
            AttributeSchema::string(
                "log",
                "the file that it is written to, {name} in it being the machine's name; one that goes with it otherwise",
            ),
            AttributeSchema::size("max_size", "the size at which a new file is begun").default("10MiB"),
        ]);
    let snapshot = BlockSchema::new("snapshot", "Where snapshots are kept.").attributes([
        AttributeSchema::string("store", "the folder, {name} in it being the machine's name").required(),
        AttributeSchema::count("keep", 1, "how many").default(5u64),
        AttributeSchema::one_of("disk", FORMATS, "the form of the disk that they are in"),
    ]);
    super::shared("qemu", "A machine under QEMU.")
        .attributes([
            AttributeSchema::string("binary", "the program: \"qemu-system-arm\"").required(),
            AttributeSchema::string("machine", "the machine").required(),
            AttributeSchema::string("cpu", "its processor"),
            AttributeSchema::size("memory", "its memory"),
            AttributeSchema::reference("program", &["program"], "what it runs"),
            AttributeSchema::one_of("control", &["qmp"], "how it is controlled").default("qmp"),
            AttributeSchema::bool("semihosting", "the program may use files of the node").default(false),
            AttributeSchema::strings("arguments", "further arguments of QEMU: [\"-bios\", \"none\"]"),
        ])
        .any(drive)
        .any(console)
        .optional(gdb())
        .optional(snapshot)
        .optional(process::log_schema())
        .rule(raw)
        .rule(super::port_of_the_agent)
}

pub(in crate::config::blocks) fn decode(record: &Record) -> Result<Block, Diagnostics> {
    let mut reader = Reader::new(record);
    let (binary, machine, cpu) = (reader.take("binary"), reader.take("machine"), reader.maybe("cpu"));
    let (memory, program) = (reader.maybe("memory"), reader.maybe("program"));
    let (semihosting, arguments) = (reader.take("semihosting"), reader.maybe("arguments"));
    let drives = reader.blocks("drive", Drive::decode);
    let consoles = reader.blocks("console", Console::decode);
    let gdb = reader.block("gdb", Gdb::decode);
    let snapshot = reader.block("snapshot", SnapshotStore::decode);
    let qemu = || {
        Some(Qemu {
            binary: binary?,
            machine: machine?,
            cpu: cpu?,
            memory: memory?,
            program: program?,
            semihosting: semihosting?,
            arguments: arguments?,
            drives: drives?,
            consoles: consoles?,
            gdb: gdb?.flatten(),
            snapshot: snapshot?,
        })
    };
    let kind = qemu().map(|qemu| Kind::Qemu(Box::new(qemu)));
    let simulator = Simulator::decode_shared(&mut reader, kind);
    let block = simulator.map(|simulator| Block::Simulator(Box::new(simulator)));
    reader.finish(block)
}

impl Drive {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (path, format, interface) = (reader.take("path"), reader.take("format"), reader.maybe("interface"));
        let drive = || {
            Some(Drive {
                name: record.label(0),
                path: path?,
                format: format?,
                interface: interface?,
            })
        };
        let drive = drive();
        reader.finish(drive)
    }
}

impl Console {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (stream, log, max_size) = (reader.take("stream"), reader.maybe("log"), reader.take("max_size"));
        let console = || {
            Some(Console {
                name: record.label(0),
                stream: stream?,
                log: log?,
                max_size: max_size?,
            })
        };
        let console = console();
        reader.finish(console)
    }
}

impl SnapshotStore {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (store, keep) = (reader.take("store"), reader.take("keep"));
        let snapshot = || {
            Some(SnapshotStore {
                store: store?,
                keep: keep?,
            })
        };
        let snapshot = snapshot();
        reader.finish(snapshot)
    }
}

impl Gdb {
    /// `None` where it is not enabled.
    fn decode(record: &Record) -> Result<Option<Self>, Diagnostics> {
        let mut reader = Reader::new(record);
        let enabled: Option<bool> = reader.take("enabled");
        let (bind, port, wait) = (
            reader.take::<Value>("bind"),
            reader.take::<u16>("port"),
            reader.take("wait"),
        );
        let address = bind.as_ref().and_then(Value::as_str);
        if let Some(address) = address.filter(|address| address.parse::<IpAddr>().is_err()) {
            let detail = format!("`bind` must be an IP address, but is {address:?}.");
            reader.error(Diagnostic::error("Invalid value", detail), "bind");
        }
        let gdb = || {
            Some(enabled?.then_some(Gdb {
                bind: bind?,
                port: port.map(|port| (port != 0).then_some(port))?,
                wait: wait?,
            }))
        };
        let gdb = gdb();
        reader.finish(gdb)
    }
}

/// The debugger's way in.
pub(super) fn gdb() -> BlockSchema {
    BlockSchema::new("gdb", "How a debugger gets in.").attributes([
        AttributeSchema::bool("enabled", "one can").default(true),
        AttributeSchema::string("bind", "the address at which it is waited for").default("127.0.0.1"),
        AttributeSchema::new(
            "port",
            AttributeType::Integer(0, 65_535),
            "the port; 0 is any that is free, kept",
        )
        .default(0u64),
        AttributeSchema::bool("wait", "the machine starts when a debugger is there").default(false),
    ])
}

/// A raw disk holds no snapshots.
fn raw(record: &Record, found: &mut Diagnostics) {
    let is_raw = |block: &Record, name| block.get(name).and_then(Value::as_str) == Some("raw");
    let Some(snapshot) = record.blocks("snapshot").next() else {
        return;
    };
    let mut wrong = |block: &Record, name, detail: String| {
        let span = block.attribute_span(name).unwrap_or(block.span()).clone();
        let diagnostic = Diagnostic::error("E19 snapshot on a raw disk", detail).at(span);
        found.push(diagnostic.hint("use the format \"qcow2\""));
    };
    if is_raw(snapshot, "disk") {
        wrong(
            snapshot,
            "disk",
            "`disk` is \"raw\", which holds no snapshots.".to_owned(),
        );
    }
    for drive in record.blocks("drive").filter(|drive| is_raw(drive, "format")) {
        let detail = format!(
            "There is a `snapshot` block, and drive {:?} is \"raw\", which holds none.",
            &*drive.label(0)
        );
        wrong(drive, "format", detail);
    }
}
