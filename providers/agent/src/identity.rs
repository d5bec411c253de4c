//! Which process is meant: an id alone is reused, so it goes with the start time and the boot.

use std::fs;
use std::io;
use std::sync::LazyLock;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// A process, as no other process ever was or will be on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessIdentity {
    /// Its id.
    pub pid: u32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/PID/stat` (proc_pid_stat(5)). Unchanged by
    /// `exec`. 0 on a system without procfs, where the id alone has to do.
    pub started: u64,
    /// `/proc/sys/kernel/random/boot_id`: random at each boot (random(4)). Empty without procfs.
    pub boot: String,
}

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Its id.
    pub pid: u32,
    /// `R`, `S`, `D`, `T` (stopped by a signal), `Z` (dead, not reaped) …
    pub state: char,
    /// The process that started it, or took it in.
    pub parent: u32,
    /// User and system time used, in clock ticks.
    pub ticks: u64,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Resident memory, in pages.
    pub resident: u64,
}

impl Stat {
    /// Reads the stat of a process; `None` where there is none.
    pub fn of(pid: u32) -> Option<Stat> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads the fields after the name, which may itself hold spaces and brackets.
    fn parse(pid: u32, text: &str) -> Option<Stat> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Field n of the manual page is element n - 3 here: the list starts at field 3, the state.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Stat {
            pid,
            state: fields.first()?.chars().next()?,
            parent: u32::try_from(number(4)?).ok()?,
            ticks: number(14)?.saturating_add(number(15)?),
            started: number(22)?,
            resident: number(24)?,
        })
    }

    /// Whether the process runs, or could: one that is dead and not reaped does not.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Reads the stats of all processes that can be seen.
    pub fn all() -> Vec<Stat> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(Stat::of)
            .collect()
    }
}

impl ProcessIdentity {
    /// Returns the identity of a process that lives; `None` where there is none.
    pub fn of(pid: u32) -> Option<Self> {
        let started = if HAS_PROCFS {
            let stat = Stat::of(pid)?;
            if !stat.is_alive() {
                return None;
            }
            stat.started
        } else {
            rustix::process::test_kill_process(to_pid(pid)?).ok()?;
            0
        };
        Some(ProcessIdentity {
            pid,
            started,
            boot: boot_id().to_owned(),
        })
    }

    /// Returns the identity of this process.
    pub fn of_self() -> Self {
        let pid = std::process::id();
        Self::of(pid).unwrap_or(ProcessIdentity {
            pid,
            started: 0,
            boot: boot_id().to_owned(),
        })
    }

    /// Whether the process lives.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Returns the state of the process as `/proc/PID/stat` has it; `None` where it is gone or there is no procfs.
    pub fn state(&self) -> Option<char> {
        let stat = Stat::of(self.pid)?;
        (stat.started == self.started && boot_id() == self.boot && stat.is_alive()).then_some(stat.state)
    }

    /// Sends a signal to exactly this process; nothing happens where it is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(pid) = to_pid(self.pid) else {
            return Ok(());
        };
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
            // The descriptor is opened first and the identity checked after: had the id been reused before, the check
            // would see the other process; once the descriptor is open, it stays with the process that it was made for.
            let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
                Ok(descriptor) => descriptor,
                Err(rustix::io::Errno::SRCH) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            if !self.is_alive() {
                return Ok(());
            }
            match pidfd_send_signal(&descriptor, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        #[cfg(not(target_os = "linux"))]
        {
            if !self.is_alive() {
                return Ok(());
            }
            match rustix::process::kill_process(pid, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
    }

    /// Returns when the process has ended, be it a child or not. Cancel-safe.
    pub async fn ended(&self) {
        #[cfg(target_os = "linux")]
        if self.ended_by_descriptor().await.is_ok() {
            return;
        }
        while self.is_alive() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    #[cfg(target_os = "linux")]
    async fn ended_by_descriptor(&self) -> io::Result<()> {
        use rustix::process::{PidfdFlags, pidfd_open};
        use tokio::io::Interest;
        use tokio::io::unix::AsyncFd;

        let Some(pid) = to_pid(self.pid) else {
            return Ok(());
        };
        let descriptor = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(descriptor) => descriptor,
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !self.is_alive() {
            return Ok(());
        }
        #[expect(
            deprecated,
            reason = "its replacement is unsafe, for types that may close their descriptor early; an OwnedFd does not"
        )]
        let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        // A pidfd is readable when its process has ended, reaped or not (pidfd_open(2)).
        let _readable = descriptor.readable().await?;
        Ok(())
    }
}

/// Whether processes can be told apart by their start time.
const HAS_PROCFS: bool = cfg!(target_os = "linux");

fn boot_id() -> &'static str {
    static BOOT: LazyLock<String> = LazyLock::new(|| {
        fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned()
    });
    &BOOT
}

fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Returns the processes whose environment says `NAME=value`, or `NAME=value…` where `value` ends in `:`; this process
/// is not among them. A process that hides its environment is not found.
pub fn marked_with(name: &str, value: &str) -> Vec<ProcessIdentity> {
    let wanted = format!("{name}={value}").into_bytes();
    let open_ended = value.ends_with(':');
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(|pid| {
            // The identity first: were it taken after, it could be that of another process with the same id.
            let identity = ProcessIdentity::of(pid)?;
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .any(|entry| {
                    if open_ended {
                        entry.starts_with(&wanted)
                    } else {
                        entry == wanted
                    }
                })
                .then_some(identity)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 11 5 0 0 20 0 1 0 98765 1000 33 18446744073709551615";
        assert_eq!(
            Stat::parse(42, text),
            Some(Stat {
                pid: 42,
                state: 'S',
                parent: 7,
                ticks: 16,
                started: 98765,
                resident: 33
            })
        );
    }

    #[test]
    fn text_that_is_no_stat_is_none() {
        for (name, text) in [
            ("empty", ""),
            ("no name", "1 2 3"),
            ("short", "1 (a) S 1 2"),
            ("words", "1 (a) S x"),
        ] {
            assert_eq!(Stat::parse(1, text), None, "{name}");
        }
    }

    #[test]
    fn this_process_lives_and_one_with_another_start_or_boot_does_not() {
        let this = ProcessIdentity::of_self();
        assert!(this.is_alive());
        let other_start = ProcessIdentity {
            started: this.started + 1,
            ..this.clone()
        };
        assert!(!other_start.is_alive());
        let other_boot = ProcessIdentity {
            boot: "another".to_owned(),
            ..this
        };
        assert!(!other_boot.is_alive());
        // It would end this very test if it were sent.
        other_boot.signal(Signal::KILL).expect("is nothing to do");
    }

    #[tokio::test]
    async fn the_end_of_a_child_that_is_not_reaped_is_seen() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep starts");
        let identity = ProcessIdentity::of(child.id()).expect("it lives");
        child.kill().expect("it is ours");
        identity.ended().await;
        assert!(!identity.is_alive());
        child.wait().expect("it has ended");
    }
}
