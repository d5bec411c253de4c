//! The provider `agent`: its kind `process` is one supervised simulator process on a node's agent, its kind `machine`
//! one under QEMU, and its kind `host` the machine of an agent that exists.
//!
//! - The program of a machine is put to the agent before the machine is made, by its content.
//! - A process is named by its node-wide name and by the token that it was created with: its [`ObjectId`] is
//!   `NAME@TOKEN`. A late call for one that has been deleted and made again finds that it is not the one meant.
//! - The agent keeps each token with what it made, and for a while after that was deleted: a create that is sent again
//!   returns what the first one made, and one that arrives after the delete makes nothing.
//! - Where a node was made anew over what an earlier one left, a create of a name that still runs there claims it: the
//!   process is kept if it is what is wanted, and the token that it had makes nothing any more.
//! - A process that does not start, or is not ready in time, is removed again: the create is rejected and says why.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use simfleet_provider_api::{
    Attribute, Attributes, Context, Found, Handle, Hosting, Kind, Limits, Object, ObjectId, Observed, Problem,
    Provider, ProviderError, ProviderType, Runtime, Schema, Step, Token,
};

use crate::check::problems;
use crate::client::{AgentClient, ClientError};
use crate::host;
use crate::layout::HOME;
use crate::protocol::{
    Desired, PatchSimulator, ProcessSpec, Program, PutSimulator, SimulatorView, Status, TokenView, code,
};
use crate::schema::{self, HOST};
use crate::spec::{Folders, Wanted, attributes, wanted, wanted_machine, without_secrets};

/// How soon an accepted operation is looked at again.
const POLL_AFTER: Duration = Duration::from_millis(250);

/// The provider before it is configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct AgentType;

#[async_trait]
impl ProviderType for AgentType {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn settings(&self) -> &[Attribute] {
        schema::settings()
    }

    fn schemas(&self) -> &[Schema] {
        schema::schemas()
    }

    fn check(&self, kind: &Kind, desired: &Attributes) -> Vec<Problem> {
        problems(kind, desired)
    }

    /// What runs on the machine of an agent runs under it.
    fn hosting(&self) -> Hosting {
        Hosting::Agent
    }

    /// An agent is a small server beside simulators that need the machine more.
    fn limits(&self) -> Limits {
        Limits {
            parallelism: Some(8),
            rate: None,
        }
    }

    async fn configure(&self, settings: &Attributes, context: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        Ok(Arc::new(AgentProvider {
            client: AgentClient::of_settings(settings)?,
            lineage: context.lineage.clone(),
            root: context.root.clone(),
        }))
    }
}

/// The provider, speaking to one agent. Makes no connection before the first call.
#[derive(Debug)]
pub(crate) struct AgentProvider {
    pub(crate) client: AgentClient,
    lineage: Arc<str>,
    /// The folder of the fleet, at which relative paths start.
    root: PathBuf,
}

/// An operation that the agent accepted, as it is kept in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Operation {
    op: Op,
    name: String,
    id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Create,
    Update,
    Delete,
}

impl Operation {
    fn running(self) -> Result<Step, ProviderError> {
        Ok(Step::Running {
            handle: Handle::of(&self)?,
            poll_after: POLL_AFTER,
        })
    }
}

fn broken(message: String) -> ProviderError {
    ProviderError::Broken { message }
}

fn object_id(name: &str, token: &str) -> ObjectId {
    ObjectId(format!("{name}@{token}").into())
}

/// Splits an id into the name and the token. One of another form is the name of a process that no token made: there is
/// none.
pub(crate) fn split_id(id: &ObjectId) -> (&str, &str) {
    id.0.rsplit_once('@').unwrap_or((&id.0, ""))
}

impl AgentProvider {
    fn check_kind(&self, kind: &Kind) -> Result<(), ProviderError> {
        if [schema::PROCESS, schema::MACHINE, HOST].contains(kind) {
            Ok(())
        } else {
            Err(broken(format!("the provider `agent` has no kind `{kind}`")))
        }
    }

    fn object(&self, view: &SimulatorView) -> Object {
        Object {
            id: object_id(&view.name, &view.id),
            attributes: attributes(view, self.folders()),
            token: Some(Token(view.id.as_str().into())),
            version: Some(view.revision.to_string().into()),
        }
    }

