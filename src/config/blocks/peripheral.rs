//! `peripheral`: a device of a simulated machine.

use simfleet_provider_api::Value;

use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("peripheral", "A device of a simulated machine.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::one_of("backend", &["renode", "qemu"], "what simulates it").required(),
            AttributeSchema::string("repl", "its description, a file, for renode"),
            AttributeSchema::string("device", "the device and its properties, for qemu"),
        ])
        .rule(described)
        .resource(&[("name", "its name")])
        .later()
}

fn described(record: &Record, found: &mut Diagnostics) {
    let (backend, wanted) = match record.get("backend").and_then(Value::as_str) {
        Some("renode") => ("renode", "repl"),
        Some("qemu") => ("qemu", "device"),
        _ => return,
    };
    if record.get(wanted).is_none() {
        let detail = format!("A peripheral of {backend} needs `{wanted}`.");
        found.push(Diagnostic::error("Missing attribute", detail).at(record.span().clone()));
    }
}
