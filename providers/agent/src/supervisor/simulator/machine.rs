//! A machine under QEMU: told by its monitor what it should do, and looked at there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::super::machine::DEBUGGER;
use super::super::record::Told;
use super::errand::{self, Errand};
use super::{LOOK_EVERY, Simulator};
use crate::layout::MONITOR;
use crate::ports;
use crate::protocol::{Desired, Gdb, MachineView};
use crate::qmp::{Qmp, QmpError};

/// How often a machine is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// A machine whose monitor has not answered so often in a row is unhealthy.
pub(super) const MOST_SILENCE: u32 = 3;

/// What was said with the monitor of a machine.
pub(super) struct Talk {
    errand: Option<Attempt>,
    said: Result<Said, QmpError>,
}

/// What became of an errand. It is known also where the monitor says no more after it.
enum Attempt {
    /// The monitor could not be reached, so it is still to be done.
    NotBegun(Errand),
    /// It ended so.
    Ended(Result<(), String>),
}

/// What a machine was told, and how it stands then.
struct Said {
    told: Option<Desired>,
    view: MachineView,
}

impl Simulator {
    /// Whether it is a machine under QEMU, and not any process.
    pub(super) fn is_machine(&self) -> bool {
        self.record.spec.machine.is_some()
    }

    /// Returns what its machine is still to be told; `None` where it knows. What it is told once is not repeated: one that
    /// somebody held by hand stays so until its owner changes something.
    pub(super) fn to_tell(&self) -> Option<Desired> {
        let told = self.record.told.as_ref().filter(|told| told.run == self.record.run);
        let is_new = told.is_none();
        let state = match self.record.spec.state {
            // Until a debugger lets it go.
            Desired::Running if is_new && (self.record.halt || self.waits_for_debugger()) => Desired::Paused,
            state => state,
        };
        (told.map(|told| told.state) != Some(self.record.spec.state) && state != Desired::Stopped).then_some(state)
    }

    /// Sees to it that a debugger gets in at the port that it has, before a start.
    ///
    /// # Errors
    /// The port was given, and something else has it. One that was chosen is chosen anew then.
    pub(super) fn settle_port(&mut self) -> Result<(), String> {
        let Some(Gdb { bind, port, .. }) = self.record.spec.gdb() else {
            self.record.gdb_port = None;
            return Ok(());
        };
        let kept = port.or(self.record.gdb_port);
        let refusal = kept.map(|port| ports::refusal(bind, port));
        self.record.gdb_port = match (kept, refusal.flatten(), port) {
            (Some(kept), None, _) => Some(kept),
            (_, Some(refusal), Some(_)) => return Err(refusal),
            _ => ports::choose(&self.shared.named(&self.record.name), bind, &BTreeSet::new()),
        };
        Ok(())
    }

    fn waits_for_debugger(&self) -> bool {
        self.record.spec.gdb().is_some_and(|gdb| gdb.wait)
    }

    /// Begins to talk to the monitor, where it is time to.
    pub(super) fn talk(&mut self, now: Instant) {
        let to_tell = self.to_tell();
        let has_errand = self.act.as_ref().is_some_and(|act| act.errand.is_some());
        let Some(process) = &mut self.process else {
            return;
        };
        if process.running.is_none() || process.talking.is_some() || process.kill_at.is_some() {
            return;
        }
        let is_due = process.next_talk <= now || ((to_tell.is_some() || has_errand) && process.silence == 0);
        if !is_due {
            process.next_look = process.next_look.min(process.next_talk);
            return;
        }
        let errand = self
            .act
            .as_mut()
            .filter(|_| process.ready)
            .and_then(|act| act.errand.take());
        let incoming = self.record.incoming.clone();
        process.talking = Some(Box::pin(talk(self.folder.path().to_owned(), incoming, errand, to_tell)));
    }

