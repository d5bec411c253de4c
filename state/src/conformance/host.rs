//! A machine whose clock and processes a test sets.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::host::{Holder, HolderId, Host, Liveness, Process};

/// A machine whose clock and processes a test sets. Its clock stands still until it is moved.
#[derive(Debug)]
pub struct VirtualHost {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    now: Timestamp,
    dead: BTreeSet<u32>,
    drawn: u64,
}

impl Default for VirtualHost {
    fn default() -> Self {
        VirtualHost {
            inner: Mutex::new(Inner {
                now: Timestamp::constant(1_800_000_000, 0),
                dead: BTreeSet::new(),
                drawn: 0,
            }),
        }
    }
}

impl VirtualHost {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the clock on.
    pub fn advance(&self, time: Duration) {
        self.inner().now += time;
    }

    /// Sets the clock back.
    pub fn set_back(&self, time: SignedDuration) {
        self.inner().now -= time;
    }

    /// Ends a process.
    pub fn kill(&self, holder: &Holder) {
        if let Some(process) = &holder.process {
            self.inner().dead.insert(process.pid);
        }
    }

    /// Describes a run on this machine.
    pub fn holder(&self, pid: u32) -> Holder {
        let process = Process {
            pid,
            started: 1,
            boot: "boot".into(),
            namespace: "pid:[1]".into(),
        };
        Holder {
            id: HolderId(format!("run-{pid}").into()),
            who: "ann@lab".into(),
            process: Some(process),
            command: "simfleet apply".into(),
            since: self.now(),
        }
    }

    /// Describes a run on another machine: whether it lives cannot be told.
    pub fn stranger(&self, pid: u32) -> Holder {
        Holder {
            process: None,
            ..self.holder(pid)
        }
    }
}

impl Host for VirtualHost {
    fn now(&self) -> Timestamp {
        self.inner().now
    }

    fn liveness(&self, process: &Process) -> Liveness {
        match self.inner().dead.contains(&process.pid) {
            true => Liveness::Dead,
            false => Liveness::Alive,
        }
    }

    fn random(&self) -> [u8; 16] {
        let mut inner = self.inner();
        inner.drawn += 1;
        u128::from(inner.drawn).to_be_bytes()
    }
}
