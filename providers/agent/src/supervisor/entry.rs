//! A simulator as the supervisor holds it: what is known of it, and the way to its task.

use simfleet_provider_api::Path;
use tokio::sync::{mpsc, oneshot, watch};

use super::error::SupervisorError;
use super::simulator::{Change, Command, Snapshot};
use super::users::Users;
use crate::protocol::{MachineAct, ProcessSpec, SimulatorView};

/// A simulator that has a task.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub seen: watch::Receiver<Snapshot>,
    pub commands: mpsc::Sender<Command>,
    pub users: Users,
}

impl Entry {
    /// Returns what is known of it.
    pub fn view(&self) -> SimulatorView {
        let seen = self.seen.borrow();
        let record = &seen.record;
        SimulatorView {
            name: record.name.clone(),
            id: record.id.clone(),
            lineage: record.lineage.clone(),
            revision: record.revision,
            spec: ProcessSpec {
                machine: record.machine(),
                ..record.spec.clone()
            },
            secrets: record.secrets.clone(),
            status: seen.status,
            settled: seen.settled,
            pid: seen.pid,
            exit: record.exit.clone(),
            restarts: record.restarts,
            started: seen.started.clone(),
            machine: seen.machine.clone(),
            gdb_port: record.gdb_port,
            act: seen.act.clone(),
            stopped_because: record.expired.clone(),
            stuck: seen.stuck.clone(),
            problem: seen.problem.clone(),
        }
    }

    /// Has its task do something, and returns when that has begun.
    pub async fn ask(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) -> Result<(), SupervisorError> {
        let name = || self.seen.borrow().record.name.clone();
        let (done, answer) = oneshot::channel();
        let sent = self.commands.send(command(done)).await;
        sent.map_err(|_| SupervisorError::NotFound(name()))?;
        answer.await.map_err(|_| SupervisorError::NotFound(name()))
    }

    /// Has its task do something with its machine, and returns when that has begun.
    pub async fn act(&self, token: String, act: MachineAct) -> Result<(), SupervisorError> {
        let name = || self.seen.borrow().record.name.clone();
        let (done, answer) = oneshot::channel();
        let sent = self.commands.send(Command::Act(token, act, done)).await;
        sent.map_err(|_| SupervisorError::NotFound(name()))?;
        let begun = answer.await.map_err(|_| SupervisorError::NotFound(name()))?;
        begun.map_err(|message| SupervisorError::Invalid {
            message,
            attribute: None,
        })
    }

    /// Has its task change what is wanted, and returns when that is on the disk.
    pub async fn change(
        &self,
        spec: ProcessSpec,
        secrets: Vec<Path>,
        token: String,
        claim: Option<(String, String)>,
    ) -> Result<(), SupervisorError> {
        let name = || self.seen.borrow().record.name.clone();
        let (done, answer) = oneshot::channel();
        let change = Command::Change(Box::new(Change {
            spec,
            secrets,
            token,
            claim,
            done,
        }));
        let sent = self.commands.send(change).await;
        sent.map_err(|_| SupervisorError::NotFound(name()))?;
        answer
            .await
            .map_err(|_| SupervisorError::NotFound(name()))?
            .map_err(SupervisorError::Conflict)
    }
}
