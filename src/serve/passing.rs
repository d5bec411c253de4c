//! What changes something, where another watch leads: it is passed on to that one, with the token of who asked, and the
//! answer passed back.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use reqwest::Client;
use simfleet_state::{Host, Role};
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use super::guard::{Caller, Refused};
use super::operations::LONGEST;
use super::settings::Settings;
use super::{App, BODY, programs, table};
use crate::signals::sign::mac;
use crate::watch::lead::{Door, Leader, Standing};
use crate::watch::sources::{builder, cause};

/// The key of the leader, by which it knows that somebody passes on what others ask; and who those are.
const KEY: HeaderName = HeaderName::from_static("simfleet-leader-key");
const CLIENT: HeaderName = HeaderName::from_static("simfleet-client");
/// What somebody asks the leader to sign with its key, and what it answers: before that nobody is sent a token or the key.
const NONCE: HeaderName = HeaderName::from_static("simfleet-leader-nonce");
const PROOF: HeaderName = HeaderName::from_static("simfleet-leader-proof");
/// What answers everybody.
const HEALTH: &str = "/healthz";
/// How long a nonce may be.
const NONCE_LENGTH: usize = 128;

/// After how long somebody is to ask again where nobody takes what they ask: as often as it is looked who leads; and where
/// nobody will before somebody else leads.
const SOON: u64 = 2;
const LATER: u64 = 15;
/// How long it may take until it is known whether this watch leads.
const DECIDING: Duration = Duration::from_secs(5);
/// How long a leader has for a connection, and for an answer beyond what is to be waited for.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(10);
/// How long an upload may take.
const UPLOAD: Duration = Duration::from_secs(60 * 60);

/// What of a request is passed on, and of an answer passed back; what is said of every answer is said again.
const ASKED: [HeaderName; 3] = [ACCEPT, AUTHORIZATION, CONTENT_TYPE];
const ANSWERED: [HeaderName; 5] = [CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE];

/// Who a request that was passed on is from.
#[derive(Debug, PartialEq)]
pub(super) enum Passed {
    /// It was not.
    No,
    /// From a client that somebody who stands by tells of.
    From(std::net::IpAddr),
    /// It is not for this watch: another one leads by now.
    Astray,
}

/// Returns who asks what was passed on. Whoever has the key of the one that leads is believed.
pub(super) fn passed(headers: &HeaderMap, standing: &Standing) -> Passed {
    let Some(key) = headers.get(KEY) else { return Passed::No };
    let client = headers
        .get(CLIENT)
        .and_then(|client| client.to_str().ok()?.parse().ok());
    let own = match standing {
        Standing::Leads(leader) => leader.door.as_ref(),
        _ => None,
    };
    let is_own = |door: &Door| bool::from(door.key.as_bytes().ct_eq(key.as_bytes()));
    match (own.is_some_and(is_own), client) {
        (true, Some(client)) => Passed::From(client),
        _ => Passed::Astray,
    }
}

/// Returns by what a leader shows whoever asks for it that it is the one: it has the key.
pub(super) fn proof(headers: &HeaderMap, standing: &Standing) -> Option<(HeaderName, HeaderValue)> {
    let nonce = headers.get(NONCE).filter(|nonce| nonce.len() <= NONCE_LENGTH)?;
    let Standing::Leads(leader) = standing else { return None };
    let proof = signed(&leader.door.as_ref()?.key, nonce.as_bytes());
    Some((PROOF, proof.parse().ok()?))
}

fn signed(key: &str, nonce: &[u8]) -> String {
    mac(key, &[b"simfleet leader ", nonce])
}

/// Asks whoever answers where the leader says it is for a proof that it is the leader. One is asked once.
async fn prove(app: &App, client: &Client, door: &Door) -> Result<(), String> {
    let mut proven = app.proven.lock().await;
    if proven.as_ref().is_some_and(|key| *key == door.key) {
        return Ok(());
    }
    let nonce = hex::encode(simfleet_state::System.random());
    let url = format!("{}{HEALTH}", door.url.trim_end_matches('/'));
    let asked = client.get(&url).header(NONCE, &nonce).timeout(ANSWER);
    let answer = asked.send().await.map_err(|error| {
        format!(
            "the watch that leads cannot be reached, so that nothing is done: {}",
            cause(&error)
        )
    })?;
    let proof = answer.headers().get(PROOF);
    let wanted = signed(&door.key, nonce.as_bytes());
    match proof.is_some_and(|proof| bool::from(proof.as_bytes().ct_eq(wanted.as_bytes()))) {
        true => {
            *proven = Some(Arc::clone(&door.key));
            Ok(())
        }
        false => Err(format!(
            "what answers at {} is not the watch that leads, so that nothing is done: its `--advertise` may be wrong",
            door.url
        )),
    }
}

