//! The journal, as it is written. Everything here waits for the disk.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use uuid::Uuid;

use super::chain::{Checksum, Fleet, Group};
use super::file::{Access, File, checksum_at};
use super::leases;
use super::read::{self, Replayed};
use crate::error::StateError;
use crate::event::{Entry, Event, Stamp};
use crate::host::{Holder, Host};
use crate::locks::{Lease, LockSet, LockTable};
use crate::stored;

/// A snapshot is due after so many events, or as many as there are resources, if they are more: so that writing all of
/// them costs no more than a few times what writing the events does.
const SNAPSHOT_EVERY: u64 = 1_000;

/// A journal that is open for writing.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    connection: Connection,
    host: Arc<dyn Host>,
    lineage: Arc<str>,
    lease: Lease,
    /// How long a lease lasts.
    length: Duration,
    /// What the file held after the last call; `None` where that call failed halfway.
    replayed: Option<Replayed>,
    /// The group that was last written, or tried to be.
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    events: Vec<Event>,
    stamp: Stamp,
    checksum: Checksum,
}

impl Writer {
    /// Opens the file, made where there is none, and takes locks.
    pub(super) fn open(
        file: &File,
        host: Arc<dyn Host>,
        holder: &Holder,
        locks: &LockSet,
        length: Duration,
    ) -> Result<Self, StateError> {
        let lineage = Uuid::from_bytes(host.random()).to_string();
        let mut connection = file.open_or_make(&lineage)?;
        // All of it before the transaction, so that others are not kept waiting; what a damaged state holds is not added to.
        let (_, mut replayed, ()) = read::replayed(file, &mut connection, |_| Ok(()))?;
        let failed = |error| file.sqlite(Access::Write, error);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let mut fleet = catch_up(file, &transaction, &mut replayed)?;
        let before = leases::read(file, leases::rows(&transaction).map_err(failed)?)?;
        let mut table = LockTable {
            epoch: fleet.epoch,
            leases: before.clone(),
        };
        let lease = table
            .acquire(holder, locks, length, &*host)
            .map_err(|locked| StateError::Locked(Box::new(locked)))?;
        fleet.epoch = table.epoch;
        leases::replace(&transaction, &before, &table.leases).map_err(failed)?;
        fleet.update(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(Writer {
            file: file.clone(),
            connection,
            host,
            lineage: fleet.lineage,
            lease,
            length,
            replayed: Some(replayed),
            last: None,
        })
    }

    pub(super) fn lineage(&self) -> &Arc<str> {
        &self.lineage
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Records events. With `repeated`, the caller does not know how the last call ended: if it was with these events
    /// and they were recorded, they are not again.
    pub(super) fn append(&mut self, events: Vec<Event>, repeated: bool) -> Result<Stamp, StateError> {
        self.lease.check(&events)?;
        // Equal events of an earlier call are others.
        self.last.take_if(|last| !repeated || last.events != events);
        let mut salts = || self.host.random();
        let redacted: Vec<Event> = events.iter().map(|event| stored::redacted(event, &mut salts)).collect();
        let text = stored::write(&redacted)?;
        let mut replayed = match self.replayed.take() {
            Some(replayed) => replayed,
            None => read::replayed(&self.file, &mut self.connection, |_| Ok(()))?.1,
        };
        let file = &self.file;
        let failed = |error| file.sqlite(Access::Write, error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let mut fleet = catch_up(file, &transaction, &mut replayed)?;
        let now = self.host.now();
        let mut lease = self.lease.clone();
        lease.renew(now, self.length);
        if !leases::renew(&transaction, &lease).map_err(failed)? {
            self.lease.expires = self.lease.renewed;
            return Err(StateError::Fenced {
                holder: self.lease.holder.id.clone(),
            });
        }
        let recorded = match &self.last {
            Some(last) => checksum_at(&transaction, &self.lineage, last.stamp.serial)
                .map_err(failed)?
                .is_some_and(|checksum| checksum == last.checksum)
                .then(|| last.stamp.clone()),
            None => None,
        };
        let stamp = Stamp {
            serial: fleet.serial + 1,
            at: now,
            holder: self.lease.holder.id.clone(),
            epoch: self.lease.epoch,
        };
        let stamp = match recorded {
            Some(stamp) => stamp,
            None if events.is_empty() => Stamp {
                serial: fleet.serial,
                ..stamp
            },
            None => {
                let entry = Entry {
                    stamp,
                    events: redacted,
                };
                replayed.state.apply(&entry)?;
                let group = Group {
                    stamp: entry.stamp,
                    version: stored::VERSION,
                    events: text,
                };
                let checksum = insert(&transaction, &group, &fleet.head).map_err(failed)?;
                fleet.serial = group.stamp.serial;
                fleet.events += events.len() as u64;
                fleet.head = checksum;
                fleet.update(&transaction).map_err(failed)?;
                replayed.head = checksum;
                replayed.events = fleet.events;
                let stamp = group.stamp;
                self.last = Some(Last {
                    events,
                    stamp: stamp.clone(),
                    checksum,
                });
                stamp
            }
        };
        transaction.commit().map_err(failed)?;
        self.lease = lease;
        self.snapshot(&mut replayed);
        self.replayed = Some(replayed);
        Ok(stamp)
    }

    /// Writes a snapshot if one is due. Without it loading takes longer, no more; so when it fails, the next call tries
    /// again, and whatever is wrong with the medium shows at the next group.
    fn snapshot(&mut self, replayed: &mut Replayed) {
        let due = SNAPSHOT_EVERY.max(replayed.state.resources.len() as u64);
        if replayed.events - replayed.snapshotted < due {
            return;
        }
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            read::write_snapshot(&transaction, replayed)?;
            transaction.commit()
        };
        if write(&mut self.connection).is_ok() {
            replayed.snapshotted = replayed.events;
        }
    }

    /// Renews the lease.
    pub(super) fn renew(&mut self) -> Result<(), StateError> {
        let mut lease = self.lease.clone();
        lease.renew(self.host.now(), self.length);
        let failed = |error| self.file.sqlite(Access::Write, error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let there = leases::renew(&transaction, &lease).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        if !there {
            self.lease.expires = self.lease.renewed;
            return Err(StateError::Fenced {
                holder: self.lease.holder.id.clone(),
            });
        }
        self.lease = lease;
        Ok(())
    }

    /// Releases the locks.
    pub(super) fn close(&mut self) -> Result<(), StateError> {
        let failed = |error| self.file.sqlite(Access::Write, error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        leases::delete(&transaction, self.lease.epoch).map_err(failed)?;
        transaction.commit().map_err(failed)
    }
}

/// Adds what others wrote since.
fn catch_up(file: &File, transaction: &Connection, replayed: &mut Replayed) -> Result<Fleet, StateError> {
    let fleet = read::fleet(file, transaction)?;
    let rows = read::rows(transaction, replayed.state.serial + 1..=u64::MAX)
        .map_err(|error| file.sqlite(Access::Write, error))?;
    replayed.advance(file, rows, &fleet)?;
    Ok(fleet)
}

/// Writes a group and returns its checksum.
fn insert(transaction: &Connection, group: &Group, before: &Checksum) -> rusqlite::Result<Checksum> {
    let checksum = group.checksum(before);
    let Stamp {
        serial,
        at,
        holder,
        epoch,
    } = &group.stamp;
    transaction
        .prepare_cached(
            "INSERT INTO journal (serial, at, holder, epoch, version, events, checksum) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            serial,
            at.to_string(),
            &*holder.0,
            epoch,
            group.version,
            group.events,
            checksum
        ])?;
    Ok(checksum)
}
