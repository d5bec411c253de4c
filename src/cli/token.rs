//! `simfleet token …`: who may ask a watch over HTTP.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde_json::json;
use simfleet_state::Role;

use super::exit::{Exit, Failure};
use super::flags::{Looking, named};
use super::run::Run;
use crate::config::check::is_name;
use crate::view::tokens as view;

/// Say who may ask `simfleet watch` over HTTP, and for what
///
/// From the first token on, every request needs one. A watch at work knows a new token, and one that was revoked, at once.
/// Tokens can also be declared: with the block `access`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet token create ci --role operator --expires 90d
  simfleet token list
  simfleet token revoke ci
  curl -H \"authorization: Bearer $TOKEN\" http://127.0.0.1:8080/v1/whoami")]
pub(super) struct Token {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Create(Create),
    Revoke(Revoke),
    List(List),
}

/// Make a token, and print it
///
/// It is shown this once: the state keeps its SHA-256 only.
#[derive(Debug, Args)]
#[command(override_usage = "simfleet token create [OPTIONS] [PATH] <NAME> --role <ROLE>")]
struct Create {
    #[command(flatten)]
    named: Named,
    /// What its owner may do
    #[arg(long, value_name = "ROLE")]
    role: RoleName,
    /// After how long it ends; without it, never
    #[arg(long, value_name = "DURATION", value_parser = lasting)]
    expires: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Have a token open nothing from now on
///
/// That there were tokens stays known: to revoke the last one does not open to everybody what it had closed.
#[derive(Debug, Args)]
#[command(override_usage = "simfleet token revoke [OPTIONS] [PATH] <NAME>")]
struct Revoke {
    #[command(flatten)]
    named: Named,
}

/// List the tokens that were made
#[derive(Debug, Args)]
struct List {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: std::path::PathBuf,
    #[command(flatten)]
    looking: Looking,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Named {
    /// The fleet, a file or a folder; whose the token is
    #[arg(value_name = "NAME", num_args = 1..=2, required = true)]
    path_and_name: Vec<String>,
    #[command(flatten)]
    looking: Looking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Reads
    Viewer,
    /// Reads, and does by hand what can be done with simulators
    Operator,
    /// Does all of that, and drops locks
    Admin,
}

/// Reads `90d`, `12h`, `1h 30m`; a day is 24 hours.
fn lasting(text: &str) -> Result<Duration, String> {
    let span: Span = text
        .parse()
        .map_err(|_| "it is not a duration such as 90d or 12h".to_owned())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let length = length.map_err(|_| "months and years are not of one length; give days".to_owned())?;
    match Duration::try_from(length) {
        Ok(length) if !length.is_zero() => Ok(length),
        _ => Err("it has to be longer than nothing".to_owned()),
    }
}

impl Token {
    pub(super) fn is_json(&self) -> bool {
        match &self.verb {
            Verb::Create(verb) => verb.json,
            Verb::List(verb) => verb.json,
            Verb::Revoke(_) => false,
        }
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Create(verb) => verb.run(run).await,
            Verb::Revoke(verb) => verb.run(run).await,
            Verb::List(verb) => verb.run(run).await,
        }
    }
}

impl Create {
    async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (fleet, name) = self.named.open(run)?;
        let role = match self.role {
            RoleName::Viewer => Role::Viewer,
            RoleName::Operator => Role::Operator,
            RoleName::Admin => Role::Admin,
        };
        let (secret, token) = fleet.create_token(&name, role, self.expires).await?;
        if self.json {
            let mut document = view::one_json(&token, Timestamp::now());
            document["token"] = json!(secret);
            run.terminal.print_json(&document)?;
            return Ok(Exit::Success);
        }
        run.terminal.print(&format!("{secret}\n"))?;
        let until = token.expires.map(|at| format!(" until {at:.0}"));
        run.terminal.tell(&format!(
            "This is the token of {name}, {role}{}. It is not shown again.\n",
            until.unwrap_or_default()
        ));
        Ok(Exit::Success)
    }
}

impl Revoke {
    async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (fleet, name) = self.named.open(run)?;
        fleet.revoke_token(&name).await?;
        run.terminal.print(&format!("{name} is revoked.\n"))?;
        Ok(Exit::Success)
    }
}

impl List {
    async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        let (tokens, now) = (fleet.tokens().await?, Timestamp::now());
        match self.json {
            true => run.terminal.print_json(&view::json(&tokens, now))?,
            false => run.terminal.print(&view::render(&tokens, now))?,
        }
        Ok(Exit::Success)
    }
}

impl Named {
    fn open(&self, run: &Run) -> Result<(crate::fleet::Fleet, String), Failure> {
        let (path, name) = named(&self.path_and_name, is_name);
        match name.filter(|name| is_name(name)) {
            Some(name) => Ok((self.looking.open(run, path)?, name)),
            None => Err(Failure::usage(
                "The name of a token is missing, or is none.",
                "a name has letters, digits, `_` and `-`: `simfleet token create ci --role operator`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lasts_for_days_or_less() {
        for (text, hours) in [
            ("90d", Some(90 * 24)),
            ("12h", Some(12)),
            ("1w", Some(7 * 24)),
            ("1mo", None),
            ("0s", None),
            ("-1h", None),
            ("soon", None),
        ] {
            assert_eq!(
                lasting(text).ok(),
                hours.map(|hours| Duration::from_secs(hours * 3600)),
                "{text}"
            );
        }
    }
}
