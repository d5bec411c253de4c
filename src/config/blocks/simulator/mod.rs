//! `simulator`: a simulation that is placed on a node or pool. What all kinds share is here, each kind has a file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::Value;

use super::container::Container;
use super::health_check;
use super::node::AGENT_PORT;
use super::placement::{self, Placement};
use super::port::{self, Port};
use super::process::{self, Log};
use super::scale::{Times, schedule};
use super::workload::{self, Workload};
use crate::config::decode::{Reader, words};
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

pub(super) mod container;
pub mod exec;
pub mod px4;
pub mod qemu;
pub(super) mod renode;
pub mod vehicle;

pub use exec::Exec;
pub use px4::Px4;
pub use qemu::Qemu;
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
    /// What it has as everything that runs.
    pub workload: Workload,
    /// What it should do.
    pub state: Desired,
    /// When it runs; always, where there is none.
    pub schedules: Vec<Times>,
    /// How long it may run before it is stopped.
    pub max_lifetime: Option<Duration>,
    /// How long it may go without use before it is stopped.
    pub idle_timeout: Option<Duration>,
    /// The ports that it needs, by name.
    pub ports: BTreeMap<Arc<str>, Port>,
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
    /// Any image.
    Container(Box<Container>),
    /// PX4 in a container.
    Px4(Box<Px4>),
    /// A machine under QEMU.
    Qemu(Box<Qemu>),
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
        ])
        .attributes(workload::attributes(process::restart()))
        .attributes([AttributeSchema::one_of("state", Desired::WORDS, "what it should do").default("running")])
        .attributes(super::labels())
        .attributes(bounds(kind))
        .any(port::schema())
        .optional(health_check::schema())
        .any(route())
        .any(schedule::times("When it runs; it is stopped at other times."))
        .resource(OUTPUTS)
}

/// Returns what has a simulator be stopped by itself. Whose container is used no engine sees, and an agent does not see who
/// flies a vehicle.
fn bounds(kind: &str) -> [AttributeSchema; 2] {
    let lifetime = match kind {
        "container" | "px4" => {
            "how long it may run since it was made or started; then an apply, or a watch by itself, stops it until it is started \
             by hand, or made anew"
        }
        _ => {
            "how long it may run since it was made or started; then it is stopped until it is started by hand, or its block \
             changes"
        }
    };
    let idle = match kind {
        "qemu" => {
            "how long nobody may use it before it is stopped, until it is started by hand, reset or loaded, or its block \
             changes; who has a console or a debugger of it, follows its log, or does something by hand with it, uses it"
        }
        "exec" => {
            "how long nobody may use it before it is stopped, until it is started or reset by hand, or its block changes; \
             only who follows its log or does something by hand with it uses it: what goes over its ports is not seen"
        }
        _ => "how long nobody may use it before it is stopped",
    };
    let (lifetime, idle) = (
        AttributeSchema::duration("max_lifetime", lifetime),
        AttributeSchema::duration("idle_timeout", idle),
    );
    match kind {
        "qemu" | "exec" => [lifetime, idle],
        "vehicle" | "container" | "px4" => [lifetime, idle.later()],
        _ => [lifetime.later(), idle.later()],
    }
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

impl Simulator {
    /// Reads what all kinds share.
    fn decode_shared(reader: &mut Reader<'_>, kind: Option<Kind>) -> Option<Self> {
        let (placement, instance) = (reader.take("placement"), reader.maybe("instance"));
        let workload = Workload::decode(reader);
        let state = reader.take("state");
        let (max_lifetime, idle_timeout) = (reader.maybe("max_lifetime"), reader.maybe("idle_timeout"));
        let schedules = reader.blocks("schedule", Times::decode);
        let ports = reader.named("port", Port::decode);
        let log = reader.block("log", Log::decode);
        if !kind.as_ref().is_none_or(Kind::is_container) {
            for port in reader.record().blocks("port") {
                if let Some(span) = port.attribute_span("container") {
                    let detail = "`container` is the port in a container, and this is none.";
                    let diagnostic = Diagnostic::error("Unknown attribute", detail).at(span.clone());
                    reader.push(diagnostic.hint("take it out: a program listens on the port of its node"));
                }
            }
        }
        if !kind.as_ref().is_none_or(|kind| matches!(kind, Kind::Qemu(_))) {
            for port in reader.record().blocks("port") {
                if let Some(span) = port.attribute_span("guest") {
                    let detail = "`guest` is the port in a machine under QEMU, and this is none.";
                    reader.push(
                        Diagnostic::error("Unknown attribute", detail)
                            .at(span.clone())
                            .hint("take it out"),
                    );
                }
            }
        }
        Some(Simulator {
            placement: placement?,
            instance: instance?,
            workload: workload?,
            state: state?,
            schedules: schedules?,
            max_lifetime: max_lifetime?,
            idle_timeout: idle_timeout?,
            ports: ports?,
            log: log?,
            kind: kind?,
        })
    }
}

impl Kind {
    /// Whether it runs in a container, and not as a process of its node.
    pub fn is_container(&self) -> bool {
        matches!(self, Kind::Container(_) | Kind::Px4(_))
    }

    /// Whether it is a MAVLink vehicle, whose instance is its number there.
    pub fn is_vehicle(&self) -> bool {
        matches!(self, Kind::Vehicle(_) | Kind::Px4(_))
    }
}
