//! Making, opening and recognising the file.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use uuid::Uuid;

use super::chain::{self, Fleet};
use crate::error::{Cause, StateError};

/// `SFLT`: marks a SQLite file as a state of simfleet.
const APPLICATION_ID: u32 = 0x5346_4C54;

/// The version of the tables.
const FORMAT: u32 = 1;

/// How long a call waits for the transactions of other processes, which take milliseconds.
const BUSY: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE fleet (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    lineage TEXT NOT NULL,
    serial INTEGER NOT NULL,
    events INTEGER NOT NULL,
    head BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE TABLE journal (
    serial INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    holder TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    version INTEGER NOT NULL,
    events TEXT NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE snapshots (
    serial INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    events INTEGER NOT NULL,
    head BLOB NOT NULL,
    state TEXT NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE leases (
    epoch INTEGER PRIMARY KEY,
    renewed TEXT NOT NULL,
    expires TEXT NOT NULL
) STRICT;
CREATE TABLE locks (
    epoch INTEGER PRIMARY KEY,
    holder TEXT NOT NULL,
    addresses TEXT NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
";

/// The file of a state.
#[derive(Debug, Clone)]
pub(super) struct File {
    path: PathBuf,
}

/// What a call was to do, for its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl File {
    pub(super) fn new(path: PathBuf) -> Self {
        File { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file where there is one, and makes sure that it is a state that this simfleet knows.
    pub(super) fn open(&self, access: Access) -> Result<Option<Connection>, StateError> {
        // By its metadata only: to open and close it here would drop the locks that SQLite has on it in this process.
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(access, error)),
            // A state is made beside and moved here whole, so this was never one, or is one no more.
            Ok(metadata) if metadata.is_dir() => return Err(self.io(access, io::ErrorKind::IsADirectory.into())),
            Ok(metadata) if metadata.len() == 0 => return Err(self.damaged("the file is empty")),
            Ok(_) => {}
        }
        self.has_no_log(access)?;
        // For writing even where it is only read: what a crash left half written has to be rolled back first. SQLite
        // falls back to reading by itself where the file cannot be written.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(|error| self.sqlite(access, error))?;
        self.prepare(&connection, access)
            .map_err(|error| self.sqlite(access, error))?;
        self.recognise(&connection)?;
        Ok(Some(connection))
    }

    /// Refuses a write-ahead log beside the file. SQLite merges one into whatever file it finds it beside, also into one
    /// that it is not of, such as a backup that was put in the place of another.
    fn has_no_log(&self, access: Access) -> Result<(), StateError> {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        match fs::metadata(&log) {
            Ok(metadata) if metadata.len() > 0 => Err(StateError::Log {
                location: self.location(),
                log: format!("`{}`", log.display()),
            }),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.io(access, error)),
        }
    }

    /// Makes the file, where there is none.
    pub(super) fn make_new(&self, lineage: &str) -> Result<(), StateError> {
        let exists = || StateError::Exists {
            location: self.location(),
        };
        if self.open(Access::Write)?.is_some() {
            return Err(exists());
        }
        self.make(lineage)?;
        let connection = self.open(Access::Write)?.ok_or_else(exists)?;
        match super::read::fleet(self, &connection)?.lineage.as_ref() == lineage {
            true => Ok(()),
            false => Err(exists()),
        }
    }

    /// Opens the file for writing, and makes it where there is none.
    pub(super) fn open_or_make(&self, lineage: &str) -> Result<Connection, StateError> {
        if let Some(connection) = self.open(Access::Write)? {
            return Ok(connection);
        }
        self.make(lineage)?;
        self.open(Access::Write)?.ok_or_else(|| self.missing())
    }

    /// Says that the file is not there, and should be.
    pub(super) fn missing(&self) -> StateError {
        let error = io::Error::new(io::ErrorKind::NotFound, "it was deleted, or is a link to nothing");
        self.io(Access::Write, error)
    }

    fn prepare(&self, connection: &Connection, access: Access) -> rusqlite::Result<()> {
        connection.busy_timeout(BUSY)?;
        connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;")?;
        if access == Access::Write {
            // See docs/decisions.md, "One file for the state".
            connection
                .execute_batch("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;")?;
        }
        Ok(())
    }

    fn recognise(&self, connection: &Connection) -> Result<(), StateError> {
        let pragma = |name| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, u32>(0))
                .map_err(|error| self.sqlite(Access::Read, error))
        };
        if pragma("application_id")? != APPLICATION_ID {
            return Err(StateError::Foreign {
                location: self.location(),
                source: None,
            });
        }
        match pragma("user_version")? {
            FORMAT => Ok(()),
            found if found > FORMAT => Err(StateError::Newer {
                location: self.location(),
                found,
                known: FORMAT,
            }),
            _ => Err(self.damaged("its format has no number")),
        }
    }

    /// Makes sure, in a transaction, that the file is as long as it should be. SQLite itself takes what is missing of the
    /// last page for zeroes.
    pub(super) fn is_whole(&self, connection: &Connection) -> Result<(), StateError> {
        let pragma = |name| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, u64>(0))
                .map_err(|error| self.sqlite(Access::Read, error))
        };
        let expected = pragma("page_count")?.saturating_mul(pragma("page_size")?);
        let length = fs::metadata(&self.path)
            .map_err(|error| self.io(Access::Read, error))?
            .len();
        match length < expected {
            true => Err(self.damaged(format!("it has {length} bytes, and should have {expected}"))),
            false => Ok(()),
        }
    }

    /// Makes the file as a whole under another name, then gives it its own, so that nobody ever sees it half made.
    /// Another process may be faster: then its file stays.
    fn make(&self, lineage: &str) -> Result<(), StateError> {
        let write = |error| self.io(Access::Write, error);
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        make_folder(folder).map_err(write)?;
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".{}.new", Uuid::new_v4().simple()));
        let draft = folder.join(name);
        let made = self
            .fill(&draft, lineage)
            .and_then(|()| put_in_place(&draft, &self.path).map_err(write));
        if let Err(error) = fs::remove_file(&draft)
            && error.kind() != io::ErrorKind::NotFound
            && made.is_ok()
        {
            return Err(write(error));
        }
        made?;
        // So that the name survives a power loss as well as the content.
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(write)
    }

    fn fill(&self, draft: &Path, lineage: &str) -> Result<(), StateError> {
        let write = |error| self.io(Access::Write, error);
        let mut options = OpenOptions::new();
        drop(
            options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(draft)
                .map_err(write)?,
        );
        let fill = || -> rusqlite::Result<()> {
            let connection = Connection::open_with_flags(draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            // A draft needs no rollback: it is thrown away.
            connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL; BEGIN;")?;
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.pragma_update(None, "user_version", FORMAT)?;
            connection.execute_batch(TABLES)?;
            Fleet::new(lineage).insert(&connection)?;
            connection.execute_batch("COMMIT;")?;
            connection.close().map_err(|(_, error)| error)
        };
        fill().map_err(|error| self.sqlite(Access::Write, error))?;
        fs::File::open(draft).and_then(|file| file.sync_all()).map_err(write)
    }

    pub(super) fn location(&self) -> String {
        format!("`{}`", self.path.display())
    }

    pub(super) fn damaged(&self, problem: impl Into<String>) -> StateError {
        StateError::Damaged {
            location: self.location(),
            problem: problem.into(),
            source: None,
        }
    }

    fn io(&self, access: Access, error: io::Error) -> StateError {
        let (location, kind) = (self.location(), error.kind());
        let source = Box::new(error);
        match (kind, access) {
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => StateError::Full { location, source },
            (_, Access::Read) => StateError::Unreadable { location, source },
            (_, Access::Write) => StateError::Unwritable { location, source },
        }
    }

    /// Says what an error of SQLite means for the state.
    pub(super) fn sqlite(&self, access: Access, error: rusqlite::Error) -> StateError {
        use rusqlite::Error;
        let location = self.location();
        let code = match &error {
            Error::SqliteFailure(failure, _) => Some(failure.code),
            _ => None,
        };
        // What it says of rows that are not as they were written.
        let malformed = matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::Utf8Error(..)
                | Error::QueryReturnedNoRows
                | Error::QueryReturnedMoreThanOneRow
                | Error::InvalidColumnName(..)
                | Error::InvalidColumnIndex(..)
                | Error::SqlInputError { .. }
        );
        // As text: what it would give as its own cause says the same again.
        let source = Cause::from(error.to_string());
        match code {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StateError::Busy { location, source },
            Some(ErrorCode::DiskFull) => StateError::Full { location, source },
            Some(ErrorCode::NotADatabase) => StateError::Foreign {
                location,
                source: Some(source),
            },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown | ErrorCode::TypeMismatch) => {
                damaged_by(location, source)
            }
            None if malformed => damaged_by(location, source),
            _ if access == Access::Read => StateError::Unreadable { location, source },
            _ => StateError::Unwritable { location, source },
        }
    }
}

