//! Tokens, and what was asked for over HTTP: beside the journal.
//!
//! The tables are made when something is first kept.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::chain::{self, Checksum};
use super::file::{Access, File};
use super::leases::timestamp;
use super::read;
use crate::access::{AccessToken, HttpOperation, KEPT_OPERATIONS};
use crate::error::StateError;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS tokens (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    created TEXT NOT NULL,
    by TEXT NOT NULL,
    expires TEXT,
    revoked TEXT,
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS operations (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    told TEXT NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
";

/// A row of `tokens`.
struct TokenRow {
    name: String,
    role: String,
    sha256: [u8; 32],
    created: Timestamp,
    by: String,
    expires: Option<Timestamp>,
    revoked: Option<Timestamp>,
    checksum: Checksum,
}

/// Returns all tokens, by their names.
pub(super) fn tokens(file: &File) -> Result<Vec<AccessToken>, StateError> {
    let select = "SELECT name, role, sha256, created, by, expires, revoked, checksum FROM tokens ORDER BY name";
    let rows: Vec<TokenRow> = select_all(file, "tokens", |connection| {
        connection.prepare(select)?.query_map([], token_row)?.collect()
    })?;
    rows.into_iter().map(|row| token(file, row)).collect()
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    let maybe = |column: usize| match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => timestamp(row, column).map(Some),
    };
    Ok(TokenRow {
        name: row.get(0)?,
        role: row.get(1)?,
        sha256: row.get(2)?,
        created: timestamp(row, 3)?,
        by: row.get(4)?,
        expires: maybe(5)?,
        revoked: maybe(6)?,
        checksum: row.get(7)?,
    })
}

fn token(file: &File, row: TokenRow) -> Result<AccessToken, StateError> {
    let wrong = || file.damaged(format!("the token `{}` is not as it was written", row.name));
    let token = AccessToken {
        name: row.name.as_str().into(),
        role: row.role.parse().map_err(|_| wrong())?,
        sha256: row.sha256,
        created: row.created,
        by: row.by.into(),
        expires: row.expires,
        revoked: row.revoked,
    };
    match row.checksum == token_sum(&token) {
        true => Ok(token),
        false => Err(wrong()),
    }
}

/// Keeps a token; one of its name that was revoked makes way. Returns whether the name was free.
pub(super) fn add_token(file: &File, token: &AccessToken) -> Result<bool, StateError> {
    write(file, |transaction| {
        let taken = "SELECT 1 FROM tokens WHERE name = ?1 AND revoked IS NULL";
        let taken = transaction.query_row(taken, [&*token.name], |_| Ok(()));
        if taken.optional()?.is_some() {
            return Ok(false);
        }
        put_token(transaction, token)?;
        Ok(true)
    })
}

/// Revokes a token. Returns it as it is now; `None` where there is none of this name that is not revoked.
pub(super) fn revoke_token(file: &File, name: &str, at: Timestamp) -> Result<Option<AccessToken>, StateError> {
    let known = tokens(file)?;
    let Some(known) = known
        .into_iter()
        .find(|token| *token.name == *name && token.revoked.is_none())
    else {
        return Ok(None);
    };
    let revoked = AccessToken {
        revoked: Some(at),
        ..known
    };
    let is_done = write(file, |transaction| {
        let still = "SELECT 1 FROM tokens WHERE name = ?1 AND revoked IS NULL AND sha256 = ?2";
        let still = transaction.query_row(still, params![name, revoked.sha256], |_| Ok(()));
        if still.optional()?.is_none() {
            return Ok(false);
        }
        put_token(transaction, &revoked)?;
        Ok(true)
    })?;
    Ok(is_done.then_some(revoked))
}

fn put_token(connection: &Connection, token: &AccessToken) -> rusqlite::Result<()> {
    let text = |at: &Option<Timestamp>| at.map(|at| at.to_string());
    connection.execute(
        "INSERT OR REPLACE INTO tokens (name, role, sha256, created, by, expires, revoked, checksum) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            &*token.name,
            token.role.as_str(),
            token.sha256,
            token.created.to_string(),
            &*token.by,
            text(&token.expires),
            text(&token.revoked),
            token_sum(token),
        ],
    )?;
    Ok(())
}

