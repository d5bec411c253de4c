//! A store in memory, for tests of what works over a store. It keeps the stored form of events, so that what is read
//! from it is what would be read from a file.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use simfleet_provider_api::Address;
use uuid::Uuid;

use crate::access::{AccessToken, HttpOperation, KEPT_OPERATIONS};
use crate::error::StateError;
use crate::event::{Entry, Event, Stamp};
use crate::host::{Holder, HolderId, Host};
use crate::locks::{LEASE, Lease, LockSet, LockTable};
use crate::replay::replay;
use crate::scaling::{KEPT, Lap};
use crate::secrets::{self, Keys};
use crate::state::State;
use crate::store::{Checked, Head, Journal, Snapshot, StateStore};
use crate::{invariants, stored};

const LOCATION: &str = "memory";

/// A store in memory. Clones are the same store.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    host: Arc<dyn Host>,
    lease: Duration,
    keys: Option<Keys>,
}

#[derive(Debug, Default)]
struct Inner {
    lineage: Option<Arc<str>>,
    groups: Vec<Group>,
    /// The replay of the groups.
    state: State,
    table: LockTable,
    memories: BTreeMap<Address, Arc<str>>,
    laps: BTreeMap<Address, BTreeMap<Timestamp, Arc<str>>>,
    tokens: BTreeMap<Arc<str>, AccessToken>,
    operations: Vec<HttpOperation>,
}

/// A recorded group of events in their stored form.
#[derive(Debug, Clone)]
struct Group {
    stamp: Stamp,
    events: String,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new(host: Arc<dyn Host>) -> Self {
        MemoryStore {
            inner: Arc::default(),
            host,
            lease: LEASE,
            keys: None,
        }
    }

    /// Has leases last another time.
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Has it keep secrets encrypted.
    pub fn with_keys(mut self, keys: Keys) -> Self {
        self.keys = Some(keys);
        self
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change of the table is whole before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn read(&self) -> Result<Entry, StateError> {
        Ok(Entry {
            stamp: self.stamp.clone(),
            events: stored::read(stored::VERSION, &self.events).map_err(damaged)?,
        })
    }
}

impl Inner {
    fn entries(&self) -> Result<Vec<Entry>, StateError> {
        self.groups.iter().map(Group::read).collect()
    }

