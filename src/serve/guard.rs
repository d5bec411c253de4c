//! Who may ask, how much, and what every answer says.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CACHE_CONTROL,
    CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::json;
use simfleet_state::Role;
use tokio::time::Instant;

use super::listen::Peer;
use super::passing::{self, Passed};
use super::patience::patient;
use super::{App, table};
use crate::access::{Credential, NotKnown, known};

/// How long a reason is at the most.
const LONGEST: usize = 16 << 10;

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Refused(pub(super) StatusCode, pub(super) String);

/// Why somebody gets none.
#[derive(Debug)]
enum Denied {
    Refused(Refused),
    /// Nobody is known by what they gave, if anything.
    Unknown(String),
    /// They asked too much.
    Late(Duration, &'static str),
    /// It was passed on to a watch that does not lead.
    Astray,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Their token; `None` where none is needed.
    pub(super) credential: Option<Credential>,
    /// Their address.
    pub(super) from: IpAddr,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Self {
        Denied::Refused(refused)
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            Denied::Refused(refused) => refused.into_response(),
            Denied::Astray => passing::astray(),
            Denied::Unknown(why) => {
                let challenge = [(WWW_AUTHENTICATE, "Bearer realm=\"simfleet\"")];
                (challenge, Refused(StatusCode::UNAUTHORIZED, why)).into_response()
            }
            Denied::Late(wait, what) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let why = format!("{what}; ask again in {seconds} s");
                let refused = Refused(StatusCode::TOO_MANY_REQUESTS, why);
                ([(RETRY_AFTER, seconds.to_string())], refused).into_response()
            }
        }
    }
}