/// Returns what was asked for, oldest first.
pub(super) fn operations(file: &File) -> Result<Vec<HttpOperation>, StateError> {
    let row = |row: &Row<'_>| Ok((row.get(0)?, timestamp(row, 1)?, row.get(2)?, row.get(3)?));
    let select = "SELECT id, at, told, checksum FROM operations ORDER BY at, id";
    let rows: Vec<(String, Timestamp, String, Checksum)> = select_all(file, "operations", |connection| {
        connection.prepare(select)?.query_map([], row)?.collect()
    })?;
    let read = |(id, at, told, checksum): (String, Timestamp, String, Checksum)| {
        let operation = HttpOperation {
            id: id.into(),
            at,
            told: told.into(),
        };
        match checksum == operation_sum(&operation) {
            true => Ok(operation),
            false => Err(file.damaged(format!("the operation {} is not as it was written", operation.id))),
        }
    };
    rows.into_iter().map(read).collect()
}

/// Keeps what was asked for, or what became of it; only the newest stay.
pub(super) fn keep_operation(file: &File, operation: &HttpOperation) -> Result<(), StateError> {
    write(file, |transaction| {
        transaction.execute(
            "INSERT OR REPLACE INTO operations (id, at, told, checksum) VALUES (?1, ?2, ?3, ?4)",
            params![
                &*operation.id,
                sortable(operation.at),
                &*operation.told,
                operation_sum(operation)
            ],
        )?;
        transaction.execute(
            "DELETE FROM operations WHERE id IN (SELECT id FROM operations ORDER BY at DESC, id DESC LIMIT -1 OFFSET ?1)",
            [KEPT_OPERATIONS as i64],
        )?;
        Ok(())
    })
}

/// Reads rows of a table, where there is one.
fn select_all<T>(
    file: &File,
    table: &str,
    select: impl Fn(&Connection) -> rusqlite::Result<Vec<T>>,
) -> Result<Vec<T>, StateError> {
    let Some(mut connection) = file.open(Access::Read)? else {
        return Ok(Vec::new());
    };
    let failed = |error| file.sqlite(Access::Read, error);
    let transaction = connection.transaction().map_err(failed)?;
    read::fleet(file, &transaction)?;
    match transaction.table_exists(None, table).map_err(failed)? {
        true => select(&transaction).map_err(failed),
        false => Ok(Vec::new()),
    }
}

/// Writes in a transaction of its own, to a state that is there.
fn write<T>(file: &File, change: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StateError> {
    let Some(mut connection) = file.open(Access::Write)? else {
        return Err(file.missing());
    };
    let failed = |error| file.sqlite(Access::Write, error);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    read::fleet(file, &transaction)?;
    transaction.execute_batch(TABLES).map_err(failed)?;
    let changed = change(&transaction).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(changed)
}

/// Writes an instant such that later ones sort behind it: with all its digits.
fn sortable(at: Timestamp) -> String {
    format!("{at:.9}")
}

fn token_sum(token: &AccessToken) -> Checksum {
    let text = |at: &Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    chain::hash(&[
        b"simfleet token",
        token.name.as_bytes(),
        token.role.as_str().as_bytes(),
        &token.sha256,
        token.created.to_string().as_bytes(),
        token.by.as_bytes(),
        text(&token.expires).as_bytes(),
        text(&token.revoked).as_bytes(),
    ])
}

fn operation_sum(operation: &HttpOperation) -> Checksum {
    let at = sortable(operation.at);
    chain::hash(&[
        b"simfleet operation",
        operation.id.as_bytes(),
        at.as_bytes(),
        operation.told.as_bytes(),
    ])
}
