//! The journal of a fleet: what happened to it, and so what there is.
//!
//! Before any call that changes the world, the intent to make it is durable; so a crash at any instant leaves the object,
//! or an open intent by which it is found again.
//!
//! - [`event`]: what happens to a fleet; [`stored`]: how that is written
//! - [`declaration`]: what is declared of a resource, and what is done to it; [`port`]: a port of a node
//! - [`state`]: what is recorded of a fleet; [`mod@replay`]: how events lead to it
//! - [`store`]: the traits of a store; [`error`]: why it refuses
//! - [`invariants`]: what holds of every state, whatever led to it
//! - [`access`]: who may do what over HTTP, and what they asked for, beside the journal
//! - [`scaling`]: what is remembered of the sizes of pools, beside the journal
//! - [`secrets`]: the keys by which secrets are kept; without one they are digests
//! - [`locks`]: who may change what; [`host`]: who that is, and whether they are alive
//! - `conformance` (a feature): the suite that every store passes
//! - [`sqlite`]: the default store, one file; [`memory`]: a store in memory

pub mod access;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod declaration;
pub mod error;
pub mod event;
pub mod host;
pub mod invariants;
pub mod locks;
pub mod memory;
pub mod port;
pub mod replay;
pub mod scaling;
pub mod secrets;
pub mod sqlite;
pub mod state;
pub mod store;
pub mod stored;
mod timings;
mod transition;

pub use access::{AccessToken, HttpOperation, Role};
pub use declaration::{
    Declaration, DeposedKey, Drain, HealthCheck, Login, Look, Operation, Outcome, ProviderConfig, Remains, Timeouts,
    WaitFor,
};
pub use error::StateError;
pub use event::{ConfigDigest, Configuration, Entry, Event, HeldState, Stamp};
pub use host::{Holder, HolderId, Host, Liveness, Process, System};
pub use locks::{LEASE, Lease, LockSet, Locked};
pub use memory::MemoryStore;
pub use port::{Port, Protocol};
pub use replay::{ReplayError, replay};
pub use scaling::Lap;
pub use secrets::{Keys, KeysError};
pub use sqlite::SqliteStore;
pub use state::{Allocation, Hold, Intent, Pool, Reservation, Resource, State};
pub use store::{Checked, Head, Journal, Snapshot, StateStore};
pub use timings::Timings;