    /// Adds a group, or nothing.
    fn record(&mut self, group: Group) -> Result<(), StateError> {
        if let Err(error) = self.state.apply(&group.read()?) {
            self.state = replay(&self.entries()?).map_err(damaged)?;
            return Err(error.into());
        }
        self.groups.push(group);
        Ok(())
    }
}

fn damaged(source: impl std::error::Error + Send + Sync + 'static) -> StateError {
    StateError::Damaged {
        location: LOCATION.to_owned(),
        problem: "its events cannot be read".to_owned(),
        source: Some(Box::new(source)),
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn load(&self) -> Result<Snapshot, StateError> {
        let mut snapshot = self.pull().await?;
        secrets::reveal_state(&mut snapshot.state, self.keys.as_ref(), LOCATION)?;
        Ok(snapshot)
    }

    async fn head(&self) -> Result<Option<Head>, StateError> {
        let inner = self.inner();
        let serial = inner.state.serial;
        Ok(inner.lineage.clone().map(|lineage| Head { lineage, serial }))
    }

    async fn pull(&self) -> Result<Snapshot, StateError> {
        let inner = self.inner();
        Ok(Snapshot {
            lineage: inner.lineage.clone(),
            state: inner.state.clone(),
            leases: inner.table.leases.values().cloned().collect(),
        })
    }

    async fn open_for(&self, holder: &Holder, locks: &LockSet, most: Duration) -> Result<Box<dyn Journal>, StateError> {
        let length = self.lease.min(most);
        let mut inner = self.inner();
        secrets::check_key(&inner.state, self.keys.as_ref(), LOCATION)?;
        let lease = inner
            .table
            .acquire(holder, locks, length, &*self.host)
            .map_err(|locked| StateError::Locked(Box::new(locked)))?;
        let new = || Uuid::from_bytes(self.host.random()).to_string().into();
        let lineage = inner.lineage.get_or_insert_with(new).clone();
        Ok(Box::new(MemoryJournal {
            store: self.clone(),
            lineage,
            lease,
            length,
        }))
    }

    async fn leases(&self) -> Result<Vec<Lease>, StateError> {
        Ok(self.inner().table.leases.values().cloned().collect())
    }

    async fn history(&self, serials: RangeInclusive<u64>) -> Result<Vec<Entry>, StateError> {
        let mut entries = self.inner().entries()?;
        entries.retain(|entry| serials.contains(&entry.stamp.serial));
        for entry in &mut entries {
            secrets::reveal_events(&mut entry.events, self.keys.as_ref());
        }
        Ok(entries)
    }

    async fn make(&self, lineage: &str) -> Result<(), StateError> {
        let mut inner = self.inner();
        if inner.lineage.is_some() {
            let location = LOCATION.to_owned();
            return Err(StateError::Exists { location });
        }
        inner.lineage = Some(lineage.into());
        Ok(())
    }

    async fn check(&self) -> Result<Option<Checked>, StateError> {
        let inner = self.inner();
        let Some(lineage) = inner.lineage.clone() else {
            return Ok(None);
        };
        let entries = inner.entries()?;
        let state = replay(&entries).map_err(damaged)?;
        invariants::check(&state).map_err(|problem| StateError::Damaged {
            location: LOCATION.to_owned(),
            problem,
            source: None,
        })?;
        let events = entries.iter().map(|entry| entry.events.len() as u64).sum();
        Ok(Some(Checked {
            lineage,
            serial: state.serial,
            events,
            snapshots: Vec::new(),
        }))
    }

    async fn memories(&self) -> Result<BTreeMap<Address, Arc<str>>, StateError> {
        Ok(self.inner().memories.clone())
    }

    async fn laps(&self, pool: &Address, since: Timestamp) -> Result<Vec<(Timestamp, Arc<str>)>, StateError> {
        let inner = self.inner();
        let laps = inner.laps.get(pool).into_iter().flat_map(|laps| laps.range(since..));
        Ok(laps.map(|(at, told)| (*at, told.clone())).collect())
    }

    async fn tokens(&self) -> Result<Vec<AccessToken>, StateError> {
        Ok(self.inner().tokens.values().cloned().collect())
    }

    async fn add_token(&self, token: &AccessToken) -> Result<bool, StateError> {
        let mut inner = self.inner();
        let is_taken = |known: &AccessToken| known.revoked.is_none();
        if inner.tokens.get(&token.name).is_some_and(is_taken) {
            return Ok(false);
        }
        inner.tokens.insert(token.name.clone(), token.clone());
        Ok(true)
    }

    async fn revoke_token(&self, name: &str, at: Timestamp) -> Result<Option<AccessToken>, StateError> {
        let mut inner = self.inner();
        let known = inner.tokens.get_mut(name).filter(|token| token.revoked.is_none());
        Ok(known.map(|token| {
            token.revoked = Some(at);
            token.clone()
        }))
    }

    async fn operations(&self) -> Result<Vec<HttpOperation>, StateError> {
        Ok(self.inner().operations.clone())
    }

    async fn keep_operation(&self, operation: &HttpOperation) -> Result<(), StateError> {
        let mut inner = self.inner();
        inner.operations.retain(|known| known.id != operation.id);
        inner.operations.push(operation.clone());
        inner.operations.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        let surplus = inner.operations.len().saturating_sub(KEPT_OPERATIONS);
        inner.operations.drain(..surplus);
        Ok(())
    }

    async fn unlock(&self, holder: &HolderId) -> Result<Vec<Lease>, StateError> {
        Ok(self.inner().table.unlock(holder))
    }
}

/// The journal of a store in memory.
#[derive(Debug)]
struct MemoryJournal {
    store: MemoryStore,
    lineage: Arc<str>,
    lease: Lease,
    /// How long it lasts when it is renewed.
    length: Duration,
}

impl MemoryJournal {
    fn fenced(&mut self) -> StateError {
        self.lease.expires = self.lease.renewed;
        StateError::Fenced {
            holder: self.lease.holder.id.clone(),
        }
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    fn lineage(&self) -> &Arc<str> {
        &self.lineage
    }

    fn epoch(&self) -> u64 {
        self.lease.epoch
    }

    fn locks(&self) -> &LockSet {
        &self.lease.locks
    }

    fn lease(&self) -> Duration {
        self.lease.remaining(self.store.host.now())
    }

    async fn append(&mut self, events: &[Event]) -> Result<Stamp, StateError> {
        self.renew().await?;
        self.lease.check(events)?;
        let store = self.store.clone();
        let mut inner = store.inner();
        let last = inner.state.serial;
        let stamp = Stamp {
            serial: if events.is_empty() { last } else { last + 1 },
            at: store.host.now(),
            holder: self.lease.holder.id.clone(),
            epoch: self.lease.epoch,
        };
        if events.is_empty() {
            return Ok(stamp);
        }
        let mut digests = secrets::digests(&*store.host, store.keys.as_ref());
        let redacted: Vec<Event> = events
            .iter()
            .map(|event| stored::redacted(event, &mut digests))
            .collect();
        inner.record(Group {
            stamp: stamp.clone(),
            events: stored::write(&redacted)?,
        })?;
        Ok(stamp)
    }

    async fn remember(&mut self, laps: &[Lap]) -> Result<(), StateError> {
        self.renew().await?;
        let mut inner = self.store.inner();
        for lap in laps {
            inner.memories.insert(lap.pool.clone(), lap.memory.clone());
            let Some(told) = &lap.told else { continue };
            let kept = inner.laps.entry(lap.pool.clone()).or_default();
            kept.insert(lap.at, told.clone());
            while kept.len() > KEPT {
                kept.pop_first();
            }
        }
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), StateError> {
        let store = self.store.clone();
        let mut inner = store.inner();
        match inner.table.leases.get_mut(&self.lease.epoch) {
            Some(lease) => {
                lease.renew(store.host.now(), self.length);
                self.lease = lease.clone();
                Ok(())
            }
            None => Err(self.fenced()),
        }
    }

    async fn close(self: Box<Self>) -> Result<(), StateError> {
        self.store.inner().table.leases.remove(&self.lease.epoch);
        Ok(())
    }
}
