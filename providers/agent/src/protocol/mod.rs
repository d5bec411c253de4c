//! What the CLI and an agent say to each other: JSON over HTTP, in a version that both know.
//!
//! Every request but `GET /healthz` carries `Authorization: Bearer TOKEN` and `Simfleet-Protocol: VERSION`; an agent
//! answers another version with 426 and [`code::PROTOCOL`]. Every error is an [`ErrorBody`].
//!
//! | request | answer |
//! |---|---|
//! | `GET /healthz` | [`Health`]; 503 while it starts or shuts down |
//! | `GET /metrics` | Prometheus text |
//! | `GET /v1/metrics` | [`NodeMetrics`] |
//! | `GET /v1/version` | [`Version`] |
//! | `GET /v1/node`, `PUT /v1/node` ([`NodeChange`]) | [`NodeView`] |
//! | `POST /v1/shutdown` ([`Shutdown`]) | 202 |
//! | `GET /v1/simulators` | [`SimulatorList`] |
//! | `PUT /v1/simulators/NAME` ([`PutSimulator`]) | [`SimulatorView`]; 202 while it starts |
//! | `GET /v1/simulators/NAME[?id=ID]` | [`SimulatorView`]; 404; 410 for one that failed or was deleted |
//! | `PATCH /v1/simulators/NAME` ([`PatchSimulator`]) | [`SimulatorView`] |
//! | `POST /v1/simulators/NAME/start`, `…/stop` | [`SimulatorView`] |
//! | `POST /v1/simulators/NAME/reset` ([`ResetSimulator`]) | [`SimulatorView`]; 202 while it starts anew |
//! | `POST /v1/simulators/NAME/act` ([`ActOnMachine`]) | [`SimulatorView`]; 202 while it is done |
//! | `GET /v1/simulators/NAME/snapshots?id=ID` | [`SnapshotList`] |
//! | `GET /v1/simulators/NAME/console?id=ID[&console=NAME]` | 101: its bytes, both ways |
//! | `DELETE /v1/simulators/NAME?id=ID` | 204; 202 while it stops |
//! | `GET /v1/simulators/NAME/logs?tail=LINES` | [`LogTail`] |
//! | `PUT /v1/programs/SHA256` (the content) | 204: the agent has it, for machines |
//! | `GET /v1/simulators/NAME/log?id=ID[&tail=LINES][&since=SECONDS][&follow=true]` | what it wrote, byte by byte; with `since` what is no older; with `follow` until it ends |
//! | `GET /v1/tokens/TOKEN` | [`TokenView`]: what a create with this token did |

mod machine;
mod process;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use simfleet_provider_api::Path;

pub use self::machine::{
    ActOnMachine, ActView, CONSOLE, Console, Drive, Forward, Gdb, Machine, MachineAct, MachineView, Program, RUNNING,
    SnapshotList, SnapshotStore, SnapshotView,
};
pub use self::process::{Desired, HealthCheck, HealthCheckType, Log, ProcessSpec, Ready, Resources, Restart, Status};
use crate::identity::ProcessIdentity;

/// The version of this protocol that this build speaks.
pub const PROTOCOL: u32 = 1;

/// The header that carries the version.
pub const PROTOCOL_HEADER: &str = "simfleet-protocol";

/// The largest body that an agent reads, in bytes.
pub const MAX_BODY: usize = 1 << 20;

/// The largest program that an agent takes, in bytes.
pub const MAX_PROGRAM: usize = 512 << 20;

/// Why a request was refused: the values of [`ErrorBody::code`].
pub mod code {
    /// The request makes no sense.
    pub const INVALID: &str = "invalid";
    /// The token is missing or wrong.
    pub const UNAUTHORIZED: &str = "unauthorized";
    /// The agent does not speak this version.
    pub const PROTOCOL: &str = "protocol";
    /// There is no such thing.
    pub const NOT_FOUND: &str = "not_found";
    /// It is there, and is asked in another way: the method is wrong.
    pub const NOT_ALLOWED: &str = "not_allowed";
    /// Another object has the name, or the object has changed since it was read.
    pub const CONFLICT: &str = "conflict";
    /// The node has `max_simulators` already.
    pub const FULL: &str = "full";
    /// A create with this token was carried out, and what it made has been deleted since.
    pub const DELETED: &str = "deleted";
    /// A create with this token was carried out and failed for good; nothing is left.
    pub const FAILED: &str = "failed";
    /// The program of a machine is not here yet: it is to be put, and the request sent again.
    pub const NO_PROGRAM: &str = "no_program";
    /// The agent is starting or shutting down.
    pub const UNAVAILABLE: &str = "unavailable";
    /// The agent could not do it.
    pub const INTERNAL: &str = "internal";
}

