//! What everything that runs has, a process or a container: its environment, limits and health.

use std::sync::LazyLock;
use std::time::Duration;

use simfleet_provider_api::Value;

use super::health_check::HealthCheck;
use super::process::{self, Restart};
use crate::config::decode::Reader;
use crate::config::record::Record;
use crate::config::schema::AttributeSchema;
use crate::diagnostic::Diagnostics;

/// Something that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// What it is expected to use; a container gets no more.
    pub resources: Resources,
    /// Environment variables: a map of strings. Can be unknown.
    pub env: Option<Value>,
    /// What is done when it ends by itself; the habit of its kind where it is not set.
    pub restart: Option<Restart>,
    /// How long it has to end before it is killed.
    pub stop_grace: Option<Duration>,
    /// Words about it: a map of strings. Can be unknown.
    pub labels: Option<Value>,
    /// How it is told whether it is healthy.
    pub health_check: Option<HealthCheck>,
}

/// What something is expected to use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// Processors; a fraction is a share of one.
    pub cpu: Option<f64>,
    /// Memory in bytes.
    pub memory: Option<u64>,
}

/// Returns the attributes of what runs; the block `health_check` is beside them.
pub(super) fn attributes(restart: AttributeSchema) -> [AttributeSchema; 4] {
    [
        AttributeSchema::object("resources", resource_fields().to_vec(), "what it is expected to use"),
        process::env(),
        restart,
        AttributeSchema::duration("stop_grace", "how long it has to end before it is killed"),
    ]
}

fn resource_fields() -> &'static [AttributeSchema] {
    static FIELDS: LazyLock<Vec<AttributeSchema>> = LazyLock::new(|| {
        vec![
            AttributeSchema::number("cpu", 0.0, f64::MAX, "processors; a fraction is a share of one"),
            AttributeSchema::size("memory", "memory"),
        ]
    });
    &FIELDS
}

impl Workload {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let resources = reader.object("resources", resource_fields(), Resources::decode);
        let (env, restart, stop_grace) = (reader.maybe("env"), reader.maybe("restart"), reader.maybe("stop_grace"));
        let labels = reader.maybe("labels");
        let health_check = reader.block("health_check", HealthCheck::decode);
        Some(Workload {
            resources: resources?.unwrap_or_default(),
            env: env?,
            restart: restart?,
            stop_grace: stop_grace?,
            labels: labels?,
            health_check: health_check?,
        })
    }
}

impl Resources {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (cpu, memory) = (reader.maybe("cpu"), reader.maybe("memory"));
        let resources = || {
            Some(Resources {
                cpu: cpu?,
                memory: memory?,
            })
        };
        let resources = resources();
        reader.finish(resources)
    }
}
