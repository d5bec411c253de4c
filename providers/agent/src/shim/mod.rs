//! The shim: a small process between the agent and one simulator, so that the simulator outlives the agent.
//!
//! `PROGRAM shim …` is not for people. It has three forms:
//! - `shim supervise`, in the folder of a simulator: starts what `spec.json` says and stays until that has ended. SIGTERM stops it
//!   within its grace, SIGUSR1 pauses it, SIGUSR2 resumes it;
//! - `shim exec PARENT COMMAND…`: the simulator's own process, before it becomes the simulator;
//! - `shim detach COMMAND…`: becomes COMMAND in a session of its own, away from the terminal.
//!
//! No runtime and no thread pool here: there is one shim a simulator.

pub(crate) mod console;
mod log;
mod stage;
mod supervise;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, ExitStatus};

use serde::{Deserialize, Serialize};

use crate::identity::ProcessIdentity;

/// The environment variable by which all processes of a simulator are found, whoever started them: `NODE:ID:`.
pub const COOKIE: &str = "SIMFLEET_COOKIE";

/// What a shim is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShimSpec {
    /// Counts the starts of this simulator.
    pub run: u64,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Set on top of the shim's own environment.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub folder: std::path::PathBuf,
    /// Where its output goes.
    pub log: std::path::PathBuf,
    /// Bytes after which a new file is begun.
    pub log_size: u64,
    /// How many older files are kept.
    pub log_keep: u64,
    /// The serial lines of a machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<console::Line>,
    /// What a line of output matches when it is ready.
    pub ready_pattern: Option<String>,
    /// Seconds between SIGTERM and SIGKILL. Read again when it is stopped.
    pub grace: f64,
}

/// The processes of a simulator that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Which start.
    pub run: u64,
    /// The shim.
    pub shim: ProcessIdentity,
    /// The simulator.
    pub child: ProcessIdentity,
    /// When it was started, RFC 3339.
    pub started: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExitRecord {
    /// Which start.
    pub run: u64,
    /// How.
    pub exit: Exit,
    /// When, RFC 3339.
    pub at: String,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It was not started.
    NotStarted(String),
    /// Its shim ended before it, so that nobody knows.
    Unknown(String),
}

impl Exit {
    /// Whether it did what it was made for.
    pub fn is_success(&self) -> bool {
        *self == Exit::Code(0)
    }

    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown(status.to_string()),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "signal {signal} ({name})"),
                None => write!(f, "signal {signal}"),
            },
            Exit::NotStarted(cause) => write!(f, "not started: {cause}"),
            Exit::Unknown(cause) => f.write_str(cause),
        }
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    signal_hook::low_level::signal_name(signal)
}

/// Carries out `PROGRAM shim ARGUMENTS…`; `arguments` starts after `shim`.
///
/// To be called from the main thread, before any runtime is made: the simulator dies with the thread that started it.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let form = arguments.next().unwrap_or_default();
    let result = match form.to_str() {
        Some("supervise") => supervise::supervise(),
        Some("exec") => stage::exec(arguments),
        Some("detach") => detach(arguments),
        _ => Err(format!("`shim {}` is nothing that it does", form.display())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // To the log of who started it; there is nobody else to tell.
            eprintln!("simfleet shim: {message}");
            ExitCode::from(127)
        }
    }
}

fn detach(mut arguments: impl Iterator<Item = OsString>) -> Result<(), String> {
    let program = arguments.next().ok_or("`shim detach` lacks a command")?;
    rustix::process::setsid().map_err(|error| format!("cannot leave the session: {error}"))?;
    let error = Command::new(&program).args(arguments).exec();
    Err(format!("cannot start `{}`: {error}", program.display()))
}

/// Returns the time as it is written into records.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_words() {
        for (exit, expected) in [
            (Exit::Code(0), "exit code 0"),
            (Exit::Signal(9), "signal 9 (SIGKILL)"),
            (Exit::Signal(63), "signal 63"),
            (Exit::NotStarted("no such file".to_owned()), "not started: no such file"),
        ] {
            assert_eq!(exit.to_string(), expected);
        }
    }

    #[test]
    fn the_time_is_rfc_3339() {
        let text = now();
        text.parse::<jiff::Timestamp>().expect("is a time");
        assert_eq!(text.len(), "2026-01-01T00:00:00.000Z".len(), "{text}");
    }
}
