//! The port ranges that simulators name, against those of the node or pool that they are placed on.

use std::collections::BTreeMap;

use simfleet_provider_api::{Address, Value};

use super::record::Record;
use super::rules::Checked;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Reports ranges that the host of a simulator does not have. What is not known is passed over.
pub(super) fn check(record: &Record, records: &BTreeMap<Address, Checked<'_>>) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let Some(host) = record.get("placement").and_then(Value::origin) else {
        return diagnostics;
    };
    let Some(declared) = records.get(&host.declaration()) else {
        return diagnostics;
    };
    let template = match host.block() {
        "pool" => declared.record.blocks("node").next(),
        _ => Some(&declared.record),
    };
    // A pool without its `node` block was reported.
    let Some(template) = template else {
        return diagnostics;
    };
    let ranges: Vec<_> = template.blocks("port_range").map(|range| range.label(0)).collect();
    for port in record.blocks("port") {
        let Some(wanted) = port.get("range").and_then(Value::as_str) else {
            continue;
        };
        if let Some(range) = template.blocks("port_range").find(|range| &*range.label(0) == wanted) {
            let protocol = port.get("protocol").or(range.get("protocol")).and_then(Value::as_str);
            if protocol == Some("tcp") && matches!(&*record.label(0), "vehicle" | "px4") {
                let detail = format!("Port {:?} is TCP, and vehicles speak UDP.", &*port.label(0));
                let span = port.attribute_span("protocol").unwrap_or(port.span()).clone();
                let diagnostic = Diagnostic::error("Wrong protocol", detail).at(span);
                let range_span = range.attribute_span("protocol").unwrap_or(range.span()).clone();
                diagnostics.push(diagnostic.related(range_span, "its range"));
            }
            continue;
        }
        let detail = format!("`{host}` has no port range {wanted:?}.");
        let span = port.attribute_span("range").unwrap_or(port.span()).clone();
        let diagnostic = Diagnostic::error("Unknown port range", detail).at(span);
        let near = crate::diagnostic::nearest(wanted, ranges.iter().map(|range| &**range));
        diagnostics.push(match near {
            Some(near) => diagnostic.hint(format!("did you mean {near:?}?")),
            None => diagnostic.hint(format!("add to it: port_range {wanted:?} {{ … }}")),
        });
    }
    diagnostics
}
