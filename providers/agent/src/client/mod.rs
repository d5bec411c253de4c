//! Speaks to an agent: the protocol as calls, with errors in the terms of a provider.

mod error;

use std::path::PathBuf;
use std::time::Duration;

use futures::{Stream, StreamExt};
use hyper::header::{AUTHORIZATION, HeaderName};
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use simfleet_provider_api::Attributes;
use simfleet_provider_api::runtime::LogQuery;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::endpoint::Endpoint;
use crate::http::{Answer, HttpError, bearer, open, send, upgrade};
use crate::protocol::{
    ActOnMachine, CONSOLE, ErrorBody, Health, LogTail, NodeChange, NodeMetrics, NodeView, OnShutdown, PROTOCOL,
    PROTOCOL_HEADER, PatchSimulator, PutSimulator, ResetSimulator, Shutdown, SimulatorList, SimulatorView,
    SnapshotList, SnapshotView, TokenView, Version, code,
};

pub use error::ClientError;

/// How long an agent may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The same of one on another machine, where a login comes before.
const FAR_TIMEOUT: Duration = Duration::from_secs(40);

/// How long an agent may take to take in a program.
const UPLOAD: Duration = Duration::from_secs(60);

/// A client of one agent. Holds no connection and no secret: the token is read for each call, from its file or over a login.
#[derive(Debug, Clone)]
pub struct AgentClient {
    endpoint: Endpoint,
    /// The file that holds the bearer token; a login knows it itself.
    token_file: Option<PathBuf>,
    timeout: Duration,
}

impl AgentClient {
    /// Makes a client for a runtime `agent+http://HOST:PORT`, with the file that holds the bearer token. No I/O.
    pub fn new(runtime: &str, token_file: impl Into<PathBuf>) -> Result<Self, ClientError> {
        Self::of(runtime, Some(token_file.into()))
    }

    /// Makes a client by what is known of an agent, a node's attributes or the settings of a provider: `runtime`, and
    /// `token_file` or `ssh = { key, known_hosts, host_key_alias }`. No I/O.
    pub fn of_settings(settings: &Attributes) -> Result<Self, ClientError> {
        let runtime = settings.str("runtime").unwrap_or_default();
        let mut client = Self::of(runtime, settings.str("token_file").map(PathBuf::from))?;
        if let Endpoint::Over(login) = client.endpoint {
            client.endpoint = Endpoint::Over(login.with(settings));
        }
        Ok(client)
    }

    fn of(runtime: &str, token_file: Option<PathBuf>) -> Result<Self, ClientError> {
        let (endpoint, token_file, timeout) = match (Endpoint::parse(runtime), token_file) {
            (Some(over @ Endpoint::Over(_)), _) => (over, None, FAR_TIMEOUT),
            (Some(at), Some(token_file)) => (at, Some(token_file), TIMEOUT),
            _ => {
                return Err(ClientError::Runtime {
                    runtime: runtime.to_owned(),
                });
            }
        };
        Ok(AgentClient {
            endpoint,
            token_file,
            timeout,
        })
    }

    /// Returns the client with another time-out for each call.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns where the agent is reached: what [`AgentClient::of_settings`] reads as `runtime`.
    pub(crate) fn runtime(&self) -> String {
        self.endpoint.runtime()
    }

    /// Returns the host that it is reached at.
    pub(crate) fn host(&self) -> &str {
        match &self.endpoint {
            Endpoint::At { host, .. } => host,
            Endpoint::Over(ssh) => ssh.host(),
        }
    }

    /// Whether the agent is on another machine.
    pub(crate) fn is_far(&self) -> bool {
        matches!(self.endpoint, Endpoint::Over(_))
    }

