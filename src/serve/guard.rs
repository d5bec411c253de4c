//! Who may ask, and what every answer says.

use std::net::IpAddr;

use axum::Json;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, HOST, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Refused(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// Answers those who ask for this machine by a name or address of its own. A page from elsewhere can have its own name lead
/// here; it must not read the answers.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).map(HeaderValue::to_str);
    let mut response = match host {
        Some(Ok(host)) if is_own(host) => next.run(request).await,
        None => next.run(request).await,
        _ => {
            let why = "ask by the address that it listens at, or as localhost";
            Refused(StatusCode::MISDIRECTED_REQUEST, why.to_owned()).into_response()
        }
    };
    const SAID: [(HeaderName, &str); 4] = [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in SAID {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a `Host` names this machine: an IP address or `localhost`, with a port or without.
fn is_own(host: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if is_port(port) && (!bare.contains(':') || bare.ends_with(']')) => bare,
        _ => host,
    };
    let within = bare.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    bare.eq_ignore_ascii_case("localhost") || within.unwrap_or(bare).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn this_machine_is_named_by_addresses_and_as_localhost() {
        for own in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "localhost:1",
            "LocalHost",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }
}