    /// Returns where relative paths start: an agent on another machine knows nothing of the folder of the fleet.
    fn folders(&self) -> Folders<'_> {
        match self.client.is_far() {
            true => Folders {
                here: &self.root,
                there: Path::new(HOME),
            },
            false => Folders::one(&self.root),
        }
    }

    fn is_ours(&self, kind: &Kind, view: &SimulatorView) -> bool {
        *view.lineage == *self.lineage && view.spec.machine.is_some() == (*kind == schema::MACHINE)
    }

    /// Puts a request, and before that the program that it needs, where the agent lacks it.
    async fn with_program<T, F>(&self, spec: &ProcessSpec, send: impl Fn() -> F) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let program = spec.machine.as_ref().and_then(|machine| machine.program.as_ref());
        // Another machine that ran it can go between the two, and take it along.
        for _ in 0..3 {
            match send().await {
                Err(error) if error.code() == Some(code::NO_PROGRAM) => {}
                answer => return Ok(answer?),
            }
            let Some(program) = program else { break };
            let content = content(program).await?;
            self.client.put_program(&program.sha256, content).await?;
        }
        Ok(send().await?)
    }

    /// Returns how far a create or update has come, by what the agent says of its simulator.
    async fn step(&self, op: Op, view: SimulatorView) -> Result<Step, ProviderError> {
        if !view.settled {
            can_be_told(&view).map_err(|error| match op {
                // It is there, and whoever asks again finds it.
                Op::Create => error.halfway(),
                Op::Update | Op::Delete => error,
            })?;
            let (name, id) = (view.name, view.id);
            return Operation { op, name, id }.running();
        }
        if op == Op::Update && view.spec.state == Desired::Running && view.status == Status::Exited {
            let tail = self.client.logs(&view.name, 10).await.unwrap_or_default();
            let message = format!(
                "process `{}` does not run: {}{}",
                view.name,
                view.exit.as_deref().unwrap_or("it has exited"),
                with_log(&tail)
            );
            return Err(ProviderError::Rejected {
                message: without_secrets(&message, &view.spec, &view.secrets),
                attribute: None,
            });
        }
        Ok(Step::Done(self.object(&view)))
    }

    fn decode(&self, kind: &Kind, planned: &Attributes) -> Result<Wanted, ProviderError> {
        Ok(match *kind == schema::MACHINE {
            true => wanted_machine(planned, self.folders())?,
            false => wanted(planned)?,
        })
    }
}

/// Checks that what was asked of a simulator can still be done.
///
/// # Errors
/// Its monitor has stopped to answer.
pub(crate) fn can_be_told(view: &SimulatorView) -> Result<(), ProviderError> {
    match &view.stuck {
        None => Ok(()),
        Some(message) => Err(ProviderError::Rejected {
            message: message.clone(),
            attribute: None,
        }),
    }
}

/// Reads the program of a machine, as it was when the plan was made.
async fn content(program: &Program) -> Result<Vec<u8>, ProviderError> {
    let rejected = |message: String| ProviderError::Rejected {
        message,
        attribute: Some(simfleet_provider_api::Path::attribute("program")),
    };
    let path = &program.path;
    let content = crate::program::read(path.as_ref()).await.map_err(rejected)?;
    match hex::encode(Sha256::digest(&content)) == program.sha256 {
        true => Ok(content),
        false => Err(rejected(format!(
            "the program `{path}` has changed since the plan was made"
        ))),
    }
}

/// Returns the last lines of a log, as they end a message.
pub(crate) fn with_log(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("; the end of its log:\n  {}", lines.join("\n  "))
}

#[async_trait]
impl Provider for AgentProvider {
    async fn read(&self, kind: &Kind, id: &ObjectId) -> Result<Observed, ProviderError> {
        self.check_kind(kind)?;
        if *kind == HOST {
            return host::read(&self.client, id).await.or_else(unreachable);
        }
        let (name, token) = split_id(id);
        match self.client.simulator(name, token).await {
            Ok(Some(view)) if self.is_ours(kind, &view) => Ok(Observed::Present(self.object(&view))),
            Ok(_) => Ok(Observed::Absent),
            Err(error) if error.code() == Some(code::FAILED) => Ok(Observed::Absent),
            Err(error) => unreachable(error),
        }
    }

    async fn list(&self, kind: &Kind) -> Result<Option<Vec<Object>>, ProviderError> {
        self.check_kind(kind)?;
        let listed = match *kind == HOST {
            true => host::list(&self.client).await,
            false => self.client.simulators().await.map(|views| {
                let ours = views.iter().filter(|view| self.is_ours(kind, view));
                ours.map(|view| self.object(view)).collect()
            }),
        };
        match listed {
            Ok(objects) => Ok(Some(objects)),
            Err(error) => match unreachable(error)? {
                // Not `None`: there is a list, and an agent that does not give it need not be asked for each process.
                Observed::Unreachable { reason } => Err(ProviderError::NotSent {
                    message: reason,
                    retry_after: None,
                }),
                _ => Ok(Some(Vec::new())),
            },
        }
    }

