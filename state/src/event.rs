//! What happens to a fleet, as the journal records it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use simfleet_provider_api::{Address, Attributes, Handle, Object, Token, Value, encoding};

use crate::declaration::{Declaration, DeposedKey, Operation, Outcome, Remains};
use crate::host::HolderId;
use crate::port::Port;
use crate::state::State;
use crate::stored;

/// One fact about a fleet. Between [`Started`](Event::Started) and the event that closes it, an address has an open
/// intent; at most one.
///
/// A replace is a delete and a create; create-before-destroy is `Deposed`, a create, and a delete of the deposed object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A run begins to record.
    Began {
        /// Who runs it: `user@host`.
        by: Arc<str>,
        /// The command, as the user would type it, without the values of variables.
        command: Arc<str>,
    },
    /// The fleet is to be brought to a configuration; from now on that is what is wanted of it.
    Intended {
        /// What to; `None` where everything is to be removed.
        config: Option<ConfigDigest>,
        /// The configuration, where it is another than the one that is kept already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        configuration: Option<Arc<Configuration>>,
    },
    /// A call that changes the world is about to be sent.
    Started {
        /// The resource.
        address: Address,
        /// Names this intent in every call for it, whoever sends it.
        token: Token,
        /// What to do.
        operation: Operation,
    },
    /// The far side accepted the operation and goes on with it. A later one has its handle take the place of an earlier.
    Accepted {
        /// The resource.
        address: Address,
        /// The intent.
        token: Token,
        /// What to ask by.
        handle: Handle,
    },
    /// The operation did what it should.
    Succeeded {
        /// The resource.
        address: Address,
        /// The intent.
        token: Token,
        /// What there is now.
        outcome: Outcome,
    },
    /// The operation failed, and it is proven what it left. While that is not proven the intent stays open.
    Failed {
        /// The resource.
        address: Address,
        /// The intent.
        token: Token,
        /// Why, as the user is told.
        reason: Arc<str>,
        /// What it left.
        remains: Remains,
    },
    /// The user gave an open intent up, with its outcome unknown.
    Abandoned {
        /// The resource.
        address: Address,
        /// The intent.
        token: Token,
        /// Why.
        reason: Arc<str>,
    },
    /// An object that was there already is managed from now on.
    Adopted {
        /// The resource.
        address: Address,
        /// What the configuration says of it.
        declared: Declaration,
        /// The object.
        #[serde(with = "stored::object")]
        object: Object,
    },
    /// The configuration says something else of a resource that needs no call: dependencies, protection, provider
    /// settings, a newer schema version.
    Redeclared {
        /// The resource.
        address: Address,
        /// What it says now.
        declared: Declaration,
    },
    /// A look at an object saw something else than what was recorded.
    Observed {
        /// The resource.
        address: Address,
        /// The deposed object, where it was not the current one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deposed: Option<DeposedKey>,
        /// What there is; only what is proven.
        outcome: Outcome,
    },
    /// The current object makes room for its replacement and waits to be deleted.
    Deposed {
        /// The resource.
        address: Address,
        /// The name of the object from now on.
        key: DeposedKey,
    },
    /// A deposed object is the current one again, as its replacement came to nothing.
    Restored {
        /// The resource.
        address: Address,
        /// The deposed object.
        key: DeposedKey,
    },
    /// The object is not to be trusted: the next apply replaces it.
    Tainted {
        /// The resource.
        address: Address,
        /// Why.
        reason: Arc<str>,
    },
    /// The object is trusted again.
    Untainted {
        /// The resource.
        address: Address,
    },
    /// A member of a pool is about to go: nothing new is placed there.
    Cordoned {
        /// The member.
        address: Address,
    },
    /// A member stays after all.
    Uncordoned {
        /// The member.
        address: Address,
    },
    /// The object is managed no more; nothing is done to it.
    Removed {
        /// The resource.
        address: Address,
        /// The deposed object, where it is not the current one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deposed: Option<DeposedKey>,
        /// Why.
        reason: Arc<str>,
    },
    /// A resource has a port of a host, until it is released: through replacements too.
    Reserved {
        /// The resource that has it.
        address: Address,
        /// What the resource calls it: `mavlink`.
        name: Arc<str>,
        /// The node.
        host: Address,
        /// The port there.
        port: Port,
    },
    /// A port is free again.
    Released {
        /// The resource that had it.
        address: Address,
        /// The node.
        host: Address,
        /// The port there.
        port: Port,
    },
    /// Somebody stopped a resource by hand: plan and healing leave it alone.
    Held {
        /// The resource.
        address: Address,
        /// As what it is held.
        state: HeldState,
        /// Who wants it: `user@host`.
        by: Arc<str>,
        /// When it ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// A hold ended.
    Unheld {
        /// The resource.
        address: Address,
    },
    /// Somebody has a resource for themselves, until they give it back or its time is over.
    Allocated {
        /// The resource.
        address: Address,
        /// Who has it: `user@host`.
        by: Arc<str>,
        /// When that ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// What somebody had is nobody's again. Recorded without a lock: where it is somebody's anew by then, it stays so.
    Deallocated {
        /// The resource.
        address: Address,
        /// Since when they had it.
        since: Timestamp,
    },
    /// A pool has a new size.
    Scaled {
        /// The pool.
        address: Address,
        /// How many members it should have.
        size: u64,
        /// The highest number that a member was ever given: numbers are not used twice.
        numbered: u64,
        /// Why.
        reason: Arc<str>,
    },
    /// A resource has a new address; everything that is recorded of it goes along.
    Moved {
        /// The old address.
        from: Address,
        /// The new one.
        to: Address,
    },
    /// The outputs of the root module, all of them.
    Outputs {
        /// Their values by name.
        #[serde(with = "stored::values")]
        values: BTreeMap<Arc<str>, Value>,
    },
    /// Everything that is recorded is something else now, as the user says: a state that was pulled, edited perhaps, and
    /// pushed.
    Pushed {
        /// What is recorded from now on, but for its serial.
        state: Arc<State>,
    },
}

/// As what a resource is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldState {
    /// Stopped.
    Stopped,
    /// Paused.
    Paused,
    /// Powered off.
    PoweredOff,
}

