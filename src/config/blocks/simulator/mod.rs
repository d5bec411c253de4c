//! `simulator`: a simulation that is placed on a node or pool. What all kinds share is here, each kind has a file.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use simfleet_provider_api::Value;

use super::health_check::{self, HealthCheck};
use super::node::AGENT_PORT;
use super::placement::{self, Placement};
use super::port::{self, Port};
use super::process::{self, Log, Restart};
use super::scale::schedule;
use crate::config::decode::{Reader, words};
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

pub(super) mod container;
pub mod exec;
pub(super) mod px4;
pub(super) mod qemu;
pub(super) mod renode;
pub mod vehicle;

pub use exec::Exec;
pub use vehicle::{Home, Vehicle};

words! {
    /// What a simulator should do.
    Desired {
        /// It runs.
        Running = "running",
        /// It is held, with all that it has in memory.
        Paused = "paused",
        /// It does not run.
        Stopped = "stopped",
    }
}

/// A simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulator {
    /// Where it runs.
    pub placement: Placement,
    /// Its number among those of its kind: a vehicle `i` has the MAVLink system id `i + 1`.
    pub instance: Option<u64>,
    /// What it is expected to use.
    pub resources: Resources,
    /// Environment variables: a map of strings. Can be unknown.
    pub env: Option<Value>,
    /// What is done when it ends by itself; the kind's own habit where it is not set.
    pub restart: Option<Restart>,
    /// How long it has to end before it is killed.
    pub stop_grace: Option<Duration>,
    /// What it should do.
    pub state: Desired,
    /// Words about it: a map of strings. Can be unknown.
    pub labels: Option<Value>,
    /// The ports that it needs, by name.
    pub ports: BTreeMap<Arc<str>, Port>,
    /// How it is told whether it is healthy.
    pub health_check: Option<HealthCheck>,
    /// Where its output goes.
    pub log: Option<Log>,
    /// What is particular to its kind.
    pub kind: Kind,
}

/// What is particular to a kind of simulator.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The built-in MAVLink vehicle.
    Vehicle(Vehicle),
    /// Any program.
    Exec(Exec),
}

/// What a simulator is expected to use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// Processors; a fraction is a share of one.
    pub cpu: Option<f64>,
    /// Memory in bytes.
    pub memory: Option<u64>,
}

/// What can be read of every simulator beside its attributes.
const OUTPUTS: &[(&str, &str)] = &[
    ("name", "its name, unique on its node"),
    ("id", "its identity at its provider"),
    ("node", "the node that it runs on"),
    ("ports", "its ports, by name"),
    ("endpoints", "its ports as URLs, by name"),
    ("status", "what it does now"),
];

/// Returns the schema of a kind with what all kinds share; the kind adds its own.
fn shared(kind: &str, doc: &'static str) -> BlockSchema {
    BlockSchema::new("simulator", doc)
        .kind(kind)
        .labels(&["kind", "name"])
        .attributes([
            placement::attribute(),
            AttributeSchema::count("instance", 0, "its number among those of its kind"),
            resources(),
            process::env(),
            process::restart(),
            AttributeSchema::duration("stop_grace", "how long it has to end before it is killed"),
            AttributeSchema::one_of("state", Desired::WORDS, "what it should do").default("running"),
        ])
        .attributes(super::labels())
        .attributes([
            AttributeSchema::duration("max_lifetime", "how long it may run").later(),
            AttributeSchema::duration("idle_timeout", "how long it may be idle").later(),
        ])
        .any(port::schema())
        .optional(health_check::schema())
        .optional(process::log_schema())
        .any(route())
        .any(schedule::times("When it runs.").later())
        .resource(OUTPUTS)
}

/// E13: a process on a node cannot have the port of the node's agent.
fn port_of_the_agent(simulator: &Record, found: &mut Diagnostics) {
    for port in simulator.blocks("port") {
        let is_tcp = port.get("protocol").and_then(Value::as_str) == Some("tcp");
        if is_tcp && port.get("host").and_then(Value::as_u64) == Some(AGENT_PORT) {
            let name = port.label(0);
            let detail = format!("`port {name:?}` is {AGENT_PORT}, at which the agent of the node listens.");
            let span = port.attribute_span("host").unwrap_or(port.span()).clone();
            found.push(Diagnostic::error("E13 ports overlap", detail).at(span));
        }
    }
}

fn route() -> BlockSchema {
    BlockSchema::new("route", "Where its MAVLink messages go, too.")
        .attributes([AttributeSchema::string("to", "where: \"udp:host:port\"").required()])
        .later()
}

/// What something is expected to use.
pub(super) fn resources() -> AttributeSchema {
    AttributeSchema::object("resources", resource_fields().to_vec(), "what it is expected to use")
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

impl Simulator {
    /// Reads what all kinds share.
    fn decode_shared(reader: &mut Reader<'_>, kind: Option<Kind>) -> Option<Self> {
        let (placement, instance) = (reader.take("placement"), reader.maybe("instance"));
        let resources = reader.object("resources", resource_fields(), Resources::decode);
        let (env, restart, stop_grace) = (reader.maybe("env"), reader.maybe("restart"), reader.maybe("stop_grace"));
        let (state, labels) = (reader.take("state"), reader.maybe("labels"));
        let ports = reader.named("port", Port::decode);
        let health_check = reader.block("health_check", HealthCheck::decode);
        let log = reader.block("log", Log::decode);
        Some(Simulator {
            placement: placement?,
            instance: instance?,
            resources: resources?.unwrap_or_default(),
            env: env?,
            restart: restart?,
            stop_grace: stop_grace?,
            state: state?,
            labels: labels?,
            ports: ports?,
            health_check: health_check?,
            log: log?,
            kind: kind?,
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
