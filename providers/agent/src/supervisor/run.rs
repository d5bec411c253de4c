//! Starts, finds and ends the processes of one simulator.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::record::Record;
use super::simulator::INCOMING;
use super::{Shared, machine};
use crate::durable;
use crate::identity::{ProcessIdentity, marked_with};
use crate::layout::SimulatorFolder;
use crate::protocol::ProcessSpec;
use crate::schema::SIMFLEET_PROGRAM;
use crate::shim::{COOKIE, Exit, ExitRecord, Running, ShimSpec};

const DEFAULT_LOG_SIZE: u64 = 10 << 20;
const DEFAULT_LOG_KEEP: u64 = 3;

/// Starts the shim of a run whose record is on the disk.
pub(super) fn start(shared: &Shared, folder: &SimulatorFolder, record: &Record) -> io::Result<Child> {
    for old in [folder.running(), folder.exit(), folder.ready()] {
        durable::remove_file(&old)?;
    }
    if record.spec.working_dir.is_none() {
        durable::create_folder(&folder.work())?;
    }
    write_spec(shared, folder, record)?;
    Command::new(&shared.program)
        .args(["shim", "supervise"])
        .current_dir(folder.path())
        .env(COOKIE, cookie(shared, record))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
}

/// Writes what the shim is told.
pub(super) fn write_spec(shared: &Shared, folder: &SimulatorFolder, record: &Record) -> io::Result<()> {
    let spec = &record.spec;
    let log = spec.log.as_ref();
    let mut command = spec.command.clone();
    if let Some(program) = command.first_mut() {
        *program = self::program(shared, program);
    }
    if let Some(machine) = &record.machine() {
        let program = machine.program.as_ref();
        let program = program.map(|program| shared.programs.path(&program.sha256));
        command = machine::command(machine, record.gdb_port, program.as_deref(), shared.address);
        if record.incoming.is_some() {
            command.extend(["-incoming".to_owned(), format!("unix:../{INCOMING}")]);
        }
    }
    let spec = ShimSpec {
        run: record.run,
        command,
        env: environment(shared, record),
        folder: working_folder(folder, spec),
        log: log_path(folder, spec),
        log_size: log.and_then(|log| log.max_size).unwrap_or(DEFAULT_LOG_SIZE),
        log_keep: log.and_then(|log| log.keep).unwrap_or(DEFAULT_LOG_KEEP),
        lines: machine::lines(folder, spec),
        ready_pattern: spec.ready.as_ref().and_then(|ready| ready.pattern.clone()),
        grace: spec.stop_grace,
    };
    durable::write_json(&folder.spec(), &spec)
}

/// Returns a program by the name that it is started by.
pub(super) fn program(shared: &Shared, name: &str) -> String {
    if name == SIMFLEET_PROGRAM {
        shared.program.to_string_lossy().into_owned()
    } else {
        name.to_owned()
    }
}

/// Returns the environment of a simulator, besides what it gets from its agent.
pub(super) fn environment(shared: &Shared, record: &Record) -> BTreeMap<String, String> {
    let mut env = record.spec.env.clone().unwrap_or_default();
    env.insert(COOKIE.to_owned(), cookie(shared, record));
    env.insert("SIMFLEET_NAME".to_owned(), record.name.clone());
    env.insert("SIMFLEET_ADDRESS".to_owned(), shared.address.to_string());
    for (name, port) in record.spec.ports.iter().flatten() {
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        env.insert(format!("SIMFLEET_PORT_{name}"), port.to_string());
    }
    env
}

pub(super) fn working_folder(folder: &SimulatorFolder, spec: &ProcessSpec) -> PathBuf {
    spec.working_dir.as_ref().map_or_else(|| folder.work(), PathBuf::from)
}

pub(super) fn log_path(folder: &SimulatorFolder, spec: &ProcessSpec) -> PathBuf {
    let path = spec.log.as_ref().and_then(|log| log.path.as_ref());
    path.map_or_else(|| folder.log(), PathBuf::from)
}

fn cookie(shared: &Shared, record: &Record) -> String {
    format!("{}:{}:", shared.node, record.cookie)
}

/// Returns the processes of a run, once its shim has written them down.
pub(super) fn running(folder: &SimulatorFolder, run: u64) -> Option<Running> {
    // A file that cannot be read says as little as one that is not there: the shim tells the rest by ending.
    let running: Running = durable::read_json(&folder.running()).ok().flatten()?;
    (running.run == run).then_some(running)
}

