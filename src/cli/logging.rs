//! Logs: tracing, to standard error.

use std::io;

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The environment variable that says what is logged: `info`, `simfleet=debug`, `off`.
const VARIABLE: &str = "SIMFLEET_LOG";

/// The libraries that write all that they send and receive into their debug logs: secrets too, and nothing marks them there.
const TALKATIVE: [&str; 1] = ["bollard"];

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// One line an event, for people.
    Text,
    /// One JSON object an event.
    Json,
}

/// Begins to log. Without `SIMFLEET_LOG`, what is at least at the level `usual` is.
///
/// # Errors
/// What is wrong with `SIMFLEET_LOG`, in words for the user.
pub(super) fn start(format: LogFormat, usual: &str, colors: bool) -> Result<(), String> {
    let wanted = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let wanted = wanted.unwrap_or_else(|| usual.to_owned());
    let filter = EnvFilter::try_new(&wanted).map_err(|error| format!("`{VARIABLE}={wanted}` is no filter: {error}"))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colors);
    let is_safe = filter_fn(|event| {
        let library = event.target().split("::").next().unwrap_or_default();
        *event.level() <= Level::INFO || !TALKATIVE.contains(&library)
    });
    // Only an embedding program can have begun before; its choice stands.
    let _ = match format {
        LogFormat::Text => logs.finish().with(is_safe).try_init(),
        LogFormat::Json => logs.json().finish().with(is_safe).try_init(),
    };
    Ok(())
}