    async fn find(&self, kind: &Kind, token: &Token, _planned: &Attributes) -> Result<Found, ProviderError> {
        self.check_kind(kind)?;
        if *kind == HOST {
            // What is adopted bears no token: to adopt it again makes nothing.
            return Ok(Found::Nothing);
        }
        Ok(match self.client.token(&token.0).await? {
            None => Found::Nothing,
            Some(TokenView::Made(view)) if view.settled => Found::Ready(self.object(&view)),
            Some(TokenView::Made(view)) => {
                let (name, id) = (view.name, view.id);
                let op = Op::Create;
                Found::InProgress(Handle::of(&Operation { op, name, id })?)
            }
            Some(TokenView::Failed(message)) => Found::Failed { message },
            Some(TokenView::Deleted) => Found::Failed {
                message: "it was made and has been deleted since".to_owned(),
            },
        })
    }

    async fn create(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
        self.check_kind(kind)?;
        if *kind == HOST {
            return host::create(&self.client).await;
        }
        let Wanted { name, spec, secrets } = self.decode(kind, planned)?;
        let request = PutSimulator {
            token: token.to_string(),
            lineage: self.lineage.to_string(),
            spec,
            secrets,
        };
        let view = self
            .with_program(&request.spec, || self.client.put_simulator(&name, &request))
            .await?;
        self.step(Op::Create, view).await
    }

    async fn update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        token: &Token,
    ) -> Result<Step, ProviderError> {
        self.check_kind(kind)?;
        if *kind == HOST {
            return host::create(&self.client).await;
        }
        let (name, id) = split_id(&prior.id);
        let wanted = self.decode(kind, planned)?;
        if prior.attributes.str("name").is_some_and(|name| name != wanted.name) {
            return Err(broken(format!(
                "process `{name}` cannot be renamed to `{}` in place",
                wanted.name
            )));
        }
        let request = PatchSimulator {
            token: token.to_string(),
            id: id.to_owned(),
            revision: prior.version.as_ref().and_then(|version| version.parse().ok()),
            spec: wanted.spec,
            secrets: wanted.secrets,
        };
        let patch = || async {
            match self.client.patch_simulator(name, &request).await {
                Err(error) if error.code() == Some(code::NOT_FOUND) => Ok(None),
                answer => answer.map(Some),
            }
        };
        match self.with_program(&request.spec, patch).await? {
            Some(view) => self.step(Op::Update, view).await,
            None => Err(ProviderError::Conflict {
                message: format!("process `{name}` is gone"),
            }),
        }
    }

    async fn delete(&self, kind: &Kind, object: &Object, _token: &Token) -> Result<Step, ProviderError> {
        self.check_kind(kind)?;
        if *kind == HOST {
            return Ok(Step::Gone);
        }
        let (name, id) = split_id(&object.id);
        if self.client.delete_simulator(name, id).await? {
            return Ok(Step::Gone);
        }
        Operation {
            op: Op::Delete,
            name: name.to_owned(),
            id: id.to_owned(),
        }
        .running()
    }

    async fn poll(&self, kind: &Kind, handle: &Handle) -> Result<Step, ProviderError> {
        self.check_kind(kind)?;
        let operation: Operation = handle.read()?;
        match self.client.simulator(&operation.name, &operation.id).await {
            Ok(Some(view)) => match operation.op {
                Op::Delete => operation.running(),
                op => self.step(op, view).await,
            },
            Ok(None) => match operation.op {
                Op::Delete => Ok(Step::Gone),
                _ => Err(ProviderError::Conflict {
                    message: format!("process `{}` has been deleted meanwhile", operation.name),
                }),
            },
            Err(error) if operation.op == Op::Delete && error.code() == Some(code::FAILED) => Ok(Step::Gone),
            Err(error) => Err(error.into()),
        }
    }

    fn runtime(&self) -> Option<&dyn Runtime> {
        Some(self)
    }
}

/// Turns what proves nothing about an object into `Unreachable`; the rest stays an error.
fn unreachable(error: ClientError) -> Result<Observed, ProviderError> {
    if error.is_unreachable() {
        return Ok(Observed::Unreachable {
            reason: error.to_string(),
        });
    }
    match error {
        // A node's token goes with the node: without it nothing can be said of what runs there.
        ClientError::Token { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(Observed::Unreachable {
                reason: error.to_string(),
            })
        }
        error => Err(error.into()),
    }
}
