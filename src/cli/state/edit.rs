//! `state mv`, `state rm`, `state pull`, `state push`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::super::exit::{Exit, Failure};
use super::super::flags::{Looking, addresses, duration};
use super::super::reporting::reported;
use super::super::run::Run;
use crate::fleet::{Age, Fleet};

/// How a change by hand is made.
#[derive(Debug, Args)]
struct Editing {
    #[command(flatten)]
    looking: Looking,
    /// How long to wait for another run that works on the same resources
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    lock_timeout: Duration,
}

impl Editing {
    fn open(&self, run: &Run, path: PathBuf) -> Result<Fleet, Failure> {
        self.looking.open_to_change(run, path, self.lock_timeout)
    }
}

/// Give a recorded resource or module another address; nothing is made again
///
/// Its instances, children and ports go along, all that is in a module, and those that name it. Change the files alike, or the next plan moves
/// nothing and makes it anew.
#[derive(Debug, Args)]
#[command(override_usage = "simfleet state mv [OPTIONS] [PATH] <FROM> <TO>")]
pub(super) struct Mv {
    /// The fleet, a file or a folder; the old address and the new one
    #[arg(value_name = "FROM> <TO", num_args = 2..=3, required = true)]
    path_and_addresses: Vec<String>,
    #[command(flatten)]
    editing: Editing,
}

/// Forget recorded resources, or all in a module; nothing is done to them
#[derive(Debug, Args)]
#[command(override_usage = "simfleet state rm [OPTIONS] [PATH] <ADDRESS>...")]
pub(super) struct Rm {
    /// The fleet, a file or a folder; the addresses of resources and modules
    #[arg(value_name = "ADDRESS", num_args = 1.., required = true)]
    path_and_addresses: Vec<String>,
    #[command(flatten)]
    editing: Editing,
}

/// Print everything that is recorded as JSON, for `state push`
#[derive(Debug, Args)]
pub(super) struct Pull {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
}

/// Have a state that was pulled be what is recorded
///
/// Refuses the state of another fleet, an older one, and any while an operation is open. What was recorded until then
/// stays in the history.
#[derive(Debug, Args)]
#[command(override_usage = "simfleet state push [OPTIONS] [PATH] <FILE>")]
pub(super) struct Push {
    /// The fleet, a file or a folder; the pulled state, `-` for standard input
    #[arg(value_name = "FILE", num_args = 1..=2, required = true)]
    path_and_file: Vec<PathBuf>,
    /// Also if it is older than what is recorded
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    editing: Editing,
}

impl Mv {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (path, addresses) = addresses(&self.path_and_addresses)?;
        let [from, to] = addresses.as_slice() else {
            let hint = "simfleet state mv [PATH] FROM TO";
            return Err(Failure::usage("An old address and a new one are needed.", hint));
        };
        let fleet = self.editing.open(run, path)?;
        let moves = reported(run, false, async |progress| {
            fleet.move_recorded(from, to, &progress).await
        })
        .await?;
        let lines = moves.iter().map(|(from, to)| format!("Moved {from} to {to}.\n"));
        run.terminal.print(&lines.collect::<String>())?;
        Ok(Exit::Success)
    }
}

impl Rm {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (path, addresses) = addresses(&self.path_and_addresses)?;
        let fleet = self.editing.open(run, path)?;
        let forgotten = reported(run, false, async |progress| fleet.forget(&addresses, &progress).await).await?;
        let lines = forgotten.objects.iter().map(|address| format!("Forgot {address}.\n"));
        let ended = forgotten.ended.iter();
        let ended = ended.map(|(address, what)| format!("{address} was {what}: that ends.\n"));
        run.terminal.print(&lines.chain(ended).collect::<String>())?;
        if !forgotten.objects.is_empty() {
            run.terminal
                .tell("Nothing was done to what is there; it is managed no more.\n");
        }
        Ok(Exit::Success)
    }
}

impl Pull {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        run.terminal.print_json(&fleet.pull().await?)?;
        Ok(Exit::Success)
    }
}

impl Push {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (path, file): (PathBuf, &Path) = match self.path_and_file.as_slice() {
            [file] => (".".into(), file),
            [path, file, ..] => (path.clone(), file),
            [] => return Err(Failure::usage("A file is missing.", "simfleet state push FILE")),
        };
        let text = match file == Path::new("-") {
            true => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map(|_| text)
            }
            false => std::fs::read_to_string(file),
        };
        let text =
            text.map_err(|error| Failure::io("The file cannot be read", format!("`{}`", file.display()), &error))?;
        let fleet = self.editing.open(run, path)?;
        let age = if self.force { Age::Any } else { Age::NotOlder };
        let serial = reported(run, false, async |progress| fleet.push(&text, age, &progress).await).await?;
        run.terminal
            .print(&format!("Pushed; the state is at serial {serial}.\n"))?;
        Ok(Exit::Success)
    }
}
