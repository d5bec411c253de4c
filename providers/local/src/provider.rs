//! The provider `local`: its kind `node` is an agent process on loopback.
//!
//! # Who made what, and who may still make it
//!
//! An [`ObjectId`] is `NAME@TOKEN`. The token that a node was created with is in the name of its claim (see `folder`), so
//! looking for what a create did is looking for a file. Three things make a create that arrives late harmless, however
//! late, and although no step here waits for a lock that another process could hold while it is stopped:
//!
//! 1. Whoever deletes a node, or takes it over, first writes a tombstone for its token. A create looks for it first.
//! 2. A create that has passed that look can still make files and start an agent; but the agent itself, after it has
//!    written down who it is, looks for the tombstone again and ends. Who deletes writes the tombstone first and looks
//!    for an agent after, so one of the two sees the other. The create then removes the files that it made.
//! 3. Tombstones stay as long as any process that has configured this provider lives: it holds a shared lock on the
//!    folder, and only who is alone with it removes the folder, tombstones and all, and remembers them. A create that
//!    finds that its folder is gone, or is another one, makes nothing.
//!
//! # Recovery
//!
//! A node whose agent has ended is absent, although its simulators may run on under their shims. The next create with
//! its name takes over its files: same address, same bearer token, and the agent takes its simulators over without
//! touching their processes; a create of one of them with the same attributes claims it. A node whose agent lives and
//! does not answer is unreachable.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use simfleet_provider_agent::layout::{AgentRecord, DataFolder};
use simfleet_provider_agent::protocol::{NodeChange, OnShutdown};
use simfleet_provider_api::{
    Attribute, Attributes, Context, Found, Handle, Kind, Object, ObjectId, Observed, Problem, Provider, ProviderError,
    ProviderType, Schema, Step, Token,
};
use tokio::sync::RwLock;

use crate::folder::{Claimed, FleetFolder, Gone};
use crate::make::refusal;
use crate::remove::{end_simulators, kill_agent};
use crate::schema;
use crate::settings::{Wanted, attributes, wanted};
use crate::start::{Up, ask, client, living_agent};

/// How long a living agent may take to say how it stands.
const PATIENCE: Duration = Duration::from_secs(3);

/// How soon an agent that was told to end is looked at again.
const POLL_AFTER: Duration = Duration::from_millis(200);

/// The provider before it is configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalType;

#[async_trait]
impl ProviderType for LocalType {
    fn name(&self) -> &'static str {
        "local"
    }

    fn settings(&self) -> &[Attribute] {
        schema::settings()
    }

    fn hosting(&self) -> simfleet_provider_api::Hosting {
        simfleet_provider_api::Hosting::Agent
    }

    fn schemas(&self) -> &[Schema] {
        schema::schemas()
    }

    fn check(&self, _kind: &Kind, desired: &Attributes) -> Vec<Problem> {
        let mut known: Attributes = desired
            .iter()
            .filter(|(_, value)| value.is_known())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if desired.get("name").is_some() && known.get("name").is_none() {
            known.set("name", "unknown");
        }
        wanted(&known).err().unwrap_or_default()
    }

    fn tidy(&self, context: &Context) {
        if context.folder.exists()
            && let Ok(folder) = FleetFolder::open(context.folder.clone(), context.lineage.clone())
        {
            // What cannot be removed now is no harm: it is there for the next run.
            let _ = folder.release();
        }
    }

    async fn configure(&self, settings: &Attributes, context: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        let path = match settings.str("data_dir") {
            // Several fleets can share it.
            Some(folder) => context.root.join(folder).join(&*context.lineage),
            None => context.folder.clone(),
        };
        let denied = |error: io::Error| ProviderError::Denied {
            message: format!("cannot keep local nodes in `{}`: {error}", path.display()),
        };
        // Absolute: agents do not run where this process does.
        let path = std::path::absolute(&path).map_err(denied)?;
        let folder = FleetFolder::open(path.clone(), context.lineage.clone()).map_err(denied)?;
        Ok(Arc::new(LocalProvider {
            folder,
            lineage: context.lineage.clone(),
            program: context.program.clone(),
            at_work: RwLock::new(()),
        }))
    }
}

