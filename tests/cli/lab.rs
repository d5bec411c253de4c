//! A folder with a fleet, and commands over it.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;
use tempfile::TempDir;

/// The value of the variable `key` in every run.
pub const SECRET: &str = "hunter2";

/// A folder of its own, removed at the end.
pub struct Lab {
    folder: TempDir,
}

/// What a command did.
pub struct Run {
    line: String,
    folder: PathBuf,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Lab {
    /// Makes a folder with `fleet.hcl`.
    pub fn new(fleet: &str) -> Self {
        let lab = Self::empty();
        lab.write("fleet.hcl", fleet);
        lab
    }

    /// Makes a folder without any file.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Lab { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("a file can be written");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).expect("the file is there")
    }

    /// Returns a command in the folder, in an environment that is the same on every machine.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simfleet"));
        command.args(words(line)).current_dir(self.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path()).env("USER", "ann");
        command.env("SIMFLEET_VAR_key", SECRET);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command; its words are split at spaces, single quotes keep them together.
    pub fn run(&self, line: &str) -> Run {
        self.run_with(line, "")
    }

    /// Runs a command that reads `input`.
    pub fn run_with(&self, line: &str, input: &str) -> Run {
        self.run_command(line, self.command(line), input)
    }

    /// Runs a command as another user.
    pub fn run_as(&self, user: &str, line: &str) -> Run {
        let mut command = self.command(line);
        command.env("USER", user);
        self.run_command(line, command, "")
    }

    fn run_command(&self, line: &str, mut command: Command, input: &str) -> Run {
        command.stdin(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("it was piped");
        // A program that does not read its input ends before all of it is written.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("the program ends");
        let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
        Run {
            line: line.to_owned(),
            folder: self.path().to_owned(),
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// Splits a line into words.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in line.split('\'').enumerate() {
        match i % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

impl Run {
    /// Returns what it printed as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// Returns it after checking its exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }
}

/// A transcript, without what differs from run to run.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("$ simfleet {}\n{}", self.line, self.stdout);
        if !self.stderr.is_empty() {
            text.push_str(&format!("--- standard error\n{}", self.stderr));
        }
        match self.code {
            Some(0) => {}
            Some(code) => text.push_str(&format!("--- exit code {code}\n")),
            None => text.push_str("--- ended by a signal\n"),
        }
        f.write_str(&stable(&text, &self.folder))
    }
}

/// Returns text with a name for everything that differs from run to run.
fn stable(text: &str, folder: &Path) -> String {
    let mut text = text.replace(&*folder.to_string_lossy(), "[folder]");
    for (pattern, name) in [
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "[uuid]",
        ),
        (r"\b[0-9a-f]{32}\b", "[token]"),
        (r"\b127(\.\d+){3}\b", "[address]"),
        (r#""pid": \d+"#, r#""pid": [pid]"#),
        (r"pid: \d+", "pid: [pid]"),
        (r"(?m)  \d+$", "  [pid]"),
        (r"\d+ %", "[load]"),
        // Columns are as wide as what is in them.
        (r"(\S) {2,}", "$1  "),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r"after \d+\.\d s", "after [duration]"),
        (r"(?m)^\d\d:\d\d:\d\d ", "[clock] "),
        // Told where the far side does not finish at once: on a busy machine.
        (r"(?m)^.*… accepted after \[duration\]\n", ""),
        (r#""elapsed_ms":\d+"#, r#""elapsed_ms":[ms]"#),
        (r"@[\w.-]+([,:( ]+)process \d+", "@[host]${1}process [pid]"),
        (r"\bann@[\w.-]+", "ann@[host]"),
        (r"simfleet \d+\.\d+\.\d+", "simfleet [version]"),
        (r#""simfleet_version": "[^"]*""#, r#""simfleet_version": "[version]""#),
    ] {
        let pattern = Regex::new(pattern).expect("the pattern is valid");
        text = pattern.replace_all(&text, name).into_owned();
    }
    text
}
