//! `metrics`: where metrics come from.

use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::Value;

use crate::config::decode::{Reader, words};
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

words! {
    /// What answers questions about metrics.
    MetricsType {
        /// A server of Prometheus.
        Prometheus = "prometheus",
        /// The monitoring of OCI.
        OciMonitoring = "oci_monitoring",
        /// The monitoring of Azure.
        AzureMonitor = "azure_monitor",
    }
}

/// Where metrics come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// What it is.
    pub r#type: MetricsType,
    /// Where it is, for [`MetricsType::Prometheus`]. Can be unknown.
    pub url: Option<Value>,
    /// How long an answer may take.
    pub timeout: Duration,
}

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("metrics", "Where the checks of pools get metrics.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::one_of("type", MetricsType::WORDS, "what it is").required(),
            AttributeSchema::text("url", &forms::URL, "where it is, for prometheus"),
            AttributeSchema::duration("timeout", "how long an answer may take").default("10s"),
        ])
        .attributes(
            [
                AttributeSchema::string("namespace", "the namespace of the metrics, for a cloud"),
                AttributeSchema::string("compartment", "the compartment, for oci_monitoring"),
            ]
            .map(AttributeSchema::later),
        )
        .rule(located)
        .resource(&[("name", "its name")])
}

impl Metrics {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (kind, url, timeout) = (reader.take("type"), reader.maybe("url"), reader.take("timeout"));
        let metrics = || {
            Some(Metrics {
                r#type: kind?,
                url: url?,
                timeout: timeout?,
            })
        };
        let metrics = metrics();
        reader.finish(metrics)
    }

    /// Returns where its server of Prometheus is, where it is one and that is known.
    pub fn server(&self) -> Option<Arc<str>> {
        let url = self.url.as_ref().filter(|_| self.r#type == MetricsType::Prometheus)?;
        Some(url.as_str()?.into())
    }
}

fn located(record: &Record, found: &mut Diagnostics) {
    if record.get("type").and_then(Value::as_str) == Some("prometheus") && record.get("url").is_none() {
        let detail = "Metrics of the type \"prometheus\" need `url`.";
        found.push(Diagnostic::error("Missing attribute", detail).at(record.span().clone()));
    }
}