#[derive(Debug)]
pub(crate) struct LocalProvider {
    pub(crate) folder: FleetFolder,
    pub(crate) lineage: Arc<str>,
    pub(crate) program: PathBuf,
    /// Held for reading by what makes nodes, so that the folder is not removed under it by this very process.
    at_work: RwLock<()>,
}

/// A delete that the agent accepted, as it is kept in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Deletion {
    name: String,
    token: String,
}

fn broken(message: String) -> ProviderError {
    ProviderError::Broken { message }
}

pub(crate) fn ambiguous(error: &io::Error) -> ProviderError {
    ProviderError::Ambiguous {
        message: format!("the files of a local node cannot be used: {error}"),
    }
}

/// Splits an id into the name and the token. One of another form is the name of a node that no token made: there is none.
fn split_id(id: &ObjectId) -> (&str, &str) {
    id.0.rsplit_once('@').unwrap_or((&id.0, ""))
}

pub(crate) fn object(node: &Claimed, up: &Up) -> Object {
    Object {
        id: ObjectId(format!("{}@{}", node.name, node.token).into()),
        attributes: attributes(&node.name, &node.data, up.address, &up.view),
        token: Some(Token(node.token.as_str().into())),
        version: Some(up.view.revision.to_string().into()),
    }
}

impl LocalProvider {
    fn check_kind(&self, kind: &Kind) -> Result<(), ProviderError> {
        if *kind == schema::NODE {
            Ok(())
        } else {
            Err(broken(format!("the provider `local` has no kind `{kind}`")))
        }
    }

