//! `metrics`: where metrics come from.

use simfleet_provider_api::Value;

use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

pub(super) fn schema() -> BlockSchema {
    let types = &["prometheus", "oci_monitoring", "azure_monitor"];
    BlockSchema::new("metrics", "Where the checks of pools get metrics.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::one_of("type", types, "what it is").required(),
            AttributeSchema::text("url", &forms::URL, "where it is, for prometheus"),
            AttributeSchema::duration("timeout", "how long an answer may take").default("10s"),
            AttributeSchema::string("namespace", "the namespace of the metrics, for a cloud"),
            AttributeSchema::string("compartment", "the compartment, for oci_monitoring"),
        ])
        .rule(located)
        .resource(&[("name", "its name"), ("status", "whether it answers")])
        .later()
}

fn located(record: &Record, found: &mut Diagnostics) {
    if record.get("type").and_then(Value::as_str) == Some("prometheus") && record.get("url").is_none() {
        let detail = "Metrics of the type \"prometheus\" need `url`.";
        found.push(Diagnostic::error("Missing attribute", detail).at(record.span().clone()));
    }
}
