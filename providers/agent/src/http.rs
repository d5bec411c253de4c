//! One HTTP/1.1 request over a connection of its own, with what may have happened in every error.
//!
//! Written on hyper's connection rather than a client with a pool: only here is it known whether a request that failed
//! may have reached the other side, which decides whether it is sent again.

use std::time::Duration;

use futures::future::ready;
use futures::{Stream, StreamExt};
use http_body_util::{BodyExt, BodyStream, Full, Limited};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use crate::endpoint::{Connected, Endpoint, Stream as Link};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// Nothing was sent.
    #[error("cannot connect to {address}: {cause}")]
    NotSent { address: String, cause: String },
    /// It was sent, at least in part.
    #[error("no answer from {address}: {cause}")]
    NoAnswer { address: String, cause: String },
}

/// Why an exchange failed, in words.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request with the given headers and body. `timeout` is for all of it.
pub(crate) async fn send(
    endpoint: &Endpoint,
    method: Method,
    path: &str,
    headers: &[(header::HeaderName, String)],
    body: Option<Vec<u8>>,
    timeout: Duration,
) -> Result<Answer, HttpError> {
    let far = Far::new(endpoint, timeout);
    let (request, mut sender, connection) = far.connect(method, path, headers, body).await?;
    // The connection is driven here and not by a task, so that a dropped call leaves nothing behind.
    let both = async {
        let exchange = async { whole(sender.send_request(request).await?).await };
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            closed = connection => match closed {
                // The last of an answer may still be on its way when the connection is done.
                Ok(()) => exchange.await,
                Err(error) => Err(error.into()),
            },
        }
    };
    far.answer(both).await
}

/// Asks for something that comes in pieces, for as long as it takes; `timeout` is for its beginning. What is refused comes
/// as a whole.
pub(crate) async fn open(
    endpoint: &Endpoint,
    path: &str,
    headers: &[(header::HeaderName, String)],
    timeout: Duration,
) -> Result<Result<impl Stream<Item = Result<Vec<u8>, HttpError>> + Send + use<>, Answer>, HttpError> {
    let far = Far::new(endpoint, timeout);
    let (request, mut sender, connection) = far.connect(Method::GET, path, headers, None).await?;
    // It ends when the answer has ended, or nobody reads it any more.
    tokio::spawn(connection);
    let begin = async {
        let response = sender.send_request(request).await?;
        match response.status().is_success() {
            true => Ok(Ok(response.into_body())),
            false => whole(response).await.map(Err),
        }
    };
    let begun = far.answer(begin).await?;
    let lost = move |error: hyper::Error| far.no_answer(error);
    Ok(begun.map(|body| BodyStream::new(body).filter_map(move |frame| ready(piece(frame.map_err(&lost))))))
}

/// Asks for a connection that goes on as something else; `timeout` is for its beginning. What is refused comes as a whole.
pub(crate) async fn upgrade(
    endpoint: &Endpoint,
    path: &str,
    headers: &[(header::HeaderName, String)],
    to: &str,
    timeout: Duration,
) -> Result<Result<TokioIo<Upgraded>, Answer>, HttpError> {
    let own = [
        (header::UPGRADE, to.to_owned()),
        (header::CONNECTION, "upgrade".to_owned()),
    ];
    let headers = [headers, &own].concat();
    let far = Far::new(endpoint, timeout);
    let (request, mut sender, connection) = far.connect(Method::GET, path, &headers, None).await?;
    // It ends when nobody uses it any more.
    tokio::spawn(connection.with_upgrades());
    let begin = async {
        let response = sender.send_request(request).await?;
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => Ok(Ok(TokioIo::new(hyper::upgrade::on(response).await?))),
            _ => whole(response).await.map(Err),
        }
    };
    far.answer(begin).await
}

/// Returns the header that a token is shown in.
pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {}", token.trim())
}

/// Reads an answer to its end.
async fn whole(response: Response<Incoming>) -> Result<Answer, Cause> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    let retry_after = parts.headers.get(header::RETRY_AFTER);
    Ok(Answer {
        status: parts.status,
        retry_after: retry_after
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs),
        body,
    })
}

/// Returns the bytes of a piece; `None` for what is no piece.
fn piece(frame: Result<Frame<Bytes>, HttpError>) -> Option<Result<Vec<u8>, HttpError>> {
    match frame {
        Ok(frame) => frame.into_data().ok().map(|data| Ok(data.to_vec())),
        Err(error) => Some(Err(error)),
    }
}

type Body = Full<Bytes>;

/// The other side, and until when it may answer.
#[derive(Debug)]
struct Far {
    endpoint: Endpoint,
    deadline: Instant,
}

impl Far {
    fn new(endpoint: &Endpoint, timeout: Duration) -> Self {
        Far {
            endpoint: endpoint.clone(),
            deadline: Instant::now() + timeout,
        }
    }

    fn not_sent(&self, cause: impl ToString) -> HttpError {
        HttpError::NotSent {
            address: self.endpoint.to_string(),
            cause: cause.to_string(),
        }
    }

    fn no_answer(&self, cause: impl ToString) -> HttpError {
        HttpError::NoAnswer {
            address: self.endpoint.to_string(),
            cause: cause.to_string(),
        }
    }

    /// Connects, and makes the request that is to be sent.
    async fn connect(
        &self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, String)],
        body: Option<Vec<u8>>,
    ) -> Result<(Request<Body>, SendRequest<Body>, Connection<TokioIo<Link>, Body>), HttpError> {
        let connect = async {
            let Connected { stream, token } = self.endpoint.connect().await?;
            let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            Ok::<_, Cause>((token, sender, connection))
        };
        let connected = timeout_at(self.deadline, connect).await;
        let (token, sender, connection) = connected
            .map_err(|_| self.not_sent("timed out"))?
            .map_err(|cause| self.not_sent(cause))?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.endpoint.host());
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, bearer(&token));
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| self.not_sent(error))?;
        Ok((request, sender, connection))
    }

    /// Waits for an answer as long as there is time.
    async fn answer<T>(&self, exchange: impl Future<Output = Result<T, Cause>>) -> Result<T, HttpError> {
        let answer = timeout_at(self.deadline, exchange).await;
        answer
            .map_err(|_| self.no_answer("timed out"))?
            .map_err(|cause| self.no_answer(cause))
    }
}
