//! The traits of a provider, and the words they use.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Attribute, Attributes, Kind, Limits, Meter, Notices, Path, Problem, Runtime, Schema};

/// What a provider is before it is configured: its schemas, and how to make a configured one.
#[async_trait]
pub trait ProviderType: fmt::Debug + Send + Sync {
    /// The label of its `provider` block.
    fn name(&self) -> &'static str;

    /// The attributes of its `provider` block. Those that [`Attribute::replaces`] marks say where its objects are: once one
    /// of them changes, each object is made anew at the other place, and deleted where it was.
    fn settings(&self) -> &[Attribute];

    /// The kinds of object that it manages.
    fn schemas(&self) -> &[Schema];

    /// Returns the schema of one kind.
    fn schema(&self, kind: &Kind) -> Option<&Schema> {
        self.schemas().iter().find(|schema| schema.kind == *kind)
    }

    /// How simulators on its nodes are managed.
    fn hosting(&self) -> Hosting {
        Hosting::Nothing
    }

    /// What its calls keep to where its `provider` block does not say.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Brings recorded attributes of an older schema version to today's.
    fn upgrade(&self, kind: &Kind, from: u32, attributes: Attributes) -> Result<Attributes, ProviderError> {
        match self.schema(kind) {
            Some(schema) if schema.version == from => Ok(attributes),
            _ => Err(ProviderError::Broken {
                message: format!("there is no upgrade of `{kind}` from version {from}"),
            }),
        }
    }

    /// Checks wanted attributes beyond their types. No I/O; unknown values are passed over.
    fn check(&self, _kind: &Kind, _desired: &Attributes) -> Vec<Problem> {
        Vec::new()
    }

    /// Returns what an object costs while it is there; `None` of what costs nothing, as far as this provider knows. No I/O.
    fn price(&self, _settings: &Attributes, _kind: &Kind, _attributes: &Attributes) -> Option<Price> {
        None
    }

    /// Removes what it keeps in `context.folder`, unless something of it is in use. Called when nothing of a fleet is
    /// recorded any more; a run that died may have left empty folders.
    fn tidy(&self, _context: &Context) {}

    /// Makes a configured provider. Makes no object and changes nothing outside `context.folder`.
    async fn configure(&self, settings: &Attributes, context: &Context) -> Result<Arc<dyn Provider>, ProviderError>;
}

/// What an object costs while it is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Price {
    /// So much an hour.
    Hourly {
        /// How much.
        amount: f64,
        /// Of what: `USD`.
        currency: Arc<str>,
    },
    /// Something, and nobody knows how much.
    Unknown {
        /// Of what: `Standard_B2ms in westeurope`.
        of: String,
    },
}

/// How simulators on the nodes of a provider are managed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosting {
    /// It has no nodes, or nothing runs on them.
    Nothing,
    /// By the simfleet agent on the node, which the node's attributes `runtime`, and `token_file` where it has that, lead to.
    Agent,
    /// By the provider itself, whose kind `process` names the node by its id in the attribute `host`.
    Itself,
}

/// What every provider of a run shares.
#[derive(Debug, Clone)]
pub struct Context {
    /// The identity of the state: objects of another lineage are never touched.
    pub lineage: Arc<str>,
    /// A folder for files of the provider, beside the state. It may not exist yet.
    pub folder: PathBuf,
    /// The folder of the fleet, absolute: relative paths in settings start there, wherever the command is run.
    pub root: PathBuf,
    /// The `simfleet` program itself, for providers that start it as an agent.
    pub program: PathBuf,
}

/// A configured provider: the calls that read and change the world.
///
/// Every method can be dropped at any await point and called again; what a call did before it was dropped is found by
/// its token. Attributes that are returned are canonical: converted to the schema's types, with defaults that the far
/// side filled in, in a fixed order, so that a plan after an apply is empty.
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync {
    /// Looks at one object.
    async fn read(&self, kind: &Kind, id: &ObjectId) -> Result<Observed, ProviderError>;

    /// Lists the objects of this lineage in as few calls as possible. A list may lag: what it lacks is read one by one.
    /// `None` where the far side has no list of this kind.
    async fn list(&self, kind: &Kind) -> Result<Option<Vec<Object>>, ProviderError>;

    /// Looks for what an earlier `create` with this token did.
    async fn find(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Found, ProviderError>;

    /// Makes an object. With a token that was used before it makes nothing new: it returns what that call made.
    async fn create(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Step, ProviderError>;

    /// Changes an object in place to `planned`.
    async fn update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        token: &Token,
    ) -> Result<Step, ProviderError>;

    /// Deletes an object by its id. One that is already gone is `Step::Gone`.
    async fn delete(&self, kind: &Kind, object: &Object, token: &Token) -> Result<Step, ProviderError>;

    /// Asks how an accepted operation stands. The handle may come from the journal of another run.
    async fn poll(&self, kind: &Kind, handle: &Handle) -> Result<Step, ProviderError>;

    /// For how long `find` may not see what was made: it is asked again until this has passed.
    fn lag(&self) -> Duration {
        Duration::ZERO
    }

    /// What can be done by hand with its objects; `None` where nothing can.
    fn runtime(&self) -> Option<&dyn Runtime> {
        None
    }

    /// What measures its objects; `None` where nothing does.
    fn meter(&self) -> Option<&dyn Meter> {
        None
    }

    /// What the far side tells of its objects by itself; `None` where it tells nothing.
    fn notices(&self) -> Option<Notices<'_>> {
        None
    }
}

