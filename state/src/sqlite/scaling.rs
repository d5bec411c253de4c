//! What is remembered of the scaling of pools: beside the journal, as it changes every few seconds and is bounded.
//!
//! The tables are made when something is first remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use simfleet_provider_api::Address;

use super::chain::{self, Checksum};
use super::file::{Access, File};
use super::leases::timestamp;
use super::read;
use crate::error::StateError;
use crate::scaling::{KEPT, Lap};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS scaling (
    pool TEXT PRIMARY KEY,
    memory TEXT NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS laps (
    pool TEXT NOT NULL,
    at TEXT NOT NULL,
    told TEXT NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (pool, at)
) STRICT, WITHOUT ROWID;
";

/// Returns what was last remembered of each pool.
pub(super) fn memories(file: &File) -> Result<BTreeMap<Address, Arc<str>>, StateError> {
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let select = "SELECT pool, memory, checksum FROM scaling";
    let rows: Vec<(String, String, Checksum)> = select_all(file, |connection| {
        connection.prepare(select)?.query_map([], row)?.collect()
    })?;
    let read = |(pool, memory, checksum): (String, String, Checksum)| {
        let wrong = || file.damaged(format!("what is remembered of {pool} is not as it was written"));
        match pool.parse() {
            Ok(address) if checksum == sum(&pool, &memory) => Ok((address, memory.into())),
            _ => Err(wrong()),
        }
    };
    rows.into_iter().map(read).collect()
}

/// Returns what was told of a pool from an instant on, oldest first.
pub(super) fn laps(file: &File, pool: &Address, since: Timestamp) -> Result<Vec<(Timestamp, Arc<str>)>, StateError> {
    let pool = pool.to_string();
    let row = |row: &Row<'_>| Ok((timestamp(row, 0)?, row.get(1)?, row.get(2)?));
    let select = "SELECT at, told, checksum FROM laps WHERE pool = ?1 AND at >= ?2 ORDER BY at";
    let rows: Vec<(Timestamp, String, Checksum)> = select_all(file, |connection| {
        let parameters = params![pool, sortable(since)];
        connection.prepare(select)?.query_map(parameters, row)?.collect()
    })?;
    let read = |(at, told, checksum): (Timestamp, String, Checksum)| match checksum == lap_sum(&pool, at, &told) {
        true => Ok((at, told.into())),
        false => Err(file.damaged(format!("what was told of {pool} at {at} is not as it was written"))),
    };
    rows.into_iter().map(read).collect()
}

/// Reads rows, where there are such tables.
fn select_all<T>(file: &File, select: impl Fn(&Connection) -> rusqlite::Result<Vec<T>>) -> Result<Vec<T>, StateError> {
    let Some(mut connection) = file.open(Access::Read)? else {
        return Ok(Vec::new());
    };
    let failed = |error| file.sqlite(Access::Read, error);
    let transaction = connection.transaction().map_err(failed)?;
    read::fleet(file, &transaction)?;
    match transaction.table_exists(None, "laps").map_err(failed)? {
        true => select(&transaction).map_err(failed),
        false => Ok(Vec::new()),
    }
}

/// Writes laps, in the transaction of the caller; only the newest of a pool are kept.
pub(super) fn write(transaction: &Connection, laps: &[Lap]) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    for lap in laps {
        let pool = lap.pool.to_string();
        transaction
            .prepare_cached("INSERT OR REPLACE INTO scaling (pool, memory, checksum) VALUES (?1, ?2, ?3)")?
            .execute(params![pool, &*lap.memory, sum(&pool, &lap.memory)])?;
        let Some(told) = &lap.told else { continue };
        transaction
            .prepare_cached("INSERT OR REPLACE INTO laps (pool, at, told, checksum) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![pool, sortable(lap.at), &**told, lap_sum(&pool, lap.at, told)])?;
        transaction
            .prepare_cached(
                "DELETE FROM laps WHERE pool = ?1 AND at <= \
                 (SELECT at FROM laps WHERE pool = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![pool, KEPT as i64])?;
    }
    Ok(())
}

/// Writes an instant such that later ones sort behind it: with all its digits.
fn sortable(at: Timestamp) -> String {
    format!("{at:.9}")
}

fn sum(pool: &str, memory: &str) -> Checksum {
    chain::hash(&[b"simfleet scaling", pool.as_bytes(), memory.as_bytes()])
}

fn lap_sum(pool: &str, at: Timestamp, told: &str) -> Checksum {
    let at = sortable(at);
    chain::hash(&[b"simfleet lap", pool.as_bytes(), at.as_bytes(), told.as_bytes()])
}
