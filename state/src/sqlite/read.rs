//! From rows to a state.
//!
//! Rows are copied out in one short transaction and understood after it, as nobody can write while it lasts.

use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::chain::{self, Checksum, Fleet, Group};
use super::file::{Access, File, checksum_at};
use super::leases;
use crate::error::StateError;
use crate::event::{Entry, Event, Stamp};
use crate::host::HolderId;
use crate::invariants;
use crate::state::State;
use crate::store::{Checked, Head, Snapshot};
use crate::stored::{self, ReadError};

/// A state with its place in the chain.
#[derive(Debug, Clone)]
pub(super) struct Replayed {
    pub(super) state: State,
    pub(super) head: Checksum,
    /// How many events led to it.
    pub(super) events: u64,
    /// How many of them are in the newest snapshot that was used or written.
    pub(super) snapshotted: u64,
}

impl Replayed {
    fn genesis(lineage: &str) -> Self {
        Replayed {
            state: State::default(),
            head: chain::genesis(lineage),
            events: 0,
            snapshotted: 0,
        }
    }

    /// Adds the groups that follow, and makes sure that they lead to where the fleet's row says.
    pub(super) fn advance(&mut self, file: &File, rows: Vec<JournalRow>, fleet: &Fleet) -> Result<(), StateError> {
        for row in rows {
            let serial = row.group.stamp.serial;
            if serial != self.state.serial + 1 {
                return Err(file.damaged(format!("serial {} is missing", self.state.serial + 1)));
            }
            let checksum = row.verified(file, &self.head)?;
            let entry = row.read(file)?;
            self.state.apply(&entry).map_err(|error| StateError::Damaged {
                location: file.location(),
                problem: format!("serial {serial} cannot follow what is before it"),
                source: Some(Box::new(error)),
            })?;
            self.head = checksum;
            self.events += entry.events.len() as u64;
        }
        let there = (self.state.serial, self.events, self.head);
        if there != (fleet.serial, fleet.events, fleet.head) {
            return Err(file.damaged(format!(
                "it ends at serial {}, and should at serial {}",
                there.0, fleet.serial
            )));
        }
        Ok(())
    }
}

/// A row of the journal.
#[derive(Debug)]
pub(super) struct JournalRow {
    group: Group,
    checksum: Checksum,
}

impl JournalRow {
    fn get(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(JournalRow {
            group: Group {
                stamp: Stamp {
                    serial: row.get(0)?,
                    at: leases::timestamp(row, 1)?,
                    holder: HolderId(row.get::<_, String>(2)?.into()),
                    epoch: row.get(3)?,
                },
                version: row.get(4)?,
                events: row.get(5)?,
            },
            checksum: row.get(6)?,
        })
    }

    /// Returns its checksum, once it is the one that it should be.
    fn verified(&self, file: &File, before: &Checksum) -> Result<Checksum, StateError> {
        if self.group.checksum(before) != self.checksum {
            let serial = self.group.stamp.serial;
            return Err(file.damaged(format!("the checksum of serial {serial} is wrong")));
        }
        Ok(self.checksum)
    }

    fn read(self, file: &File) -> Result<Entry, StateError> {
        let serial = self.group.stamp.serial;
        let events: Vec<Event> = stored::read(self.group.version, &self.group.events).map_err(|error| match error {
            ReadError::Newer { found } => StateError::Newer {
                location: file.location(),
                found,
                known: stored::VERSION,
            },
            malformed => StateError::Damaged {
                location: file.location(),
                problem: format!("the events of serial {serial} cannot be read"),
                source: Some(Box::new(malformed)),
            },
        })?;
        Ok(Entry {
            stamp: self.group.stamp,
            events,
        })
    }
}

/// Reads the fleet's row; the first thing that a transaction does.
pub(super) fn fleet(file: &File, connection: &Connection) -> Result<Fleet, StateError> {
    file.is_whole(connection)?;
    Fleet::read(connection)
        .map_err(|error| file.sqlite(Access::Read, error))?
        .ok_or_else(|| file.damaged("its first row is not as it was written"))
}

