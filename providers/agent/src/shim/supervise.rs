//! Starts a simulator and stays until it has ended.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use regex::bytes::Regex;
use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::log::{RotatingLog, Watch, copy};
use super::{Exit, ExitRecord, Running, ShimSpec, console, now};
use crate::durable;
use crate::identity::{ProcessIdentity, Stat};
use crate::layout::SimulatorFolder;

/// Supervises the simulator whose folder is the current one.
pub(super) fn supervise() -> Result<(), String> {
    let folder = SimulatorFolder::new(".");
    let spec: ShimSpec = durable::read_json(&folder.spec())
        .and_then(|spec| spec.ok_or_else(|| io::ErrorKind::NotFound.into()))
        .map_err(|error| format!("cannot read `spec.json`: {error}"))?;
    // Held until this process ends: no second shim starts the same simulator.
    let _lock = lock(&folder).map_err(|error| format!("another shim is at work: {error}"))?;
    // Fails only where this process leads a group already; then it is away from the terminal as well.
    let _ = rustix::process::setsid();
    let exit = match start(&folder, &spec) {
        Ok(simulator) => simulator.wait(),
        Err(cause) => Exit::NotStarted(cause),
    };
    let record = ExitRecord {
        run: spec.run,
        exit,
        at: now(),
    };
    durable::write_json(&folder.exit(), &record).map_err(|error| format!("cannot write `exit.json`: {error}"))
}

fn lock(folder: &SimulatorFolder) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.lock())?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// A simulator that was started.
struct Simulator {
    child: Child,
    pid: Pid,
    life: Arc<Life>,
    /// Told once by the output, and by each serial line.
    output_ended: mpsc::Receiver<()>,
    lines: usize,
}

/// Whether the simulator's process group can be signalled: while the child is not reaped, its id is nobody else's.
struct Life {
    group: Pid,
    ended: Mutex<bool>,
    end: Condvar,
}

impl Life {
    fn ended(&self) -> MutexGuard<'_, bool> {
        // A flag is whole whatever a thread that panicked did.
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        if !*self.ended() {
            // The only error is that nobody is left in the group.
            let _ = rustix::process::kill_process_group(self.group, signal);
        }
    }

    /// Stops the simulator: SIGTERM, and after the grace SIGKILL. One that is paused is resumed, or it would not hear.
    fn stop(&self, grace: Duration) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
        let deadline = Instant::now() + grace;
        let mut ended = self.ended();
        while !*ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(ended);
                self.signal(Signal::KILL);
                return;
            }
            ended = self
                .end
                .wait_timeout(ended, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn start(folder: &SimulatorFolder, spec: &ShimSpec) -> Result<Simulator, String> {
    adopt_orphans()?;
    // Before the child is there: from now on SIGTERM ends the child and not this process.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD])
        .map_err(|error| format!("cannot listen to signals: {error}"))?;
    let log = RotatingLog::open(&spec.log, spec.log_size, spec.log_keep)
        .map_err(|error| format!("cannot open the log `{}`: {error}", spec.log.display()))?;
    let pattern = spec
        .ready_pattern
        .as_deref()
        .map(Regex::new)
        .transpose()
        .map_err(|error| format!("the pattern is no regular expression: {error}"))?;
    let (ended, output_ended) = mpsc::channel();
    for (number, line) in spec.lines.iter().enumerate() {
        console::open(folder, number, line, ended.clone())?;
    }
    let (mut child, output, mut report) = spawn(spec).map_err(|error| format!("cannot start a process: {error}"))?;

    let mut cause = String::new();
    if let Err(error) = report.read_to_string(&mut cause) {
        cause = format!("cannot hear from the process: {error}");
    }
    let identity = ProcessIdentity::of(child.id());
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let Some(pid) = pid.filter(|_| cause.is_empty()) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(cause);
    };
    let running = Running {
        run: spec.run,
        shim: ProcessIdentity::of_self(),
        // One that has ended already is nobody's: the start time 0 is never that of a process.
        child: identity.unwrap_or(ProcessIdentity {
            pid: child.id(),
            started: 0,
            boot: String::new(),
        }),
        started: now(),
    };
    if let Err(error) = durable::write_json(&folder.running(), &running) {
        // Nobody could ever find it again.
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("cannot write `shim.json`: {error}"));
    }

    let life = Arc::new(Life {
        group: pid,
        ended: Mutex::new(false),
        end: Condvar::new(),
    });
    hear(signals, life.clone());
    let ready = folder.ready();
    let run = spec.run;
    thread::spawn(move || {
        let watch = pattern.map(|pattern| {
            let seen = move || {
                let _ = durable::write_json(&ready, &run);
            };
            (Watch::new(pattern), seen)
        });
        copy(output, log, watch);
        // The receiver is gone when the shim has waited long enough.
        let _ = ended.send(());
    });
    Ok(Simulator {
        child,
        pid,
        life,
        output_ended,
        lines: spec.lines.len(),
    })
}

