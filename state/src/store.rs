//! The traits of a store.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use simfleet_provider_api::Address;

use crate::access::{AccessToken, HttpOperation};
use crate::error::StateError;
use crate::event::{Entry, Event, Stamp};
use crate::host::{Holder, HolderId};
use crate::locks::{Lease, LockSet};
use crate::scaling::Lap;
use crate::state::State;

/// Where the journal of a fleet is kept.
///
/// Every method can be dropped at any await point: what it began is then done as a whole or not at all.
#[async_trait]
pub trait StateStore: fmt::Debug + Send + Sync {
    /// Reads the state. Needs no lock, waits for none, and makes nothing where there is no state yet.
    async fn load(&self) -> Result<Snapshot, StateError>;

    /// Returns which state is kept, without reading it; `None` where there is none yet. Whoever has read that one has it all,
    /// but for the locks.
    async fn head(&self) -> Result<Option<Head>, StateError>;

    /// Reads the state as it is kept: with its secrets as digests, encrypted where there was a key. Needs no key.
    async fn pull(&self) -> Result<Snapshot, StateError>;

    /// Takes locks, all or none, and opens the journal to write under them. Makes the state where there is none yet.
    ///
    /// The locks of a holder that is proven dead, or whose lease is over, fall. Does not wait: the error says for whom.
    async fn open(&self, holder: &Holder, locks: &LockSet) -> Result<Box<dyn Journal>, StateError> {
        self.open_for(holder, locks, Duration::MAX).await
    }

    /// The same, with a lease that is no longer than `most`: for locks that somebody else is to have soon where their holder
    /// is silent.
    async fn open_for(&self, holder: &Holder, locks: &LockSet, most: Duration) -> Result<Box<dyn Journal>, StateError>;

    /// Returns who holds locks, without reading the state: also leases that are over and that nobody wanted yet.
    async fn leases(&self) -> Result<Vec<Lease>, StateError>;

    /// Makes a state of a lineage, where there is none yet: to bring back one that was lost.
    ///
    /// # Errors
    /// There is a state. It stays as it is.
    async fn make(&self, lineage: &str) -> Result<(), StateError>;

    /// Returns what was recorded, in order. Empty where there is no state yet.
    async fn history(&self, serials: RangeInclusive<u64>) -> Result<Vec<Entry>, StateError>;

    /// Reads everything that is kept, also what [`load`](StateStore::load) need not, and makes sure that it is as it was
    /// written and leads to the state that it should. `None` where there is no state yet.
    ///
    /// # Errors
    /// Says what is damaged.
    async fn check(&self) -> Result<Option<Checked>, StateError>;

    /// Returns what was last remembered of the scaling of each pool.
    async fn memories(&self) -> Result<BTreeMap<Address, Arc<str>>, StateError>;

    /// Returns what was told of the scaling of a pool from an instant on, oldest first.
    async fn laps(&self, pool: &Address, since: Timestamp) -> Result<Vec<(Timestamp, Arc<str>)>, StateError>;

    /// Returns the tokens by which people and programs are known, those that are revoked too, by their names.
    async fn tokens(&self) -> Result<Vec<AccessToken>, StateError>;

    /// Keeps a token, durably; one of its name that was revoked makes way. Returns whether the name was free. There must be
    /// a state.
    async fn add_token(&self, token: &AccessToken) -> Result<bool, StateError>;

    /// Revokes a token, durably. Returns it as it is now; `None` where there is none of this name that is not revoked.
    async fn revoke_token(&self, name: &str, at: Timestamp) -> Result<Option<AccessToken>, StateError>;

    /// Returns what was asked for over HTTP, oldest first.
    async fn operations(&self) -> Result<Vec<HttpOperation>, StateError>;

    /// Keeps what was asked for, or what became of it, durably; the newest 1,000 stay. There must be a state.
    async fn keep_operation(&self, operation: &HttpOperation) -> Result<(), StateError>;

    /// Drops the locks of a holder, alive or not, and returns them; none where it has none. It is fenced from then on.
    async fn unlock(&self, holder: &HolderId) -> Result<Vec<Lease>, StateError>;
}

/// Which state it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The identity of the state.
    pub lineage: Arc<str>,
    /// Its serial.
    pub serial: u64,
}

impl Snapshot {
    /// Whether it is of this state.
    pub fn is_of(&self, head: Option<&Head>) -> bool {
        match head {
            Some(head) => self.lineage.as_ref() == Some(&head.lineage) && self.state.serial == head.serial,
            None => self.lineage.is_none(),
        }
    }
}

/// A state as it was at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The identity of the state: a UUID, made with it. `None` where there is none yet.
    pub lineage: Option<Arc<str>>,
    /// What is recorded.
    pub state: State,
    /// Who holds locks: also leases that are over and that nobody wanted yet.
    pub leases: Vec<Lease>,
}

/// What a check went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The identity of the state.
    pub lineage: Arc<str>,
    /// The serial of the state.
    pub serial: u64,
    /// How many events it has.
    pub events: u64,
    /// The serials of the snapshots, that keep loading short.
    pub snapshots: Vec<u64>,
}

/// The journal of a fleet, to write to under locks.
///
/// Dropped without [`close`](Journal::close), it keeps its locks until its lease is over or its process dies.
#[async_trait]
pub trait Journal: fmt::Debug + Send {
    /// The identity of the state.
    fn lineage(&self) -> &Arc<str>;

    /// The epoch of its locks.
    fn epoch(&self) -> u64;

    /// Its locks.
    fn locks(&self) -> &LockSet;

    /// Returns how long the locks last from now on; zero when somebody took them over. A call that changes the world
    /// must not be sent without time left for it.
    fn lease(&self) -> Duration;

    /// Records events, all or none, and renews the lease. When it returns, they are durable: they survive a crash and a
    /// power loss. No events are no change.
    ///
    /// When it fails because of the medium (`Full`, `Unwritable`, `Busy`), they may have been recorded all the same. The
    /// same events can be given again: they are recorded once.
    ///
    /// # Errors
    /// `Fenced` where the locks were taken over, `NotHeld` where an event changes an address that is not locked
    /// exclusively, `Illegal` where an event cannot follow those before it. Nothing is recorded then.
    async fn append(&mut self, events: &[Event]) -> Result<Stamp, StateError>;

    /// Keeps what is remembered of the scaling of pools, all or none, and renews the lease. Durable when it returns; no part
    /// of the journal, so that the state's serial stays. Of what is told of a pool the newest 2,000 are kept.
    ///
    /// # Errors
    /// `Fenced` where the locks were taken over. Nothing is kept then.
    async fn remember(&mut self, laps: &[Lap]) -> Result<(), StateError>;

    /// Renews the lease.
    ///
    /// # Errors
    /// `Fenced` where the locks were taken over.
    async fn renew(&mut self) -> Result<(), StateError>;

    /// Releases the locks. When they were taken over, there is nothing to release.
    async fn close(self: Box<Self>) -> Result<(), StateError>;
}
