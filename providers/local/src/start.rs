//! Starts the agent of a node, away from this process and its terminal.

use std::fs::OpenOptions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use simfleet_provider_agent::layout::{AgentRecord, DataFolder};
use simfleet_provider_agent::protocol::NodeView;
use simfleet_provider_agent::{AgentClient, ClientError, Failure, FailureReason, durable};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long an agent has to come up.
const UP_WITHIN: Duration = Duration::from_secs(20);

/// How often an agent that ends before it is up is started again, where that may help.
const ATTEMPTS: u32 = 20;

/// What an agent, and with it every simulator, sees of the environment: what a program needs to run, and nothing that
/// a shell happened to hold when the fleet was applied.
const ENVIRONMENT: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "LD_LIBRARY_PATH",
    "SIMFLEET_LOG",
];

/// Why an agent is not up.
#[derive(Debug)]
pub(crate) enum StartError {
    /// The node has been deleted: by its tombstone the agent did not run.
    Gone,
    /// It ended; this is what it said.
    Ended(String),
    /// It lives and does not answer.
    Silent(String),
    /// A file cannot be read or written, or the program cannot be started.
    Io(io::Error),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::Io(error)
    }
}

/// Where the address of a node is kept.
pub(crate) fn address_file(data: &DataFolder) -> PathBuf {
    data.path().join("address.json")
}

/// Returns the client of an agent that has written down where it listens.
pub(crate) fn client(data: &DataFolder, agent: &AgentRecord) -> Result<AgentClient, ClientError> {
    let address = agent
        .listens
        .ok_or_else(|| ClientError::NotSent("it is starting".to_owned()))?;
    AgentClient::new(&runtime(address), data.token())
}

/// Returns how the agent at an address is named in a node's attributes.
pub(crate) fn runtime(address: SocketAddr) -> String {
    format!("agent+http://{address}")
}

/// Returns the agent of a node, if it lives.
pub(crate) fn living_agent(data: &DataFolder) -> io::Result<Option<AgentRecord>> {
    let agent: Option<AgentRecord> = durable::read_json(&data.agent())?;
    Ok(agent.filter(|agent| agent.identity.is_alive()))
}

/// A node that answers.
#[derive(Debug)]
pub(crate) struct Up {
    pub view: NodeView,
    /// Where its agent listens.
    pub address: SocketAddr,
}

/// Asks the agent of a node how it stands, and makes sure that it is the one that was meant.
pub(crate) async fn ask(data: &DataFolder, agent: &AgentRecord, patience: Duration) -> Result<Up, ClientError> {
    let view = client(data, agent)?.with_timeout(patience).node().await?;
    match agent.listens {
        Some(address) if view.health.identity == agent.identity => Ok(Up { view, address }),
        _ => Err(ClientError::NotSent("another agent has its address".to_owned())),
    }
}

/// Starts the agent of a node unless it lives, and returns when it answers. Two calls at a time start one agent: the
/// agent that finds the data folder locked ends by itself.
pub(crate) async fn start(
    program: &Path,
    data: &DataFolder,
    tombstone: &Path,
    choose: impl Fn() -> io::Result<SocketAddr>,
) -> Result<Up, StartError> {
    let deadline = Instant::now() + UP_WITHIN;
    let mut attempt = 0;
    let mut child: Option<Child> = None;
    let mut pid = None;
    loop {
        if tombstone.exists() {
            return Err(StartError::Gone);
        }
        let agent = living_agent(data)?;
        let lives = agent.is_some();
        if let Some(agent) = agent {
            match ask(data, &agent, Duration::from_secs(2)).await {
                Ok(up) => {
                    reap(child);
                    // For the next agent of this node, which is to be found where this one was.
                    durable::write_json(&address_file(data), &up.address)?;
                    return Ok(up);
                }
                Err(error) if Instant::now() > deadline => {
                    reap(child);
                    return Err(StartError::Silent(error.to_string()));
                }
                Err(_) => {}
            }
        }
        let ended = match &mut child {
            Some(running) => running.try_wait()?,
            None => None,
        };
        if let Some(status) = ended {
            child = None;
            // Whose start was for nothing because another agent runs already just waits for that one.
            if !lives && living_agent(data)?.is_none() {
                look_at_end(data, pid, status, attempt, &choose)?;
            }
        }
        if child.is_none() && !lives {
            attempt += 1;
            let started = spawn(program, data)?;
            pid = started.id();
            child = Some(started);
        }
        if Instant::now() > deadline {
            reap(child);
            return Err(StartError::Silent("it does not come up".to_owned()));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Decides whether an agent that has ended before it was up is started again.
fn look_at_end(
    data: &DataFolder,
    pid: Option<u32>,
    status: ExitStatus,
    attempt: u32,
    choose: impl Fn() -> io::Result<SocketAddr>,
) -> Result<(), StartError> {
    let failure: Option<Failure> = match pid {
        Some(pid) => durable::read_json(&data.failure(pid))?,
        None => None,
    };
    let reason = failure.as_ref().map(|failure| failure.reason);
    if reason == Some(FailureReason::Revoked) {
        return Err(StartError::Gone);
    }
    if attempt < ATTEMPTS {
        match reason {
            Some(FailureReason::Listen) => {
                durable::write_json(&address_file(data), &choose()?)?;
                return Ok(());
            }
            // The agent that it lost to has ended since.
            Some(FailureReason::Locked) => return Ok(()),
            // A signal may have been meant for this process and its terminal: an agent that has just been started hears
            // it too.
            None if status.code().is_none() => return Ok(()),
            _ => {}
        }
    }
    let words = failure.map(|failure| failure.message).or_else(|| last_words(data));
    let words = words.map_or(String::new(), |words| format!(": {words}"));
    Err(StartError::Ended(format!("its agent ended with {status}{words}")))
}

/// Returns the end of what an agent printed that could not even say why it failed.
fn last_words(data: &DataFolder) -> Option<String> {
    let mut lines = durable::tail(&data.log(), 5).ok()?;
    lines.retain(|line| !line.trim().is_empty());
    (!lines.is_empty()).then(|| lines.join("; "))
}

fn spawn(program: &Path, data: &DataFolder) -> io::Result<Child> {
    let address: SocketAddr = durable::read_json(&address_file(data))?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the node has no address"))?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(data.log())?;
    let environment = ENVIRONMENT
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    Command::new(program)
        .args(["shim", "detach"])
        .arg(program)
        .arg("agent")
        .arg("--data")
        .arg(data.path())
        .arg("--listen")
        .arg(address.to_string())
        .current_dir(data.path())
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log))
        .spawn()
}

/// Waits for an agent in the background, so that it is no zombie when it ends before this process.
fn reap(child: Option<Child>) {
    if let Some(mut child) = child {
        tokio::spawn(async move {
            let _ = child.wait().await;
        });
    }
}
