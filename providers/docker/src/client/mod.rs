//! The calls to an engine. Nothing outside of this folder sees a type of the library that makes them.
//!
//! - [`Engine`]: one engine, connected to when it is first asked; [`CallError`]: how it says no
//! - [`ssh`]: the way to an engine at `ssh://`
//! - [`container`], [`image`], [`network`], [`volume`]: the calls about each; [`build`]: how an image is built; `pulled`: how far a pull is
//! - `events`: what an engine tells by itself

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};
use simfleet_provider_api::{Path, ProviderError};
use tokio::sync::OnceCell;

use crate::endpoint::{Endpoint, Tls};

pub(crate) mod build;
pub(crate) mod container;
mod events;
pub(crate) mod image;
pub(crate) mod network;
mod pulled;
mod ssh;
pub(crate) mod volume;

/// For how long the engine may be silent about something that it only looks up.
const SOON: Duration = Duration::from_secs(30);
/// For how long it may be silent about something that it changes, on a busy machine.
const LATE: Duration = Duration::from_secs(2 * 60);

/// One engine.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Where it is.
    pub(crate) endpoint: Endpoint,
    /// The same, as it was given.
    pub(crate) runtime: String,
    /// The folder of the docker client's configuration.
    folder: PathBuf,
    /// The fleet whose objects are looked after.
    pub(crate) lineage: Arc<str>,
    docker: OnceCell<Docker>,
    machine: OnceCell<Machine>,
    pulls: image::InTurn,
    builds: image::InTurn,
}

/// The machine that an engine runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    /// What the engine calls itself; no two have the same.
    pub(crate) id: String,
    /// Processors.
    pub(crate) cpus: u64,
    /// Bytes of memory.
    pub(crate) memory: u64,
    /// The version of the engine.
    pub(crate) version: String,
}

/// Why a call to an engine failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct CallError {
    /// In the terms that decide what happens next.
    pub(crate) why: Why,
    /// What the engine, or the way to it, said.
    pub(crate) message: String,
}

/// Why a call failed, in the terms that decide what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// There is no such object.
    NotFound,
    /// Another object, or the state of this one, is in the way.
    Conflict,
    /// The engine will not do it, or tried and failed.
    Refused,
    /// The engine lets nobody in without a right that is missing.
    Denied,
    /// The call never got there.
    Unreachable,
    /// Whether it was carried out is not known.
    Unknown,
}

impl From<CallError> for ProviderError {
    fn from(CallError { why, message }: CallError) -> Self {
        match why {
            Why::Conflict => ProviderError::Conflict { message },
            Why::NotFound | Why::Refused => rejected(message, None),
            Why::Denied => ProviderError::Denied { message },
            Why::Unreachable => ProviderError::NotSent {
                message,
                retry_after: None,
            },
            Why::Unknown => ProviderError::Ambiguous { message },
        }
    }
}

impl CallError {
    /// Returns what this says where calls of the same change were made before.
    pub(crate) fn halfway(self) -> ProviderError {
        ProviderError::from(self).halfway()
    }
}

/// What the engine will never do as it is asked.
pub(crate) fn rejected(message: String, attribute: Option<&'static str>) -> ProviderError {
    ProviderError::Rejected {
        message,
        attribute: attribute.map(Path::attribute),
    }
}

impl Engine {
    /// Returns an engine that nobody has spoken to yet.
    pub(crate) fn new(endpoint: Endpoint, runtime: String, folder: PathBuf, lineage: Arc<str>) -> Self {
        Engine {
            endpoint,
            runtime,
            folder,
            lineage,
            docker: OnceCell::new(),
            machine: OnceCell::new(),
            pulls: image::InTurn::default(),
            builds: image::InTurn::default(),
        }
    }

    /// Returns the connection, for calls that look something up.
    async fn soon(&self) -> Result<Docker, CallError> {
        let connect = || async {
            if let Endpoint::Tcp { tls: Some(tls), .. } = &self.endpoint {
                tls.check().map_err(|wrong| CallError {
                    why: Why::Refused,
                    message: format!("the Docker engine at {} cannot be spoken to: {wrong}", self.endpoint),
                })?;
            }
            let docker = self.connection().map_err(|error| self.error(error))?.with_timeout(SOON);
            // Both sides speak the older of their versions.
            docker.negotiate_version().await.map_err(|error| self.error(error))
        };
        self.docker.get_or_try_init(connect).await.cloned()
    }

    /// Returns the connection, for calls that change something.
    async fn late(&self) -> Result<Docker, CallError> {
        self.later(Duration::ZERO).await
    }

    /// Returns the connection, for calls that wait for something for so long at most.
    async fn later(&self, wait: Duration) -> Result<Docker, CallError> {
        Ok(self.soon().await?.with_timeout(LATE.saturating_add(wait)))
    }

    fn connection(&self) -> Result<Docker, Error> {
        let seconds = SOON.as_secs();
        match &self.endpoint {
            Endpoint::Unix(path) => Docker::connect_with_unix(&path.to_string_lossy(), seconds, API_DEFAULT_VERSION),
            Endpoint::Ssh(ssh) => {
                let ssh = ssh.clone();
                let send = move |request| ssh::send(ssh.clone(), request);
                Docker::connect_with_custom_transport(send, Some("http://docker"), seconds, API_DEFAULT_VERSION)
            }
            Endpoint::Tcp { authority, tls: None } => {
                Docker::connect_with_http(&format!("tcp://{authority}"), seconds, API_DEFAULT_VERSION)
            }
            Endpoint::Tcp {
                authority,
                tls: Some(Tls { ca, cert, key }),
            } => Docker::connect_with_ssl(
                &format!("tcp://{authority}"),
                key,
                cert,
                ca,
                seconds,
                API_DEFAULT_VERSION,
            ),
        }
    }