/// What a refused request is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// One of [`code`].
    pub code: String,
    /// What was refused, and why.
    pub message: String,
    /// The attribute that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<Path>,
}

/// Who an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, `starting` or `stopping`.
    pub status: String,
    /// The random identity of its data folder.
    pub node: String,
    /// Its process.
    pub identity: ProcessIdentity,
}

/// Which versions an agent speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The versions of this protocol.
    pub protocols: Vec<u32>,
    /// The version of the program.
    pub program: String,
}

/// The load of a node, of its own processes against what it declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeMetrics {
    /// Percent of the declared cpus.
    pub cpu: f64,
    /// The memory.
    pub memory: MemoryMetrics,
    /// `ok` or `stopping`.
    pub status: String,
}

/// The memory of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryMetrics {
    /// Declared, in bytes.
    pub total: u64,
    /// Not used by the node's processes, in bytes.
    pub available: u64,
    /// Used, percent of the total.
    pub percent: f64,
}

/// What a node declares, and may be changed while it runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// How many cpus; without it, those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// How much memory, in bytes; without it, that of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// How many simulators it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_simulators: Option<u64>,
    /// Words about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// Changes what a node declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeChange {
    /// Names the intent: a change that was made with it is not made again.
    pub token: String,
    /// The revision that the change was planned on.
    pub revision: u64,
    /// All settings as they should be.
    pub settings: NodeSettings,
}

/// A node as its agent knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeView {
    /// Who the agent is.
    pub health: Health,
    /// What it declares.
    pub settings: NodeSettings,
    /// Raised by every change of the settings.
    pub revision: u64,
    /// When the agent started, RFC 3339.
    pub started: String,
    /// How many simulators it has.
    pub simulators: u64,
    /// The cpus that its load is a part of: declared, or those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// The same of its memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// Ends an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// What becomes of its simulators.
    pub simulators: OnShutdown,
}

/// What becomes of the simulators of an agent that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnShutdown {
    /// They are stopped, each within its grace.
    Stop,
    /// They run on under their shims, for the next agent of this data folder.
    Keep,
}

/// Makes a simulator, once a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutSimulator {
    /// Names the intent.
    pub token: String,
    /// Who owns it.
    pub lineage: String,
    /// What is wanted.
    pub spec: ProcessSpec,
    /// Which attributes are sensitive: marked again when they are read.
    #[serde(default)]
    pub secrets: Vec<Path>,
}

/// Changes a simulator in place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchSimulator {
    /// Names the intent: a change that was made with it is not made again.
    pub token: String,
    /// The simulator that is meant, so that another one of the same name is left alone.
    pub id: String,
    /// The revision that the change was planned on, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// All that is wanted.
    pub spec: ProcessSpec,
    /// Which attributes are sensitive.
    #[serde(default)]
    pub secrets: Vec<Path>,
}

/// Starts a simulator anew in place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetSimulator {
    /// Names the intent: a reset that was made with it is not made again.
    pub token: String,
    /// The simulator that is meant, so that another one of the same name is left alone.
    pub id: String,
}

/// A simulator as its agent knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimulatorView {
    /// Its name.
    pub name: String,
    /// The token that it was made with: its identity among all that had or will have its name.
    pub id: String,
    /// Who owns it.
    pub lineage: String,
    /// Raised by every change of what is wanted of it.
    pub revision: u64,
    /// What is wanted of it.
    pub spec: ProcessSpec,
    /// Which attributes are sensitive.
    pub secrets: Vec<Path>,
    /// How it stands.
    pub status: Status,
    /// Whether what was last asked of it is done: it is ready, stopped or paused, or exited.
    pub settled: bool,
    /// Its process, while it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How it last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    /// How often the agent has restarted it.
    pub restarts: u64,
    /// When it was last started, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// How the machine stands that it is, once it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineView>,
    /// The port at which a debugger gets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gdb_port: Option<u16>,
    /// What was last done with it by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<ActView>,
    /// Why it is stopped although it is to run: `idle for 30m`. It runs again once something is asked of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_because: Option<String>,
    /// Why what was asked of it is not done for now, and may never be: its monitor has stopped to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<String>,
    /// Why it is unhealthy: what its check found last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// All simulators of a node, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimulatorList {
    /// In the order of their names.
    pub simulators: Vec<SimulatorView>,
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTail {
    /// The last lines, oldest first; bytes that are not UTF-8 are replaced.
    pub lines: Vec<String>,
}

/// What a create with a token did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenView {
    /// It made this simulator.
    Made(Box<SimulatorView>),
    /// It failed for good and left nothing.
    Failed(String),
    /// It made a simulator that was deleted since.
    Deleted,
}