    async fn observe(&self, node: &Claimed) -> Result<Observed, ProviderError> {
        let living = || living_agent(&node.data).map_err(|error| ambiguous(&error));
        let Some(agent) = living()? else {
            return Ok(Observed::Absent);
        };
        match ask(&node.data, &agent, PATIENCE).await {
            Ok(up) => Ok(Observed::Present(object(node, &up))),
            // It may have ended while it was asked.
            Err(_) if living()?.is_none() => Ok(Observed::Absent),
            Err(error) if error.is_unreachable() => Ok(Observed::Unreachable {
                reason: format!("the agent of node `{}` lives and does not answer: {error}", node.name),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Brings a delete as far as it goes without waiting for the agent.
    async fn end(&self, name: &str, token: &str) -> Result<Step, ProviderError> {
        let io = |error: io::Error| ambiguous(&error);
        let Some(node) = self.folder.claimed(name, token).map_err(io)? else {
            return Ok(Step::Gone);
        };
        self.folder.bury(token, &Gone::Deleted).map_err(io)?;
        if let Some(agent) = living_agent(&node.data).map_err(io)? {
            if self.tell_to_end(&node.data, &agent).await {
                let handle = Handle::of(&Deletion {
                    name: name.to_owned(),
                    token: token.to_owned(),
                })?;
                // Most nodes are empty when they are deleted, and their agents end at once.
                if tokio::time::timeout(POLL_AFTER, agent.identity.ended()).await.is_err() {
                    return Ok(Step::Running {
                        handle,
                        poll_after: POLL_AFTER,
                    });
                }
            } else {
                kill_agent(&agent.identity).await.map_err(io)?;
            }
        }
        end_simulators(&node.data).await.map_err(io)?;
        self.folder.remove(&node).map_err(io)?;
        if let Ok(_alone) = self.at_work.try_write() {
            self.folder.release().map_err(io)?;
        }
        Ok(Step::Gone)
    }

    /// Tells the agent to stop its simulators and itself; returns whether it heard.
    async fn tell_to_end(&self, data: &DataFolder, agent: &AgentRecord) -> bool {
        let Ok(up) = ask(data, agent, PATIENCE).await else {
            return false;
        };
        if up.view.health.status == "stopping" {
            return true;
        }
        let Ok(client) = client(data, agent) else {
            return false;
        };
        client.with_timeout(PATIENCE).shut_down(OnShutdown::Stop).await.is_ok()
    }
}

#[async_trait]
impl Provider for LocalProvider {
    async fn read(&self, kind: &Kind, id: &ObjectId) -> Result<Observed, ProviderError> {
        self.check_kind(kind)?;
        let (name, token) = split_id(id);
        match self.folder.claimed(name, token).map_err(|error| ambiguous(&error))? {
            Some(node) => self.observe(&node).await,
            None => Ok(Observed::Absent),
        }
    }

    async fn list(&self, kind: &Kind) -> Result<Option<Vec<Object>>, ProviderError> {
        self.check_kind(kind)?;
        let nodes = self.folder.all().map_err(|error| ambiguous(&error))?;
        let observed = futures::future::join_all(nodes.iter().map(|node| self.observe(node))).await;
        let mut objects = Vec::new();
        for observed in observed {
            if let Observed::Present(object) = observed? {
                objects.push(object);
            }
        }
        Ok(Some(objects))
    }

    async fn find(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Found, ProviderError> {
        self.check_kind(kind)?;
        let io = |error: io::Error| ambiguous(&error);
        if let Some(gone) = self.folder.gone(&token.0).map_err(io)? {
            let name = planned.str("name").unwrap_or_default();
            return Ok(Found::Failed {
                message: refusal(name, gone).to_string(),
            });
        }
        let node = match planned.str("name") {
            Some(name) => self.folder.claimed(name, &token.0).map_err(io)?,
            None => None,
        };
        let Some(node) = node else {
            return Ok(Found::Nothing);
        };
        match self.observe(&node).await? {
            Observed::Present(object) => Ok(Found::Ready(object)),
            // Its files are there: the same create goes on where it was cut off.
            Observed::Absent => Ok(Found::Nothing),
            Observed::Unreachable { reason } => Err(ProviderError::Ambiguous { message: reason }),
        }
    }

    async fn create(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
        self.check_kind(kind)?;
        let wanted = decode(planned)?;
        let _at_work = self.at_work.read().await;
        Ok(Step::Done(self.make(&token.0, &wanted).await?))
    }

    async fn update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        token: &Token,
    ) -> Result<Step, ProviderError> {
        self.check_kind(kind)?;
        let (name, made_by) = split_id(&prior.id);
        let wanted = decode(planned)?;
        if prior.attributes.str("name").is_some_and(|name| name != wanted.name) {
            return Err(broken(format!(
                "node `{name}` cannot be renamed to `{}` in place",
                wanted.name
            )));
        }
        let io = |error: io::Error| ambiguous(&error);
        let gone = || ProviderError::Conflict {
            message: format!("node `{name}` is gone"),
        };
        let node = self.folder.claimed(name, made_by).map_err(io)?.ok_or_else(gone)?;
        let agent = living_agent(&node.data).map_err(io)?.ok_or_else(gone)?;
        let client = client(&node.data, &agent)?;
        let revision = match prior.version.as_ref().and_then(|version| version.parse().ok()) {
            Some(revision) => revision,
            None => client.node().await?.revision,
        };
        let change = NodeChange {
            token: token.to_string(),
            revision,
            settings: wanted.settings,
        };
        client.change_node(&change).await?;
        let up = ask(&node.data, &agent, PATIENCE).await?;
        Ok(Step::Done(object(&node, &up)))
    }

    async fn delete(&self, kind: &Kind, object: &Object, _token: &Token) -> Result<Step, ProviderError> {
        self.check_kind(kind)?;
        let (name, token) = split_id(&object.id);
        self.end(name, token).await
    }

    async fn poll(&self, kind: &Kind, handle: &Handle) -> Result<Step, ProviderError> {
        self.check_kind(kind)?;
        let deletion: Deletion = handle.read()?;
        self.end(&deletion.name, &deletion.token).await
    }
}

fn decode(planned: &Attributes) -> Result<Wanted, ProviderError> {
    wanted(planned).map_err(|problems| {
        let first = problems.into_iter().next();
        ProviderError::Rejected {
            attribute: first.as_ref().map(|problem| problem.path.clone()),
            message: first.map_or_else(
                || "it makes no sense".to_owned(),
                |Problem { path, message, .. }| format!("`{path}` {message}"),
            ),
        }
    })
}