    /// Asks who the agent is; needs no token. An agent that starts or ends answers too.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let answer = send(&self.endpoint, Method::GET, "/healthz", &[], None, self.timeout).await;
        parse(&answer.map_err(from_http)?)
    }

    /// Asks which versions the agent speaks, and refuses one that does not speak ours.
    pub async fn version(&self) -> Result<Version, ClientError> {
        let version: Version = self.call(Method::GET, "/v1/version", NOTHING).await?;
        if version.protocols.contains(&PROTOCOL) {
            Ok(version)
        } else {
            Err(ClientError::Protocol {
                spoken: version.protocols,
            })
        }
    }

    /// Reads the node.
    pub async fn node(&self) -> Result<NodeView, ClientError> {
        self.call(Method::GET, "/v1/node", NOTHING).await
    }

    /// Changes what the node declares.
    pub async fn change_node(&self, change: &NodeChange) -> Result<NodeView, ClientError> {
        self.call(Method::PUT, "/v1/node", Some(change)).await
    }

    /// Reads the load of the node.
    pub async fn metrics(&self) -> Result<NodeMetrics, ClientError> {
        self.call(Method::GET, "/v1/metrics", NOTHING).await
    }

    /// Tells the agent to end; it answers before it does.
    pub async fn shut_down(&self, simulators: OnShutdown) -> Result<(), ClientError> {
        let request = Shutdown { simulators };
        self.exchange(Method::POST, "/v1/shutdown", Some(&request)).await?;
        Ok(())
    }

    /// Reads all simulators.
    pub async fn simulators(&self) -> Result<Vec<SimulatorView>, ClientError> {
        let list: SimulatorList = self.call(Method::GET, "/v1/simulators", NOTHING).await?;
        Ok(list.simulators)
    }

    /// Reads one simulator; `None` where the name belongs to none, or to one with another id.
    pub async fn simulator(&self, name: &str, id: &str) -> Result<Option<SimulatorView>, ClientError> {
        let path = format!("{}?id={}", simulator_path(name), encode(id));
        match self.call(Method::GET, &path, NOTHING).await {
            Ok(view) => Ok(Some(view)),
            Err(error) if matches!(error.code(), Some(code::NOT_FOUND | code::DELETED)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a simulator.
    pub async fn put_simulator(&self, name: &str, request: &PutSimulator) -> Result<SimulatorView, ClientError> {
        self.call(Method::PUT, &simulator_path(name), Some(request)).await
    }

    /// Changes a simulator.
    pub async fn patch_simulator(&self, name: &str, request: &PatchSimulator) -> Result<SimulatorView, ClientError> {
        self.call(Method::PATCH, &simulator_path(name), Some(request)).await
    }

    /// Deletes a simulator. Returns whether it is gone already; otherwise it is being stopped.
    pub async fn delete_simulator(&self, name: &str, id: &str) -> Result<bool, ClientError> {
        let path = format!("{}?id={}", simulator_path(name), encode(id));
        match self.exchange(Method::DELETE, &path, NOTHING).await {
            Ok(answer) => Ok(answer.status == StatusCode::NO_CONTENT),
            Err(error) if matches!(error.code(), Some(code::NOT_FOUND | code::DELETED | code::FAILED)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Starts a simulator that is stopped.
    pub async fn start_simulator(&self, name: &str) -> Result<SimulatorView, ClientError> {
        self.call(Method::POST, &format!("{}/start", simulator_path(name)), NOTHING)
            .await
    }

    /// Stops a simulator.
    pub async fn stop_simulator(&self, name: &str) -> Result<SimulatorView, ClientError> {
        self.call(Method::POST, &format!("{}/stop", simulator_path(name)), NOTHING)
            .await
    }

    /// Reads the last lines of a simulator's output.
    pub async fn logs(&self, name: &str, lines: usize) -> Result<Vec<String>, ClientError> {
        let path = format!("{}/logs?tail={lines}", simulator_path(name));
        let tail: LogTail = self.call(Method::GET, &path, NOTHING).await?;
        Ok(tail.lines)
    }

    /// Gives the agent a program for machines: its content, by the SHA-256 of that.
    pub async fn put_program(&self, sha256: &str, content: Vec<u8>) -> Result<(), ClientError> {
        // A large program takes its time.
        let patient = self.clone().with_timeout(self.timeout.max(UPLOAD));
        let path = format!("/v1/programs/{}", encode(sha256));
        patient.request(Method::PUT, &path, Some(content)).await?;
        Ok(())
    }

    /// Starts a simulator anew in place; it may still be on its way when this returns.
    pub async fn reset_simulator(&self, name: &str, request: &ResetSimulator) -> Result<SimulatorView, ClientError> {
        let path = format!("{}/reset", simulator_path(name));
        self.call(Method::POST, &path, Some(request)).await
    }

    /// Does something with a machine by hand; it may still be being done when this returns.
    pub async fn act(&self, name: &str, request: &ActOnMachine) -> Result<SimulatorView, ClientError> {
        let path = format!("{}/act", simulator_path(name));
        self.call(Method::POST, &path, Some(request)).await
    }

    /// Reads the snapshots of a machine, oldest first.
    pub async fn snapshots(&self, name: &str, id: &str) -> Result<Vec<SnapshotView>, ClientError> {
        let path = format!("{}/snapshots?id={}", simulator_path(name), encode(id));
        let list: SnapshotList = self.call(Method::GET, &path, NOTHING).await?;
        Ok(list.snapshots)
    }

    /// Opens a console of a machine: the one of that name, or its first.
    pub async fn console(
        &self,
        name: &str,
        id: &str,
        console: Option<&str>,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, ClientError> {
        let console = console
            .map(|console| format!("&console={}", encode(console)))
            .unwrap_or_default();
        let path = format!("{}/console?id={}{console}", simulator_path(name), encode(id));
        let headers = self.headers().await?;
        let opened = upgrade(&self.endpoint, &path, &headers, CONSOLE, self.timeout).await;
        opened.map_err(from_http)?.map_err(refused)
    }

    /// Reads what a simulator wrote, in pieces: the last lines, what is so old, or all; and what it writes until it ends.
    pub async fn log(
        &self,
        name: &str,
        id: &str,
        query: &LogQuery,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, ClientError>> + Send + use<>, ClientError> {
        let mut path = format!("{}/log?id={}&follow={}", simulator_path(name), encode(id), query.follow);
        if let Some(lines) = query.tail {
            path.push_str(&format!("&tail={lines}"));
        }
        if let Some(age) = query.since {
            path.push_str(&format!("&since={}", age.as_secs_f64()));
        }
        let headers = self.headers().await?;
        let opened = open(&self.endpoint, &path, &headers, self.timeout).await;
        let pieces = opened.map_err(from_http)?.map_err(refused)?;
        Ok(pieces.map(|piece| piece.map_err(from_http)))
    }

    /// Asks what a create with this token did; `None` where nothing is known of it.
    pub async fn token(&self, token: &str) -> Result<Option<TokenView>, ClientError> {
        match self
            .call(Method::GET, &format!("/v1/tokens/{}", encode(token)), NOTHING)
            .await
        {
            Ok(view) => Ok(Some(view)),
            Err(error) if error.code() == Some(code::NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, ClientError> {
        parse(&self.exchange(method, path, body).await?)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Answer, ClientError> {
        let body = body
            .map(serde_json::to_vec)
            .transpose()
            .map_err(|error| ClientError::NotSent(format!("cannot write the request: {error}")))?;
        self.request(method, path, body).await
    }

    async fn request(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Answer, ClientError> {
        let headers = self.headers().await?;
        let answer = send(&self.endpoint, method, path, &headers, body, self.timeout).await;
        let answer = answer.map_err(from_http)?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(refused(answer)),
        }
    }

    /// Returns what every call begins with.
    async fn headers(&self) -> Result<Vec<(HeaderName, String)>, ClientError> {
        let mut headers = vec![(HeaderName::from_static(PROTOCOL_HEADER), PROTOCOL.to_string())];
        if let Some(token_file) = &self.token_file {
            let token = tokio::fs::read_to_string(token_file).await;
            let token = token.map_err(|source| ClientError::Token {
                path: token_file.clone(),
                source,
            })?;
            headers.push((AUTHORIZATION, bearer(&token)));
        }
        Ok(headers)
    }
}

fn refused(answer: Answer) -> ClientError {
    let body: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_else(|_| ErrorBody {
        code: String::new(),
        message: format!("HTTP status {}", answer.status),
        attribute: None,
    });
    ClientError::Refused {
        status: answer.status.as_u16(),
        retry_after: answer.retry_after,
        body,
    }
}

const NOTHING: Option<&()> = None;

fn from_http(error: HttpError) -> ClientError {
    match error {
        HttpError::NotSent { .. } => ClientError::NotSent(error.to_string()),
        HttpError::NoAnswer { .. } => ClientError::NoAnswer(error.to_string()),
    }
}

fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, ClientError> {
    serde_json::from_slice(&answer.body).map_err(|error| ClientError::Answer(error.to_string()))
}

fn simulator_path(name: &str) -> String {
    format!("/v1/simulators/{}", encode(name))
}

/// Encodes a segment of a path: all but unreserved characters (RFC 3986, 2.3) as `%XX`.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_is_not_an_agent_is_refused() {
        let settings = |runtime: &str| Attributes::from_iter([("runtime", runtime)]);
        let error = AgentClient::of_settings(&settings("unix:///x")).expect_err("is no agent");
        assert!(matches!(error, ClientError::Runtime { .. }), "{error}");
        // Only over a login no file with a token is needed.
        assert!(AgentClient::of_settings(&settings("agent+http://h:1")).is_err());
        AgentClient::of_settings(&settings("agent+ssh://ann@h")).expect("is an agent");
    }

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(encode("a/b [\"x\"]?%é"), "a%2Fb%20%5B%22x%22%5D%3F%25%C3%A9");
    }
}
