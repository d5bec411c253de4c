//! The snapshots of a machine: what each is of, and where it lies.
//!
//! ```text
//! STORE/NAME.json     what it is of (Snapshot)
//! STORE/NAME.state    the machine, as QEMU writes it; none where it is in the machine's disks
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable;
use crate::layout::file_name;
use crate::protocol::{Machine, SnapshotView};

/// The folder of the snapshots of one machine.
#[derive(Debug, Clone)]
pub(super) struct Store(pub PathBuf);

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// Its name.
    pub name: String,
    /// When it was made, RFC 3339.
    pub made: String,
    /// Bytes of its file.
    #[serde(default)]
    pub size: Option<u64>,
    /// Whether it is in the machine's disks, with what is on them.
    pub on_disk: bool,
    /// What it fits.
    pub of: Fit,
}

/// What of a machine a snapshot depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fit {
    /// Which machine.
    pub machine: String,
    /// Its processor.
    pub cpu: Option<String>,
    /// Its memory, in bytes.
    pub memory: Option<u64>,
    /// The SHA-256 of its program.
    pub program: Option<String>,
    /// The version of QEMU.
    pub qemu: String,
}

impl Fit {
    /// Returns what snapshots of a machine depend on.
    pub fn of(machine: &Machine, qemu: &str) -> Self {
        Fit {
            machine: machine.machine.clone(),
            cpu: machine.cpu.clone(),
            memory: machine.memory,
            program: machine.program.as_ref().map(|program| program.sha256.clone()),
            qemu: qemu.to_owned(),
        }
    }

    /// Says in what another machine differs; `None` where it does not.
    fn difference(&self, other: &Fit) -> Option<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        let number = |value: Option<u64>| value.map_or("as it is by default".to_owned(), |it| format!("{it} bytes"));
        let pairs = [
            ("machine", self.machine.clone(), other.machine.clone()),
            ("processor", text(&self.cpu), text(&other.cpu)),
            ("memory", number(self.memory), number(other.memory)),
            ("program", text(&self.program), text(&other.program)),
            ("version of QEMU", self.qemu.clone(), other.qemu.clone()),
        ];
        let (what, its, now) = pairs.into_iter().find(|(_, its, now)| its != now)?;
        Some(format!("its {what} is {its}, and that of the machine is {now}"))
    }
}

impl Store {
    /// Returns where the state of a snapshot lies.
    pub fn state(&self, name: &str) -> PathBuf {
        self.0.join(format!("{}.state", file_name(name)))
    }

    fn record(&self, name: &str) -> PathBuf {
        self.0.join(format!("{}.json", file_name(name)))
    }

    /// Makes the folder.
    pub fn make(&self) -> io::Result<()> {
        durable::create_folder(&self.0)
    }

    /// Records a snapshot whose state is there.
    pub fn add(&self, snapshot: &Snapshot) -> io::Result<()> {
        durable::write_json(&self.record(&snapshot.name), snapshot)
    }

    /// Returns all snapshots, oldest first.
    pub fn all(&self) -> io::Result<Vec<Snapshot>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                all.extend(durable::read_json::<Snapshot>(&path)?);
            }
        }
        all.sort_by(|a: &Snapshot, b| (&a.made, &a.name).cmp(&(&b.made, &b.name)));
        Ok(all)
    }

    /// Removes a snapshot.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        // What is not recorded is not there.
        durable::remove_file(&self.record(name))?;
        durable::remove_file(&self.state(name))
    }

    /// Returns a snapshot that a machine can become.
    ///
    /// # Errors
    /// There is none of this name, or it is of another machine.
    pub fn fitting(&self, name: &str, machine: &Fit) -> Result<Snapshot, String> {
        let all = self.all().map_err(|error| self.unreadable(&error))?;
        let Some(snapshot) = all.iter().find(|snapshot| snapshot.name == name) else {
            let names: Vec<String> = all.iter().map(|snapshot| format!("`{}`", snapshot.name)).collect();
            let there = match names.is_empty() {
                true => "there are none".to_owned(),
                false => format!("there are {}", names.join(", ")),
            };
            return Err(format!("there is no snapshot `{name}`: {there}"));
        };
        match snapshot.of.difference(machine) {
            Some(difference) => Err(format!("the snapshot `{name}` is of another machine: {difference}")),
            None => Ok(snapshot.clone()),
        }
    }

    /// Says that the folder cannot be read.
    pub fn unreadable(&self, error: &io::Error) -> String {
        format!("cannot read the snapshots in `{}`: {error}", self.0.display())
    }
}

impl From<Snapshot> for SnapshotView {
    fn from(snapshot: Snapshot) -> Self {
        SnapshotView {
            name: snapshot.name,
            made: snapshot.made,
            size: snapshot.size,
        }
    }
}

/// Returns the folder of a machine's snapshots: its own where none was given, which goes with it.
pub(super) fn store(folder: &Path, machine: &Machine) -> Store {
    let settings = machine.snapshot.as_ref();
    let given = settings.and_then(|snapshot| snapshot.store.as_ref()).map(PathBuf::from);
    Store(given.unwrap_or_else(|| folder.join("snapshots")))
}
