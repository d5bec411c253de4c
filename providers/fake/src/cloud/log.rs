//! The log of the cloud: what was asked, what was done, and whether the caller heard of it.

use serde::{Deserialize, Serialize};

use crate::calls::Call;

/// One call, or one thing that happened without a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// When, in milliseconds since the cloud began.
    pub at_ms: u64,
    /// What began it.
    pub cause: Cause,
    /// What it did, in order; empty where it changed nothing.
    pub effects: Vec<Effect>,
    /// What the caller heard.
    pub heard: Heard,
}

/// What began it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A client.
    Called {
        /// Which call.
        call: Call,
        /// The kind of object.
        kind: String,
        /// The state that the client acts for.
        lineage: String,
        /// The name of the object, where it is known.
        name: Option<String>,
        /// The token that the call carried.
        token: Option<String>,
    },
    /// An operation that was accepted earlier came to its end.
    Finished {
        /// Which.
        operation: String,
    },
    /// Somebody other than simfleet.
    BehindTheBack,
}

/// What was done to one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// An operation was accepted: its name.
    Accepted(String),
    /// An object was made: its id.
    Made(String),
    /// An object was changed: its id.
    Changed(String),
    /// An object was deleted: its id.
    Deleted(String),
}

/// What the caller heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// An answer.
    Answer,
    /// A refusal.
    Refusal,
    /// Nothing.
    Nothing,
}
