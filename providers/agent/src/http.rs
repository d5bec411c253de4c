//! One HTTP/1.1 request over a connection of its own, with what may have happened in every error.
//!
//! Written on hyper's connection rather than a client with a pool: only here is it known whether a request that failed
//! may have reached the other side, which decides whether it is sent again.

use std::time::Duration;

use futures::future::ready;
use futures::{Stream, StreamExt};
use http_body_util::{BodyExt, BodyStream, Full, Limited};
use hyper::body::{Bytes, Frame};
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

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

/// Sends a request with the given headers and body. `timeout` is for all of it.
pub(crate) async fn send(
    method: Method,
    uri: &Uri,
    headers: &[(header::HeaderName, String)],
    body: Option<Vec<u8>>,
    timeout: Duration,
) -> Result<Answer, HttpError> {
    let (host, port) = place(uri);
    let address = format!("{host}:{port}");
    let no_answer = |cause: String| HttpError::NoAnswer {
        address: address.clone(),
        cause,
    };
    let deadline = tokio::time::Instant::now() + timeout;
    let (request, mut sender, connection) = connect(method, uri, headers, body, deadline).await?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| error.to_string())?
            .to_bytes();
        let retry_after = parts
            .headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        Ok(Answer {
            status: parts.status,
            retry_after,
            body,
        })
    };
    // The connection is driven here and not by a task, so that a dropped call leaves nothing behind.
    let both = async {
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            closed = connection => match closed {
                // The last of an answer may still be on its way when the connection is done.
                Ok(()) => exchange.await,
                Err(error) => Err(error.to_string()),
            },
        }
    };
    tokio::time::timeout_at(deadline, both)
        .await
        .map_err(|_| no_answer("timed out".to_owned()))?
        .map_err(no_answer)
}

/// Asks for something that comes in pieces, for as long as it takes; `timeout` is for its beginning. What is refused comes
/// as a whole.
pub(crate) async fn open(
    uri: &Uri,
    headers: &[(header::HeaderName, String)],
    timeout: Duration,
) -> Result<Result<impl Stream<Item = Result<Vec<u8>, HttpError>> + Send + use<>, Answer>, HttpError> {
    let (host, port) = place(uri);
    let address = format!("{host}:{port}");
    let no_answer = |cause: String| HttpError::NoAnswer {
        address: address.clone(),
        cause,
    };
    let deadline = tokio::time::Instant::now() + timeout;
    let (request, mut sender, connection) = connect(Method::GET, uri, headers, None, deadline).await?;
    // It ends when the answer has ended, or nobody reads it any more.
    tokio::spawn(connection);
    let begin = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            return Ok(Ok(body));
        }
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        Ok(Err(Answer {
            status: parts.status,
            retry_after: None,
            body: body.map_err(|error| error.to_string())?.to_bytes(),
        }))
    };
    let begun = tokio::time::timeout_at(deadline, begin)
        .await
        .map_err(|_| no_answer("timed out".to_owned()))?
        .map_err(no_answer)?;
    let lost = move |error: hyper::Error| HttpError::NoAnswer {
        address: address.clone(),
        cause: error.to_string(),
    };
    Ok(begun.map(|body| BodyStream::new(body).filter_map(move |frame| ready(piece(frame.map_err(&lost))))))
}

/// Asks for a connection that goes on as something else; `timeout` is for its beginning. What is refused comes as a whole.
pub(crate) async fn upgrade(
    uri: &Uri,
    headers: &[(header::HeaderName, String)],
    to: &str,
    timeout: Duration,
) -> Result<Result<TokioIo<Upgraded>, Answer>, HttpError> {
    let (host, port) = place(uri);
    let address = format!("{host}:{port}");
    let no_answer = |cause: String| HttpError::NoAnswer {
        address: address.clone(),
        cause,
    };
    let deadline = tokio::time::Instant::now() + timeout;
    let own = [
        (header::UPGRADE, to.to_owned()),
        (header::CONNECTION, "upgrade".to_owned()),
    ];
    let headers = [headers, &own].concat();
    let (request, mut sender, connection) = connect(Method::GET, uri, &headers, None, deadline).await?;
    // It ends when nobody uses it any more.
    tokio::spawn(connection.with_upgrades());
    let begin = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let upgraded = hyper::upgrade::on(response).await.map_err(|error| error.to_string())?;
            return Ok(Ok(TokioIo::new(upgraded)));
        }
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        Ok(Err(Answer {
            status: parts.status,
            retry_after: None,
            body: body.map_err(|error| error.to_string())?.to_bytes(),
        }))
    };
    tokio::time::timeout_at(deadline, begin)
        .await
        .map_err(|_| no_answer("timed out".to_owned()))?
        .map_err(no_answer)
}

/// Returns the bytes of a piece; `None` for what is no piece.
fn piece(frame: Result<Frame<Bytes>, HttpError>) -> Option<Result<Vec<u8>, HttpError>> {
    match frame {
        Ok(frame) => frame.into_data().ok().map(|data| Ok(data.to_vec())),
        Err(error) => Some(Err(error)),
    }
}

fn place(uri: &Uri) -> (String, u16) {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    (host, uri.port_u16().unwrap_or(80))
}

type Body = Full<Bytes>;

/// Makes a request, and the connection that it is sent over.
async fn connect(
    method: Method,
    uri: &Uri,
    headers: &[(header::HeaderName, String)],
    body: Option<Vec<u8>>,
    deadline: tokio::time::Instant,
) -> Result<(Request<Body>, SendRequest<Body>, Connection<TokioIo<TcpStream>, Body>), HttpError> {
    let (host, port) = place(uri);
    let address = format!("{host}:{port}");
    let not_sent = |cause: String| HttpError::NotSent {
        address: address.clone(),
        cause,
    };
    let mut request = Request::builder()
        .method(method)
        .uri(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, &address);
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(Bytes::from(body.unwrap_or_default())))
        .map_err(|error| not_sent(error.to_string()))?;
    let connect = async {
        let stream = TcpStream::connect((host.as_str(), port))
            .await
            .map_err(|error| error.to_string())?;
        hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())
    };
    let (sender, connection) = tokio::time::timeout_at(deadline, connect)
        .await
        .map_err(|_| not_sent("timed out".to_owned()))?
        .map_err(not_sent)?;
    Ok((request, sender, connection))
}
