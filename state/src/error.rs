//! Why a store refuses.

use simfleet_provider_api::Address;

use crate::host::HolderId;
use crate::locks::Locked;
use crate::replay::ReplayError;

/// What lies under a store: SQLite, the file system.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a store refuses. Whatever it is, nothing was lost that was recorded before.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Somebody else holds the addresses.
    #[error("addresses are locked: {0}")]
    Locked(Box<Locked>),
    /// A state was to be made where there is one.
    #[error("there is a state in {location} already")]
    Exists {
        /// Where.
        location: String,
    },
    /// Somebody else took the locks of this run over; it may change nothing any more.
    #[error("the locks of this run ({holder}) were taken over by another, so that it may record nothing more")]
    Fenced {
        /// This run.
        holder: HolderId,
    },
    /// This run does not hold the address of an event exclusively.
    #[error("`{event}` of {address}: this run has not locked it")]
    NotHeld {
        /// The resource.
        address: Address,
        /// The name of the event.
        event: &'static str,
    },
    /// The event cannot follow those before it.
    #[error("the journal refuses an event")]
    Illegal(#[from] ReplayError),
    /// The event cannot be written.
    #[error("`{event}` cannot be written")]
    Unencodable {
        /// The name of the event.
        event: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The state is not what was written.
    #[error("the state in {location} is damaged: {problem}")]
    Damaged {
        /// Where.
        location: String,
        /// What is wrong with it.
        problem: String,
        /// What found it, where that was not simfleet itself.
        #[source]
        source: Option<Cause>,
    },
    /// The secrets of the state are encrypted with a key that was not given.
    #[error("the secrets of the state in {location} are encrypted with another key")]
    WrongKey {
        /// Where.
        location: String,
    },
    /// A newer simfleet wrote the state.
    #[error(
        "the state in {location} was written by a newer simfleet: it has format {found}, and this one knows formats up to {known}"
    )]
    Newer {
        /// Where.
        location: String,
        /// Its format.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// There is something, and it is no state.
    #[error("{location} is not a state of simfleet")]
    Foreign {
        /// Where.
        location: String,
        /// What found it, where that was not simfleet itself.
        #[source]
        source: Option<Cause>,
    },
    /// A write-ahead log lies beside the state. SQLite would merge it, also one that is of another file.
    #[error("{log} lies beside the state in {location}, and simfleet writes no such log")]
    Log {
        /// Where the state is.
        location: String,
        /// Where the log is.
        log: String,
    },
    /// There is no space left.
    #[error("there is no space left for the state in {location}")]
    Full {
        /// Where.
        location: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// It cannot be opened or read.
    #[error("the state in {location} cannot be read")]
    Unreadable {
        /// Where.
        location: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// It cannot be written.
    #[error("the state in {location} cannot be written")]
    Unwritable {
        /// Where.
        location: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// Others write to it all the time.
    #[error("the state in {location} is busy")]
    Busy {
        /// Where.
        location: String,
        /// The cause.
        #[source]
        source: Cause,
    },
}

impl StateError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            StateError::Locked(_) => {
                "wait for it with --lock-timeout; the locks of a run that died fall by themselves within 30 seconds"
            }
            StateError::Fenced { .. } => "run the command again: it goes on from what was recorded",
            StateError::Damaged { .. } => {
                "nothing was changed; move the file away, and bring it back from a backup, or a pulled state with `state push`"
            }
            StateError::WrongKey { .. } => {
                "nothing was changed; give the key that it was written with, or that one in a line after the new one"
            }
            StateError::Newer { .. } => "nothing was changed; use the simfleet that wrote it, or one that is newer",
            StateError::Foreign { .. } => "check the path of the state (--state, or the backend block)",
            StateError::Log { .. } => {
                "nothing was changed; move it away if it is of another file; if a tool left it of this one, have SQLite end \
                 it: sqlite3 FILE 'PRAGMA journal_mode = TRUNCATE'"
            }
            StateError::Full { .. } => "free some space and run the command again: it goes on from what was recorded",
            StateError::Unreadable { .. } | StateError::Unwritable { .. } => {
                "check the path, its owner and its permissions"
            }
            StateError::Busy { .. } => "run the command again",
            StateError::Exists { .. }
            | StateError::NotHeld { .. }
            | StateError::Illegal(_)
            | StateError::Unencodable { .. } => return None,
        })
    }
}