/// The SHA-256 of a configuration's sources and variables, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigDigest(pub Arc<str>);

/// A configuration, so that it can be enforced and gone back to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// Its digest.
    pub digest: ConfigDigest,
    /// The text of its files by path, relative to the fleet's folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<Arc<str>, Arc<str>>,
    /// The variables that were given; sensitive ones as digests.
    #[serde(with = "encoding::attributes")]
    pub variables: Attributes,
}

/// Says when, and by whom, a group of events was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The serial of the state after it. It grows by one a group, so that each serial names a state that was durable.
    pub serial: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it.
    pub holder: HolderId,
    /// The epoch of the locks that it was written under.
    pub epoch: u64,
}

/// Events that were recorded together, in one transaction: all of them or none.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When, and by whom.
    pub stamp: Stamp,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl Event {
    /// Returns the addresses that it changes: whoever records it has to hold them exclusively. Those that change nothing
    /// of a resource need no lock.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        let (first, second) = match self {
            Event::Began { .. } | Event::Intended { .. } | Event::Outputs { .. } | Event::Pushed { .. } => (None, None),
            // Whose something is changes nothing of it, and can be said while a run is at work on it.
            Event::Allocated { .. } | Event::Deallocated { .. } => (None, None),
            Event::Moved { from, to } => (Some(from), Some(to)),
            Event::Started { address, .. }
            | Event::Accepted { address, .. }
            | Event::Succeeded { address, .. }
            | Event::Failed { address, .. }
            | Event::Abandoned { address, .. }
            | Event::Adopted { address, .. }
            | Event::Redeclared { address, .. }
            | Event::Observed { address, .. }
            | Event::Deposed { address, .. }
            | Event::Restored { address, .. }
            | Event::Tainted { address, .. }
            | Event::Untainted { address }
            | Event::Cordoned { address }
            | Event::Uncordoned { address }
            | Event::Removed { address, .. }
            | Event::Reserved { address, .. }
            | Event::Released { address, .. }
            | Event::Held { address, .. }
            | Event::Unheld { address }
            | Event::Scaled { address, .. } => (Some(address), None),
        };
        let pushed = match self {
            Event::Pushed { state } => Some(state.addresses()),
            _ => None,
        };
        first.into_iter().chain(second).chain(pushed.into_iter().flatten())
    }

    /// Its name in messages and in the history: `started`, `succeeded` …
    pub fn name(&self) -> &'static str {
        match self {
            Event::Began { .. } => "began",
            Event::Intended { .. } => "intended",
            Event::Started { .. } => "started",
            Event::Accepted { .. } => "accepted",
            Event::Succeeded { .. } => "succeeded",
            Event::Failed { .. } => "failed",
            Event::Abandoned { .. } => "abandoned",
            Event::Adopted { .. } => "adopted",
            Event::Redeclared { .. } => "redeclared",
            Event::Observed { .. } => "observed",
            Event::Deposed { .. } => "deposed",
            Event::Restored { .. } => "restored",
            Event::Tainted { .. } => "tainted",
            Event::Untainted { .. } => "untainted",
            Event::Cordoned { .. } => "cordoned",
            Event::Uncordoned { .. } => "uncordoned",
            Event::Removed { .. } => "removed",
            Event::Reserved { .. } => "reserved",
            Event::Released { .. } => "released",
            Event::Held { .. } => "held",
            Event::Unheld { .. } => "unheld",
            Event::Allocated { .. } => "allocated",
            Event::Deallocated { .. } => "deallocated",
            Event::Scaled { .. } => "scaled",
            Event::Moved { .. } => "moved",
            Event::Outputs { .. } => "outputs",
            Event::Pushed { .. } => "pushed",
        }
    }
}