/// Answers those who may ask.
pub(super) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let origin = origin(&app, request.headers());
    let proof = passing::proof(request.headers(), &app.shown.standing.borrow());
    let response = match admit(&app, &mut request).await {
        Ok(()) if is_preflight(&request) => StatusCode::NO_CONTENT.into_response(),
        Ok(()) => answer(&app, request.map(patient), next).await,
        Err(denied) => denied.into_response(),
    };
    let mut response = in_json(response).await;
    const SAID: [(HeaderName, &str); 4] = [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    let headers = response.headers_mut();
    for (name, value) in SAID {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.extend(proof);
    if let Some(origin) = origin {
        const ALLOWED: [(HeaderName, &str); 5] = [
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE"),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type, last-event-id",
            ),
            (ACCESS_CONTROL_EXPOSE_HEADERS, "location, retry-after, www-authenticate"),
            (ACCESS_CONTROL_MAX_AGE, "600"),
            (VARY, "origin"),
        ];
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        for (name, value) in ALLOWED {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// Answers as long as who asks may. What only looks, or takes in a body, is ended with their token; what was begun goes on.
async fn answer(app: &App, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let can_end = matches!(*request.method(), Method::GET | Method::PUT);
    let answer = async {
        match passing::pass_on(app, request).await {
            Ok(answer) => answer,
            Err(request) => next.run(request).await,
        }
    };
    match caller.filter(|caller| can_end && caller.credential.is_some()) {
        None => answer.await,
        Some(caller) => tokio::select! {
            answer = answer => answer,
            () = app.clone().until_unknown(caller) => {
                Denied::Unknown("the token is not known any more".to_owned()).into_response()
            }
        },
    }
}

/// Returns what cannot be answered as JSON, where it was refused before it came to who answers it: a path that is no UTF-8.
async fn in_json(response: Response) -> Response {
    let is_text = |value: &HeaderValue| value.as_bytes().starts_with(b"text/plain");
    let status = response.status();
    let is_refused = status.is_client_error() || status.is_server_error();
    if !is_refused || !response.headers().get(CONTENT_TYPE).is_some_and(is_text) {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), LONGEST).await;
    let why = text.map_or_else(
        |_| status.to_string(),
        |text| String::from_utf8_lossy(&text).into_owned(),
    );
    Refused(status, why).into_response()
}

/// Returns the origin of a page that may ask.
fn origin(app: &App, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let text = origin.to_str().ok()?;
    let allowed = &app.settings.origins;
    let is_allowed = allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(text));
    is_allowed.then(|| origin.clone())
}

/// Whether a browser asks whether a page may ask. It has no token then, and gets no answer.
fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Lets in who may ask this, and adds to the request who that is.
async fn admit(app: &App, request: &mut Request) -> Result<(), Denied> {
    let now = Instant::now();
    let from = match passing::passed(request.headers(), &app.shown.standing.borrow()) {
        Passed::No => client(app, request),
        Passed::From(client) => client,
        Passed::Astray => return Err(Denied::Astray),
    };
    if let Some(rates) = &app.rates {
        let late = |wait| Denied::Late(wait, "these are more requests than a client has");
        rates.take(from, now).map_err(late)?;
    }
    if is_preflight(request) {
        return Ok(());
    }
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let needs = table::needs(request.method().as_str(), path);
    let credentials = match (app.credentials().await, needs) {
        (Ok(credentials), _) => credentials,
        // Whoever asks for its health is to hear of that.
        (Err(_), None) => Vec::new(),
        (Err(refused), Some(_)) => return Err(refused.into()),
    };
    // Once somebody is known nobody else is let in again before the next start, also where all who were known are taken away.
    let is_closed = app.is_closed.fetch_or(!credentials.is_empty(), Ordering::Relaxed);
    let is_needed = app.settings.is_beyond() || !credentials.is_empty() || is_closed;
    if !is_needed {
        // A page from elsewhere can have its own name lead here; it must not read the answers.
        if !request.headers().get(HOST).is_none_or(is_own) {
            let why = "ask by the address that it listens at, or as localhost";
            return Err(Refused(StatusCode::MISDIRECTED_REQUEST, why.to_owned()).into());
        }
        if needs > Some(Role::Viewer) {
            let why = "what changes something needs a token: `simfleet token create NAME --role operator` makes one";
            return Err(Denied::Unknown(why.to_owned()));
        }
    }
    let credential = match (needs, is_needed) {
        (Some(_), true) => Some(log_in(app, request.headers(), &credentials, from, now)?),
        _ => None,
    };
    let caller = Caller { credential, from };
    if let (Some(needs), Some(credential)) = (needs, &caller.credential)
        && credential.role < needs
    {
        let why = format!("`{}` is {}, and this needs {needs}", credential.name, credential.role);
        let fleet = app.fleet().called_by(caller.of_fleet(), String::new());
        let action = format!("http.{}", request.method().as_str().to_ascii_lowercase());
        // Who reads of it is told whether or not it can be written down.
        let _ = fleet.refused(action, request.uri().path(), &why);
        return Err(Refused(StatusCode::FORBIDDEN, why).into());
    }
    request.extensions_mut().insert(caller);
    Ok(())
}

/// Returns who somebody is by their token.
fn log_in(
    app: &App,
    headers: &HeaderMap,
    credentials: &[Credential],
    from: IpAddr,
    now: Instant,
) -> Result<Credential, Denied> {
    let Some(secret) = headers.get(AUTHORIZATION).and_then(bearer) else {
        let why = "a token is needed: `Authorization: Bearer TOKEN`";
        return Err(Denied::Unknown(why.to_owned()));
    };
    // Under the lock of the bucket, so that many attempts at once are no more than the bucket has.
    let attempt = app.attempts.take_if(from, now, || {
        let found: Result<&Credential, NotKnown> = known(secret, credentials, Timestamp::now());
        (found.is_err(), found)
    });
    let found = match attempt {
        Ok(found) => found,
        // Others behind its address guess: who was let in there lately goes on. That tells nobody whether a guess is right.
        Err(wait) => match known(secret, credentials, Timestamp::now()) {
            Ok(credential) if app.welcome.knows(from, credential, now) => Ok(credential),
            _ => {
                return Err(Denied::Late(
                    wait,
                    "these are more failed attempts to log in than a client has",
                ));
            }
        },
    };
    let credential = found.map_err(|why| Denied::Unknown(why.to_string()))?;
    app.welcome.remember(from, credential, now);
    Ok(credential.clone())
}

/// Returns the token of `Bearer TOKEN`.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Returns the address of who asks: the peer, or the last that a trusted proxy was asked by and that is no such proxy.
fn client(app: &App, request: &Request) -> IpAddr {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let peer = peer.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let forwarded = request.headers().get_all("x-forwarded-for");
    let forwarded: Vec<&str> = forwarded.iter().filter_map(|value| value.to_str().ok()).collect();
    forwarded_for(peer, &forwarded.join(","), &app.settings.trusted_proxies)
}

fn forwarded_for(peer: IpAddr, forwarded: &str, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|proxies| proxies.contains(address));
    let mut client = peer;
    for address in forwarded.rsplit(',') {
        // What is before a proxy that is not trusted, anybody can have written.
        if !is_trusted(&client) {
            break;
        }
        match forwarded_address(address.trim()) {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    client
}

/// Reads an address as proxies write it: some with the port that it was asked from, and one of IPv6 in brackets then.
fn forwarded_address(text: &str) -> Option<IpAddr> {
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok().or_else(with_port)
}

/// Whether a `Host` names this machine.
fn is_own(host: &HeaderValue) -> bool {
    host.to_str().is_ok_and(is_own_name)
}

/// Whether a host is an IP address or `localhost`, with a port or without.
fn is_own_name(host: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if is_port(port) && (!bare.contains(':') || bare.ends_with(']')) => bare,
        _ => host,
    };
    let within = bare.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    bare.eq_ignore_ascii_case("localhost") || within.unwrap_or(bare).parse::<IpAddr>().is_ok()
}

impl Caller {
    /// On whose behalf something is done for them. What is done, somebody who is known has asked for.
    pub(super) fn of_fleet(&self) -> crate::fleet::Caller {
        let name = self.credential.as_ref().map(|credential| Arc::clone(&credential.name));
        crate::fleet::Caller {
            by: name.unwrap_or_else(|| "nobody".into()),
            from: self.from.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(is_own_name(own), "{own}");
        }
        for other in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "",
        ] {
            assert!(!is_own_name(other), "{other}");
        }
    }

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap()).to_vec();
        for (peer, forwarded, client) in [
            ("192.0.2.1", "", "192.0.2.1"),
            ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.7, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
            ("10.0.0.1", "10.2.2.2", "10.2.2.2"),
            ("10.0.0.1", "unknown", "10.0.0.1"),
            ("::1", "::ffff:203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "203.0.113.9:49152, 10.1.1.1:443", "203.0.113.9"),
            ("10.0.0.1", "[2001:db8::7]:49152", "2001:db8::7"),
            ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        ] {
            let found = forwarded_for(peer.parse().unwrap(), forwarded, &trusted);
            assert_eq!(found.to_string(), client, "{peer} {forwarded}");
        }
    }

    #[test]
    fn a_token_stands_behind_its_scheme() {
        let token = |text: &str| {
            HeaderValue::from_str(text)
                .ok()
                .and_then(|value| bearer(&value).map(str::to_owned))
        };
        assert_eq!(token("Bearer sf_x").as_deref(), Some("sf_x"));
        assert_eq!(token("bearer  sf_x ").as_deref(), Some("sf_x"));
        assert_eq!((token("Basic sf_x"), token("sf_x"), token("")), (None, None, None));
    }
}
