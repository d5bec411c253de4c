//! The audit log: a line of JSON for each thing that somebody did by hand, also for what failed or was refused.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value as Json};

/// Where it is written, and how surely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// The file.
    pub path: PathBuf,
    /// When a line counts as written.
    pub durability: Durability,
}

/// When a line counts as written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once the system has it: it outlives this program.
    #[default]
    Written,
    /// Once the disk has it: it outlives a loss of power.
    Synced,
}

/// An audit log that can be written to.
#[derive(Debug)]
pub struct AuditLog {
    settings: AuditSettings,
    file: File,
}

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditEntry {
    /// When it was over.
    pub at: Timestamp,
    /// Who: `user@host`.
    pub by: Arc<str>,
    /// From where: the address that a session of SSH came from, else `local`.
    pub from: Arc<str>,
    /// What: `simulator.stop`.
    pub action: String,
    /// With what; as it was typed where nothing of that address was found.
    pub address: String,
    /// How: `{"for": "2h"}`.
    pub parameters: Map<String, Json>,
    /// How it ended.
    pub result: AuditResult,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The identity of the state, where there is one: several fleets can share a log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Arc<str>>,
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditResult {
    /// It was done.
    Ok,
    /// It failed, or was refused.
    Error,
}

/// Why the audit log cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the audit log `{}` cannot be written", path.display())]
pub struct AuditError {
    /// The file.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub source: io::Error,
}

impl AuditLog {
    /// Opens the log, and makes it for its owner only where it is not there. Nothing is done that could not be written
    /// down, so that this comes first.
    ///
    /// # Errors
    /// It cannot be opened for writing.
    pub fn open(settings: AuditSettings) -> Result<Self, AuditError> {
        let open = |path: &Path| {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            OpenOptions::new().create(true).append(true).mode(0o600).open(path)
        };
        match open(&settings.path) {
            Ok(file) => Ok(AuditLog { settings, file }),
            Err(source) => Err(AuditError {
                path: settings.path,
                source,
            }),
        }
    }

    /// Appends an entry: one write, so that the lines of several runs do not mix.
    ///
    /// # Errors
    /// It cannot be written, or not brought to the disk.
    pub fn append(&self, entry: &AuditEntry) -> Result<(), AuditError> {
        let write = || {
            let mut line = serde_json::to_vec(entry)?;
            line.push(b'\n');
            (&self.file).write_all(&line)?;
            match self.settings.durability {
                Durability::Written => Ok(()),
                Durability::Synced => self.file.sync_data(),
            }
        };
        write().map_err(|source| AuditError {
            path: self.settings.path.clone(),
            source,
        })
    }
}
