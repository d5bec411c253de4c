//! What a user does by hand with something that runs, beside what is planned.
//!
//! To start, stop, pause or resume something is to change its attribute `state`: an ordinary
//! [`update`](crate::Provider::update), with all that keeps one from being lost. Here is what no attribute says.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Kind, Object, ProviderError, Token};

/// Does by hand what can be done with objects that run. A provider implements what [`abilities`](Runtime::abilities)
/// says; nobody asks for the rest.
#[async_trait]
pub trait Runtime: fmt::Debug + Send + Sync {
    /// What can be done with an object, by what is known of it. No I/O.
    fn abilities(&self, kind: &Kind, object: &Object) -> Vec<Ability>;

    /// Does something with an object, and returns when it is done. What a call with this token did already is not done
    /// again, as far as the far side can tell; where it cannot, the provider's docs say so.
    async fn act(&self, kind: &Kind, _object: &Object, act: &Act, _token: &Token) -> Result<(), ProviderError> {
        Err(unable(kind, act.ability()))
    }

    /// Returns the snapshots of an object, oldest first.
    async fn snapshots(&self, kind: &Kind, _object: &Object) -> Result<Vec<Snapshot>, ProviderError> {
        Err(unable(kind, Ability::Snapshot))
    }

    /// Returns what an object wrote, oldest first, and with [`LogQuery::follow`] what it writes until it ends.
    async fn logs(&self, kind: &Kind, _object: &Object, _query: &LogQuery) -> Result<Logs, ProviderError> {
        Err(unable(kind, Ability::Logs))
    }

    /// Opens a console of an object: the one of that name, or its first.
    async fn console(
        &self,
        kind: &Kind,
        _object: &Object,
        _name: Option<&str>,
    ) -> Result<Box<dyn Console>, ProviderError> {
        Err(unable(kind, Ability::Console))
    }

    /// Returns where a debugger that speaks GDB's remote protocol finds an object: `HOST:PORT`.
    async fn debugger(&self, kind: &Kind, _object: &Object) -> Result<String, ProviderError> {
        Err(unable(kind, Ability::Debug))
    }
}

/// Something that can be done with an object by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// It can be `stopped`, and `running` again: values of its attribute `state`.
    Stop,
    /// It can be `paused`, and `running` again: values of its attribute `state`.
    Pause,
    /// [`Act::Reset`].
    Reset,
    /// [`Act::Load`].
    Load,
    /// [`Act::Snapshot`], [`Act::Restore`] and [`Runtime::snapshots`].
    Snapshot,
    /// [`Runtime::logs`].
    Logs,
    /// [`Runtime::console`].
    Console,
    /// [`Runtime::debugger`].
    Debug,
}

impl Ability {
    /// Returns the verbs of the command line that it stands for.
    pub fn verbs(self) -> &'static [&'static str] {
        match self {
            Ability::Stop => &["start", "stop"],
            Ability::Pause => &["pause", "resume"],
            Ability::Reset => &["reset"],
            Ability::Load => &["load"],
            Ability::Snapshot => &["snapshot", "restore", "snapshots"],
            Ability::Logs => &["logs"],
            Ability::Console => &["console"],
            Ability::Debug => &["gdb"],
        }
    }
}

/// Something that is done with an object at once. What it should be stays as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It is started anew in place, as if it had just been switched on. That is no failure of it, and one that is stopped
    /// or paused by its `state` is left so.
    Reset,
    /// It runs another program from now on.
    Load {
        /// The file on this machine, absolute.
        program: PathBuf,
        /// Whether it waits at the program's start until it is resumed.
        halt: bool,
    },
    /// What it is now is kept.
    Snapshot {
        /// Under this name.
        name: String,
    },
    /// It becomes what it was.
    Restore {
        /// When the snapshot of this name was made.
        name: String,
    },
}

impl Act {
    /// Returns what an object must be able to do.
    pub fn ability(&self) -> Ability {
        match self {
            Act::Reset => Ability::Reset,
            Act::Load { .. } => Ability::Load,
            Act::Snapshot { .. } | Act::Restore { .. } => Ability::Snapshot,
        }
    }
}

/// A kept state of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// When it was made, where that is known.
    pub made: Option<SystemTime>,
    /// How many bytes it takes, where that is known.
    pub size: Option<u64>,
}

/// Which part of a log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Only the last lines, so many.
    pub tail: Option<usize>,
    /// Only what was written during the last so long.
    pub since: Option<Duration>,
    /// Also what is written from now on.
    pub follow: bool,
}

/// Pieces of a log as they come: lines may be cut anywhere.
pub type Logs = BoxStream<'static, Result<LogPiece, ProviderError>>;

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    /// Where it was written to.
    pub source: LogSource,
    /// What was written.
    pub bytes: Vec<u8>,
}

/// Where something was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// Standard output; also what is not kept apart.
    Output,
    /// Standard error.
    Error,
}

/// A console: what is read is what it shows, what is written is what is typed.
pub trait Console: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Console for T {}

fn unable(kind: &Kind, ability: Ability) -> ProviderError {
    ProviderError::Broken {
        message: format!("this cannot be done with a `{kind}`: {}", ability.verbs().join(", ")),
    }
}
