//! How an engine builds an image: the context goes there as an archive, and what it does comes back line by line.
//!
//! That is the builder that every engine has. What only BuildKit knows, such as `RUN --mount`, is refused by it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, Write};
use std::time::Duration;

use bollard::query_parameters::BuildImageOptions;
use futures::{StreamExt, stream};
use hyper::body::Bytes;
use simfleet_build_context::Context;
use simfleet_provider_api::progress::tell;
use tokio::sync::OwnedMutexGuard;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::image::login;
use super::{CallError, Engine, Why};
use crate::credentials;

/// For how long an engine may take to begin: it reads all of the context before.
const BEGIN: Duration = Duration::from_secs(30 * 60);
/// How many lines of a step that fails are told.
const LINES: usize = 10;
/// How much of an archive waits for the engine, in pieces of this size.
const PIECES: usize = 4;
const PIECE: usize = 256 << 10;

/// What an image is built of.
#[derive(Debug)]
pub(crate) struct NewImage {
    pub(crate) context: Context,
    pub(crate) tag: String,
    pub(crate) dockerfile: String,
    pub(crate) args: BTreeMap<String, String>,
    pub(crate) target: Option<String>,
    pub(crate) labels: HashMap<String, String>,
    /// The images that it begins with.
    pub(crate) bases: Vec<String>,
}

impl Engine {
    /// Returns what is held while an image is built: of many with one context, one is built at a time, as the later ones find
    /// the steps of the first one done.
    pub(crate) async fn build_turn(&self, context_digest: &str) -> OwnedMutexGuard<()> {
        self.builds.of(context_digest).await
    }

    /// Builds an image.
    pub(crate) async fn build(&self, image: NewImage) -> Result<(), CallError> {
        let mut logins = HashMap::new();
        for base in &image.bases {
            let found = credentials::of(base, &self.folder).await.map_err(refused)?;
            let found = found.map(login);
            logins.extend(found.and_then(|login| Some((login.serveraddress.clone()?, login))));
        }
        let options = BuildImageOptions {
            dockerfile: image.dockerfile,
            t: Some(image.tag),
            rm: true,
            forcerm: true,
            buildargs: Some(image.args.into_iter().collect()),
            labels: Some(image.labels),
            target: image.target.unwrap_or_default(),
            ..BuildImageOptions::default()
        };
        let (to, from) = mpsc::channel(PIECES);
        let context = image.context;
        let archiving = tokio::task::spawn_blocking(move || {
            let to = io::BufWriter::with_capacity(PIECE, Pipe(to));
            context.archive(to)
        });
        let docker = self.later(BEGIN).await?;
        let body = bollard::body_try_stream(stream::unfold(from, next));
        let mut told = docker.build_image(options, Some(logins), Some(body));
        let mut step = LastStep::default();
        while let Some(line) = told.next().await {
            let error = match line {
                Ok(line) => match line.error_detail.and_then(|detail| detail.message) {
                    Some(message) => refused(message),
                    None => {
                        step.hear(&line.stream.unwrap_or_default());
                        continue;
                    }
                },
                Err(error) => self.error(error),
            };
            // The engine has hung up on the archive, unless that broke by itself.
            drop(told);
            return Err(match archiving.await {
                Ok(Err(broken)) if broken.kind() != io::ErrorKind::BrokenPipe => refused(broken.to_string()),
                _ => step.failed(error),
            });
        }
        Ok(())
    }
}

fn refused(message: String) -> CallError {
    let why = Why::Refused;
    CallError { why, message }
}

/// Sends what is written to it to whoever receives.
struct Pipe(Sender<Bytes>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn next(mut from: Receiver<Bytes>) -> Option<(io::Result<Bytes>, Receiver<Bytes>)> {
    let bytes = from.recv().await?;
    Some((Ok(bytes), from))
}

/// The step that an engine is at, and the last lines that it wrote.
#[derive(Debug, Default)]
struct LastStep {
    /// The instruction of the Dockerfile.
    instruction: String,
    lines: VecDeque<String>,
    /// The start of a line that has no end yet.
    open: String,
}

impl LastStep {
    fn hear(&mut self, text: &str) {
        self.open.push_str(text);
        while let Some(end) = self.open.find('\n') {
            let line: String = self.open.drain(..=end).collect();
            let line = without_colours(line.trim_end());
            if line.starts_with("Step ") {
                // The numbers count labels too, which no Dockerfile has.
                let instruction = line.split_once(" : ").map_or(&*line, |(_, instruction)| instruction);
                instruction.clone_into(&mut self.instruction);
                tell(format!("builds: {instruction}"));
                self.lines.clear();
            } else if !line.is_empty() && !is_of_builder(&line) {
                self.lines.push_back(line);
                while self.lines.len() > LINES {
                    self.lines.pop_front();
                }
            }
        }
    }

    /// Returns why a build failed, with what its last step wrote.
    fn failed(mut self, error: CallError) -> CallError {
        self.hear("\n");
        let CallError { why, mut message } = error;
        // Of a command, the message has it.
        if !self.instruction.is_empty() && !message.starts_with("The command ") {
            message = format!("{}: {message}", self.instruction);
        }
        for (at, line) in self.lines.iter().enumerate() {
            let before = if at == 0 { "; the end of what it wrote:" } else { "" };
            message = format!("{message}{before}\n  {line}");
        }
        CallError { why, message }
    }
}

/// Whether a line is the builder's own, and not of the command that it runs.
fn is_of_builder(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("---> ") || line.starts_with("Removing intermediate container ")
}

/// Returns a line without the colours that the builder gives to what goes to standard error.
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.split_once('m').map_or(part, |(_, rest)| rest);
        text + rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_step_wrote_is_told() {
        let mut step = LastStep::default();
        for text in [
            "Step 1/4 : FROM a\n",
            " ---> 0123\n",
            "Step 2/4 : COPY b c\n ---> Running in 45\nfir",
            "st\n\u{1b}[91mred\n\u{1b}[0m",
            "Removing intermediate container 45\nlast",
        ] {
            step.hear(text);
        }
        let error = step.failed(refused("it failed".to_owned()));
        assert_eq!(
            error.message,
            "COPY b c: it failed; the end of what it wrote:\n  first\n  red\n  last"
        );
    }
}
