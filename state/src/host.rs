//! The machine that a run is on: its clock, its processes, its randomness. An argument of every store, so that tests have
//! their own.

use std::fmt;
use std::fs;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a store needs of the machine.
pub trait Host: fmt::Debug + Send + Sync {
    /// The time. Machines that share a store have to agree on it to within a lease.
    fn now(&self) -> Timestamp;

    /// Whether a process that took locks is still there.
    fn liveness(&self, process: &Process) -> Liveness;

    /// Returns 16 random bytes.
    fn random(&self) -> [u8; 16];
}

/// Whether a process is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It is. It may be stopped.
    Alive,
    /// It is proven to be gone, and will not come back.
    Dead,
    /// That cannot be told from here: another machine, another container.
    Unknown,
}

/// Identifies a process among all that ever ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in clock ticks since the boot: ids are used again.
    pub started: u64,
    /// The boot of the machine: both are used again after the next.
    pub boot: Arc<str>,
    /// The PID namespace: containers of one machine use the same ids.
    pub namespace: Arc<str>,
}

impl Process {
    /// Returns the identity of this process; `None` where the system does not tell (it does on Linux).
    pub fn current() -> Option<Self> {
        let pid = std::process::id();
        Some(Process {
            pid,
            started: stat(pid)?.started,
            boot: boot()?,
            namespace: namespace()?,
        })
    }
}

/// Names a run: a UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HolderId(pub Arc<str>);

impl fmt::Display for HolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who holds locks: a run of simfleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its name.
    pub id: HolderId,
    /// Who runs it: `user@host`.
    pub who: Arc<str>,
    /// Its process, where the system tells it apart from all others.
    pub process: Option<Process>,
    /// Its command, as the user would type it, without the values of variables.
    pub command: Arc<str>,
    /// Since when it runs.
    pub since: Timestamp,
}

impl Holder {
    /// Describes this process, running `command`.
    pub fn this_process(command: impl Into<Arc<str>>, host: &dyn Host) -> Self {
        let user = ["USER", "LOGNAME", "USERNAME"]
            .iter()
            .find_map(|name| std::env::var(name).ok());
        let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
        let name = rustix::system::uname();
        Holder {
            id: HolderId(Uuid::from_bytes(host.random()).to_string().into()),
            who: format!("{user}@{}", name.nodename().to_string_lossy()).into(),
            process: Process::current(),
            command: command.into(),
            since: host.now(),
        }
    }
}

/// `ann@lab (process 12, since 2026-01-01T00:00:00Z): simfleet apply`
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.who)?;
        if let Some(process) = &self.process {
            write!(f, "process {}, ", process.pid)?;
        }
        write!(f, "since {:.0}): {}", self.since, self.command)
    }
}

/// The machine that this process is on.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Host for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn liveness(&self, process: &Process) -> Liveness {
        match (boot(), namespace()) {
            (Some(boot), Some(namespace)) if boot == process.boot && namespace == process.namespace => {}
            _ => return Liveness::Unknown,
        }
        let Some(pid) = i32::try_from(process.pid).ok().and_then(rustix::process::Pid::from_raw) else {
            return Liveness::Unknown;
        };
        // Not by the absence of its folder in /proc alone: that can be hidden from other users.
        if rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            return Liveness::Dead;
        }
        match stat(process.pid) {
            Some(stat) if stat.started != process.started || stat.ended => Liveness::Dead,
            Some(_) => Liveness::Alive,
            None => Liveness::Unknown,
        }
    }

    fn random(&self) -> [u8; 16] {
        Uuid::new_v4().into_bytes()
    }
}

/// What /proc says of a process.
struct Stat {
    /// Whether it has ended and waits for its parent to notice.
    ended: bool,
    started: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `PID (NAME) STATE …`; the name can hold anything, so count from its end. See proc_pid_stat(5).
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X" | "x");
    let started = fields.nth(18)?.parse().ok()?;
    Some(Stat { ended, started })
}

fn boot() -> Option<Arc<str>> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().into())
}

fn namespace() -> Option<Arc<str>> {
    Some(fs::read_link("/proc/self/ns/pid").ok()?.to_string_lossy().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let tail = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        for name in ["(sh)", "(a b)", "(a) Z 1 (b)", "()"] {
            let stat = parse_stat(&format!("12 {name} {tail}")).expect(name);
            assert_eq!((stat.started, stat.ended), (4711, false), "{name}");
        }
        assert!(
            parse_stat(&format!("12 (sh) {}", tail.replacen('S', "Z", 1)))
                .expect("a zombie")
                .ended
        );
        assert!(parse_stat("12 (sh").is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_alive_until_it_ends_and_another_with_its_id_is_not_it() {
        let me = Process::current().expect("Linux tells");
        assert_eq!(System.liveness(&me), Liveness::Alive);
        let earlier = Process {
            started: me.started - 1,
            ..me.clone()
        };
        assert_eq!(System.liveness(&earlier), Liveness::Dead, "its id is used again");
        let elsewhere = Process {
            boot: "another".into(),
            ..me.clone()
        };
        assert_eq!(System.liveness(&elsewhere), Liveness::Unknown);
        let contained = Process {
            namespace: "pid:[1]".into(),
            ..me.clone()
        };
        assert_eq!(System.liveness(&contained), Liveness::Unknown);

        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep runs");
        let process = Process {
            pid: child.id(),
            started: stat(child.id()).expect("it runs").started,
            ..me
        };
        assert_eq!(System.liveness(&process), Liveness::Alive);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        assert_eq!(System.liveness(&process), Liveness::Dead);
    }
}
