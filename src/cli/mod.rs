//! The command line: one verb a file. Nothing is decided here beyond reading flags, calling the library, and choosing a
//! view and an exit code.
//!
//! - `program`: the arguments, the verbs, and how one is carried out; `run`: what each verb is given; `again`: the command line,
//!   as others are told it
//! - `spelling`: flags as Terraform users type them
//! - `flags`: what several verbs take; `exit`: exit codes; `reporting`: what is told meanwhile
//! - `terminal`, `signals`, `logging`: the streams, Ctrl-C, logs

mod again;
mod agent;
mod apply;
mod completions;
mod console;
mod debug;
mod events;
mod exit;
mod flags;
mod fmt;
mod graph;
mod import;
mod init;
mod logging;
mod output;
mod plan;
mod pool;
mod program;
mod rehearse;
mod reporting;
mod run;
mod schema;
mod serving;
mod show;
mod signals;
mod simulator;
mod spelling;
mod state;
mod status;
mod terminal;
mod token;
mod top;
mod undo;
mod unlock;
mod validate;
mod vehicle;
mod version;
mod watch;
mod why;

pub use program::run;
