//! Operations that are accepted first and done later.

use crate::calls::{Fields, Refusal};

/// An operation that the cloud accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// What it does when it is done.
    pub work: Work,
    /// When it can be done, in milliseconds since the cloud began.
    pub due_at: u64,
    /// How many polls must have found it running before.
    pub polls_left: u64,
    /// Why it will fail, if it will.
    pub fails: Option<Refusal>,
    /// How it ended; `None` while it goes on.
    pub end: Option<End>,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Makes an object.
    Create {
        /// Its kind.
        kind: String,
        /// The state that it belongs to.
        lineage: String,
        /// The token of the call.
        token: String,
        /// What it shall be.
        fields: Fields,
    },
    /// Changes an object.
    Update {
        /// Which.
        id: String,
        /// The token of the call.
        token: String,
        /// What it shall be.
        fields: Fields,
        /// The attributes that stay as they are.
        keep: Vec<String>,
    },
    /// Deletes an object.
    Delete {
        /// Which.
        id: String,
    },
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// This object was made or changed.
    Done(String),
    /// The object is deleted.
    Gone,
    /// It failed and changed nothing.
    Failed(Refusal),
}

/// What a token did.
#[derive(Debug, Clone, PartialEq)]
pub enum Use {
    /// The operation goes on, or has ended.
    Operation(String),
    /// It made this object, which may be gone by now.
    Made(String),
    /// It changed this object.
    Changed(String),
}

/// How a token was used, and how often it was looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenUse {
    /// What it did.
    pub did: Use,
    /// When, in milliseconds.
    pub since: u64,
    /// How many finds have asked for it.
    pub asked: u64,
}