/// Says that somebody is to ask again.
pub(super) fn again(after: u64, why: impl Into<String>) -> Response {
    let refused = Refused(StatusCode::SERVICE_UNAVAILABLE, why.into());
    ([(RETRY_AFTER, after.to_string())], refused).into_response()
}

/// Says that what was passed on is not for this watch.
pub(super) fn astray() -> Response {
    again(
        SOON,
        "this was passed on to a watch that does not lead any more; ask again",
    )
}

/// Returns what asks the leader. It trusts the certificate of this watch, too: both can have the same.
pub(super) fn client(settings: &Settings) -> Result<Client, String> {
    let own = settings.tls.as_ref().and_then(|tls| std::fs::read(&tls.cert).ok());
    let own = own.and_then(|pem| reqwest::Certificate::from_pem_bundle(&pem).ok());
    // Tokens go to the leader itself only.
    let builder = builder().no_proxy().connect_timeout(CONNECT);
    let built = builder.tls_certs_merge(own.unwrap_or_default()).build();
    built.map_err(|error| cause(&error))
}

/// Answers a request that changes something, where another watch leads. Gives it back where this one is to answer it.
pub(super) async fn pass_on(app: &App, request: Request) -> Result<Response, Request> {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if table::needs(request.method().as_str(), path) <= Some(Role::Viewer) {
        return Err(request);
    }
    let mut standing = app.shown.standing.clone();
    let is_decided = standing.wait_for(|standing| !matches!(standing, Standing::Undecided));
    let standing = match timeout(DECIDING, is_decided).await {
        Ok(Ok(standing)) => standing.clone(),
        _ => Standing::Undecided,
    };
    let leader = match standing {
        Standing::OnlyLooks => return Err(request),
        Standing::Leads(own) => {
            // One that was stopped for a while may not know yet that it was followed.
            return match app.fleet().led_by().await {
                Ok(Some(leader)) if leader.id != own.holder.id => {
                    Ok(again(SOON, "another watch leads by now; ask again"))
                }
                _ => Err(request),
            };
        }
        Standing::Undecided | Standing::StandsBy(None) => {
            return Ok(again(SOON, "it is not known which watch leads; ask again"));
        }
        Standing::StandsBy(Some(leader)) => leader,
    };
    let Some(door) = &leader.door else {
        let why = format!(
            "this watch stands by and changes nothing, and the one that leads serves nothing over HTTP: {}",
            leader.holder
        );
        return Ok(again(LATER, why));
    };
    // One that is stopped takes what is sent and never answers: whoever follows it is asked again then.
    let mut followed = app.shown.standing.clone();
    let is_same = |standing: &Standing| {
        let now = standing.leader();
        now.is_some_and(|now| now.holder.id == leader.holder.id)
    };
    tokio::select! {
        answer = ask(app, &leader, door, request) => Ok(answer),
        _ = followed.wait_for(|standing| !is_same(standing)) => {
            Ok(again(SOON, "the watch that led does not any more, and had not answered: this may be done or not"))
        }
    }
}

async fn ask(app: &App, leader: &Leader, door: &Door, request: Request) -> Response {
    let client = match &*app.to_leader {
        Ok(client) => client,
        Err(why) => return again(LATER, format!("the watch that leads cannot be asked: {why}")),
    };
    if let Err(why) = prove(app, client, door).await {
        return again(SOON, format!("{why} ({})", leader.holder));
    }
    let (parts, body) = request.into_parts();
    let is_upload = matches!(parts.method, Method::POST | Method::PUT) && parts.uri.path().starts_with("/v1/programs");
    let is_too_large = Arc::new(AtomicBool::new(false));
    let (body, patience, too_large) = match is_upload {
        true => {
            let limit = programs::Limit::of(app);
            if body.size_hint().lower() > limit.most() {
                return limit.refused().into_response();
            }
            let body = Passing::new(body, limit.most(), Arc::clone(&is_too_large));
            (reqwest::Body::wrap(body), UPLOAD, limit.refused())
        }
        false => {
            let refused = || {
                Refused(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("the body has more than {BODY} bytes"),
                )
            };
            match axum::body::to_bytes(body, BODY).await {
                Ok(body) => (body.into(), LONGEST + ANSWER, refused()),
                Err(_) => return refused().into_response(),
            }
        }
    };
    let rest = parts.uri.path_and_query().map_or("/", |rest| rest.as_str());
    let url = format!("{}{rest}", door.url.trim_end_matches('/'));
    let mut asked = client.request(parts.method, url).body(body).timeout(patience);
    for name in ASKED {
        if let Some(value) = parts.headers.get(&name) {
            asked = asked.header(name, value);
        }
    }
    let from = parts.extensions.get::<Caller>().map(|caller| caller.from.to_string());
    asked = asked.header(KEY, &*door.key).header(CLIENT, from.unwrap_or_default());
    let answer = match asked.send().await {
        Ok(answer) => answer,
        Err(_) if is_too_large.load(Ordering::Relaxed) => return too_large.into_response(),
        Err(error) if error.is_connect() => {
            let why = format!(
                "the watch that leads cannot be reached, so that nothing is done: {}",
                cause(&error)
            );
            return again(SOON, format!("{why} ({})", leader.holder));
        }
        Err(error) => {
            let why = format!(
                "the watch that leads has not answered, so that this may be done or not: {}",
                cause(&error)
            );
            return again(SOON, format!("{why} ({})", leader.holder));
        }
    };
    let mut back = Response::new(());
    *back.status_mut() = answer.status();
    for name in ANSWERED {
        if let Some(value) = answer.headers().get(&name) {
            back.headers_mut().insert(name, value.clone());
        }
    }
    back.map(|()| Body::new(reqwest::Body::from(answer)))
}

