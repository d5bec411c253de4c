//! What is done by hand with a process or a machine under an agent.

use std::path::Path;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use simfleet_provider_api::runtime::{Console, LogPiece, LogQuery, LogSource, Logs, Snapshot};
use simfleet_provider_api::{Ability, Act, Kind, Object, ProviderError, Runtime, Token};

use crate::client::ClientError;
use crate::protocol::{ActOnMachine, MachineAct, Program, ResetSimulator, SimulatorView, SnapshotView, Status, code};
use crate::provider::{AgentProvider, can_be_told, split_id, with_log};
use crate::schema::{MACHINE, PROCESS};
use crate::spec::without_secrets;

/// How soon one that starts anew is looked at again.
const LOOK_AFTER: Duration = Duration::from_millis(250);

#[async_trait]
impl Runtime for AgentProvider {
    fn abilities(&self, kind: &Kind, _object: &Object) -> Vec<Ability> {
        let of_a_process = [Ability::Stop, Ability::Pause, Ability::Reset, Ability::Logs];
        let of_a_machine = [Ability::Load, Ability::Snapshot, Ability::Console, Ability::Debug];
        match kind {
            kind if *kind == PROCESS => of_a_process.to_vec(),
            kind if *kind == MACHINE => [of_a_process, of_a_machine].concat(),
            _ => Vec::new(),
        }
    }

    async fn act(&self, kind: &Kind, object: &Object, act: &Act, token: &Token) -> Result<(), ProviderError> {
        match act {
            Act::Reset => self.reset(object, token).await,
            _ if *kind != MACHINE => Err(ProviderError::Broken {
                message: format!("a `{kind}` cannot do this"),
            }),
            Act::Load { program, halt } => {
                let (program, content) = read(program).await?;
                self.client.put_program(&program.sha256, content).await?;
                let halt = *halt;
                self.act_on(object, MachineAct::Load { program, halt }, token).await
            }
            Act::Snapshot { name } => {
                let name = name.clone();
                self.act_on(object, MachineAct::Snapshot { name }, token).await
            }
            Act::Restore { name } => {
                let name = name.clone();
                self.act_on(object, MachineAct::Restore { name }, token).await
            }
        }
    }

    async fn snapshots(&self, _kind: &Kind, object: &Object) -> Result<Vec<Snapshot>, ProviderError> {
        let (name, id) = split_id(&object.id);
        let snapshot = |view: SnapshotView| Snapshot {
            name: view.name,
            made: view.made.parse::<jiff::Timestamp>().ok().map(SystemTime::from),
            size: view.size,
        };
        let snapshots = self.client.snapshots(name, id).await?;
        Ok(snapshots.into_iter().map(snapshot).collect())
    }

    async fn console(
        &self,
        _kind: &Kind,
        object: &Object,
        console: Option<&str>,
    ) -> Result<Box<dyn Console>, ProviderError> {
        let (name, id) = split_id(&object.id);
        Ok(Box::new(self.client.console(name, id, console).await?))
    }

    async fn debugger(&self, _kind: &Kind, object: &Object) -> Result<String, ProviderError> {
        let (name, id) = split_id(&object.id);
        // As it is now: a new start can have chosen another port.
        let view = self.client.simulator(name, id).await?;
        let rejected = |message: &str| ProviderError::Rejected {
            message: format!("`{name}` {message}"),
            attribute: None,
        };
        let view = view.ok_or_else(|| rejected("is gone"))?;
        let gdb = view.spec.machine.and_then(|machine| machine.gdb);
        let (gdb, port) = gdb
            .zip(view.gdb_port)
            .ok_or_else(|| rejected("has no `gdb` block that is enabled"))?;
        match view.pid {
            Some(_) if gdb.bind.contains(':') => Ok(format!("[{}]:{port}", gdb.bind)),
            Some(_) => Ok(format!("{}:{port}", gdb.bind)),
            None => Err(rejected("does not run")),
        }
    }

    /// The agent keeps the output of a process as it comes, both streams in one.
    async fn logs(&self, _kind: &Kind, object: &Object, query: &LogQuery) -> Result<Logs, ProviderError> {
        let (name, id) = split_id(&object.id);
        let stream = self.client.log(name, id, query).await?;
        let piece = |bytes: Result<Vec<u8>, ClientError>| {
            Ok(LogPiece {
                source: LogSource::Output,
                bytes: bytes?,
            })
        };
        Ok(stream.map(piece).boxed())
    }
}

/// Reads a program that is to be loaded.
async fn read(path: &Path) -> Result<(Program, Vec<u8>), ProviderError> {
    let content = crate::program::read(path).await;
    let content = content.map_err(|message| ProviderError::Rejected {
        message,
        attribute: None,
    })?;
    let program = Program {
        path: path.to_string_lossy().into_owned(),
        sha256: hex::encode(Sha256::digest(&content)),
    };
    Ok((program, content))
}

impl AgentProvider {
    /// Does something with a machine, and returns when it is done.
    async fn act_on(&self, object: &Object, act: MachineAct, token: &Token) -> Result<(), ProviderError> {
        let (name, id) = split_id(&object.id);
        let request = ActOnMachine {
            token: token.to_string(),
            id: id.to_owned(),
            act,
        };
        let view = self.client.act(name, &request).await?;
        self.done(name, id, view, token).await
    }

    /// Waits for what is done by hand to be done.
    async fn done(&self, name: &str, id: &str, mut view: SimulatorView, token: &Token) -> Result<(), ProviderError> {
        while !view.settled {
            can_be_told(&view)?;
            tokio::time::sleep(LOOK_AFTER).await;
            let now = self.client.simulator(name, id).await?;
            view = now.ok_or_else(|| ProviderError::Conflict {
                message: format!("process `{name}` is gone"),
            })?;
        }
        let act = view.act.as_ref().filter(|act| *act.token == *token.0);
        match act.map(|act| &act.error) {
            Some(Some(error)) => Err(ProviderError::Rejected {
                message: error.clone(),
                attribute: None,
            }),
            _ if matches!(view.status, Status::Exited | Status::Restarting) => Err(self.does_not_run(&view).await),
            Some(None) => Ok(()),
            None if view.spec.machine.is_none() => Ok(()),
            None => Err(ProviderError::Ambiguous {
                message: "the agent was started anew meanwhile, and cannot tell whether it was done".to_owned(),
            }),
        }
    }

    async fn reset(&self, object: &Object, token: &Token) -> Result<(), ProviderError> {
        let (name, id) = split_id(&object.id);
        let gone = || ProviderError::Conflict {
            message: format!("process `{name}` is gone"),
        };
        let request = ResetSimulator {
            token: token.to_string(),
            id: id.to_owned(),
        };
        let view = match self.client.reset_simulator(name, &request).await {
            Err(error) if error.code() == Some(code::NOT_FOUND) => return Err(gone()),
            other => other?,
        };
        self.done(name, id, view, token).await
    }

    async fn does_not_run(&self, view: &SimulatorView) -> ProviderError {
        let tail = self.client.logs(&view.name, 10).await.unwrap_or_default();
        let exit = view.exit.as_deref().unwrap_or("it has exited");
        let message = format!("it does not run: {exit}{}", with_log(&tail));
        ProviderError::Rejected {
            message: without_secrets(&message, &view.spec, &view.secrets),
            attribute: None,
        }
    }
}
