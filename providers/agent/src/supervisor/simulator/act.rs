//! What a machine's owner does with it by hand: reset, another program, snapshots.

use super::super::record::Record;
use super::super::snapshots::{Fit, store};
use super::Simulator;
use super::errand::{Errand, Save};
use crate::protocol::{ActView, Desired, Machine, MachineAct};

/// How many snapshots there may be where nothing else was said.
const KEEP: u64 = 5;

/// Something that is done by hand, or was done last.
#[derive(Debug)]
pub(super) struct Acting {
    /// Names the intent.
    token: String,
    /// What its monitor is still to be told; none where it is done by a new start.
    pub errand: Option<Errand>,
    /// How it ended.
    outcome: Option<Result<(), String>>,
}

impl Acting {
    /// Something that is done once the machine was started anew.
    pub fn by_a_start(token: String) -> Self {
        Acting {
            token,
            errand: None,
            outcome: None,
        }
    }

    /// Whether it is still being done.
    pub fn goes_on(&self) -> bool {
        self.outcome.is_none()
    }

    /// Returns what is told of it.
    pub fn view(&self) -> ActView {
        ActView {
            token: self.token.clone(),
            error: self.outcome.clone().and_then(Result::err),
        }
    }
}

impl Simulator {
    /// Begins to do something with its machine, once a token.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(super) async fn begin(&mut self, token: String, act: MachineAct) -> Result<(), String> {
        if let Some(acting) = &self.act {
            if acting.token == token {
                return Ok(());
            }
            if acting.goes_on() {
                return Err("something else is being done with it".to_owned());
            }
        }
        let machine = self.record.machine().ok_or("it is no machine")?;
        let errand = match act {
            MachineAct::Load { program, halt } => {
                self.record.loaded = Some(program);
                self.record.halt = halt;
                None
            }
            _ if self.process.as_ref().is_none_or(|process| !process.ready) => {
                return Err(format!("it does not run: it is {}", self.status().as_str()));
            }
            MachineAct::Reset => Some(Errand::Reset),
            MachineAct::Snapshot { name } => Some(Errand::Save(self.save(name, &machine)?)),
            MachineAct::Restore { name } => self.restore(name, &machine)?,
        };
        let starts_anew = errand.is_none();
        let is_off = self.record.spec.state == Desired::Stopped;
        self.act = Some(Acting {
            token,
            errand,
            // What is loaded while it is off is there when it starts.
            outcome: (starts_anew && is_off).then_some(Ok(())),
        });
        if starts_anew {
            self.begin_anew();
            self.record.told = None;
            self.keep().await;
            if let Some(process) = &mut self.process
                && process.kill_at.is_none()
            {
                process.stop(self.record.grace());
            }
        }
        self.approach().await;
        Ok(())
    }

    fn save(&self, name: String, machine: &Machine) -> Result<Save, String> {
        if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
            return Err("a snapshot needs a name of at most 100 bytes, without control characters".to_owned());
        }
        let settings = machine.snapshot.as_ref();
        Ok(Save {
            name,
            store: store(self.folder.path(), machine),
            keep: settings.map_or(KEEP, |settings| settings.keep),
            most: settings.and_then(|settings| settings.max_size),
            on_disk: machine.drives.iter().any(|drive| drive.format == "qcow2"),
            of: self.fit(machine)?,
        })
    }

    /// Returns what is to be told; nothing where it becomes what it was by a new start.
    fn restore(&mut self, name: String, machine: &Machine) -> Result<Option<Errand>, String> {
        let store = store(self.folder.path(), machine);
        let snapshot = store.fitting(&name, &self.fit(machine)?)?;
        if snapshot.on_disk {
            return Ok(Some(Errand::Load { name }));
        }
        self.record.incoming = Some(store.state(&name));
        Ok(None)
    }

    fn fit(&self, machine: &Machine) -> Result<Fit, String> {
        let seen = self.process.as_ref().and_then(|process| process.machine.as_ref());
        let seen = seen.ok_or("it has not answered yet")?;
        Ok(Fit::of(machine, &seen.version))
    }

    /// What is being done is done.
    pub(super) fn finish(&mut self, outcome: Result<(), String>) {
        if let Some(acting) = self.act.as_mut().filter(|acting| acting.goes_on()) {
            acting.outcome = Some(outcome);
        }
    }
}

impl Record {
    /// Returns the machine that it is now: with the program that was loaded by hand.
    pub fn machine(&self) -> Option<Machine> {
        let mut machine = self.spec.machine.clone()?;
        if let Some(loaded) = &self.loaded {
            machine.program = Some(loaded.clone());
        }
        Some(machine)
    }
}
