//! The agent itself: a server on loopback, over a supervisor.

mod auth;
mod console;
mod error;
mod logs;
mod metrics;
mod routes;

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, watch};

use self::auth::BearerToken;
use crate::durable;
use crate::identity::{ProcessIdentity, marked_with};
use crate::layout::{AgentRecord, Claim, DataFolder};
use crate::load::Meter;
use crate::node::NodeRecord;
use crate::protocol::{Health, OnShutdown};
use crate::shim::COOKIE;
use crate::supervisor::{Shared, Supervisor};

/// How an agent is started.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// The folder that holds all that it keeps. It must exist: an agent that is started late never brings back the
    /// folder of a node that has been deleted.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The address that its simulators are told to listen at, where that is not its own.
    pub address: Option<IpAddr>,
    /// The program that it starts as the shim of each simulator (`PROGRAM shim …`), and that `{simfleet}` stands for:
    /// usually its own.
    pub program: PathBuf,
}

/// Why an agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is no such folder.
    #[error("there is no data folder `{}`: make it first", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another agent works on the folder.
    #[error("another agent runs on the data folder `{}`", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The node that the folder belongs to has been deleted.
    #[error("the data folder `{}` belongs to a node that has been deleted", path.display())]
    Revoked {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Whoever is in the network could read its token, and start programs with that.
    #[error(
        "an agent listens to its own machine only, and {address} is not one of it: others reach it as agent+ssh://USER@HOST"
    )]
    Open {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// It cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It cannot go on.
    #[error("the server failed")]
    Server(#[source] io::Error),
}

/// Why an agent did not run, left in its data folder for who started it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure.
    pub reason: FailureReason,
    /// What was tried, and the cause.
    pub message: String,
}

/// What kind of failure kept an agent from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// Another agent has the data folder.
    Locked,
    /// The node has been deleted.
    Revoked,
    /// The address cannot be had.
    Listen,
    /// Something else.
    Other,
}

impl AgentError {
    fn failure(&self) -> Failure {
        let reason = match self {
            AgentError::Locked { .. } => FailureReason::Locked,
            AgentError::Revoked { .. } => FailureReason::Revoked,
            AgentError::Open { .. } | AgentError::Listen { .. } => FailureReason::Listen,
            _ => FailureReason::Other,
        };
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Failure { reason, message }
    }
}

/// What the routes share.
#[derive(Debug, Clone)]
struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    supervisor: Arc<Supervisor>,
    node: Mutex<NodeRecord>,
    data: DataFolder,
    token: BearerToken,
    claim: Claim,
    identity: ProcessIdentity,
    started: String,
    meter: Meter,
    end: watch::Sender<Option<OnShutdown>>,
}

impl Inner {
    fn health(&self) -> Health {
        let status = if self.supervisor.is_closing() { "stopping" } else { "ok" };
        Health {
            status: status.to_owned(),
            node: self.claim.node.clone(),
            identity: self.identity.clone(),
        }
    }
}

/// Runs an agent until it is told to end: by a request, or by SIGTERM or SIGINT, which leave its simulators running; or
/// until its data folder is deleted, which ends its simulators too.
///
/// What it needs and does not find in its data folder (a claim, a token) it makes. A second agent on the same folder is
/// refused; one that follows another takes over its simulators without touching their processes.
pub async fn serve(options: AgentOptions) -> Result<(), AgentError> {
    let data = DataFolder::new(&options.data);
    let result = run(options).await;
    if let Err(error) = &result {
        // Best effort: where the folder is gone, nobody asks.
        let _ = durable::write_json(&data.failure(std::process::id()), &error.failure());
    }
    result
}

async fn run(options: AgentOptions) -> Result<(), AgentError> {
    if !options.listen.ip().is_loopback() {
        return Err(AgentError::Open {
            address: options.listen,
        });
    }
    let path = std::fs::canonicalize(&options.data).map_err(|source| AgentError::NoFolder {
        path: options.data.clone(),
        source,
    })?;
    let data = DataFolder::new(&path);
    let lock = lock(&data)?;
    let claim = claim(&data)?;
    let identity = ProcessIdentity::of_self();
    // First the identity, then the look at what revokes it: who deletes the node does the same in the other order, so
    // that one of the two sees the other.
    let write_agent = |listens| {
        let record = AgentRecord {
            identity: identity.clone(),
            listens,
        };
        durable::write_json(&data.agent(), &record).map_err(|source| file(data.agent(), source))
    };
    write_agent(None)?;
    if claim.revoked_by.as_ref().is_some_and(|path| path.exists()) {
        // Left over is only what the other one removes anyway.
        let _ = durable::remove_file(&data.agent());
        return Err(AgentError::Revoked { path });
    }
    let listen = |source| AgentError::Listen {
        address: options.listen,
        source,
    };
    let (listener, address) = bind(options.listen).await.map_err(listen)?;
    write_agent(Some(address))?;
    let token = token(&data)?;
    let node = NodeRecord::load(&data).map_err(|source| file(data.node(), source))?;
    let shared = Shared::new(options.program, address, options.address, &claim, data.clone());
    let supervisor = Supervisor::load(shared)
        .await
        .map_err(|source| file(data.simulators(), source))?;
    forget_failures(&data);
    let (end, ended) = watch::channel(None);
    let cookie = format!("{}:", claim.node);
    let app = App(Arc::new(Inner {
        supervisor: supervisor.clone(),
        node: Mutex::new(node),
        data,
        token,
        claim,
        identity,
        started: crate::shim::now(),
        meter: Meter::new(),
        end,
    }));
    tracing::info!(%address, data = %path.display(), "agent is up");
    let server = axum::serve(listener, routes::routes(app));
    tokio::select! {
        result = server => result.map_err(AgentError::Server),
        result = told_to_end(ended, supervisor) => result.map_err(AgentError::Server),
        () = deleted(&lock) => {
            tracing::warn!("the data folder was deleted: the agent ends, and its simulators with it");
            stop_all(&cookie).await;
            Ok(())
        }
    }
}