/// How the far side names an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectId(pub Arc<str>);

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object of the far side.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its name there.
    pub id: ObjectId,
    /// Its attributes, computed ones too, canonical.
    pub attributes: Attributes,
    /// The token that it was made with, where the far side keeps it.
    pub token: Option<Token>,
    /// Its version there (ETag), where it has one: updates and deletes are conditional on it.
    pub version: Option<Arc<str>>,
}

/// Names one intent to change one object, so that whoever finishes it does it once: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub Arc<str>);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names an operation that the far side accepted and has not finished: opaque, kept in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(pub Arc<str>);

impl Handle {
    /// Names an operation by what its provider has to know of it, as JSON.
    ///
    /// # Errors
    /// `Broken` where it cannot be written.
    pub fn of(operation: &impl Serialize) -> Result<Self, ProviderError> {
        let text = serde_json::to_string(operation).map_err(|error| ProviderError::Broken {
            message: format!("cannot write a handle: {error}"),
        })?;
        Ok(Handle(text.into()))
    }

    /// Returns what [`Handle::of`] wrote.
    ///
    /// # Errors
    /// `Broken` where it is a handle of another provider.
    pub fn read<'h, T: Deserialize<'h>>(&'h self) -> Result<T, ProviderError> {
        serde_json::from_str(&self.0).map_err(|error| ProviderError::Broken {
            message: format!("`{}` is no handle of this provider: {error}", self.0),
        })
    }
}

/// What a look at one object saw.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// It is there.
    Present(Object),
    /// It is proven not to be there.
    Absent,
    /// Whether it is there cannot be told now. Never the same as absent.
    Unreachable {
        /// Why.
        reason: String,
    },
}

/// What an earlier call with a token did.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// It made this object.
    Ready(Object),
    /// It is still being carried out.
    InProgress(Handle),
    /// It was carried out and failed, leaving nothing.
    Failed {
        /// Why.
        message: String,
    },
    /// Nothing is known of it (yet: see [`Provider::lag`]).
    Nothing,
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It is done: this is the object now.
    Done(Object),
    /// It is done: there is no such object any more.
    Gone,
    /// It was accepted and goes on there.
    Running {
        /// What to ask by.
        handle: Handle,
        /// When to ask.
        poll_after: Duration,
    },
}

/// Why a call failed, in the terms that decide what happens next.
///
/// What says that nothing was done, as all but `Ambiguous` and `Broken` do, is believed: a create is then forgotten with its
/// token. Of a change that takes several calls to the far side only the first one can say so by itself; of what the others
/// say see [`halfway`](ProviderError::halfway).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProviderError {
    /// The call had no effect and may be sent again: refused connection, another operation on the object.
    #[error("{message}")]
    NotSent {
        /// What was tried, and the cause.
        message: String,
        /// When the far side wants to be asked for this object again.
        retry_after: Option<Duration>,
    },
    /// The endpoint has had too many calls, or has too much to do (429, 503): this one had no effect. No other is sent there
    /// before.
    #[error("{message}")]
    Throttled {
        /// What was tried, and the cause.
        message: String,
        /// When the far side wants to be asked again.
        retry_after: Duration,
    },
    /// The call may have had its effect: lost reply, time-out. It is repeated with the same token.
    #[error("{message}")]
    Ambiguous {
        /// What was tried, and the cause.
        message: String,
    },
    /// The object is not as it was when the change was planned, or another has its place.
    #[error("{message}")]
    Conflict {
        /// What was found.
        message: String,
    },
    /// Credentials are missing or do not allow it.
    #[error("{message}")]
    Denied {
        /// What was refused, and what is needed.
        message: String,
    },
    /// The far side will not do it, now or later, as it is asked; or it tried and failed for good. Proven: the object was
    /// not made.
    #[error("{message}")]
    Rejected {
        /// The far side's reason.
        message: String,
        /// The attribute that it names.
        attribute: Option<Path>,
    },
    /// An answer that makes no sense, or a bug.
    #[error("{message}")]
    Broken {
        /// What was seen.
        message: String,
    },
}

impl ProviderError {
    /// Whether the same call may be sent again by itself.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            ProviderError::NotSent { .. } | ProviderError::Throttled { .. } | ProviderError::Ambiguous { .. }
        )
    }

    /// Returns what this says where calls of the same change were made before: it tells of the last one only, and is no proof
    /// that nothing was done.
    #[must_use]
    pub fn halfway(self) -> Self {
        let message = self.to_string();
        match self.is_transient() {
            true => ProviderError::Ambiguous { message },
            false => ProviderError::Broken { message },
        }
    }

    /// When the far side wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            ProviderError::NotSent { retry_after, .. } => *retry_after,
            ProviderError::Throttled { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}
