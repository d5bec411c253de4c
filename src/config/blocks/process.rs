//! What a supervised process is made of, the kind `exec` of a simulator; and `process`, which a node runs itself.

use std::time::Duration;

use simfleet_provider_api::Value;

use super::health_check;
use super::simulator::Exec;
use super::workload::{self, Workload};
use crate::config::decode::{Reader, words};
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

words! {
    /// What is done when a process ends by itself.
    Restart {
        /// Nothing.
        No = "no",
        /// It is started again unless it ended with 0.
        OnFailure = "on-failure",
        /// It is started again.
        Always = "always",
        /// It is started again unless it was stopped on purpose.
        UnlessStopped = "unless-stopped",
    }
}

/// A program that a node runs itself, as all members of a pool do.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// The program.
    pub exec: Exec,
    /// What it has as everything that runs.
    pub workload: Workload,
    /// Where its output goes.
    pub log: Option<Log>,
}

/// What shows that a process has started.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// A regular expression that a line of its output matches. Can be unknown.
    pub pattern: Option<Value>,
    /// A port that it listens on, by name, number or address. Can be unknown.
    pub tcp: Option<Value>,
    /// A URL that answers. Can be unknown.
    pub http: Option<Value>,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

/// Where the output of a process goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// The file. Can be unknown.
    pub path: Option<Value>,
    /// The size in bytes at which a new file is begun.
    pub max_size: Option<u64>,
    /// How many old files are kept.
    pub keep: Option<u64>,
}

pub(super) fn restart() -> AttributeSchema {
    AttributeSchema::one_of("restart", Restart::WORDS, "what is done when it ends by itself")
}

pub(super) fn env() -> AttributeSchema {
    AttributeSchema::string_map("env", "environment variables")
}

pub(super) fn command() -> AttributeSchema {
    AttributeSchema::strings("command", "the program and its arguments").required()
}

pub(super) fn working_dir() -> AttributeSchema {
    AttributeSchema::string("working_dir", "the folder that it runs in; without it one of its own")
}

pub(super) fn ready_schema() -> BlockSchema {
    BlockSchema::new("ready", "What shows that it has started.").attributes([
        AttributeSchema::string("pattern", "a regular expression that a line of its output matches"),
        AttributeSchema::string("tcp", "a port that it listens on, by name, number or address"),
        AttributeSchema::string("http", "a URL that answers"),
        AttributeSchema::duration("timeout", "how long it may take"),
    ])
}

pub(super) fn log_schema() -> BlockSchema {
    BlockSchema::new("log", "Where its output goes.").attributes([
        AttributeSchema::string(
            "path",
            "the file; without it one of its own, which goes with it, while this one is left where it is",
        ),
        AttributeSchema::new("max_size", AttributeType::Size, "the size at which a new file is begun"),
        AttributeSchema::count("keep", 0, "how many old files are kept"),
    ])
}

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new(
        "process",
        "A program that the node runs itself; a member is there when it is ready.",
    )
    .labels(&["name"])
    .attributes([command(), working_dir()])
    .attributes(workload::attributes(restart().default("no")))
    .attributes(super::labels())
    .optional(ready_schema())
    .optional(health_check::schema())
    .optional(log_schema())
}

impl Process {
    /// Returns the typed form of a block.
    ///
    /// # Errors
    /// What does not go together in it.
    pub fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (exec, workload) = (Exec::decode(&mut reader), Workload::decode(&mut reader));
        let log = reader.block("log", Log::decode);
        let process = || {
            Some(Process {
                exec: exec?,
                workload: workload?,
                log: log?,
            })
        };
        let process = process();
        reader.finish(process)
    }
}

impl Ready {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (pattern, tcp, http) = (reader.maybe("pattern"), reader.maybe("tcp"), reader.maybe("http"));
        let timeout = reader.maybe("timeout");
        if [&pattern, &tcp, &http]
            .iter()
            .all(|given: &&Option<Option<Value>>| matches!(given, Some(None)))
        {
            let detail = "`ready` needs `pattern`, `tcp` or `http`.";
            reader.error(Diagnostic::error("Missing attribute", detail), "pattern");
        }
        let ready = || {
            Some(Ready {
                pattern: pattern?,
                tcp: tcp?,
                http: http?,
                timeout: timeout?,
            })
        };
        let ready = ready();
        reader.finish(ready)
    }
}

impl Log {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (path, max_size, keep) = (reader.maybe("path"), reader.maybe("max_size"), reader.maybe("keep"));
        let log = || {
            Some(Log {
                path: path?,
                max_size: max_size?,
                keep: keep?,
            })
        };
        let log = log();
        reader.finish(log)
    }
}