fn damaged_by(location: String, source: Cause) -> StateError {
    StateError::Damaged {
        location,
        problem: "its tables cannot be read".to_owned(),
        source: Some(source),
    }
}

/// Makes a folder and those around it, so that they survive a power loss.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    // What is before the first name of a relative path is there.
    missing.retain(|folder| !folder.as_os_str().is_empty());
    fs::create_dir_all(folder)?;
    missing.into_iter().try_for_each(|made| match made.parent() {
        Some(around) if !around.as_os_str().is_empty() => sync_folder(around),
        _ => sync_folder(Path::new(".")),
    })
}

/// Has the names in a folder survive a power loss.
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Gives a file another name, unless that is taken: then it does nothing.
fn put_in_place(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(_) => {}
        Ok(()) => return Ok(()),
    }
    // Some file systems have no hard links; most of those can rename without replacing.
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::EXIST) => Ok(()),
        result => Ok(result?),
    }
}

/// Returns the checksum of the row that a serial has; the beginning of the chain for serial 0.
pub(super) fn checksum_at(connection: &Connection, lineage: &str, serial: u64) -> rusqlite::Result<Option<Vec<u8>>> {
    use rusqlite::OptionalExtension;
    match serial {
        0 => Ok(Some(chain::genesis(lineage).to_vec())),
        _ => connection
            .prepare_cached("SELECT checksum FROM journal WHERE serial = ?1")?
            .query_row([serial], |row| row.get(0))
            .optional(),
    }
}
