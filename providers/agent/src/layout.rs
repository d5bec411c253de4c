//! Where an agent keeps what: the files of its data folder.
//!
//! ```text
//! DIR/claim.json          who owns the folder, and what revokes it (Claim)
//! DIR/token               the bearer token, 0600
//! DIR/node.json           what the node declares (NodeRecord)
//! DIR/agent.lock          locked by the agent while it lives
//! DIR/agent.json          the process of the agent, and where it listens (AgentRecord)
//! DIR/agent.log           what the agent prints
//! DIR/failed.PID.json     why an agent could not run (Failure), until the next one does
//! DIR/gone/TOKEN          what became of a create whose simulator is not there any more
//! DIR/simulators/NAME/    one simulator:
//!     record.json         what is wanted of it (Record)
//!     spec.json           what its shim was told (ShimSpec)
//!     run.lock            locked by the shim while it lives
//!     shim.json           the shim and its child (Running)
//!     ready               the run whose output has matched the pattern
//!     exit.json           how it ended (ExitRecord)
//!     output.log, .1, …   its output, newest first; beside each with `.times` when it was written
//!     work/               where it runs, without a folder of its own
//!     qmp                 the monitor of a machine, a socket
//!     console.N           its serial line N for those who watch and type, a socket
//!     line.N              the same for QEMU, until it has opened it
//!     NAME.log, .1, …     what it wrote to its console NAME, without a log of its own
//! DIR/programs/SHA256     programs of machines, by their content
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::client::encode;
use crate::identity::ProcessIdentity;

/// The folder of an agent that is installed on a machine: it works there, and relative paths of its simulators start there.
pub const HOME: &str = "/var/lib/simfleet";

/// The data folder of such an agent.
pub const DATA: &str = "/var/lib/simfleet/agent";

/// Who owns a data folder. Written by who made the folder; an agent without one makes one that nothing revokes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The random identity of the node: the agent shows it, and its simulators carry it in their environment.
    pub node: String,
    /// Names the ownership. When it changes, simulators of the one before may be claimed by a create of the same name.
    pub generation: String,
    /// A file that revokes the claim: where it exists, an agent does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<PathBuf>,
}

/// The process of an agent, as it has written it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// The process. It may have ended since.
    pub identity: ProcessIdentity,
    /// Where it listens; not known while it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listens: Option<SocketAddr>,
}

/// The data folder of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder(PathBuf);

impl DataFolder {
    /// Names the folder; does not make it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        DataFolder(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The [`Claim`].
    pub fn claim(&self) -> PathBuf {
        self.0.join("claim.json")
    }

    /// The bearer token.
    pub fn token(&self) -> PathBuf {
        self.0.join("token")
    }

    /// What the node declares.
    pub fn node(&self) -> PathBuf {
        self.0.join("node.json")
    }

    /// The lock of the agent.
    pub fn lock(&self) -> PathBuf {
        self.0.join("agent.lock")
    }

    /// The [`AgentRecord`].
    pub fn agent(&self) -> PathBuf {
        self.0.join("agent.json")
    }

    /// What the agent prints.
    pub fn log(&self) -> PathBuf {
        self.0.join("agent.log")
    }

    /// Why the agent with this process id could not run: a [`Failure`](crate::Failure).
    pub fn failure(&self, pid: u32) -> PathBuf {
        self.0.join(format!("failed.{pid}.json"))
    }

    /// What became of earlier creates.
    pub fn gone(&self) -> PathBuf {
        self.0.join("gone")
    }

    /// The simulators.
    pub fn simulators(&self) -> PathBuf {
        self.0.join("simulators")
    }

    /// The programs of machines.
    pub fn programs(&self) -> PathBuf {
        self.0.join("programs")
    }

    /// One simulator.
    pub fn simulator(&self, name: &str) -> SimulatorFolder {
        SimulatorFolder(self.simulators().join(file_name(name)))
    }
}

/// The folder of one simulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatorFolder(PathBuf);

impl SimulatorFolder {
    /// Names the folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        SimulatorFolder(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is wanted of it.
    pub fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }

    /// What its shim is told.
    pub fn spec(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    /// The lock of its shim.
    pub fn lock(&self) -> PathBuf {
        self.0.join("run.lock")
    }

    /// Its processes.
    pub fn running(&self) -> PathBuf {
        self.0.join("shim.json")
    }

    /// The run whose output has matched the pattern.
    pub fn ready(&self) -> PathBuf {
        self.0.join("ready")
    }

    /// How it ended.
    pub fn exit(&self) -> PathBuf {
        self.0.join("exit.json")
    }

    /// Its output, where no other path was given.
    pub fn log(&self) -> PathBuf {
        self.0.join("output.log")
    }

    /// The serial line of a machine with this number, for those who watch it.
    pub fn console(&self, number: usize) -> PathBuf {
        self.0.join(console_socket(number))
    }

    /// The same for the machine itself.
    pub fn line(&self, number: usize) -> PathBuf {
        self.0.join(line_socket(number))
    }

    /// What a machine wrote to a console, where no other path was given.
    pub fn console_log(&self, name: &str) -> PathBuf {
        self.0.join(format!("{}.log", file_name(name)))
    }

    /// Where it runs, where no other folder was given.
    pub fn work(&self) -> PathBuf {
        self.0.join("work")
    }
}

/// The socket of a machine's monitor, in its folder.
pub(crate) const MONITOR: &str = "qmp";

/// The socket of a serial line for those who watch it, in the folder of its machine.
pub(crate) fn console_socket(number: usize) -> String {
    format!("console.{number}")
}

/// The socket of a serial line for the machine itself, in its folder.
pub(crate) fn line_socket(number: usize) -> String {
    format!("line.{number}")
}

/// Returns the file of a log that was rotated so often since: `LOG`, `LOG.1`, `LOG.2` …
pub(crate) fn rotated(log: &Path, times: u64) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    if times > 0 {
        name.push(format!(".{times}"));
    }
    PathBuf::from(name)
}

/// Returns a file name that belongs to this name alone: readable where it can be, short, and never hidden.
pub fn file_name(name: &str) -> String {
    const LONGEST: usize = 120;
    let encoded = encode(name).replace('~', "%7E");
    let encoded = match encoded.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => encoded,
    };
    if encoded.len() <= LONGEST && !encoded.is_empty() {
        return encoded;
    }
    // `~` is in no name above, so that no two names meet.
    let digest = hex::encode(&Sha256::digest(name.as_bytes())[..8]);
    format!("{}~{digest}", &encoded[..encoded.len().min(LONGEST)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_safe_file_names() {
        for (name, expected) in [
            ("quad", "quad"),
            ("simulator.vehicle.quad[0]", "simulator.vehicle.quad%5B0%5D"),
            ("pool.field/m1", "pool.field%2Fm1"),
            ("..", "%2E."),
            (".hidden", "%2Ehidden"),
            ("a~b", "a%7Eb"),
            ("", "~e3b0c44298fc1c14"),
        ] {
            assert_eq!(file_name(name), expected, "{name:?}");
        }
    }

    #[test]
    fn long_names_stay_short_and_apart() {
        let (a, b) = (
            file_name(&format!("{}a", "é".repeat(99))),
            file_name(&format!("{}b", "é".repeat(99))),
        );
        assert_ne!(a, b);
        assert!(a.len() < 200, "{a}");
    }
}
