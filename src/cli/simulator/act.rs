//! `simulator reset`, `load`, `snapshot`, `restore`.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use simfleet_provider_api::Act;

use super::super::exit::{Exit, Failure};
use super::super::flags::addresses;
use super::super::run::Run;
use super::{Targets, Waiting};
use crate::control::Control;

/// Start simulators anew where they are
///
/// As if they had just been switched on. It is no failure of theirs, and counts as no restart.
#[derive(Debug, Args)]
#[command(override_usage = "simfleet simulator reset [OPTIONS] [PATH] <ADDRESS>...")]
pub(super) struct Reset {
    #[command(flatten)]
    targets: Targets,
}

/// Have a simulator run another program, until its block says otherwise
#[derive(Debug, Args)]
#[command(override_usage = "simfleet simulator load [OPTIONS] [PATH] <ADDRESS> <FILE>")]
pub(super) struct Load {
    /// The fleet, a file or a folder; a simulator; the program
    #[arg(value_name = "ADDRESS> <FILE", num_args = 2..=3, required = true)]
    path_address_and_file: Vec<String>,
    /// Stay paused at the start of the program; `simfleet simulator resume` has it run
    #[arg(long)]
    halt: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// Keep what a simulator is now, under a name
#[derive(Debug, Args)]
#[command(override_usage = "simfleet simulator snapshot [OPTIONS] [PATH] <ADDRESS> <NAME>")]
pub(super) struct Snapshot {
    #[command(flatten)]
    named: Named,
}

/// Have a simulator be what it was when a snapshot was made
#[derive(Debug, Args)]
#[command(override_usage = "simfleet simulator restore [OPTIONS] [PATH] <ADDRESS> <NAME>")]
pub(super) struct Restore {
    #[command(flatten)]
    named: Named,
}

#[derive(Debug, Args)]
struct Named {
    /// The fleet, a file or a folder; a simulator; the name of the snapshot
    #[arg(value_name = "ADDRESS> <NAME", num_args = 2..=3, required = true)]
    path_address_and_name: Vec<String>,
    #[command(flatten)]
    waiting: Waiting,
}

impl Reset {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        self.targets.control(run, &Control::Act(Act::Reset)).await
    }
}

impl Load {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (words, file) = last(&self.path_address_and_file)?;
        let program = PathBuf::from(file);
        if let Err(error) = check(&program) {
            return Err(Failure::io("The program cannot be read", format!("`{file}`"), &error));
        }
        let program = std::path::absolute(&program).unwrap_or(program);
        let halt = self.halt;
        act(run, &self.waiting, words, Act::Load { program, halt }).await
    }
}

impl Snapshot {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (words, name) = last(&self.named.path_address_and_name)?;
        let name = name.to_owned();
        act(run, &self.named.waiting, words, Act::Snapshot { name }).await
    }
}

impl Restore {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (words, name) = last(&self.named.path_address_and_name)?;
        let name = name.to_owned();
        act(run, &self.named.waiting, words, Act::Restore { name }).await
    }
}

/// Whether it is a file that can be read. A pipe is not opened: that would wait for somebody who writes to it.
fn check(program: &Path) -> io::Result<()> {
    match std::fs::metadata(program)?.is_file() {
        true => std::fs::File::open(program).map(drop),
        false => Err(io::Error::other("it is not a file")),
    }
}

async fn act(run: &Run, waiting: &Waiting, words: &[String], act: Act) -> Result<Exit, Failure> {
    let (path, patterns) = addresses(words)?;
    waiting.control(run, path, &patterns, &Control::Act(act)).await
}

/// Splits the last word off.
fn last(words: &[String]) -> Result<(&[String], &str), Failure> {
    match words.split_last() {
        Some((last, words)) if !words.is_empty() => Ok((words, last)),
        _ => Err(Failure::usage("Two words are needed.", "simfleet simulator --help")),
    }
}
