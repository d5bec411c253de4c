//! The client of the fake cloud: in this process, or over HTTP. The only file that knows which.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::calls::{Reply, Request};
use crate::gateway::Gateway;

/// Where a cloud is.
#[derive(Debug, Clone)]
pub enum Client {
    /// In this process.
    Inside(Arc<Gateway>),
    /// At this authority, `127.0.0.1:8080`.
    Http(Authority),
}

/// The host and port of a cloud that is a process of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority(Arc<str>);

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The endpoint is not the address of a fake cloud.
    #[error("`{endpoint}` is not an endpoint of the fake cloud: it has the form http://127.0.0.1:PORT")]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
    /// There was no connection: nothing was sent.
    #[error("cannot connect to the fake cloud at {authority}: {cause}")]
    NoConnection {
        /// Where it should be.
        authority: Arc<str>,
        /// Why not.
        cause: String,
    },
    /// The call was sent, and no whole answer came.
    #[error("no answer from the fake cloud: {cause}")]
    NoAnswer {
        /// Why not.
        cause: String,
    },
    /// The answer makes no sense.
    #[error("the fake cloud answered with status {status} and no sense: {cause}")]
    Nonsense {
        /// The status.
        status: u16,
        /// What is wrong with it.
        cause: String,
    },
}

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

impl Client {
    /// Sends a call and waits for its answer, for ever if the cloud hangs. Dropping it does not undo the call.
    pub async fn call(&self, request: &Request) -> Result<Reply, ClientError> {
        match self {
            Client::Inside(gateway) => {
                let lost = || ClientError::NoAnswer {
                    cause: "the connection broke".to_owned(),
                };
                gateway.call(request.clone()).await.ok_or_else(lost)
            }
            Client::Http(authority) => authority.send(Method::POST, "/calls", request).await,
        }
    }
}

impl Authority {
    /// Reads an endpoint of the form `http://127.0.0.1:PORT`.
    pub fn new(endpoint: &str) -> Result<Self, ClientError> {
        let authority = endpoint.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        match authority.filter(|authority| authority.parse::<std::net::SocketAddr>().is_ok()) {
            Some(authority) => Ok(Authority(authority.into())),
            None => Err(ClientError::Endpoint {
                endpoint: endpoint.to_owned(),
            }),
        }
    }

    /// Sends a request with a JSON body and returns the JSON of its answer. A connection serves one request, so that it
    /// is always known whether something was sent.
    pub async fn send<Q: Serialize + ?Sized, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Q,
    ) -> Result<A, ClientError> {
        let no_connection = |cause: String| ClientError::NoConnection {
            authority: self.0.clone(),
            cause,
        };
        let no_answer = |cause: hyper::Error| ClientError::NoAnswer {
            cause: cause.to_string(),
        };
        let body = serde_json::to_vec(body).map_err(|cause| no_connection(cause.to_string()))?;
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", &*self.0)
            .header("content-type", "application/json")
            .header("connection", "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|cause| no_connection(cause.to_string()))?;

        let stream = tokio::time::timeout(CONNECT, TcpStream::connect(&*self.0))
            .await
            .map_err(|_| no_connection("time-out".to_owned()))?
            .map_err(|cause| no_connection(cause.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|cause| no_connection(cause.to_string()))?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(no_answer)?;
            let status = answer.status();
            let bytes = answer.into_body().collect().await.map_err(no_answer)?.to_bytes();
            Ok::<_, ClientError>((status, bytes))
        };
        // Together in one future, so that dropping it closes the connection.
        let ((status, bytes), _) = tokio::try_join!(exchange, async { Ok(connection.await) })?;
        read(status, &bytes)
    }
}

fn read<A: DeserializeOwned>(status: StatusCode, bytes: &[u8]) -> Result<A, ClientError> {
    serde_json::from_slice(bytes).map_err(|cause| ClientError::Nonsense {
        status: status.as_u16(),
        cause: cause.to_string(),
    })
}
