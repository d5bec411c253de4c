//! The journal, as it is written. Everything here waits for the disk.

use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior, params};
use uuid::Uuid;

use super::chain::{Checksum, Fleet, Group};
use super::file::{Access, File, checksum_at};
use super::read::{self, Replayed};
use super::{Pace, leases, scaling};
use crate::error::StateError;
use crate::event::{Entry, Event, Stamp};
use crate::host::{Holder, Host};
use crate::locks::{Lease, LockSet, LockTable};
use crate::scaling::Lap;
use crate::secrets::{self, Keys};
use crate::stored;

/// A journal that is open for writing.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    connection: Connection,
    host: Arc<dyn Host>,
    keys: Option<Keys>,
    lineage: Arc<str>,
    lease: Lease,
    pace: Pace,
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
        (host, keys): (Arc<dyn Host>, Option<Keys>),
        holder: &Holder,
        locks: &LockSet,
        pace: Pace,
    ) -> Result<Self, StateError> {
        let lineage = Uuid::from_bytes(host.random()).to_string();
        let mut connection = file.open_or_make(&lineage)?;
        // All of it before the transaction, so that others are not kept waiting; what a damaged state holds is not added to.
        let (_, mut replayed, ()) = read::replayed(file, &mut connection, |_| Ok(()))?;
        secrets::check_key(&replayed.state, keys.as_ref(), &file.location())?;
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
            .acquire(holder, locks, pace.lease, &*host)
            .map_err(|locked| StateError::Locked(Box::new(locked)))?;
        fleet.epoch = table.epoch;
        leases::replace(&transaction, &before, &table.leases).map_err(failed)?;
        fleet.update(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(Writer {
            file: file.clone(),
            connection,
            host,
            keys,
            lineage: fleet.lineage,
            lease,
            pace,
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
        let redacted = self.redacted(&events);
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
        lease.renew(now, self.pace.lease);
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

    fn redacted(&self, events: &[Event]) -> Vec<Event> {
        let mut digests = secrets::digests(&*self.host, self.keys.as_ref());
        events
            .iter()
            .map(|event| stored::redacted(event, &mut digests))
            .collect()
    }

    /// Writes a snapshot if one is due. Without it loading takes longer, no more; so when it fails, the next call tries
    /// again, and whatever is wrong with the medium shows at the next group.
    fn snapshot(&mut self, replayed: &mut Replayed) {
        let due = self.pace.snapshot_every.max(replayed.state.resources.len() as u64);
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
        self.remember(&[])
    }

    /// Keeps what is remembered of pools, and renews the lease.
    pub(super) fn remember(&mut self, laps: &[Lap]) -> Result<(), StateError> {
        let mut lease = self.lease.clone();
        lease.renew(self.host.now(), self.pace.lease);
        let failed = |error| self.file.sqlite(Access::Write, error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let there = leases::renew(&transaction, &lease).map_err(failed)?;
        if there && !laps.is_empty() {
            scaling::write(&transaction, laps).map_err(failed)?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{VirtualHost, create, declared, made, node, token};
    use crate::declaration::Operation;
    use crate::locks::LEASE;
    use crate::store::Journal;
    use crate::{SqliteStore, StateStore};

    struct Bench {
        host: Arc<VirtualHost>,
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let host = Arc::default();
            Bench { host, folder }
        }

        fn file(&self) -> File {
            File::new(self.folder.path().join("state.db"))
        }

        fn store(&self) -> SqliteStore {
            SqliteStore::new(self.file().path()).with_host(self.host.clone())
        }

        fn writer(&self) -> Writer {
            let locks = LockSet::exclusive([node("a"), node("b")]);
            let pace = Pace {
                lease: LEASE,
                snapshot_every: 1_000,
            };
            Writer::open(
                &self.file(),
                (self.host.clone(), None),
                &self.host.holder(1),
                &locks,
                pace,
            )
            .expect("free")
        }

        fn serial(&self) -> u64 {
            read::load(&self.file()).expect("sound").state.serial
        }
    }

    /// A create whose inputs take more than a few pages.
    fn large_create() -> Event {
        let mut large = declared(1);
        large.inputs.set("user_data", "x".repeat(100_000));
        Event::Started {
            address: node("a"),
            token: token(1),
            operation: Operation::Create { declared: large },
        }
    }

    #[test]
    fn a_full_disk_loses_nothing_and_the_same_group_can_be_given_again() {
        let bench = Bench::new();
        let mut writer = bench.writer();
        writer
            .append(vec![create(&node("b"), 9)], false)
            .expect("there is space");
        let limit = |writer: &Writer, pages: u32| {
            let pragma = format!("PRAGMA max_page_count = {pages}");
            writer.connection.query_row(&pragma, [], |_| Ok(())).expect("a limit");
        };
        limit(&writer, 1); // SQLite takes the present size then.
        let before = std::fs::read(bench.file().path()).expect("readable");
        for attempt in 1..=2 {
            let error = writer
                .append(vec![large_create()], attempt > 1)
                .expect_err("it is full");
            assert!(matches!(error, StateError::Full { .. }), "{error:?}");
            assert_eq!(bench.serial(), 1);
        }
        assert_eq!(
            std::fs::read(bench.file().path()).expect("readable"),
            before,
            "nothing was written"
        );
        limit(&writer, 1_000_000);
        assert_eq!(
            writer
                .append(vec![large_create()], true)
                .expect("there is space")
                .serial,
            2
        );
        assert_eq!(bench.serial(), 2);
    }

    #[test]
    fn a_group_that_was_recorded_without_an_answer_is_not_recorded_again() {
        let bench = Bench::new();
        let mut writer = bench.writer();
        let stamp = writer.append(vec![create(&node("a"), 1)], false).expect("legal");
        bench.host.advance(std::time::Duration::from_secs(1));
        // What a failed commit leaves: the group is there, and the writer has thrown away what it knew.
        writer.replayed = None;
        assert_eq!(
            writer.append(vec![create(&node("a"), 1)], true).expect("it is there"),
            stamp
        );
        assert_eq!(bench.serial(), 1);
        writer
            .append(vec![made(&node("a"), 1, "i", 1)], true)
            .expect("others are recorded");
        assert_eq!(bench.serial(), 2);
    }

    #[test]
    fn equal_events_of_an_earlier_call_are_recorded_again() {
        let bench = Bench::new();
        let mut writer = bench.writer();
        let held = || {
            vec![Event::Tainted {
                address: node("a"),
                reason: "twice".into(),
            }]
        };
        writer
            .append(vec![create(&node("a"), 1), made(&node("a"), 1, "i", 1)], false)
            .expect("legal");
        writer.append(held(), false).expect("legal");
        writer.append(held(), false).expect("legal");
        assert_eq!(bench.serial(), 3);
    }

    #[tokio::test]
    async fn an_append_that_is_dropped_midway_is_recorded_once() {
        let events = [create(&node("a"), 1)];
        let locks = LockSet::exclusive([node("a")]);
        // Another thread writes it; once in a while that is done when this one first looks.
        let (mut journal, _bench) = loop {
            let bench = Bench::new();
            let opened = bench.store().open(&bench.host.holder(1), &locks).await;
            let mut journal: Box<dyn Journal> = opened.expect("free");
            let is_done = tokio::select! {
                biased;
                _ = journal.append(&events) => true,
                () = std::future::ready(()) => false,
            };
            if !is_done {
                break (journal, bench);
            }
        };
        assert_eq!(journal.append(&events).await.expect("once").serial, 1);
        assert_eq!(
            journal
                .append(&[made(&node("a"), 1, "i", 1)])
                .await
                .expect("legal")
                .serial,
            2
        );
    }

    /// Adds a group as another version of simfleet would.
    fn add_of(version: u32, events: &str, bench: &Bench, writer: &Writer) {
        let mut fleet = read::fleet(&bench.file(), &writer.connection).expect("sound");
        let stamp = Stamp {
            serial: 1,
            at: bench.host.now(),
            holder: bench.host.holder(1).id,
            epoch: 1,
        };
        let group = Group {
            stamp,
            version,
            events: events.to_owned(),
        };
        fleet.head = insert(&writer.connection, &group, &fleet.head).expect("a row");
        fleet.serial = 1;
        fleet.events = 1;
        fleet.update(&writer.connection).expect("a row");
    }

    #[test]
    fn a_group_of_the_first_version_is_read_and_added_to() {
        let bench = Bench::new();
        let mut writer = bench.writer();
        let began = r#"[{"began":{"by":"ann@lab","command":"simfleet apply"}}]"#;
        add_of(1, began, &bench, &writer);
        assert_eq!(read::load(&bench.file()).expect("an older one").state.serial, 1);
        writer.append(vec![create(&node("a"), 1)], false).expect("it can go on");
        assert_eq!(read::load(&bench.file()).expect("both").state.intents.len(), 1);
    }

    #[test]
    fn a_group_of_a_newer_version_is_refused_and_not_added_to() {
        let bench = Bench::new();
        let mut writer = bench.writer();
        add_of(stored::VERSION + 1, r#"[{"dreamt":{}}]"#, &bench, &writer);
        let newer = |error| matches!(error, StateError::Newer { found, known, .. } if found == known + 1);
        assert!(newer(read::load(&bench.file()).expect_err("newer")));
        assert!(newer(
            writer.append(vec![create(&node("a"), 1)], false).expect_err("newer")
        ));
    }
}