    /// Returns the machine of the engine, as it was when it was first asked for.
    pub(crate) async fn machine(&self) -> Result<&Machine, CallError> {
        self.machine.get_or_try_init(|| self.look()).await
    }

    /// Returns the machine of the engine, as it is now.
    pub(crate) async fn look(&self) -> Result<Machine, CallError> {
        let info = self.soon().await?.info().await.map_err(|error| self.error(error))?;
        let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).unwrap_or(u64::MAX);
        Ok(Machine {
            id: info.id.unwrap_or_default(),
            cpus: number(info.ncpu),
            memory: number(info.mem_total),
            version: info.server_version.unwrap_or_default(),
        })
    }

    /// Returns what an error of the library means.
    fn error(&self, error: Error) -> CallError {
        call_error(&self.endpoint, error)
    }
}

/// Returns what an error of the library means, at an endpoint.
fn call_error(endpoint: &Endpoint, error: Error) -> CallError {
    let (why, message) = match error {
        Error::RequestTimeoutError => {
            return CallError {
                why: Why::Unknown,
                message: format!("the Docker engine at {} does not answer", endpoint),
            };
        }
        Error::DockerResponseServerError { status_code, message } => (why_of(status_code), said(&message)),
        Error::DockerStreamError { error } => (Why::Refused, said(&error)),
        Error::SocketNotFoundError(path) => (Why::Unreachable, format!("there is no socket `{path}`")),
        Error::CertPathError { path } => (
            Why::Refused,
            format!("the certificate `{}` cannot be read", path.display()),
        ),
        Error::CertParseError { path } | Error::CertMultipleKeys { path, .. } => (
            Why::Refused,
            format!(
                "`{}` is not what it must be: one certificate or key in PEM",
                path.display()
            ),
        ),
        // It stands for its cause, which does not show itself in the chain.
        Error::IOError { err } => transport(&err),
        other => transport(&other),
    };
    let message = match (why, endpoint) {
        (Why::Denied, Endpoint::Unix(_)) => {
            format!("{message}; who uses it must be allowed to write to its socket")
        }
        (Why::Denied, Endpoint::Tcp { tls: Some(tls), .. }) if message.starts_with("received fatal alert") => {
            format!("it does not take the certificate `{}`: {message}", tls.cert.display())
        }
        (Why::Denied, Endpoint::Tcp { tls: Some(tls), .. }) => {
            format!("`{}` does not vouch for its certificate: {message}", tls.ca.display())
        }
        (Why::Refused, Endpoint::Tcp { tls: None, .. }) if message.contains("HTTP request to an HTTPS server") => {
            let tls = "it speaks TLS only: give the provider `tls = { ca = …, cert = …, key = … }`";
            format!("the Docker engine at {} cannot be spoken to: {tls}", endpoint)
        }
        _ => message,
    };
    let message = match why {
        Why::Unreachable => format!("the Docker engine at {} cannot be reached: {message}", endpoint),
        Why::Denied if matches!(endpoint, Endpoint::Tcp { tls: Some(_), .. }) => {
            format!("the Docker engine at {} cannot be spoken to: {message}", endpoint)
        }
        Why::Denied => format!("the Docker engine at {} lets nobody in: {message}", endpoint),
        Why::Unknown => format!("the Docker engine at {} was lost: {message}", endpoint),
        Why::NotFound | Why::Conflict | Why::Refused => message,
    };
    CallError { why, message }
}

/// What the engine says, without the words that it begins with.
fn said(message: &str) -> String {
    let message = message.trim();
    let message = message.strip_prefix("Error response from daemon: ").unwrap_or(message);
    message.to_owned()
}

fn why_of(status: u16) -> Why {
    match status {
        404 => Why::NotFound,
        409 => Why::Conflict,
        401 => Why::Denied,
        502..=504 => Why::Unreachable,
        _ => Why::Refused,
    }
}

/// How TLS says that one of the two does not believe the other.
const DISTRUST: [&str; 2] = ["invalid peer certificate", "received fatal alert"];

/// Returns what went wrong on the way, from the innermost cause.
fn transport(error: &(dyn std::error::Error + 'static)) -> (Why, String) {
    let mut cause = error;
    let mut why = Why::Unknown;
    loop {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            why = match io.kind() {
                ErrorKind::PermissionDenied => Why::Denied,
                ErrorKind::ConnectionRefused
                | ErrorKind::NotFound
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable => Why::Unreachable,
                _ => why,
            };
        }
        if let Some(client) = cause.downcast_ref::<hyper_util::client::legacy::Error>()
            && client.is_connect()
            && why == Why::Unknown
        {
            why = Why::Unreachable;
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => {
                let said = cause.to_string();
                let is_distrust = DISTRUST.iter().any(|words| said.starts_with(words));
                return (if is_distrust { Why::Denied } else { why }, said);
            }
        }
    }
}
