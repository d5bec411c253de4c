//! Who may ask: the bearer token, and the version of the protocol.

use std::fmt;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::App;
use super::error::ApiError;
use crate::protocol::{PROTOCOL, PROTOCOL_HEADER};

/// The digest of the token under a key of this process: comparing digests of which no byte can be chosen tells nothing
/// by the time that it takes.
pub(super) struct BearerToken {
    key: [u8; 32],
    digest: [u8; 32],
}

impl BearerToken {
    pub fn new(token: &str) -> Self {
        let key = rand::random();
        let digest = digest(&key, token.as_bytes());
        BearerToken { key, digest }
    }

    fn is(&self, given: &[u8]) -> bool {
        digest(&self.key, given) == self.digest
    }
}

/// Never shows the token.
impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken")
    }
}

fn digest(key: &[u8; 32], token: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(key).chain_update(token).finalize().into()
}

/// Refuses a request without the token, and one in a version that is not spoken.
pub(super) async fn authorize(State(app): State<App>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
    // The name of the scheme is not case-sensitive (RFC 9110, 11.1).
    let token = given.and_then(|given| {
        let (scheme, token) = given.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
    });
    if !token.is_some_and(|token| app.0.token.is(token)) {
        return ApiError::Unauthorized.into_response();
    }
    let version = request
        .headers()
        .get(PROTOCOL_HEADER)
        .map(|value| value.as_bytes().to_vec());
    let asks_version = request.uri().path() == "/v1/version";
    if let Some(version) = version
        && version != PROTOCOL.to_string().as_bytes()
        && !asks_version
    {
        return ApiError::Protocol(String::from_utf8_lossy(&version).into_owned()).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_the_token() {
        let token = BearerToken::new("secret");
        assert!(token.is(b"secret"));
        for other in [&b""[..], b"Secret", b"secret ", b"secre"] {
            assert!(!token.is(other), "{other:?}");
        }
        assert_eq!(format!("{token:?}"), "BearerToken");
    }
}
