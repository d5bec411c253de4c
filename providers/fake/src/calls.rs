//! The calls of the fake cloud and its answers, as they travel over HTTP.

use serde::{Deserialize, Serialize};

/// Attributes as the far side keeps them.
pub type Fields = serde_json::Map<String, serde_json::Value>;

/// What a client asks of the cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The identity of the state that asks: objects of another one are never changed.
    pub lineage: String,
    /// The kind of object.
    pub kind: String,
    /// What to do.
    pub action: Action,
}

/// One call of the cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Look at one object.
    Read {
        /// Which.
        id: String,
    },
    /// List the objects of the kind that belong to the lineage.
    List,
    /// Look for what a create with this token did.
    Find {
        /// The token.
        token: String,
    },
    /// Make an object, once a token.
    Create {
        /// The token.
        token: String,
        /// What it shall be.
        fields: Fields,
    },
    /// Change an object in place, once a token.
    Update {
        /// Which.
        id: String,
        /// The version that the change was planned on; another one is a conflict.
        version: Option<String>,
        /// The token.
        token: String,
        /// What it shall be.
        fields: Fields,
        /// The attributes that stay as they are.
        keep: Vec<String>,
    },
    /// Delete an object; one that is gone stays gone.
    Delete {
        /// Which.
        id: String,
    },
    /// Ask how an accepted operation stands.
    Poll {
        /// Which.
        operation: String,
    },
}

/// The name of a call, for fault rules, holds and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// See [`Action::Read`].
    Read,
    /// See [`Action::List`].
    List,
    /// See [`Action::Find`].
    Find,
    /// See [`Action::Create`].
    Create,
    /// See [`Action::Update`].
    Update,
    /// See [`Action::Delete`].
    Delete,
    /// See [`Action::Poll`].
    Poll,
}

impl Call {
    /// Returns the name as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Call::Read => "read",
            Call::List => "list",
            Call::Find => "find",
            Call::Create => "create",
            Call::Update => "update",
            Call::Delete => "delete",
            Call::Poll => "poll",
        }
    }

    /// Returns whether the call can change anything.
    pub fn changes(self) -> bool {
        matches!(self, Call::Create | Call::Update | Call::Delete)
    }
}

impl Action {
    /// Returns which call this is.
    pub fn call(&self) -> Call {
        match self {
            Action::Read { .. } => Call::Read,
            Action::List => Call::List,
            Action::Find { .. } => Call::Find,
            Action::Create { .. } => Call::Create,
            Action::Update { .. } => Call::Update,
            Action::Delete { .. } => Call::Delete,
            Action::Poll { .. } => Call::Poll,
        }
    }

    /// Returns the token that the call carries.
    pub fn token(&self) -> Option<&str> {
        match self {
            Action::Find { token } | Action::Create { token, .. } | Action::Update { token, .. } => Some(token),
            _ => None,
        }
    }

    /// Returns the object that the call names.
    pub fn id(&self) -> Option<&str> {
        match self {
            Action::Read { id } | Action::Update { id, .. } | Action::Delete { id } => Some(id),
            _ => None,
        }
    }
}

/// An object as the cloud shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its name there.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The state that it belongs to.
    pub lineage: String,
    /// The token that it was made with.
    pub token: String,
    /// Its version: another one after every change.
    pub version: String,
    /// Its attributes, in the cloud's own spelling and order.
    pub fields: Fields,
}

/// What a call found or did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To a read: the object, if there is one.
    Object(Option<Record>),
    /// To a list.
    Objects(Vec<Record>),
    /// To a find: the object is made.
    Ready(Record),
    /// To a find: the operation goes on.
    InProgress(String),
    /// To a find: it was carried out and nothing is left of it.
    Failed(String),
    /// To a find: the token is not known.
    Nothing,
    /// To a change: it is done.
    Done(Record),
    /// To a delete: there is no such object any more.
    Gone,
    /// To a change: it was accepted.
    Running {
        /// What to poll.
        operation: String,
        /// When to poll, in milliseconds.
        poll_after_ms: u64,
    },
}

/// Why the cloud did not do what was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Too many calls; nothing was done.
    Throttled {
        /// When to ask again, in milliseconds.
        retry_after_ms: u64,
    },
    /// Another operation on the object goes on; nothing was done.
    Busy {
        /// When to ask again, in milliseconds.
        retry_after_ms: u64,
    },
    /// It broke while carrying out the call; it may have been done.
    Internal,
    /// The object cannot be reached now; nothing was done.
    Unreachable {
        /// Why.
        reason: String,
    },
    /// The object is not as the caller thinks, or the token is another object's.
    Conflict {
        /// What was found.
        message: String,
    },
    /// The caller may not do that.
    Denied {
        /// What was refused.
        message: String,
    },
    /// It will never be done as it is asked.
    Rejected {
        /// Why.
        message: String,
        /// The attribute that is at fault.
        attribute: Option<String>,
    },
    /// The request makes no sense.
    Malformed {
        /// What is wrong with it.
        message: String,
    },
}

/// What the cloud answers.
pub type Reply = Result<Answer, Refusal>;
