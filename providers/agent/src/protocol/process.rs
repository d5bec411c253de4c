//! What is wanted of a process, and how it stands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::machine::{Gdb, Machine};

/// When a process is started again after it exited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// After a failure.
    OnFailure,
    /// Always.
    Always,
    /// Always, unless it was stopped on purpose; the same as always while `state` is `running`.
    UnlessStopped,
}

/// What a process should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// Running.
    #[default]
    Running,
    /// There, and stopped by SIGSTOP.
    Paused,
    /// Not running.
    Stopped,
}

/// What shows that a process has started: all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// A regular expression that a line of its output matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// A TCP port that accepts: the name of a port, a number, or `HOST:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// A URL that answers with a status below 400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// A UDP port that answers a MAVLink heartbeat with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mavlink: Option<String>,
    /// Seconds until it has failed to start; 60 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
}

/// Where the output of a process goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The absolute path of the file; without it, one that goes with the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Bytes after which a new file is begun; 10 MiB without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// How many older files are kept; 3 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u64>,
}

/// What a process is expected to use.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Cpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// How the health of a process is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthCheckType {
    /// A TCP port accepts.
    Tcp,
    /// A URL answers with a status below 400.
    Http,
    /// A command exits with 0.
    Command,
    /// A UDP port answers a MAVLink heartbeat with one.
    MavlinkHeartbeat,
}

/// How the agent tells whether a process is healthy. Times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// What is tried.
    #[serde(rename = "type")]
    pub kind: HealthCheckType,
    /// For tcp and mavlink_heartbeat: the name of a port, a number or `HOST:PORT`; without it, the only port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// For http.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// For command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// From one try to the next; 10 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<f64>,
    /// Until a try has failed; the smaller of 5 and the interval without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// After a start, during which failures do not count; 0 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period: Option<f64>,
    /// Successes in a row that make it healthy; 1 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_threshold: Option<u64>,
    /// Failures in a row that make it unhealthy; 3 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy_threshold: Option<u64>,
    /// For mavlink_heartbeat: how much time must pass for the vehicle in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real_time_factor_min: Option<f64>,
}

/// All that is wanted of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// The program and its arguments; none for a machine.
    #[serde(default)]
    pub command: Vec<String>,
    /// The machine that it is, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// The folder that it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Its ports by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<BTreeMap<String, u16>>,
    /// What shows that it has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// When it is started again.
    #[serde(default)]
    pub restart: Restart,
    /// Seconds between SIGTERM and SIGKILL.
    pub stop_grace: f64,
    /// Seconds after which it is stopped where nobody uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<f64>,
    /// Seconds after which it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lifetime: Option<f64>,
    /// Where its output goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    /// Whether the node runs it itself, so that it takes no simulator's place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_node: bool,
    /// What it should be.
    #[serde(default)]
    pub state: Desired,
    /// How its health is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// What it is expected to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Words about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

impl ProcessSpec {
    /// Returns how a debugger gets into the machine that it is.
    pub(crate) fn gdb(&self) -> Option<&Gdb> {
        self.machine.as_ref()?.gdb.as_ref()
    }

    /// Returns the content hash of the program that the machine runs.
    pub(crate) fn program(&self) -> Option<&str> {
        Some(&self.machine.as_ref()?.program.as_ref()?.sha256)
    }
}

/// How a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It runs, or is about to, and has not shown that it is ready.
    Starting,
    /// It runs, and nothing speaks against its health.
    Running,
    /// It runs, and its health check fails.
    Unhealthy,
    /// It is stopped by SIGSTOP.
    Paused,
    /// It exited and is about to be started again.
    Restarting,
    /// It was told to stop.
    Stopping,
    /// It was stopped on purpose.
    Stopped,
    /// It exited by itself and is not started again.
    Exited,
}

impl Desired {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Desired::Running => "running",
            Desired::Paused => "paused",
            Desired::Stopped => "stopped",
        }
    }
}

impl Status {
    /// Every status, in the order of a simulator's life.
    pub const ALL: [Status; 8] = [
        Status::Starting,
        Status::Running,
        Status::Unhealthy,
        Status::Paused,
        Status::Restarting,
        Status::Stopping,
        Status::Stopped,
        Status::Exited,
    ];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Starting => "starting",
            Status::Running => "running",
            Status::Unhealthy => "unhealthy",
            Status::Paused => "paused",
            Status::Restarting => "restarting",
            Status::Stopping => "stopping",
            Status::Stopped => "stopped",
            Status::Exited => "exited",
        }
    }

    /// Returns what the attribute `state` reads as: compared with what is wanted, so that a dead process is drift.
    pub fn state(self) -> &'static str {
        match self {
            Status::Starting | Status::Running | Status::Unhealthy | Status::Restarting => "running",
            Status::Paused => "paused",
            Status::Stopping | Status::Stopped => "stopped",
            Status::Exited => "exited",
        }
    }
}
