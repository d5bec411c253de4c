//! One run of the program: what every verb is given.

use std::path::PathBuf;

use clap::Args;

use super::again::Again;
use super::logging::{LogFile, LogFormat};
use super::signals::Signals;
use super::terminal::Terminal;

/// What every verb takes.
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// Change to this folder first
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global flags")]
    pub(super) chdir: Option<PathBuf>,
    /// Keep the state in this file instead of .simfleet/ beside the fleet
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global flags")]
    pub(super) state: Option<PathBuf>,
    /// How logs are written; SIMFLEET_LOG says which ones (info, simfleet=debug, …)
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Global flags"
    )]
    pub(super) log_format: LogFormat,
    /// Write no colours
    #[arg(long, global = true, help_heading = "Global flags")]
    pub(super) no_color: bool,
}

/// What a verb is given besides its flags.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) global: Global,
    pub(super) terminal: Terminal,
    pub(super) signals: Signals,
    pub(super) again: Again,
    pub(super) log: LogFile,
}
