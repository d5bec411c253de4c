//! What an agent keeps of a simulator: on the disk before anything is done about it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use simfleet_provider_api::Path;

use crate::protocol::{Desired, Machine, ProcessSpec, Program};

/// What is wanted of a simulator, and how far that has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its name.
    pub name: String,
    /// The token that it was made with, or claimed with later: its identity.
    pub id: String,
    /// Who owns it.
    pub lineage: String,
    /// What is wanted of it.
    pub spec: ProcessSpec,
    /// Which attributes are sensitive.
    pub secrets: Vec<Path>,
    /// Raised by every change of what is wanted.
    pub revision: u64,
    /// The token of the last change.
    pub changed_by: Option<String>,
    /// The token of the last reset.
    #[serde(default)]
    pub reset_by: Option<String>,
    /// The generation of the node's claim that it was made under, or claimed under later. One of an earlier generation
    /// may be claimed by a create of its name.
    pub generation: String,
    /// By which its processes are found; set once.
    pub cookie: String,
    /// Counts its starts.
    pub run: u64,
    /// The last start that became ready. 0: it never was, and a failure undoes the create.
    pub ready_run: u64,
    /// How often it was restarted by policy.
    pub restarts: u64,
    /// It ended by itself and is not started again before it is changed.
    pub exited: bool,
    /// How it last ended.
    pub exit: Option<String>,
    /// It is being removed, and why.
    pub ending: Option<Ending>,
    /// The port at which a debugger gets in, chosen or given: kept for as long as there is one.
    #[serde(default)]
    pub gdb_port: Option<u16>,
    /// What a machine was last told.
    #[serde(default)]
    pub told: Option<Told>,
    /// The program that a machine was given by hand.
    #[serde(default)]
    pub loaded: Option<Program>,
    /// Whether a machine waits at the start of that program.
    #[serde(default)]
    pub halt: bool,
    /// The file that a machine is read from at its next start.
    #[serde(default)]
    pub incoming: Option<PathBuf>,
    /// When it was last used, at most a minute before it truly was; unknown where an older agent made it.
    #[serde(default)]
    pub used: Option<SystemTime>,
    /// When it was started by somebody.
    #[serde(default)]
    pub began: Option<SystemTime>,
    /// Why it is stopped although it is to run, in words: it was idle, or its time is over.
    #[serde(default)]
    pub expired: Option<String>,
    /// Whether it was made stopped, so that its create did not wait for it to be ready.
    #[serde(default)]
    pub made_stopped: bool,
}

/// What a machine was told by its monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// In which run.
    pub run: u64,
    /// What it should be.
    pub state: Desired,
}

/// Why a simulator is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// It was deleted.
    Deleted,
    /// Its create failed.
    Failed(String),
}

impl Record {
    /// Whether its create has been answered with success.
    pub fn was_ready(&self) -> bool {
        self.ready_run > 0 || self.made_stopped
    }

    /// The time that it has to stop.
    pub fn grace(&self) -> Duration {
        seconds(self.spec.stop_grace)
    }
}

/// Returns seconds as a duration; what makes no sense is none.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Whether a change of what is wanted needs a new process.
pub(crate) fn needs_new_process(old: &ProcessSpec, new: &ProcessSpec) -> bool {
    old.command != new.command
        || old.env != new.env
        || old.working_dir != new.working_dir
        || old.ports != new.ports
        || old.log != new.log
        || match (&old.machine, &new.machine) {
            (Some(old), Some(new)) => Machine::differs(old, new),
            (old, new) => old != new,
        }
}
