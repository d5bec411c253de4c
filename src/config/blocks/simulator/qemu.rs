//! `simulator "qemu"`: a machine under QEMU.

use simfleet_provider_api::Value;

use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

const FORMATS: &[&str] = &["qcow2", "raw"];

pub(in crate::config::blocks) fn schema() -> BlockSchema {
    let drive = BlockSchema::new("drive", "A disk of the machine.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::string("path", "the file").required(),
            AttributeSchema::one_of("format", FORMATS, "its form").default("qcow2"),
        ]);
    let console = BlockSchema::new("console", "A console of the machine.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::bool("stream", "it can be watched").default(true),
            AttributeSchema::string("log", "the file that it is written to"),
            AttributeSchema::size("max_size", "the size at which a new file is begun").default("10MiB"),
        ]);
    let snapshot = BlockSchema::new("snapshot", "Where snapshots are kept.").attributes([
        AttributeSchema::string("store", "the folder").required(),
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
            AttributeSchema::bool("semihosting", "the program may use files of the host").default(false),
        ])
        .any(drive)
        .any(console)
        .optional(gdb())
        .optional(snapshot)
        .rule(raw)
        .later()
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
