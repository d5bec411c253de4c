//! Faults on demand, for tests of what a crash leaves behind. Only in builds with the feature `fake`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use simfleet_state::{Event, Journal, Lap, LockSet, Stamp, StateError};

/// The variable that says when the process kills itself: `before:N` or `after:N`, for the N-th write to the journal,
/// from 1.
pub const CRASH: &str = "SIMFLEET_TEST_CRASH";

/// The variable that says how long leases are, in milliseconds, so that a test need not wait for a real one.
pub const LEASE: &str = "SIMFLEET_TEST_LEASE_MS";

/// Returns the crash that the environment asks for.
pub fn crash() -> Option<Crash> {
    Crash::parse(&std::env::var(CRASH).ok()?)
}

/// Returns the length of leases that the environment asks for.
pub fn lease() -> Option<Duration> {
    Some(Duration::from_millis(std::env::var(LEASE).ok()?.parse().ok()?))
}

/// When the process kills itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Before the N-th write: what was done is not recorded.
    Before(u64),
    /// After the N-th write: what was recorded is not done.
    After(u64),
}

impl Crash {
    /// Reads `before:N` or `after:N`.
    pub fn parse(text: &str) -> Option<Self> {
        let (when, number) = text.split_once(':')?;
        let number = number.parse().ok()?;
        match when {
            "before" => Some(Crash::Before(number)),
            "after" => Some(Crash::After(number)),
            _ => None,
        }
    }
}

/// A journal whose process dies at a given write, as by `kill -9`.
#[derive(Debug)]
pub struct CrashingJournal {
    inner: Box<dyn Journal>,
    crash: Crash,
    writes: u64,
}

impl CrashingJournal {
    /// Wraps a journal.
    pub fn new(inner: Box<dyn Journal>, crash: Crash) -> Self {
        CrashingJournal {
            inner,
            crash,
            writes: 0,
        }
    }
}

fn die() {
    let pid = rustix::process::getpid();
    // A failure would leave the process alive, which the test then sees.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

#[async_trait]
impl Journal for CrashingJournal {
    fn lineage(&self) -> &Arc<str> {
        self.inner.lineage()
    }

    fn epoch(&self) -> u64 {
        self.inner.epoch()
    }

    fn locks(&self) -> &LockSet {
        self.inner.locks()
    }

    fn lease(&self) -> Duration {
        self.inner.lease()
    }

    async fn append(&mut self, events: &[Event]) -> Result<Stamp, StateError> {
        self.writes += 1;
        if self.crash == Crash::Before(self.writes) {
            die();
        }
        let stamp = self.inner.append(events).await?;
        if self.crash == Crash::After(self.writes) {
            die();
        }
        Ok(stamp)
    }

    async fn remember(&mut self, laps: &[Lap]) -> Result<(), StateError> {
        self.inner.remember(laps).await
    }

    async fn renew(&mut self) -> Result<(), StateError> {
        self.inner.renew().await
    }

    async fn close(self: Box<Self>) -> Result<(), StateError> {
        self.inner.close().await
    }
}
