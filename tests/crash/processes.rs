//! The processes of a fleet on this machine, and signals to them.

use std::process::Child;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Ended, Fleet};

/// The processes that belong to a fleet: agents by its folder in their arguments, shims by where they run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Running {
    pub agents: Vec<Pid>,
    pub shims: Vec<Pid>,
}

pub fn processes_of(fleet: &Fleet) -> Running {
    let folder = fleet.path().canonicalize().expect("it is there");
    let folder = folder.to_str().expect("a folder in plain letters");
    let mut running = Running::default();
    for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line);
        let pid = entry.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
        let runs_in = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        match line.split('\0').nth(1) {
            Some("agent") if line.contains(folder) => running.agents.extend(pid),
            Some("shim") if runs_in.to_string_lossy().contains(folder) => running.shims.extend(pid),
            _ => {}
        }
    }
    running
}

pub fn files_of(fleet: &Fleet) -> Vec<String> {
    let entries = std::fs::read_dir(fleet.states()).expect("there is a state");
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id");
    kill_process(pid, signal).expect("it is ours");
}

/// Stops a run of a fleet, but not in the middle of a write to the state, which would keep everybody out until it goes on.
pub fn stop_between_writes(child: &Child, fleet: &Fleet) {
    let state = Connection::open_with_flags(fleet.states().join("fleet.db"), OpenFlags::SQLITE_OPEN_READ_WRITE)
        .expect("there is a state");
    state.busy_timeout(Duration::ZERO).expect("it is set");
    loop {
        signal(child, Signal::STOP);
        if state.execute_batch("BEGIN EXCLUSIVE; ROLLBACK").is_ok() {
            break;
        }
        signal(child, Signal::CONT);
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn finish(child: Child) -> Ended {
    child.wait_with_output().expect("it ends").into()
}
