//! What a container writes.

use std::time::SystemTime;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures::{StreamExt, TryStreamExt};
use simfleet_provider_api::runtime::{LogPiece, LogQuery, LogSource, Logs};

use super::super::{CallError, Engine, call_error};

impl Engine {
    /// Returns the last lines that a container wrote.
    pub(crate) async fn last_lines(&self, id: &str, lines: usize) -> Result<Vec<String>, CallError> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: lines.to_string(),
            ..LogsOptions::default()
        };
        let output = self.soon().await?.logs(id, Some(options));
        let output: Vec<_> = output.try_collect().await.map_err(|error| self.error(error))?;
        let text: String = output.iter().map(ToString::to_string).collect();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Returns what a container wrote, and what it writes until it ends.
    pub(crate) async fn logs(&self, id: &str, query: &LogQuery) -> Result<Logs, CallError> {
        let since = query.since.and_then(|since| {
            let since = SystemTime::now().checked_sub(since)?;
            since.duration_since(SystemTime::UNIX_EPOCH).ok()
        });
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            follow: query.follow,
            tail: query.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
            since: since.and_then(|since| i32::try_from(since.as_secs()).ok()).unwrap_or(0),
            ..LogsOptions::default()
        };
        let pieces = self.soon().await?.logs(id, Some(options));
        let endpoint = self.endpoint.clone();
        let failed = move |error| call_error(&endpoint, error).into();
        Ok(pieces.map_ok(piece).map_err(failed).boxed())
    }
}

fn piece(output: LogOutput) -> LogPiece {
    let (source, message) = match output {
        LogOutput::StdErr { message } => (LogSource::Error, message),
        LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
            (LogSource::Output, message)
        }
    };
    LogPiece {
        source,
        bytes: message.to_vec(),
    }
}
