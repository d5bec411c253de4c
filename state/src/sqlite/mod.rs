//! The journal in one SQLite file: the default store.
//!
//! - `file`: making, opening and recognising the file
//! - `chain`: the checksums by which damage is found
//! - `read`: from rows to a state
//! - `leases`: the locks
//! - `write`: the journal

mod chain;
mod file;
mod leases;
mod read;
mod write;

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::file::File;
use self::write::Writer;
use crate::error::StateError;
use crate::event::{Entry, Event, Stamp};
use crate::host::{Holder, HolderId, Host, System};
use crate::locks::{LEASE, Lease, LockSet};
use crate::store::{Journal, Snapshot, StateStore};

/// A state in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    file: File,
    host: Arc<dyn Host>,
    lease: Duration,
}

/// What [`SqliteStore::check`] went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// The serial of the state.
    pub serial: u64,
    /// How many events it has.
    pub events: u64,
}

impl SqliteStore {
    /// Names the state in a file. It is made, with its folder, when it is first opened for writing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        SqliteStore {
            file: File::new(path.into()),
            host: Arc::new(System),
            lease: LEASE,
        }
    }

    /// Has it use another clock, and so on.
    pub fn with_host(mut self, host: Arc<dyn Host>) -> Self {
        self.host = host;
        self
    }

    /// Has leases last another time.
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Reads all of the file, also what [`load`](StateStore::load) need not: every page, checksum and event, and the
    /// snapshots against the events before them. `None` where there is no state yet.
    ///
    /// # Errors
    /// Says what is damaged.
    pub async fn check(&self) -> Result<Option<Checked>, StateError> {
        let file = self.file.clone();
        blocking(move || read::check(&file)).await
    }
}

#[async_trait]
impl StateStore for SqliteStore {
    async fn load(&self) -> Result<Snapshot, StateError> {
        let file = self.file.clone();
        blocking(move || read::load(&file)).await
    }

    async fn open(&self, holder: &Holder, locks: &LockSet) -> Result<Box<dyn Journal>, StateError> {
        let (store, holder, locks) = (self.clone(), holder.clone(), locks.clone());
        let (host, length) = (self.host.clone(), self.lease);
        blocking(move || {
            let writer = Writer::open(&store.file, store.host, &holder, &locks, length)?;
            let journal = SqliteJournal {
                lineage: writer.lineage().clone(),
                lease: writer.lease().clone(),
                host,
                writer: Arc::new(Mutex::new(writer)),
                unanswered: false,
            };
            Ok(Box::new(journal) as Box<dyn Journal>)
        })
        .await
    }

    async fn history(&self, serials: RangeInclusive<u64>) -> Result<Vec<Entry>, StateError> {
        let file = self.file.clone();
        blocking(move || read::history(&file, serials)).await
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
    async fn write<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&mut Writer) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let writer = self.writer.clone();
        let (result, lease) = blocking(move || {
            // A writer whose call panicked reads the file again at the next.
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let result = call(&mut writer);
            Ok((result, writer.lease().clone()))
        })
        .await?;
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
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(StateError::Unwritable {
                location: "a runtime that is shutting down".to_owned(),
                source: Box::new(error),
            }),
        },
    }
}