/// Reads the rows of a range of serials.
pub(super) fn rows(connection: &Connection, serials: RangeInclusive<u64>) -> rusqlite::Result<Vec<JournalRow>> {
    connection
        .prepare_cached(
            "SELECT serial, at, holder, epoch, version, events, checksum FROM journal \
             WHERE serial BETWEEN ?1 AND ?2 ORDER BY serial",
        )?
        // SQLite's integers end where those of i64 do.
        .query_map(
            [
                (*serials.start()).min(i64::MAX as u64),
                (*serials.end()).min(i64::MAX as u64),
            ],
            JournalRow::get,
        )?
        .collect()
}

/// A row of the table of snapshots.
struct SnapshotRow {
    serial: u64,
    version: u32,
    events: u64,
    head: Checksum,
    state: String,
    checksum: Checksum,
}

impl SnapshotRow {
    /// Reads the newest before a serial.
    fn newest(connection: &Connection, before: u64) -> rusqlite::Result<Option<Self>> {
        connection
            .prepare_cached(
                "SELECT serial, version, events, head, state, checksum FROM snapshots \
                 WHERE serial < ?1 ORDER BY serial DESC LIMIT 1",
            )?
            .query_row([before.min(i64::MAX as u64)], |row| {
                Ok(SnapshotRow {
                    serial: row.get(0)?,
                    version: row.get(1)?,
                    events: row.get(2)?,
                    head: row.get(3)?,
                    state: row.get(4)?,
                    checksum: row.get(5)?,
                })
            })
            .optional()
    }

    /// Returns what it holds; `None` where it is not as it was written, or of a newer version: the journal has it all.
    fn read(&self) -> Option<Replayed> {
        if !stored::is_known(self.version) || self.checksum != self.sum() {
            return None;
        }
        let state: State = serde_json::from_str(&self.state).ok()?;
        (state.serial == self.serial).then_some(Replayed {
            state,
            head: self.head,
            events: self.events,
            snapshotted: self.events,
        })
    }

    fn sum(&self) -> Checksum {
        chain::hash(&[
            b"simfleet snapshot",
            &self.serial.to_le_bytes(),
            &self.version.to_le_bytes(),
            &self.events.to_le_bytes(),
            &self.head,
            self.state.as_bytes(),
        ])
    }
}

/// Writes a snapshot, and deletes all but the one before it.
pub(super) fn write_snapshot(connection: &Connection, replayed: &Replayed) -> rusqlite::Result<()> {
    let state = serde_json::to_string(&replayed.state)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let mut row = SnapshotRow {
        serial: replayed.state.serial,
        version: stored::VERSION,
        events: replayed.events,
        head: replayed.head,
        state,
        checksum: Checksum::default(),
    };
    row.checksum = row.sum();
    connection.execute(
        "INSERT OR REPLACE INTO snapshots (serial, version, events, head, state, checksum) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![row.serial, row.version, row.events, row.head, row.state, row.checksum],
    )?;
    connection.execute(
        "DELETE FROM snapshots WHERE serial NOT IN (SELECT serial FROM snapshots ORDER BY serial DESC LIMIT 2)",
        [],
    )?;
    Ok(())
}