    /// Takes in what the monitor said.
    pub(super) async fn talked(&mut self, talk: Talk) {
        let state = self.record.spec.state;
        let run = self.record.run;
        let Some(process) = &mut self.process else {
            return;
        };
        let now = Instant::now();
        process.talking = None;
        let has_errand = talk.errand.is_some();
        match talk.errand {
            Some(Attempt::Ended(outcome)) => self.finish(outcome),
            Some(Attempt::NotBegun(errand)) => {
                if let Some(act) = &mut self.act {
                    act.errand = Some(errand);
                }
            }
            None => {}
        }
        let Some(process) = &mut self.process else {
            return;
        };
        match talk.said {
            Ok(Said { told, view }) => {
                process.silence = 0;
                process.next_talk = now + EVERY;
                process.machine = Some(view);
                process.next_look = now;
                if told.is_some() {
                    self.record.told = Some(Told { run, state });
                    self.record.halt = false;
                    self.record.incoming = None;
                    self.keep().await;
                }
                // What is done by a new start is done when that is.
                let starts_anew = self.act.as_ref().is_some_and(|act| act.errand.is_none()) && !has_errand;
                if starts_anew && told.is_some() {
                    self.finish(Ok(()));
                }
                if self.process.as_ref().is_some_and(|process| !process.ready) {
                    self.became_ready().await;
                }
            }
            // What it refuses it would refuse again: how it stands is to be seen.
            Err(QmpError::Refused { command, reason }) => {
                tracing::warn!(simulator = %self.record.name, command, reason, "a machine refuses");
                process.next_talk = now + EVERY;
                self.record.told = Some(Told { run, state });
                self.finish(Err(reason));
                self.keep().await;
            }
            // QEMU opens its monitor a moment after it has started; and one that ends is told by its shim.
            Err(error) => {
                process.silence += 1;
                let pause = if process.ready { EVERY } else { LOOK_EVERY };
                process.next_talk = now + pause;
                process.next_look = process.next_look.min(now + pause);
                process.last_problem = Some(error.to_string());
                // Whoever waits for it is told, where it has stopped answering at all.
                if process.ready && process.silence >= MOST_SILENCE {
                    if let Some(act) = &mut self.act {
                        act.errand = None;
                    }
                    self.finish(Err(error.to_string()));
                }
            }
        }
    }

    /// Whether its monitor does not answer any more.
    pub(super) fn is_silent(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.silence >= MOST_SILENCE)
    }
}

async fn talk(folder: PathBuf, incoming: Option<PathBuf>, errand: Option<Errand>, tell: Option<Desired>) -> Talk {
    let greeted = async {
        let mut monitor = Qmp::connect(&folder, MONITOR).await?;
        if let Some(state) = incoming {
            errand::read(&mut monitor, &folder, &state).await?;
        }
        Ok(monitor)
    };
    let mut monitor = match greeted.await {
        Ok(monitor) => monitor,
        Err(error) => {
            return Talk {
                errand: errand.map(Attempt::NotBegun),
                said: Err(error),
            };
        }
    };
    let attempt = match errand {
        Some(errand) => Some(Attempt::Ended(errand::run(&mut monitor, &folder, errand).await)),
        None => None,
    };
    Talk {
        errand: attempt,
        said: say(&mut monitor, tell).await,
    }
}

/// Tells a machine what it should do, and asks how it stands then.
async fn say(monitor: &mut Qmp, tell: Option<Desired>) -> Result<Said, QmpError> {
    match tell {
        Some(Desired::Running) => drop(monitor.tell("cont").await?),
        Some(Desired::Paused) => drop(monitor.tell("stop").await?),
        Some(Desired::Stopped) | None => {}
    }
    Ok(Said {
        told: tell,
        view: look(monitor).await?,
    })
}

/// Asks how a machine stands.
async fn look(monitor: &mut Qmp) -> Result<MachineView, QmpError> {
    let status = monitor.tell("query-status").await?;
    let state = status["status"].as_str();
    let state = state.ok_or_else(|| QmpError::Answer(status.to_string()))?.to_owned();
    let lines = monitor.tell("query-chardev").await?;
    let mut lines = lines.as_array().into_iter().flatten();
    let debugger = lines.find(|line| line["label"] == DEBUGGER);
    let peer = debugger.and_then(|line| line["filename"].as_str());
    Ok(MachineView {
        state,
        debugged: peer.is_some_and(|peer| !peer.starts_with("disconnected:")),
        version: monitor.version.clone(),
    })
}
