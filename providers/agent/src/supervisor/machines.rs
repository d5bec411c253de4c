//! What only machines have: programs, debuggers, consoles and snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use tokio::net::UnixStream;

use super::entry::Entry;
use super::{Supervisor, SupervisorError, User, machine, run, snapshots};
use crate::layout::console_socket;
use crate::ports;
use crate::protocol::{ActOnMachine, Machine, MachineAct, ProcessSpec, SnapshotView};
use crate::qmp;

impl Supervisor {
    /// Keeps a program for machines.
    ///
    /// # Errors
    /// Its content is not what its name says, or it cannot be kept.
    pub fn put_program(&self, sha256: &str, content: &[u8]) -> io::Result<()> {
        self.shared.programs.put(sha256, content)
    }

    pub(super) fn demand_program(&self, spec: &ProcessSpec) -> Result<(), SupervisorError> {
        match spec.program() {
            Some(sha256) if !self.shared.programs.has(sha256) => Err(SupervisorError::NoProgram(sha256.to_owned())),
            _ => Ok(()),
        }
    }

    /// Removes the programs that no machine runs any more. One that was put for a machine that is still to be made is put
    /// again.
    pub(super) fn forget_programs(&self, simulators: &BTreeMap<String, Entry>) {
        let records = simulators.values().map(|entry| entry.seen.borrow().record.clone());
        let needed: BTreeSet<String> = records
            .flat_map(|record| {
                let declared = record.spec.program().map(str::to_owned);
                let loaded = record.loaded.as_ref().map(|program| program.sha256.clone());
                [declared, loaded]
            })
            .flatten()
            .collect();
        if let Err(error) = self.shared.programs.keep_only(|sha256| needed.contains(sha256)) {
            tracing::warn!(%error, "cannot remove programs that nothing needs");
        }
    }

    /// Returns the port at which a debugger gets in: the given one, if nobody has it, or one that nobody has.
    pub(super) fn gdb_port(
        &self,
        simulators: &BTreeMap<String, Entry>,
        name: &str,
        spec: &ProcessSpec,
    ) -> Result<Option<u16>, SupervisorError> {
        let Some(gdb) = spec.gdb() else {
            return Ok(None);
        };
        let invalid = |message: String| SupervisorError::Invalid {
            message,
            attribute: Some(simfleet_provider_api::Path::attribute("gdb")),
        };
        let others = simulators.values().map(|entry| entry.seen.borrow().record.clone());
        let used: BTreeMap<u16, String> = others
            .filter_map(|record| Some((record.gdb_port?, record.name.clone())))
            .collect();
        if let Some(port) = gdb.port {
            if let Some(other) = used.get(&port) {
                return Err(invalid(format!("port {port} is that of the debugger of `{other}`")));
            }
            return match ports::refusal(&gdb.bind, port) {
                Some(refusal) => Err(invalid(refusal)),
                None => Ok(Some(port)),
            };
        }
        let used: BTreeSet<u16> = used.into_keys().collect();
        let chosen = ports::choose(&self.shared.named(name), &gdb.bind, &used);
        let none = || invalid(format!("no port is free at {} for a debugger", gdb.bind));
        chosen.map(Some).ok_or_else(none)
    }

    /// Does something with a machine, once a token. Returns when that has begun.
    pub async fn act(&self, name: &str, request: ActOnMachine) -> Result<(), SupervisorError> {
        if let MachineAct::Load { program, .. } = &request.act
            && !self.shared.programs.has(&program.sha256)
        {
            return Err(SupervisorError::NoProgram(program.sha256.clone()));
        }
        let entry = self.entry(name, Some(&request.id)).await?;
        entry.act(request.token, request.act).await
    }

    /// Returns the snapshots of a machine.
    pub async fn snapshots(&self, name: &str, id: Option<&str>) -> Result<Vec<SnapshotView>, SupervisorError> {
        let machine = self.machine(name, id).await?;
        let store = snapshots::store(self.shared.data.simulator(name).path(), &machine);
        Ok(store.all()?.into_iter().map(SnapshotView::from).collect())
    }

    /// Connects to a console of a machine: the one of that name, or its first. It is used for as long as the user is kept.
    pub async fn console(
        &self,
        name: &str,
        id: Option<&str>,
        console: Option<&str>,
    ) -> Result<(UnixStream, User), SupervisorError> {
        let refused = |message: String| SupervisorError::Conflict(message);
        let machine = self.machine(name, id).await?;
        let names: Vec<&str> = machine.consoles.iter().map(|it| it.name.as_str()).collect();
        let is_it = |name: &&str| console.is_none_or(|console| console == *name);
        let Some(number) = names.iter().position(is_it) else {
            return Err(refused(match names.as_slice() {
                [] => format!("`{name}` has no console"),
                names => format!("`{name}` has no such console; it has {}", names.join(", ")),
            }));
        };
        if !machine.consoles[number].stream {
            return Err(refused(format!(
                "the console `{}` can not be watched: `stream` is false",
                names[number]
            )));
        }
        let folder = self.shared.data.simulator(name);
        let line = qmp::connect(folder.path(), &console_socket(number)).await;
        let line = line.map_err(|error| refused(format!("`{name}` does not run: {error}")))?;
        Ok((line, self.user(name, id).await?))
    }

    /// Returns the file with what a simulator writes: of a machine, its first console.
    pub async fn written(&self, name: &str) -> Result<PathBuf, SupervisorError> {
        let entry = self.entry(name, None).await?;
        let record = entry.seen.borrow().record.clone();
        let folder = self.shared.data.simulator(name);
        let lines = machine::lines(&folder, &record.spec);
        Ok(lines
            .into_iter()
            .next()
            .map_or_else(|| run::log_path(&folder, &record.spec), |line| line.log))
    }

    async fn machine(&self, name: &str, id: Option<&str>) -> Result<Machine, SupervisorError> {
        let entry = self.entry(name, id).await?;
        let machine = entry.seen.borrow().record.machine();
        machine.ok_or_else(|| SupervisorError::Conflict(format!("`{name}` is no machine")))
    }
}