/// A body that is passed on as it comes, up to a limit.
struct Passing {
    // Only to be shared between threads, which bodies are not made for.
    body: Mutex<Body>,
    left: u64,
    is_too_large: Arc<AtomicBool>,
}

impl Passing {
    fn new(body: Body, most: u64, is_too_large: Arc<AtomicBool>) -> Self {
        Passing {
            body: Mutex::new(body),
            left: most,
            is_too_large,
        }
    }
}

impl HttpBody for Passing {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let body = this.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let frame = match std::task::ready!(Pin::new(body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match this.left.checked_sub(length) {
            Some(left) => {
                this.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                this.is_too_large.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Err("the body is too large".into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

#[cfg(test)]
mod tests {
    use simfleet_state::{Holder, System};

    use super::*;

    #[test]
    fn only_a_leader_proves_that_it_is_one_and_to_each_nonce_otherwise() {
        let leader = Arc::new(leader());
        let asked = |nonce: &str| HeaderMap::from_iter([(NONCE, nonce.parse().expect("a value"))]);
        let leads = Standing::Leads(Arc::clone(&leader));
        let (name, one) = proof(&asked("1"), &leads).expect("a proof");
        // Computed with `printf 'simfleet leader 1' | openssl dgst -sha256 -hmac abc`.
        assert_eq!(
            (name, one.as_bytes()),
            (
                PROOF,
                b"2bc0a4ff5fdd8d5c8e8c76bf4fdad80277bdd2109896eceaacd7a71b8678d4c9".as_slice()
            )
        );
        assert_ne!(proof(&asked("2"), &leads).expect("a proof").1, one);
        assert_eq!(proof(&HeaderMap::new(), &leads), None);
        assert_eq!(proof(&asked(&"1".repeat(NONCE_LENGTH + 1)), &leads), None);
        assert_eq!(proof(&asked("1"), &Standing::StandsBy(Some(leader))), None);
    }

    fn leader() -> Leader {
        Leader {
            holder: Holder::this_process("simfleet watch", &System),
            door: Some(Door {
                url: "http://127.0.0.1:1/".into(),
                key: "abc".into(),
            }),
        }
    }

    #[test]
    fn only_who_has_the_key_of_the_leader_says_who_asks() {
        let leader = Arc::new(leader());
        let headers = |key: &str, client: &str| -> HeaderMap {
            let pairs = [(KEY, key), (CLIENT, client)].into_iter();
            pairs
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name, value.parse().expect("a value")))
                .collect()
        };
        let leads = Standing::Leads(Arc::clone(&leader));
        assert_eq!(passed(&headers("", "192.0.2.1"), &leads), Passed::No);
        let from = Passed::From("192.0.2.1".parse().expect("an address"));
        assert_eq!(passed(&headers("abc", "192.0.2.1"), &leads), from);
        for (key, client) in [("abd", "192.0.2.1"), ("abc", "nobody"), ("abc", "")] {
            assert_eq!(passed(&headers(key, client), &leads), Passed::Astray, "{key} {client}");
        }
        // Whoever stands by does not pass it on again.
        for standing in [
            Standing::StandsBy(Some(leader)),
            Standing::StandsBy(None),
            Standing::OnlyLooks,
        ] {
            assert_eq!(passed(&headers("abc", "192.0.2.1"), &standing), Passed::Astray);
        }
    }
}
