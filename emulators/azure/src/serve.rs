//! Connections: HTTP/1.1, plain and over TLS. A connection can be closed in place of an answer.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::emulator::Shared;
use crate::message::{Answer, Request};

/// How long a body may be: ARM takes 4 MiB.
const BODY: usize = 4 * 1_024 * 1_024;

/// Answers at one address, for ever. Connections end with it.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Arc<ServerConfig>>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Such as too many open files: the next may be gone by then.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        let tls = tls.clone();
        connections.spawn(async move {
            // What fails with one connection is over with it.
            let _ = match tls {
                None => connection(stream, "http", shared).await,
                Some(tls) => match TlsAcceptor::from(tls).accept(stream).await {
                    Ok(stream) => connection(stream, "https", shared).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    scheme: &'static str,
    shared: Arc<Shared>,
) -> io::Result<()> {
    let service = service_fn(move |request| answer(request, scheme, Arc::clone(&shared)));
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    served.map_err(io::Error::other)
}

async fn answer(request: hyper::Request<Incoming>, scheme: &str, shared: Arc<Shared>) -> io::Result<Response<Body>> {
    let Ok(request) = read(request, scheme).await else {
        return Ok(response(Answer::empty(413)));
    };
    if request.step(0) == "_emulator" {
        return Ok(response(crate::control::answer(&shared, &request)));
    }
    let reply = shared.answer(&request);
    if reply.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(reply.delay_ms)).await;
    }
    // An error of the service closes the connection, and nothing is answered.
    let lost = || io::Error::from(io::ErrorKind::ConnectionAborted);
    reply.answer.map(response).ok_or_else(lost)
}

/// Reads a request whole.
async fn read(
    request: hyper::Request<Incoming>,
    scheme: &str,
) -> Result<Request, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let bytes = Limited::new(body, BODY).collect().await?.to_bytes();
    let mut headers = BTreeMap::new();
    for (name, value) in &head.headers {
        if let Ok(value) = value.to_str() {
            headers.insert(name.as_str().to_owned(), value.to_owned());
        }
    }
    let host = head
        .uri
        .authority()
        .map(ToString::to_string)
        .or_else(|| headers.get("host").cloned());
    let is_form = headers
        .get("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let text = String::from_utf8_lossy(&bytes);
    let path = head.uri.path().to_owned();
    Ok(Request {
        method: head.method,
        steps: path.split('/').filter(|step| !step.is_empty()).map(decode).collect(),
        query: pairs(head.uri.query().unwrap_or_default(), str::to_lowercase),
        form: if is_form {
            pairs(&text, str::to_owned)
        } else {
            BTreeMap::new()
        },
        body: if is_form || bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(text.into_owned()))
        },
        path,
        headers,
        base: format!("{scheme}://{}", host.unwrap_or_default()),
    })
}

fn pairs(text: &str, name_of: impl Fn(&str) -> String) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .map(|(name, value)| {
            (
                name_of(&decode(&name.replace('+', " "))),
                decode(&value.replace('+', " ")),
            )
        })
        .collect()
}

/// Decodes `%41`.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn response(answer: Answer) -> Response<Body> {
    let body = answer.body.map(|body| body.to_string());
    let has_body = body.is_some();
    let mut response = Response::new(body.map_or_else(Body::empty, Body::from));
    *response.status_mut() =
        axum::http::StatusCode::from_u16(answer.status).unwrap_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if has_body {
        headers.insert(
            "content-type",
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
    }
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Ends when the program is asked to, by Ctrl-C or SIGTERM.
pub async fn until_interrupted() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = pairs(
            "Api-Version=2024-07-01&$filter=a%20eq%20%27b%27&x=1+2",
            str::to_lowercase,
        );
        assert_eq!(query["api-version"], "2024-07-01");
        assert_eq!(query["$filter"], "a eq 'b'");
        assert_eq!(query["x"], "1 2");
        assert_eq!(decode("a%2Fb%"), "a/b%");
    }
}
