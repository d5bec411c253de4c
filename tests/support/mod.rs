//! What tests of the real program share: a folder with a fleet, and runs of `simfleet` on it.
#![allow(dead_code, reason = "each test program takes what it needs of this")]

#[cfg(feature = "fake")]
pub mod bench;
#[cfg(feature = "fake")]
pub mod crash;
pub mod engine;
#[cfg(feature = "fake")]
pub mod memory;
pub mod seeds;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A folder with a fleet file.
pub struct Fleet {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Fleet {
    /// Makes a folder with a fleet.
    pub fn new(text: &str) -> Self {
        let fleet = Fleet {
            folder: tempfile::tempdir().expect("a folder"),
            environment: Vec::new(),
        };
        fleet.write(text);
        fleet
    }

    /// Gives every run of it these variables.
    #[must_use]
    pub fn with_environment<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = variables.into_iter();
        self.environment
            .extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        self
    }

    /// Changes the fleet.
    pub fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("fleet.hcl"), text).expect("the file can be written");
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of states and of local nodes.
    pub fn states(&self) -> PathBuf {
        self.path().join(".simfleet")
    }

    /// Prepares a run of `simfleet VERB fleet.hcl …`; the verb can have two words.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simfleet"));
        let (verb, rest) = arguments.split_first().expect("a verb");
        command.current_dir(self.path()).envs(self.environment.iter().cloned());
        command.args(verb.split(' ')).arg("fleet.hcl").args(rest);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `simfleet VERB fleet.hcl …` to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().expect("simfleet runs").into()
    }

    /// Runs it and demands success.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(
            ended.code,
            Some(0),
            "simfleet {arguments:?}: {}\n{}",
            ended.err,
            ended.out
        );
        ended
    }

    /// Returns what a plan would do: `update service.web`, one a change.
    #[track_caller]
    pub fn planned(&self) -> Vec<String> {
        let document: serde_json::Value = serde_json::from_str(&self.ok(&["plan", "--json"]).out).expect("JSON");
        let changes = document["changes"].as_array().expect("a list");
        let changes = changes.iter().filter(|change| change["action"] != "no-op");
        let text = |change: &serde_json::Value, key: &str| change[key].as_str().expect("a text").to_owned();
        changes
            .map(|change| format!("{} {}", text(change, "action"), text(change, "address")))
            .collect()
    }

    /// Applies it, and demands that the next plan is empty.
    #[track_caller]
    pub fn applied(&self) {
        self.ok(&["apply", "--auto-approve"]);
        assert_eq!(self.planned(), Vec::<String>::new(), "the plan after the apply");
    }

    /// Starts it.
    pub fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
        self.command(arguments)
            .envs(environment.iter().copied())
            .spawn()
            .expect("simfleet starts")
    }
}

/// Nothing of a failed test is left running.
impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() && self.states().exists() {
            let _ = self.command(&["destroy", "--auto-approve"]).output();
        }
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Ended {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// How many cases of a sweep are taken: every one under `scripts/test`, every n-th in the inner loop.
pub fn every(n: usize) -> usize {
    match std::env::var_os("SIMFLEET_TEST_SWEEP") {
        Some(_) => 1,
        None => n,
    }
}
