//! `simfleet watch`: the scaler.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::exit::{Exit, Failure};
use super::flags::Looking;
use super::logging::LogFormat;
use super::run::Run;
use super::serving::{Serving, Wanted};
use crate::apply::Progress;
use crate::config::blocks::serve::address;
use crate::diagnostic::Diagnostic;
use crate::serve::Events;
use crate::signals::history;
use crate::signals::rotating::{Rotating, RotatingSettings};
use crate::view::document::Theme;
use crate::view::watching;
use crate::watch::sources::Real;
use crate::watch::{self, Ended, How, Told};

/// Keep the fleet as it was last applied, and its pools as large as they need to be
///
/// Runs until it is stopped. It decides on each pool at its `evaluation_interval`, repairs what is lost or has drifted, and
/// tells what it does. Files that change are told as pending, and applied only with --follow; what they delete or replace,
/// only with --allow. Other commands can work on the same fleet meanwhile. SIGTERM or Ctrl-C ends it in order: nothing new
/// is begun, and the next one goes on where it was. One watch leads a fleet; others with --standby wait to follow it, and show
/// what is recorded meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet watch                         the fleet in this folder, until it is stopped
  simfleet watch --dry-run               decide and tell, and change nothing
  simfleet watch --once                  one lap, as from a timer; 1 where something failed
  simfleet watch --listen                show it meanwhile, where `serve` says, else at http://127.0.0.1:8080/
  simfleet watch --standby --listen      beside another one: follow it where it ends, dies or is silent for 15 s
  simfleet watch --json                  one JSON event a line")]
pub(super) struct Watch {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
    /// Show over HTTP what it does and why, and take orders there; without it, where a block `serve` says
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, value_parser = listen, conflicts_with = "once")]
    listen: Option<Option<SocketAddr>>,
    /// Where another watch leads, wait until it does not any more, and lead then; show what is recorded meanwhile, and pass
    /// on to the leader what is to be changed
    #[arg(long, conflicts_with_all = ["once", "dry_run"])]
    standby: bool,
    /// Where watches that stand by reach this one, if it leads; without it, where it listens
    #[arg(long, value_name = "URL", value_parser = url, conflicts_with_all = ["once", "dry_run"])]
    advertise: Option<String>,
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

/// Reads `127.0.0.1:8080`, `[::1]:8080` and `:8080`, which is every address of this machine.
fn listen(text: &str) -> Result<SocketAddr, String> {
    address(text).ok_or_else(|| "it is not an address and a port such as 127.0.0.1:8080".to_owned())
}

/// Reads `https://host:8443/fleet/`.
fn url(text: &str) -> Result<String, String> {
    let is_one = reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let wrong = || "it is not a URL such as https://fleet-a.example.net:8443/".to_owned();
    is_one.then(|| text.to_owned()).ok_or_else(wrong)
}