/// Reads the state and whatever else `also` reads, both at one moment.
pub(super) fn replayed<T>(
    file: &File,
    connection: &mut Connection,
    also: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<(Fleet, Replayed, T), StateError> {
    // Snapshots that are not as they were written are passed over, down to the full journal.
    let mut before = u64::MAX;
    loop {
        let failed = |error| file.sqlite(Access::Read, error);
        let transaction = connection.transaction().map_err(failed)?;
        let fleet = fleet(file, &transaction)?;
        let snapshot = SnapshotRow::newest(&transaction, before).map_err(failed)?;
        let from = snapshot.as_ref().map_or(0, |snapshot| snapshot.serial);
        let rows = rows(&transaction, from + 1..=u64::MAX).map_err(failed)?;
        let also = also(&transaction).map_err(failed)?;
        drop(transaction);
        let mut replayed = match snapshot.as_ref().map(SnapshotRow::read) {
            None => Replayed::genesis(&fleet.lineage),
            Some(Some(replayed)) => replayed,
            Some(None) => {
                before = from;
                continue;
            }
        };
        replayed.advance(file, rows, &fleet)?;
        return Ok((fleet, replayed, also));
    }
}

/// Reads the state with its leases.
pub(super) fn load(file: &File) -> Result<Snapshot, StateError> {
    let Some(mut connection) = file.open(Access::Read)? else {
        return Ok(Snapshot::default());
    };
    let (fleet, replayed, leases) = replayed(file, &mut connection, leases::rows)?;
    Ok(Snapshot {
        lineage: Some(fleet.lineage),
        state: replayed.state,
        leases: leases::read(file, leases)?.into_values().collect(),
    })
}

/// Reads which state it is.
pub(super) fn head(file: &File) -> Result<Option<Head>, StateError> {
    let Some(connection) = file.open(Access::Read)? else {
        return Ok(None);
    };
    let Fleet { lineage, serial, .. } = fleet(file, &connection)?;
    Ok(Some(Head { lineage, serial }))
}

/// Reads a part of the journal.
pub(super) fn history(file: &File, serials: RangeInclusive<u64>) -> Result<Vec<Entry>, StateError> {
    let Some(mut connection) = file.open(Access::Read)? else {
        return Ok(Vec::new());
    };
    let serials = (*serials.start()).max(1)..=*serials.end();
    let failed = |error| file.sqlite(Access::Read, error);
    let transaction = connection.transaction().map_err(failed)?;
    let fleet = fleet(file, &transaction)?;
    let mut before: Option<Vec<u8>> = checksum_at(&transaction, &fleet.lineage, serials.start() - 1).map_err(failed)?;
    let rows = rows(&transaction, serials).map_err(failed)?;
    drop(transaction);
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let known = before.as_deref().and_then(|before| before.try_into().ok());
        let known = known.ok_or_else(|| file.damaged(format!("serial {} is missing", row.group.stamp.serial - 1)))?;
        before = Some(row.verified(file, &known)?.to_vec());
        entries.push(row.read(file)?);
    }
    Ok(entries)
}

/// Goes through all of the file.
pub(super) fn check(file: &File) -> Result<Option<Checked>, StateError> {
    let Some(mut connection) = file.open(Access::Read)? else {
        return Ok(None);
    };
    let failed = |error| file.sqlite(Access::Read, error);
    let transaction = connection.transaction().map_err(failed)?;
    let verdict: String = transaction
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if verdict != "ok" {
        return Err(file.damaged(verdict));
    }
    let fleet = fleet(file, &transaction)?;
    let rows = rows(&transaction, 1..=u64::MAX).map_err(failed)?;
    let mut snapshots = Vec::new();
    let mut before = u64::MAX;
    while let Some(snapshot) = SnapshotRow::newest(&transaction, before).map_err(failed)? {
        before = snapshot.serial;
        snapshots.push(snapshot);
    }
    let lease_rows = leases::rows(&transaction).map_err(failed)?;
    drop(transaction);
    leases::read(file, lease_rows)?;
    let mut replayed = Replayed::genesis(&fleet.lineage);
    let mut rows = rows.into_iter().peekable();
    for snapshot in snapshots.iter().rev() {
        let wrong = || file.damaged(format!("the snapshot of serial {} is wrong", snapshot.serial));
        let until: Vec<JournalRow> =
            std::iter::from_fn(|| rows.next_if(|row| row.group.stamp.serial <= snapshot.serial)).collect();
        let there = Fleet {
            serial: snapshot.serial,
            events: snapshot.events,
            head: snapshot.head,
            ..fleet.clone()
        };
        replayed.advance(file, until, &there)?;
        if snapshot.read().ok_or_else(wrong)?.state != replayed.state {
            return Err(wrong());
        }
    }
    replayed.advance(file, rows.collect(), &fleet)?;
    invariants::check(&replayed.state).map_err(|problem| file.damaged(problem))?;
    Ok(Some(Checked {
        lineage: fleet.lineage,
        serial: fleet.serial,
        events: fleet.events,
        snapshots: snapshots.iter().rev().map(|snapshot| snapshot.serial).collect(),
    }))
}
