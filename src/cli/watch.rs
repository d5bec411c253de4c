//! `simfleet watch`: the scaler.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::exit::{Exit, Failure};
use super::flags::Looking;
use super::run::Run;
use crate::diagnostic::Diagnostic;
use crate::view::watching;
use crate::watch::sources::Real;
use crate::watch::{self, Ended, How, Told};

/// Keep the fleet as it was last applied, and its pools as large as they need to be
///
/// Runs until it is stopped. It decides on each pool at its `evaluation_interval`, repairs what is lost or has drifted, and
/// tells what it does. Files that change are told as pending, and applied only with --follow; what they delete or replace,
/// only with --allow. Other commands can work on the same fleet meanwhile. SIGTERM or Ctrl-C ends it in order: nothing new
/// is begun, and the next one goes on where it was.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet watch                         the fleet in this folder, until it is stopped
  simfleet watch --dry-run               decide and tell, and change nothing
  simfleet watch --once                  one lap, as from a timer; 1 where something failed
  simfleet watch --json                  one JSON event a line")]
pub(super) struct Watch {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
    /// Make one lap, wait for what it begins, and end
    #[arg(long)]
    once: bool,
    /// Decide and tell, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Apply the files when they change
    #[arg(long, conflicts_with = "dry_run")]
    follow: bool,
    /// What of changed files may be applied, beside what is only made or updated
    #[arg(long, value_name = "WHAT", value_delimiter = ',', requires = "follow")]
    allow: Vec<Allowed>,
    /// Print JSON, one event a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Allowed {
    /// Deletions
    Destroy,
    /// Replacements
    Replace,
}

impl Watch {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        let how = How {
            once: self.once,
            dry_run: self.dry_run,
            follow: self.follow.then(|| watch::Allow {
                destroy: self.allow.contains(&Allowed::Destroy),
                replace: self.allow.contains(&Allowed::Replace),
            }),
        };
        let sources =
            Real::new().map_err(|why| Diagnostic::error("Nothing can be asked over HTTP", format!("{why}.")))?;
        let (tell, mut told) = mpsc::unbounded_channel();
        let watch = watch::Watch::new(
            fleet,
            how,
            Arc::new(sources),
            tell,
            run.signals.graceful(),
            run.signals.hangups()?,
        );
        let show = async {
            while let Some(told) = told.recv().await {
                // The work goes on whether or not anybody reads of it.
                let _ = self.show(run, &told);
            }
        };
        let (ended, ()) = tokio::join!(watch.watch(), show);
        Ok(match ended? {
            Ended::Well => Exit::Success,
            Ended::WithFailures => Exit::Failure,
        })
    }

    fn show(&self, run: &Run, told: &Told) -> Result<(), Failure> {
        let at = Timestamp::now();
        match self.json {
            true => run.terminal.print(&format!("{}\n", watching::event(told, at))),
            false => run.terminal.print(&watching::render(told, at, run.terminal.out)),
        }
    }
}
