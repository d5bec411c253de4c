//! The journal in one SQLite file: the default store.
//!
//! - `file`: making, opening and recognising the file
//! - `access`: tokens, and what was asked for over HTTP
//! - `chain`: the checksums by which damage is found
//! - `read`: from rows to a state
//! - `scaling`: what is remembered of the sizes of pools
//! - `leases`: the locks
//! - `write`: the journal

mod access;
mod chain;
mod file;
mod leases;
mod read;
mod scaling;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use simfleet_provider_api::Address;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use self::file::File;
use self::write::Writer;
use crate::access::{AccessToken, HttpOperation};
use crate::error::{Cause, StateError};
use crate::event::{Entry, Event, Stamp};
use crate::host::{Holder, HolderId, Host, System};
use crate::locks::{LEASE, Lease, LockSet};
use crate::scaling::Lap;
use crate::secrets::{self, Keys};
use crate::store::{Checked, Head, Journal, Snapshot, StateStore};

/// A state in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    file: File,
    host: Arc<dyn Host>,
    keys: Option<Keys>,
    pace: Pace,
}

/// How often things are done.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// How long a lease lasts.
    lease: Duration,
    /// A snapshot is due after so many events.
    snapshot_every: u64,
}

impl SqliteStore {
    /// Names the state in a file. It is made, with its folder, when it is first opened for writing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        SqliteStore {
            file: File::new(path.into()),
            host: Arc::new(System),
            keys: None,
            pace: Pace {
                lease: LEASE,
                snapshot_every: 1_000,
            },
        }
    }

    /// Has it use another clock, and so on.
    pub fn with_host(mut self, host: Arc<dyn Host>) -> Self {
        self.host = host;
        self
    }

    /// Has it keep secrets encrypted.
    pub fn with_keys(mut self, keys: Keys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Has leases last another time.
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.pace.lease = lease;
        self
    }

    /// Has it write a snapshot after another number of events than 1,000; or after as many as there are resources, if
    /// they are more, so that writing all of them costs no more than a few times what writing the events does.
    pub fn with_snapshot_every(mut self, events: u64) -> Self {
        self.pace.snapshot_every = events;
        self
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

#[async_trait]
impl StateStore for SqliteStore {
    async fn load(&self) -> Result<Snapshot, StateError> {
        let (file, keys) = (self.file.clone(), self.keys.clone());
        blocking(move || {
            let mut snapshot = read::load(&file)?;
            secrets::reveal_state(&mut snapshot.state, keys.as_ref(), &file.location())?;
            Ok(snapshot)
        })
        .await
    }

    async fn head(&self) -> Result<Option<Head>, StateError> {
        let file = self.file.clone();
        blocking(move || read::head(&file)).await
    }

    async fn pull(&self) -> Result<Snapshot, StateError> {
        let file = self.file.clone();
        blocking(move || read::load(&file)).await
    }

    async fn open_for(&self, holder: &Holder, locks: &LockSet, most: Duration) -> Result<Box<dyn Journal>, StateError> {
        let (store, holder, locks) = (self.clone(), holder.clone(), locks.clone());
        let lease = self.pace.lease.min(most);
        let (host, pace) = (self.host.clone(), Pace { lease, ..self.pace });
        blocking(move || {
            let writer = Writer::open(&store.file, (store.host, store.keys), &holder, &locks, pace)?;
            let journal = SqliteJournal {
                lineage: writer.lineage().clone(),
                lease: writer.lease().clone(),
                host,
                writer: Arc::new(Mutex::new(writer)),
                running: None,
                unanswered: false,
            };
            Ok(Box::new(journal) as Box<dyn Journal>)
        })
        .await
    }

    async fn leases(&self) -> Result<Vec<Lease>, StateError> {
        let file = self.file.clone();
        blocking(move || leases::all(&file)).await
    }

    async fn history(&self, serials: RangeInclusive<u64>) -> Result<Vec<Entry>, StateError> {
        let (file, keys) = (self.file.clone(), self.keys.clone());
        blocking(move || {
            let mut entries = read::history(&file, serials)?;
            for entry in &mut entries {
                secrets::reveal_events(&mut entry.events, keys.as_ref());
            }
            Ok(entries)
        })
        .await
    }

    async fn make(&self, lineage: &str) -> Result<(), StateError> {
        let (file, lineage) = (self.file.clone(), lineage.to_owned());
        blocking(move || file.make_new(&lineage)).await
    }

    async fn check(&self) -> Result<Option<Checked>, StateError> {
        let file = self.file.clone();
        blocking(move || read::check(&file)).await
    }

    async fn memories(&self) -> Result<BTreeMap<Address, Arc<str>>, StateError> {
        let file = self.file.clone();
        blocking(move || scaling::memories(&file)).await
    }

    async fn laps(&self, pool: &Address, since: Timestamp) -> Result<Vec<(Timestamp, Arc<str>)>, StateError> {
        let (file, pool) = (self.file.clone(), pool.clone());
        blocking(move || scaling::laps(&file, &pool, since)).await
    }

    async fn tokens(&self) -> Result<Vec<AccessToken>, StateError> {
        let file = self.file.clone();
        blocking(move || access::tokens(&file)).await
    }

    async fn add_token(&self, token: &AccessToken) -> Result<bool, StateError> {
        let (file, token) = (self.file.clone(), token.clone());
        blocking(move || access::add_token(&file, &token)).await
    }

    async fn revoke_token(&self, name: &str, at: Timestamp) -> Result<Option<AccessToken>, StateError> {
        let (file, name) = (self.file.clone(), name.to_owned());
        blocking(move || access::revoke_token(&file, &name, at)).await
    }

    async fn operations(&self) -> Result<Vec<HttpOperation>, StateError> {
        let file = self.file.clone();
        blocking(move || access::operations(&file)).await
    }

    async fn keep_operation(&self, operation: &HttpOperation) -> Result<(), StateError> {
        let (file, operation) = (self.file.clone(), operation.clone());
        blocking(move || access::keep_operation(&file, &operation)).await
    }

    async fn unlock(&self, holder: &HolderId) -> Result<Vec<Lease>, StateError> {
        let (file, holder) = (self.file.clone(), holder.clone());
        blocking(move || leases::unlock(&file, &holder)).await
    }
}

/// The journal in a SQLite file.
struct SqliteJournal {
    lineage: Arc<str>,
    lease: Lease,
    host: Arc<dyn Host>,
    /// Used off the runtime's threads only, one call at a time.
    writer: Arc<Mutex<Writer>>,
    /// The last call, which can still run when its caller is gone.
    running: Option<JoinHandle<()>>,
    /// Whether the caller does not know how the last append ended: it failed on the medium, or was dropped.
    unanswered: bool,
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteJournal")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl SqliteJournal {
    /// Has the writer do something, after what it was told before: also when nobody waits for that any more.
    async fn write<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&mut Writer) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        if let Some(running) = &mut self.running {
            ended(running.await)?;
            self.running = None;
        }
        let writer = self.writer.clone();
        let (answer, answered) = oneshot::channel();
        let running = self.running.insert(tokio::task::spawn_blocking(move || {
            // A writer whose call panicked reads the file again at the next.
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let result = call(&mut writer);
            // Who asked may be gone.
            let _ = answer.send((result, writer.lease().clone()));
        }));
        let Ok((result, lease)) = answered.await else {
            ended(running.await)?;
            return Err(shutting_down("the call was not made".into()));
        };
        self.lease = lease;
        result
    }
}