impl Watch {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        let log = fleet.config().log.clone();
        // A watch that changes nothing leaves nothing behind, nor does one that waits.
        let history = (!self.dry_run).then(|| history::settings(fleet.events_path()));
        let how = How {
            once: self.once,
            standby: self.standby,
            dry_run: self.dry_run,
            follow: self.follow.then(|| watch::Allow {
                destroy: self.allow.contains(&Allowed::Destroy),
                replace: self.allow.contains(&Allowed::Replace),
            }),
        };
        let sources =
            Real::new().map_err(|why| Diagnostic::error("Nothing can be asked over HTTP", format!("{why}.")))?;
        let (tell, mut told) = mpsc::unbounded_channel();
        let wanted = Wanted {
            listen: self.listen,
            advertise: self.advertise.clone(),
            only_looks: self.dry_run,
        };
        let serving = match self.once {
            true => None,
            false => Serving::begin(&fleet, wanted, &tell, run.signals.graceful()).await?,
        };
        let watch = watch::Watch::new(
            fleet,
            how,
            Arc::new(sources),
            tell,
            run.signals.graceful(),
            run.signals.hangups()?,
        );
        let (watch, serving) = match serving {
            Some((serving, changed)) => {
                let watch = watch.showing(serving.pictures.clone(), serving.fleet.clone(), changed);
                let watch = watch.standing(serving.standing.clone(), serving.advertised.as_str());
                (watch, Some(serving))
            }
            None => (watch, None),
        };
        let events = serving.as_ref().map(|serving| Arc::clone(&serving.events));
        if let Some(settings) = log {
            run.log.begin(Rotating::new(settings));
        }
        let mut outlets = Outlets {
            events,
            kept: history.clone().filter(|_| !self.standby).map(Rotating::new),
            history,
            failing: [None, None],
        };
        let show = async {
            while let Some(told) = told.recv().await {
                // The work goes on whether or not anybody reads of it.
                let _ = self.show(run, &told, &mut outlets);
            }
        };
        let work = async {
            let ended = watch.watch().await;
            if let Some(serving) = serving {
                serving.end().await;
            }
            ended
        };
        let (ended, ()) = tokio::join!(work, show);
        Ok(match ended? {
            Ended::Well => Exit::Success,
            Ended::WithFailures => Exit::Failure,
        })
    }

    fn show(&self, run: &Run, told: &Told, outlets: &mut Outlets) -> Result<(), Failure> {
        let at = Timestamp::now();
        let event = watching::event(told, at);
        let line = format!("{event}\n");
        if let Some(events) = &outlets.events {
            events.add(&event);
        }
        outlets.keep(run, told, &line);
        let logged = match run.global.log_format {
            LogFormat::Json => run.log.append(line.as_bytes()),
            LogFormat::Text => {
                let text = watching::render(told, at, Theme::Plain);
                // Files are read on other days, too.
                run.log.append(format!("{} {text}", at.strftime("%Y-%m-%d")).as_bytes())
            }
        };
        outlets.failing[1] = once(run, outlets.failing[1].take(), logged);
        match self.json {
            true => run.terminal.print(&line),
            false => run.terminal.print(&watching::render(told, at, run.terminal.out)),
        }
    }
}

/// Where what is told goes, beside the terminal and the log.
struct Outlets {
    /// Those who follow over HTTP.
    events: Option<Arc<Events>>,
    /// What `simfleet events` reads: only one writes it at a time.
    kept: Option<Rotating>,
    history: Option<RotatingSettings>,
    /// Why that file, and the log, could not be written the last time.
    failing: [Option<String>; 2],
}

impl Outlets {
    fn keep(&mut self, run: &Run, told: &Told, line: &str) {
        // How far calls are is told many times a second.
        let is_passing = matches!(told, Told::Run(Progress::Underway { .. }));
        match told {
            Told::Leads { .. } => self.kept = self.history.clone().map(Rotating::new),
            Told::StandsBy { .. } => self.kept = None,
            _ => {}
        }
        if let Some(kept) = self.kept.as_mut().filter(|_| !is_passing) {
            let path = kept.path().display().to_string();
            let written = kept.append(line.as_bytes());
            let written = written.map_err(|error| format!("`{path}` cannot be written: {error}"));
            self.failing[0] = once(run, self.failing[0].take(), written);
        }
    }
}

/// Tells once that a file cannot be written, and once that it can be again: a full disk must not end the watch.
fn once(run: &Run, before: Option<String>, written: Result<(), String>) -> Option<String> {
    let tell = |text: &str| run.terminal.tell(text);
    match (before, written) {
        (None, Err(why)) => {
            tell(&format!("warning: {why}; the watch goes on without it\n"));
            Some(why)
        }
        (Some(_), Ok(())) => {
            tell("warning: what is told can be written again\n");
            None
        }
        (before, Err(_)) => before,
        (None, Ok(())) => None,
    }
}