/// Whether the output of a run has matched the pattern.
pub(super) fn pattern_was_seen(folder: &SimulatorFolder, run: u64) -> bool {
    matches!(durable::read_json::<u64>(&folder.ready()), Ok(Some(seen)) if seen == run)
}

fn exit_record(folder: &SimulatorFolder, run: u64) -> Option<ExitRecord> {
    let record: ExitRecord = durable::read_json(&folder.exit()).ok().flatten()?;
    (record.run == run).then_some(record)
}

/// Returns how a run ended whose shim has ended, and ends what is left of it where the shim did not.
pub(super) async fn exit(
    shared: &Shared,
    folder: &SimulatorFolder,
    record: &Record,
    running: Option<&Running>,
) -> Exit {
    if let Some(exit) = exit_record(folder, record.run) {
        return exit.exit;
    }
    if let Some(running) = running {
        // The kernel kills it with its shim; that takes a moment.
        let _ = tokio::time::timeout(Duration::from_secs(1), running.child.ended()).await;
    }
    sweep(&cookie(shared, record)).await;
    Exit::Unknown("its shim was killed".to_owned())
}

/// Kills a run that did not stop, shim and all.
pub(super) async fn kill(shared: &Shared, record: &Record, running: Option<&Running>, shim: Option<&mut Child>) {
    for process in running.iter().flat_map(|running| [&running.child, &running.shim]) {
        if let Err(error) = process.signal(Signal::KILL) {
            tracing::warn!(pid = process.pid, %error, "cannot kill");
        }
    }
    if let Some(shim) = shim {
        // It fails only where it has ended already.
        let _ = shim.start_kill();
    }
    sweep(&cookie(shared, record)).await;
}

/// Kills all processes that carry a cookie, and those that they start meanwhile. Returns whether none is left.
pub async fn sweep(cookie: &str) -> bool {
    for _ in 0..50 {
        let cookie = cookie.to_owned();
        let left = tokio::task::spawn_blocking(move || {
            let left: Vec<ProcessIdentity> = marked_with(COOKIE, &cookie);
            for process in &left {
                if let Err(error) = process.signal(Signal::KILL) {
                    tracing::warn!(pid = process.pid, %error, "cannot kill");
                }
            }
            left.len()
        });
        match left.await {
            Ok(0) => return true,
            _ => sleep(Duration::from_millis(20)).await,
        }
    }
    false
}

/// What became of a run under an earlier agent.
pub(super) enum Adopted {
    /// It still runs.
    Lives(Running),
    /// It ended, after so long.
    Ended(Exit, Duration),
    /// It never began.
    NeverStarted,
}

/// Finds out what became of the last run.
pub(super) async fn adopt(folder: &SimulatorFolder, record: &Record) -> Adopted {
    if record.run == 0 {
        return Adopted::NeverStarted;
    }
    // A shim that has just been started has written nothing yet, but holds its lock.
    for _ in 0..500 {
        match running(folder, record.run) {
            Some(running) if running.shim.is_alive() => return Adopted::Lives(running),
            _ if !is_locked(folder) => break,
            _ => sleep(Duration::from_millis(10)).await,
        }
    }
    let running = running(folder, record.run);
    if let Some(exit) = exit_record(folder, record.run) {
        let ran = running.and_then(|running| ran(&running.started, &exit.at));
        return Adopted::Ended(exit.exit, ran.unwrap_or_default());
    }
    match running {
        Some(running) => {
            let _ = tokio::time::timeout(Duration::from_secs(1), running.child.ended()).await;
            let exit = Exit::Unknown("it ended with its shim or with the machine".to_owned());
            Adopted::Ended(exit, Duration::ZERO)
        }
        None => Adopted::NeverStarted,
    }
}

fn ran(started: &str, ended: &str) -> Option<Duration> {
    let started: jiff::Timestamp = started.parse().ok()?;
    let ended: jiff::Timestamp = ended.parse().ok()?;
    ended.duration_since(started).try_into().ok()
}

fn is_locked(folder: &SimulatorFolder) -> bool {
    let Ok(file) = OpenOptions::new().write(true).open(folder.lock()) else {
        return false;
    };
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
}

/// Removes the folder of a simulator that has ended. A log that was asked for elsewhere is its owner's.
pub(super) fn remove(folder: &SimulatorFolder) -> io::Result<()> {
    // Away from its name first, so that a crash on the way leaves nothing that looks like a simulator.
    let trash = folder
        .path()
        .with_file_name(format!(".{:016x}.gone", rand::random::<u64>()));
    match fs::rename(folder.path(), &trash) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result?,
    }
    durable::remove_folder(&trash)
}