#[async_trait]
impl Journal for SqliteJournal {
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
        self.lease.remaining(self.host.now())
    }

    async fn append(&mut self, events: &[Event]) -> Result<Stamp, StateError> {
        let (events, repeated) = (events.to_vec(), self.unanswered);
        self.unanswered = true;
        let result = self.write(move |writer| writer.append(events, repeated)).await;
        self.unanswered = matches!(
            result,
            Err(StateError::Full { .. } | StateError::Unwritable { .. } | StateError::Busy { .. })
        );
        result
    }

    async fn remember(&mut self, laps: &[Lap]) -> Result<(), StateError> {
        let laps = laps.to_vec();
        self.write(move |writer| writer.remember(&laps)).await
    }

    async fn renew(&mut self) -> Result<(), StateError> {
        self.write(Writer::renew).await
    }

    async fn close(mut self: Box<Self>) -> Result<(), StateError> {
        self.write(Writer::close).await
    }
}

/// Runs what waits for the disk off the runtime's threads. It runs to its end even when nobody waits for it any more.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, StateError> + Send + 'static,
) -> Result<T, StateError> {
    ended(tokio::task::spawn_blocking(call).await)?
}

/// Passes a panic on.
fn ended<T>(result: Result<T, JoinError>) -> Result<T, StateError> {
    match result.map_err(JoinError::try_into_panic) {
        Ok(value) => Ok(value),
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(error)) => Err(shutting_down(error.into())),
    }
}

fn shutting_down(source: Cause) -> StateError {
    StateError::Unwritable {
        location: "a program that is ending".to_owned(),
        source,
    }
}
