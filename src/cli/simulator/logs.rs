//! `simulator logs`: what simulators write.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use futures::stream::{self, StreamExt};
use serde_json::{Map, Value as Json};
use simfleet_provider_api::runtime::{LogPiece, LogQuery, LogSource};
use simfleet_provider_api::{Ability, Provider, ProviderError};

use super::super::exit::{Exit, Failure};
use super::super::flags::duration;
use super::super::run::Run;
use super::Targets;
use crate::diagnostic::Diagnostic;
use crate::fleet::Reached;
use crate::view::log::{Prefix, Prefixed};

/// Print what simulators wrote, and with --follow what they write
///
/// Services, and what nodes and members of pools run themselves, are read in the same way: service.db, pool.web/m1.
///
/// What they write to standard error goes to standard error, where it is kept apart: containers keep it, processes under an
/// agent do not. Of several simulators each line begins with the address.
#[derive(Debug, Args)]
#[command(
    override_usage = "simfleet simulator logs [OPTIONS] [PATH] <ADDRESS>...",
    after_help = "\
Examples:
  simfleet simulator logs 'simulator.exec.job[0]' --tail 20
  simfleet simulator logs simulator.px4.iris --follow --since 10m
  simfleet simulator logs pool.web/m1                 what a member of a pool runs itself"
)]
pub(super) struct Logs {
    #[command(flatten)]
    targets: Targets,
    /// Go on with what is written, until the simulator ends or Ctrl-C
    #[arg(long)]
    follow: bool,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
    /// Only what was written during the last so long; of processes and machines, to five seconds
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<Duration>,
}

impl Logs {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (fleet, patterns) = self.targets.open(run)?;
        let query = LogQuery {
            tail: self.tail,
            since: self.since,
            follow: self.follow,
        };
        let mut parameters = Map::new();
        let mut set = |name: &str, value: Option<Json>| value.map(|value| parameters.insert(name.to_owned(), value));
        set("follow", self.follow.then_some(Json::Bool(true)));
        set("tail", self.tail.map(Json::from));
        set("since_s", self.since.map(|since| since.as_secs_f64().into()));
        let all = fleet.reach("logs", Ability::Logs, parameters, &patterns).await?;
        let prefix = if all.len() > 1 { Prefix::Address } else { Prefix::None };
        let mut logs = Vec::new();
        for (index, one) in all.iter().enumerate() {
            let Some(runtime) = one.provider.runtime() else {
                continue;
            };
            let log = runtime.logs(&one.kind, &one.object, &query).await;
            let log = log.map_err(|error| failed(one, &error))?;
            logs.push(log.map(move |piece| (index, piece)));
        }
        let mut lines: Vec<Prefixed> = all.iter().map(|one| Prefixed::new(prefix, &one.address)).collect();
        // One after the other where they end, side by side where they go on.
        let mut pieces = match self.follow {
            true => stream::select_all(logs).boxed(),
            false => stream::iter(logs).flatten().boxed(),
        };
        while let Some((index, piece)) = pieces.next().await {
            let piece = piece.map_err(|error| failed(&all[index], &error))?;
            let LogPiece { source, bytes } = piece;
            write(source, &lines[index].take(source, &bytes))?;
        }
        for lines in &mut lines {
            for (source, rest) in lines.rest() {
                write(source, &rest)?;
            }
        }
        Ok(Exit::Success)
    }
}

fn failed(one: &Reached, error: &ProviderError) -> Failure {
    let detail = format!("Its log cannot be read: {error}.");
    let diagnostic = Diagnostic::error("No log", detail);
    diagnostic.on(one.address.clone()).into()
}

/// Writes to where it was written to. Nobody reading is the end, and no error.
fn write(source: LogSource, bytes: &[u8]) -> Result<(), Failure> {
    let to = |out: &mut dyn Write| out.write_all(bytes).and_then(|()| out.flush());
    let written = match source {
        LogSource::Output => to(&mut io::stdout().lock()),
        LogSource::Error => to(&mut io::stderr().lock()),
    };
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::io("The log cannot be written", "Standard output".to_owned(), &error),
    })
}
