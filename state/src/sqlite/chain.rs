//! Checksums. Each group of events has one over itself and the checksum before, and the fleet's row has the last, so that
//! a changed, missing or added row is found. They guard against accidents, not against somebody who makes new ones.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};
use sha2::{Digest, Sha256};

use crate::event::Stamp;

/// A SHA-256.
pub(super) type Checksum = [u8; 32];

/// Returns the checksum before the first group.
pub(super) fn genesis(lineage: &str) -> Checksum {
    hash(&[b"simfleet journal", lineage.as_bytes()])
}

/// A recorded group of events, as its row has it.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) stamp: Stamp,
    /// The version of the stored form of its events.
    pub(super) version: u32,
    /// A JSON array.
    pub(super) events: String,
}

impl Group {
    /// Returns its checksum, after the group that has the checksum `before`.
    pub(super) fn checksum(&self, before: &Checksum) -> Checksum {
        let Stamp {
            serial,
            at,
            holder,
            epoch,
        } = &self.stamp;
        hash(&[
            before,
            &serial.to_le_bytes(),
            at.to_string().as_bytes(),
            holder.0.as_bytes(),
            &epoch.to_le_bytes(),
            &self.version.to_le_bytes(),
            self.events.as_bytes(),
        ])
    }
}

/// Returns the checksum of parts, told apart by their lengths.
pub(super) fn hash(parts: &[&[u8]]) -> Checksum {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The one row of the table `fleet`: how far the journal goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fleet {
    pub(super) lineage: Arc<str>,
    /// The serial of the last group.
    pub(super) serial: u64,
    /// How many events there are.
    pub(super) events: u64,
    /// The checksum of the last group.
    pub(super) head: Checksum,
    /// The last epoch that was given.
    pub(super) epoch: u64,
}

impl Fleet {
    /// The row of a state that is new.
    pub(super) fn new(lineage: &str) -> Self {
        Fleet {
            lineage: lineage.into(),
            serial: 0,
            events: 0,
            head: genesis(lineage),
            epoch: 0,
        }
    }

    fn seal(&self) -> Checksum {
        hash(&[
            b"simfleet fleet",
            self.lineage.as_bytes(),
            &self.serial.to_le_bytes(),
            &self.events.to_le_bytes(),
            &self.head,
            &self.epoch.to_le_bytes(),
        ])
    }

    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute(
            "INSERT INTO fleet (id, lineage, serial, events, head, epoch, seal) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                &*self.lineage,
                self.serial,
                self.events,
                self.head,
                self.epoch,
                self.seal()
            ],
        )?;
        Ok(())
    }

    pub(super) fn update(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE fleet SET serial = ?1, events = ?2, head = ?3, epoch = ?4, seal = ?5 WHERE id = 1")?
            .execute(params![self.serial, self.events, self.head, self.epoch, self.seal()])?;
        Ok(())
    }

    /// Reads the row; `None` where it is not as it was written.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let read = |row: &Row<'_>| {
            let fleet = Fleet {
                lineage: row.get::<_, String>(0)?.into(),
                serial: row.get(1)?,
                events: row.get(2)?,
                head: row.get(3)?,
                epoch: row.get(4)?,
            };
            let seal: Checksum = row.get(5)?;
            Ok((fleet.seal() == seal).then_some(fleet))
        };
        connection
            .prepare_cached("SELECT lineage, serial, events, head, epoch, seal FROM fleet WHERE id = 1")?
            .query_row([], read)
    }
}
