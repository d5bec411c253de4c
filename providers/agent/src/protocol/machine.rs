//! What is wanted of a machine that QEMU emulates, and how it stands.

use serde::{Deserialize, Serialize};

/// All that is wanted of a machine, beside what every process has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The program that emulates it: `qemu-system-arm`.
    pub binary: String,
    /// Which machine: `-machine`.
    pub machine: String,
    /// Its processor: `-cpu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Its memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// What it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// Its disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drives: Vec<Drive>,
    /// Whether its program may use files of the node.
    #[serde(default)]
    pub semihosting: bool,
    /// Its serial lines, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consoles: Vec<Console>,
    /// Its ports that are reached at those of the node. With any it has a network of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forwards: Vec<Forward>,
    /// Where a debugger gets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gdb: Option<Gdb>,
    /// Where its snapshots are kept; with the machine without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotStore>,
    /// Further arguments of the program that emulates it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
}

/// A program as the agent keeps it: by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Where it came from, for people: the agent has a copy of its own.
    pub path: String,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drive {
    /// Its name.
    pub name: String,
    /// The absolute path of the file.
    pub path: String,
    /// Its form: `qcow2`, `raw`.
    pub format: String,
    /// How it is attached: `if` of `-drive`; the machine's own way without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

/// A serial line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Its name.
    pub name: String,
    /// Whether it can be watched and typed at.
    pub stream: bool,
    /// The absolute path of the file that it is written to; without it one that goes with the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Bytes after which a new file is begun.
    pub max_size: u64,
}

/// A port of a machine that is reached at one of its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The port of the node.
    pub host: u16,
    /// The port in the machine.
    pub guest: u16,
}

/// Where a debugger gets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gdb {
    /// The address at which it is waited for.
    pub bind: String,
    /// The port; without it the agent chooses one that is free, and keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Whether the machine starts when a debugger has it start.
    pub wait: bool,
}

/// Where the snapshots of a machine are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotStore {
    /// The absolute path of the folder; one that goes with the machine without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// How many: the oldest give way.
    pub keep: u64,
    /// The most bytes that one may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
}

/// Does something with a machine by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActOnMachine {
    /// Names the intent: what was done with it is not done again, as long as the agent lives.
    pub token: String,
    /// The simulator that is meant, so that another one of the same name is left alone.
    pub id: String,
    /// What.
    pub act: MachineAct,
}

/// Something that is done with a machine by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineAct {
    /// Its reset button is pressed.
    Reset,
    /// It is started anew with another program, which the agent has.
    Load {
        /// The program.
        program: Program,
        /// Whether it waits at the program's start.
        halt: bool,
    },
    /// What it is now is kept.
    Snapshot {
        /// Under this name.
        name: String,
    },
    /// It becomes what it was.
    Restore {
        /// When this snapshot was made.
        name: String,
    },
}

/// What was last done with a machine by hand; while it goes on, the machine is not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActView {
    /// Names the intent.
    pub token: String,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The snapshots of a machine, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotList {
    /// All that there are.
    pub snapshots: Vec<SnapshotView>,
}

/// A snapshot of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotView {
    /// Its name.
    pub name: String,
    /// When it was made, RFC 3339.
    pub made: String,
    /// How many bytes it has; not known of one in a disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// What a connection is upgraded to that is a console.
pub const CONSOLE: &str = "simfleet-console";

/// How a machine stands, beside what is known of its process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineView {
    /// Its state, in QEMU's words: `running`, `paused`, `prelaunch`, `guest-panicked` …
    pub state: String,
    /// Whether a debugger is connected, so that it stands still or runs as that one says.
    pub debugged: bool,
    /// The version of QEMU.
    pub version: String,
}

/// What QEMU calls a machine that runs.
pub const RUNNING: &str = "running";

impl MachineView {
    /// Whether it is held: by its state, by hand, or before its start.
    pub fn is_paused(&self) -> bool {
        matches!(self.state.as_str(), "paused" | "prelaunch" | "postmigrate")
    }
}

impl Machine {
    /// Whether it has to be started anew to become another one. Where its program came from does not matter, nor where its
    /// snapshots go.
    pub fn differs(&self, other: &Machine) -> bool {
        let without_path = |machine: &Machine| {
            let mut machine = machine.clone();
            if let Some(program) = &mut machine.program {
                program.path.clear();
            }
            machine.snapshot = None;
            machine
        };
        without_path(self) != without_path(other)
    }
}