/// Listens for as long as this process lives: who is told that it does takes whoever listens there for it.
async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?.into_std()?;
    std::mem::forget(listener.try_clone()?);
    let address = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, address))
}

/// Returns when the data folder was deleted, and its lock with it. One that was moved is still there.
///
/// Nobody can reach an agent without its token file, so it and what it runs would stay for ever.
async fn deleted(lock: &File) {
    let mut look = tokio::time::interval(Duration::from_secs(2));
    while !lock.metadata().is_ok_and(|lock| lock.nlink() == 0) {
        look.tick().await;
    }
}

/// Stops all processes of a node's simulators, without any file of theirs: at first kindly.
async fn stop_all(cookie: &str) {
    for (signal, patience) in [
        (Signal::TERM, Duration::from_secs(30)),
        (Signal::KILL, Duration::from_secs(5)),
    ] {
        let until = tokio::time::Instant::now() + patience;
        // What is started meanwhile is found the next time.
        let mut told: Vec<ProcessIdentity> = Vec::new();
        loop {
            let left = marked_with(COOKIE, cookie);
            if left.is_empty() {
                return;
            }
            for process in left {
                if !told.contains(&process) {
                    // It can be gone by now.
                    let _ = process.signal(signal);
                    told.push(process);
                }
            }
            if tokio::time::Instant::now() > until {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Returns when the agent is to end and its simulators are as they should be then.
async fn told_to_end(mut ended: watch::Receiver<Option<OnShutdown>>, supervisor: Arc<Supervisor>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = tokio::select! {
        _ = terminate.recv() => OnShutdown::Keep,
        _ = interrupt.recv() => OnShutdown::Keep,
        // The sender lives as long as the server.
        told = ended.wait_for(Option::is_some) => told.ok().and_then(|told| *told).unwrap_or(OnShutdown::Keep),
    };
    supervisor.close();
    match told {
        OnShutdown::Keep => tracing::info!("agent ends and leaves its simulators running"),
        OnShutdown::Stop => {
            supervisor.delete_all().await;
            tracing::info!("agent ends, and so have its simulators");
        }
    }
    Ok(())
}

/// Removes what earlier agents have said of why they could not run: one runs now.
fn forget_failures(data: &DataFolder) {
    for entry in std::fs::read_dir(data.path()).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b"failed.") {
            // What stays is removed the next time.
            let _ = durable::remove_file(&entry.path());
        }
    }
}

fn file(path: PathBuf, source: io::Error) -> AgentError {
    AgentError::File { path, source }
}

fn lock(data: &DataFolder) -> Result<File, AgentError> {
    let path = data.lock();
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| file(path, source))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(AgentError::Locked {
            path: data.path().to_owned(),
        }),
        Err(error) => Err(file(data.lock(), error.into())),
    }
}

fn claim(data: &DataFolder) -> Result<Claim, AgentError> {
    let path = data.claim();
    match durable::read_json(&path) {
        Ok(Some(claim)) => Ok(claim),
        Ok(None) => {
            let claim = Claim {
                node: random_hex(),
                generation: String::new(),
                revoked_by: None,
            };
            durable::write_json(&path, &claim).map_err(|source| file(path, source))?;
            Ok(claim)
        }
        Err(source) => Err(file(path, source)),
    }
}

fn token(data: &DataFolder) -> Result<BearerToken, AgentError> {
    let path = data.token();
    match std::fs::read_to_string(&path) {
        Ok(token) if !token.trim().is_empty() => Ok(BearerToken::new(token.trim())),
        Ok(_) => Err(file(path, io::Error::other("the token is empty"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let token = random_hex();
            write_token(&path, &token).map_err(|source| file(path, source))?;
            Ok(BearerToken::new(&token))
        }
        Err(source) => Err(file(path, source)),
    }
}

/// Writes a bearer token to a file that only its owner can read.
pub fn write_token(path: &Path, token: &str) -> io::Result<()> {
    durable::write(path, format!("{token}\n").as_bytes())
}

/// Returns 32 random bytes from the system, in hexadecimal: a bearer token, or a name that is nobody else's.
pub fn random_hex() -> String {
    let bytes: [u8; 32] = rand::random();
    hex::encode(bytes)
}
