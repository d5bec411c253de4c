//! Logs: tracing, to standard error, and to a file where one is declared.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use crate::signals::rotating::Rotating;

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

/// The file that logs go to beside standard error, once it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct LogFile(Arc<OnceLock<Mutex<Rotating>>>);

impl LogFile {
    /// Has logs go to a file from now on.
    pub(super) fn begin(&self, file: Rotating) {
        // There is one watch a program.
        let _ = self.0.set(Mutex::new(file));
    }

    /// Appends lines, where there is a file.
    ///
    /// # Errors
    /// Which file it is, and why it cannot be written.
    pub(super) fn append(&self, lines: &[u8]) -> Result<(), String> {
        let Some(file) = self.0.get() else { return Ok(()) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.append(lines)
            .map_err(|error| format!("`{}` cannot be written: {error}", file.path().display()))
    }
}

/// One event on its way to the file: tracing writes each with one call.
impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Who tells what happens hears of the failure, and tells it; there is nobody else here who could.
        let _ = self.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = LogFile;

    fn make_writer(&'a self) -> LogFile {
        self.clone()
    }
}

/// Begins to log. Without `SIMFLEET_LOG`, what is at least at the level `usual` is.
///
/// # Errors
/// What is wrong with `SIMFLEET_LOG`, in words for the user.
pub(super) fn start(format: LogFormat, usual: &str, colors: bool) -> Result<LogFile, String> {
    let wanted = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let wanted = wanted.unwrap_or_else(|| usual.to_owned());
    let filter = EnvFilter::try_new(&wanted).map_err(|error| format!("`{VARIABLE}={wanted}` is no filter: {error}"))?;
    let is_safe = filter_fn(|event| {
        let library = event.target().split("::").next().unwrap_or_default();
        *event.level() <= Level::INFO || !TALKATIVE.contains(&library)
    });
    let file = LogFile::default();
    let (to_people, to_file) = (
        fmt::layer().with_writer(io::stderr).with_ansi(colors),
        fmt::layer().with_writer(file.clone()).with_ansi(false),
    );
    let (to_people, to_file) = match format {
        LogFormat::Text => (to_people.boxed(), to_file.boxed()),
        LogFormat::Json => (to_people.json().boxed(), to_file.json().boxed()),
    };
    // Only an embedding program can have begun before; its choice stands.
    let _ = registry()
        .with(to_people.and_then(to_file).with_filter(filter).with_filter(is_safe))
        .try_init();
    Ok(file)
}
