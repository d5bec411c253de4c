//! The locks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::chain::{self, Checksum};
use super::file::{Access, File};
use super::read;
use crate::error::StateError;
use crate::host::HolderId;
use crate::locks::{Lease, LockTable};

/// A row of `leases` with that of `locks`: two tables, as the first is written with every group and the second can be
/// large.
#[derive(Debug)]
pub(super) struct LeaseRow {
    epoch: u64,
    renewed: Timestamp,
    expires: Timestamp,
    holder: String,
    addresses: String,
    checksum: Checksum,
}

/// Reads a column that holds a time.
pub(super) fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// Reads the rows of all leases.
pub(super) fn rows(connection: &Connection) -> rusqlite::Result<Vec<LeaseRow>> {
    let row = |row: &Row<'_>| {
        Ok(LeaseRow {
            epoch: row.get(0)?,
            renewed: timestamp(row, 1)?,
            expires: timestamp(row, 2)?,
            holder: row.get(3)?,
            addresses: row.get(4)?,
            checksum: row.get(5)?,
        })
    };
    connection
        .prepare_cached(
            "SELECT epoch, renewed, expires, holder, addresses, checksum FROM leases JOIN locks USING (epoch) \
             ORDER BY epoch",
        )?
        .query_map([], row)?
        .collect()
}

/// Understands the rows of all leases.
pub(super) fn read(file: &File, rows: Vec<LeaseRow>) -> Result<BTreeMap<u64, Lease>, StateError> {
    let read = |row: LeaseRow| {
        let wrong = || file.damaged(format!("the locks of epoch {} are not as they were written", row.epoch));
        if row.checksum != sum(row.epoch, &row.holder, &row.addresses) {
            return Err(wrong());
        }
        let lease = Lease {
            holder: serde_json::from_str(&row.holder).map_err(|_| wrong())?,
            epoch: row.epoch,
            locks: serde_json::from_str(&row.addresses).map_err(|_| wrong())?,
            renewed: row.renewed,
            expires: row.expires,
        };
        Ok((row.epoch, lease))
    };
    rows.into_iter().map(read).collect()
}

fn sum(epoch: u64, holder: &str, addresses: &str) -> Checksum {
    chain::hash(&[
        b"simfleet locks",
        &epoch.to_le_bytes(),
        holder.as_bytes(),
        addresses.as_bytes(),
    ])
}

/// Has the tables hold the leases of `after`, where they held those of `before`.
pub(super) fn replace(
    connection: &Connection,
    before: &BTreeMap<u64, Lease>,
    after: &BTreeMap<u64, Lease>,
) -> rusqlite::Result<()> {
    for epoch in before.keys().filter(|epoch| !after.contains_key(epoch)) {
        delete(connection, *epoch)?;
    }
    for (epoch, lease) in after.iter().filter(|(epoch, _)| !before.contains_key(epoch)) {
        let text = |error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
        let holder = serde_json::to_string(&lease.holder).map_err(|error: serde_json::Error| text(error))?;
        let addresses = serde_json::to_string(&lease.locks).map_err(|error: serde_json::Error| text(error))?;
        connection.execute(
            "INSERT INTO leases (epoch, renewed, expires) VALUES (?1, ?2, ?3)",
            params![epoch, lease.renewed.to_string(), lease.expires.to_string()],
        )?;
        connection.execute(
            "INSERT INTO locks (epoch, holder, addresses, checksum) VALUES (?1, ?2, ?3, ?4)",
            params![epoch, holder, addresses, sum(*epoch, &holder, &addresses)],
        )?;
    }
    Ok(())
}

/// Writes how long a lease lasts. Returns whether it was still there.
pub(super) fn renew(connection: &Connection, lease: &Lease) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached("UPDATE leases SET renewed = ?2, expires = ?3 WHERE epoch = ?1")?
        .execute(params![
            lease.epoch,
            lease.renewed.to_string(),
            lease.expires.to_string()
        ])?;
    Ok(changed == 1)
}

/// Deletes a lease.
pub(super) fn delete(connection: &Connection, epoch: u64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM leases WHERE epoch = ?1", [epoch])?;
    connection.execute("DELETE FROM locks WHERE epoch = ?1", [epoch])?;
    Ok(())
}

/// Returns all leases.
pub(super) fn all(file: &File) -> Result<Vec<Lease>, StateError> {
    let Some(mut connection) = file.open(Access::Read)? else {
        return Ok(Vec::new());
    };
    let failed = |error| file.sqlite(Access::Read, error);
    let transaction = connection.transaction().map_err(failed)?;
    read::fleet(file, &transaction)?;
    let leases = read(file, rows(&transaction).map_err(failed)?)?;
    Ok(leases.into_values().collect())
}

/// Drops all leases of a holder.
pub(super) fn unlock(file: &File, holder: &HolderId) -> Result<Vec<Lease>, StateError> {
    let Some(mut connection) = file.open(Access::Write)? else {
        return Ok(Vec::new());
    };
    let failed = |error| file.sqlite(Access::Write, error);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    read::fleet(file, &transaction)?;
    let before = read(file, rows(&transaction).map_err(failed)?)?;
    let mut table = LockTable {
        epoch: 0,
        leases: before.clone(),
    };
    let dropped = table.unlock(holder);
    replace(&transaction, &before, &table.leases).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(dropped)
}
