//! Where scripts are run: on this machine, or on another one through its `ssh`; in a container of either by the docker client there.

use std::process::Stdio;
use std::time::Duration;

use simfleet_provider_api::ProviderError;
use simfleet_provider_api::ssh::Ssh;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::script::quote;

/// How long a script may take, the commands of the user and the wait for nginx in it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where nginx is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The host, by the `ssh` of this machine with its configuration, its agent and its known hosts; without one this machine.
    pub(crate) host: Option<Ssh>,
    /// The container there.
    pub(crate) container: Option<Container>,
}

/// A container of a Docker engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) id: String,
    /// Where its engine is, where the docker client has to be told.
    pub(crate) engine: Option<String>,
}

/// How a script ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; `None` where it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    /// What it and its commands said, without blanks around.
    pub(crate) said: String,
}

impl Place {
    /// Runs a script.
    ///
    /// # Errors
    /// `NotSent` where it was not run, `Ambiguous` where it is not known how it ended.
    pub(crate) async fn run(&self, script: &str, input: &str) -> Result<Ended, ProviderError> {
        let mut command = self.command(script);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal is for simfleet: what is begun is brought to its end.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| not_sent(self.cannot(&error.to_string())))?;
        let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let ended = async {
            let write = async {
                if let Some(mut stdin) = stdin.take() {
                    // Who does not read it has its reasons, and says them.
                    let _ = stdin.write_all(input.as_bytes()).await;
                }
            };
            let ((), output, said) = tokio::join!(write, text(stdout), text(stderr));
            (child.wait().await, output, said)
        };
        let Ok((status, output, said)) = tokio::time::timeout(PATIENCE, ended).await else {
            let message = format!("no end within {} s", PATIENCE.as_secs());
            return Err(ambiguous(self.cannot(&message)));
        };
        let code = status
            .map_err(|error| ambiguous(self.cannot(&error.to_string())))?
            .code();
        let ended = Ended {
            code,
            output,
            said: said.trim().to_owned(),
        };
        match (&self.host, code) {
            (Some(_), Some(Ssh::FAILED)) if Ssh::was_never_there(&ended.said) => {
                let last = ended.said.lines().next_back().unwrap_or_default();
                Err(not_sent(self.cannot(last)))
            }
            (_, None) | (Some(_), Some(Ssh::FAILED)) => Err(ambiguous(self.cannot(&match ended.said.is_empty() {
                true => "it was cut off".to_owned(),
                false => ended.said,
            }))),
            _ => Ok(ended),
        }
    }

    fn command(&self, script: &str) -> Command {
        let mut words: Vec<&str> = Vec::new();
        if let Some(Container { id, engine }) = &self.container {
            words.push("docker");
            words.extend(engine.iter().flat_map(|engine| ["-H", engine]));
            words.extend(["exec", "-i", id]);
        }
        words.extend(["sh", "-c", script]);
        match &self.host {
            Some(ssh) => {
                let words: Vec<String> = words.into_iter().map(quote).collect();
                ssh.command([format!("exec {}", words.join(" ")).as_str()])
            }
            None => {
                let mut command = Command::new(words[0]);
                command.args(&words[1..]);
                command
            }
        }
    }

    fn cannot(&self, why: &str) -> String {
        let what = match &self.container {
            Some(_) => "docker",
            None => "sh",
        };
        match &self.host {
            None => format!("`{what}` cannot be run: {why}"),
            Some(ssh) => format!("{} cannot be asked: {why}", ssh.destination),
        }
    }
}

async fn text(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What was said is wanted, whole or in part.
        let _ = stream.read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn not_sent(message: String) -> ProviderError {
    ProviderError::NotSent {
        message,
        retry_after: None,
    }
}

fn ambiguous(message: String) -> ProviderError {
    ProviderError::Ambiguous { message }
}
