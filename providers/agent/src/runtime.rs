//! What is done by hand with a process or a machine under an agent.

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use simfleet_provider_api::runtime::{LogPiece, LogQuery, LogSource, Logs};
use simfleet_provider_api::{Ability, Act, Kind, Object, ProviderError, Runtime, Token};

use crate::client::ClientError;
use crate::protocol::{ResetSimulator, SimulatorView, Status, code};
use crate::provider::{AgentProvider, split_id, with_log};
use crate::schema::{MACHINE, PROCESS};
use crate::spec::without_secrets;

/// How soon one that starts anew is looked at again.
const LOOK_AFTER: Duration = Duration::from_millis(250);

#[async_trait]
impl Runtime for AgentProvider {
    fn abilities(&self, kind: &Kind, _object: &Object) -> Vec<Ability> {
        match *kind == PROCESS || *kind == MACHINE {
            true => vec![Ability::Stop, Ability::Pause, Ability::Reset, Ability::Logs],
            false => Vec::new(),
        }
    }

    async fn act(&self, kind: &Kind, object: &Object, act: &Act, token: &Token) -> Result<(), ProviderError> {
        match act {
            Act::Reset => self.reset(object, token).await,
            Act::Load { .. } | Act::Snapshot { .. } | Act::Restore { .. } => Err(ProviderError::Broken {
                message: format!("a `{kind}` cannot do this"),
            }),
        }
    }

    /// The agent keeps the output of a process as it comes, without its times, and both streams in one.
    async fn logs(&self, _kind: &Kind, object: &Object, query: &LogQuery) -> Result<Logs, ProviderError> {
        if query.since.is_some() {
            return Err(ProviderError::Rejected {
                message: "what a process writes is kept without the times: ask for its last lines".to_owned(),
                attribute: None,
            });
        }
        let (name, id) = split_id(&object.id);
        let stream = self.client.log(name, id, query.tail, query.follow).await?;
        let piece = |bytes: Result<Vec<u8>, ClientError>| {
            Ok(LogPiece {
                source: LogSource::Output,
                bytes: bytes?,
            })
        };
        Ok(stream.map(piece).boxed())
    }
}

impl AgentProvider {
    async fn reset(&self, object: &Object, token: &Token) -> Result<(), ProviderError> {
        let (name, id) = split_id(&object.id);
        let gone = || ProviderError::Conflict {
            message: format!("process `{name}` is gone"),
        };
        let request = ResetSimulator {
            token: token.to_string(),
            id: id.to_owned(),
        };
        let mut view = match self.client.reset_simulator(name, &request).await {
            Err(error) if error.code() == Some(code::NOT_FOUND) => return Err(gone()),
            other => other?,
        };
        while !view.settled {
            tokio::time::sleep(LOOK_AFTER).await;
            view = self.client.simulator(name, id).await?.ok_or_else(gone)?;
        }
        match view.status {
            Status::Exited | Status::Restarting => Err(self.does_not_run(&view).await),
            _ => Ok(()),
        }
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