/// Starts the child in a process group of its own, from this thread: the kernel kills it when this thread ends. Returns
/// it, its output, and the pipe on which it says why it could not become the simulator.
fn spawn(spec: &ShimSpec) -> io::Result<(Child, io::PipeReader, io::PipeReader)> {
    let (output, output_end) = io::pipe()?;
    let (report, report_end) = io::pipe()?;
    let program = if cfg!(target_os = "linux") {
        // This very program, also where its file has been replaced since.
        "/proc/self/exe".into()
    } else {
        std::env::current_exe()?
    };
    let child = Command::new(program)
        .args(["shim", "exec", &std::process::id().to_string()])
        .args(&spec.command)
        .envs(&spec.env)
        .current_dir(&spec.folder)
        .stdin(Stdio::from(report_end))
        .stdout(Stdio::from(output_end.try_clone()?))
        .stderr(Stdio::from(output_end))
        .process_group(0)
        .spawn()?;
    Ok((child, output, report))
}

/// Carries out what signals ask for, on a thread of its own.
fn hear(mut signals: Signals, life: Arc<Life>) {
    thread::spawn(move || {
        for signal in signals.forever() {
            match signal {
                SIGTERM | SIGINT => {
                    // As it is now: the grace may have been changed since the start.
                    let spec = durable::read_json::<ShimSpec>(&SimulatorFolder::new(".").spec());
                    let grace = spec.ok().flatten().map_or(0.0, |spec| spec.grace);
                    life.stop(Duration::try_from_secs_f64(grace).unwrap_or_default());
                }
                SIGUSR1 => life.signal(Signal::STOP),
                SIGUSR2 => life.signal(Signal::CONT),
                SIGCHLD => reap_orphans(life.group),
                _ => {}
            }
        }
    });
}

impl Simulator {
    /// Waits for its end, and ends all that it leaves behind.
    fn wait(mut self) -> Exit {
        // Seen but not reaped, so that its id, which is that of its group, is nobody else's yet.
        let seen = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = rustix::process::waitid(WaitId::Pid(self.pid), seen) {}
        {
            let mut ended = self.life.ended();
            let _ = rustix::process::kill_process_group(self.life.group, Signal::KILL);
            *ended = true;
        }
        self.life.end.notify_all();
        let status = self.child.wait();
        end_orphans();
        // Nobody is left to write; a process that hid is not waited for.
        let deadline = Instant::now() + Duration::from_secs(1);
        for number in 0..self.lines {
            console::give_up(&SimulatorFolder::new("."), number);
        }
        for _ in 0..=self.lines {
            let left = deadline.saturating_duration_since(Instant::now());
            let _ = self.output_ended.recv_timeout(left);
        }
        match status {
            Ok(status) => Exit::of(status),
            Err(error) => Exit::Unknown(format!("cannot tell how it ended: {error}")),
        }
    }
}

/// Makes this process the parent of all descendants whose own parent ends.
#[cfg(target_os = "linux")]
fn adopt_orphans() -> Result<(), String> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| format!("cannot take in orphans: {error}"))
}

#[cfg(not(target_os = "linux"))]
fn adopt_orphans() -> Result<(), String> {
    Ok(())
}

/// Reaps orphans that have ended, and leaves the simulator itself to who waits for it.
fn reap_orphans(simulator: Pid) {
    let this = std::process::id();
    for stat in Stat::all() {
        if stat.parent == this
            && !stat.is_alive()
            && let Some(pid) = i32::try_from(stat.pid).ok().and_then(Pid::from_raw)
            && pid != simulator
        {
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Kills and reaps what the simulator has started and left behind. Killing one hands over its own children.
fn end_orphans() {
    let deadline = Instant::now() + Duration::from_secs(5);
    let this = std::process::id();
    loop {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        let orphans: Vec<Stat> = Stat::all()
            .into_iter()
            .filter(|stat| stat.parent == this && stat.is_alive())
            .collect();
        if orphans.is_empty() || Instant::now() > deadline {
            return;
        }
        for orphan in orphans {
            // Its id is nobody else's: only this process can reap it.
            if let Some(pid) = i32::try_from(orphan.pid).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}
