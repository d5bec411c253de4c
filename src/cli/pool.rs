//! `simfleet pool …`: how pools were sized.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use simfleet_provider_api::Address;

use super::exit::{Exit, Failure};
use super::flags::{Looking, duration, named};
use super::run::Run;
use crate::diagnostic::Diagnostic;
use crate::view::pools as view;

/// What a peak is of.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Look at how pools were sized
#[derive(Debug, Args)]
pub(super) struct Pool {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    History(History),
}

/// Show how large a pool was, how large it was to be, and why
///
/// A line for each time that `simfleet watch` decided otherwise than before, and for each minute. What is older than the newest
/// 2,000 of them is not kept.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet pool history web
  simfleet pool history lab.hcl web --window 24h --json")]
struct History {
    /// The fleet, a file or a folder, and the pool
    #[arg(value_name = "PATH] [NAME", num_args = 1..=2, required = true)]
    path_and_name: Vec<String>,
    /// How far back
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration)]
    window: Duration,
    #[command(flatten)]
    looking: Looking,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Pool {
    pub(super) fn is_json(&self) -> bool {
        let Verb::History(history) = &self.verb;
        history.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let Verb::History(history) = &self.verb;
        history.run(run).await
    }
}

impl History {
    async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (path, name) = named(&self.path_and_name, |text| pool(text).is_some());
        let Some(address) = name.as_deref().and_then(pool) else {
            return Err(Failure::usage("Which pool?", "name it: `simfleet pool history NAME`"));
        };
        let fleet = self.looking.open(run, path)?;
        let state = fleet.snapshot().await?.state;
        let now = Timestamp::now();
        let since = now.checked_sub(self.window.max(DAY)).unwrap_or(Timestamp::MIN);
        let laps = fleet
            .store()
            .laps(&address, since)
            .await
            .map_err(crate::fleet::FleetError::from)?;
        if laps.is_empty() && !state.pools.contains_key(&address) {
            let known: Vec<String> = state.pools.keys().map(ToString::to_string).collect();
            let diagnostic = Diagnostic::error("Unknown pool", format!("{address} is not recorded."));
            return Err(diagnostic
                .nearest(&address.to_string(), known.iter().map(String::as_str))
                .into());
        }
        let history = view::history_json(&address, &laps, self.window, now);
        match self.json {
            true => run.terminal.print_json(&history)?,
            false => run.terminal.print(&view::history(&history, run.terminal.out))?,
        }
        Ok(Exit::Success)
    }
}

/// Returns the address of a pool that is named, as `web` or as `pool.web`; `None` for what names none, such as a file.
fn pool(name: &str) -> Option<Address> {
    let whole = name.parse::<Address>().ok().filter(|address| address.block() == "pool");
    whole.or_else(|| match name.contains(['.', '/']) {
        true => None,
        false => format!("pool.{name}").parse().ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::pool;

    #[test]
    fn pools_are_named_with_their_block_or_without() {
        for (name, address) in [
            ("web", Some("pool.web")),
            ("pool.web", Some("pool.web")),
            ("web[0]", Some("pool.web[0]")),
            ("lab.hcl", None),
            ("./web", None),
            ("", None),
        ] {
            assert_eq!(
                pool(name).map(|address| address.to_string()).as_deref(),
                address,
                "{name}"
            );
        }
    }
}
