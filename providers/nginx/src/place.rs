//! Where scripts are run: on this machine, or on another one through its `ssh`; in a container of either by the docker client there.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use simfleet_provider_api::ProviderError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::script::quote;

/// How long a script may take, the commands of the user and the wait for nginx in it.
const PATIENCE: Duration = Duration::from_secs(120);
/// What `ssh` ends with where it is not what ran over there that ended.
const SSH_FAILED: i32 = 255;

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

/// A login on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ssh {
    /// `user@host`, or what the configuration of `ssh` has for it.
    pub(crate) destination: String,
    pub(crate) port: Option<u16>,
    /// The file of the key.
    pub(crate) key: Option<PathBuf>,
    /// The file of the hosts that are known.
    pub(crate) known_hosts: Option<PathBuf>,
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

impl Ssh {
    /// Reads `host`.
    ///
    /// # Errors
    /// What is wrong with it, in words for the user.
    pub(crate) fn parse(host: &str, key: Option<PathBuf>, known_hosts: Option<PathBuf>) -> Result<Self, String> {
        let wrong = || format!("is {host:?}, which is no ssh://user@host");
        let destination = host.strip_prefix("ssh://").ok_or_else(wrong)?.trim_end_matches('/');
        if destination.is_empty() || destination.starts_with('-') {
            return Err(wrong());
        }
        let (destination, port) = match destination.rsplit_once(':') {
            Some((destination, port)) => (destination, Some(port.parse().map_err(|_| wrong())?)),
            None => (destination, None),
        };
        Ok(Ssh {
            destination: destination.to_owned(),
            port,
            key,
            known_hosts,
        })
    }
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
            (Some(_), Some(SSH_FAILED)) if was_never_there(&ended.said) => {
                let last = ended.said.lines().next_back().unwrap_or_default();
                Err(not_sent(self.cannot(last)))
            }
            (_, None) | (Some(_), Some(SSH_FAILED)) => Err(ambiguous(self.cannot(&match ended.said.is_empty() {
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
        let Some(ssh) = &self.host else {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]);
            return command;
        };
        let mut command = Command::new("ssh");
        // Nobody is asked for a password in the middle of an apply.
        command.args(["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"]);
        if let Some(port) = ssh.port {
            command.arg("-p").arg(port.to_string());
        }
        if let Some(key) = &ssh.key {
            command.arg("-i").arg(key).args(["-o", "IdentitiesOnly=yes"]);
        }
        if let Some(hosts) = &ssh.known_hosts {
            let hosts = format!("UserKnownHostsFile=\"{}\"", hosts.display());
            command.args(["-o", &hosts, "-o", "StrictHostKeyChecking=yes"]);
        }
        command.arg("--").arg(&ssh.destination);
        let words: Vec<String> = words.into_iter().map(quote).collect();
        command.arg(format!("exec {}", words.join(" ")));
        command
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

/// Whether `ssh` did not get as far as to run anything over there.
fn was_never_there(said: &str) -> bool {
    const WORDS: [&str; 7] = [
        "Permission denied",
        "Host key verification failed",
        "Could not resolve",
        "Connection refused",
        "Connection timed out",
        "No route to host",
        "Identity file",
    ];
    WORDS.iter().any(|words| said.contains(words))
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
