//! How many requests there were, and how long they took.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use super::App;
use crate::watch::published::Durations;

/// What was asked: the method, the path as it is declared, and the status of the answer.
pub(super) type Kind = (String, String, u16);

/// How many requests there were.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<BTreeMap<Kind, Durations>>);

impl Requests {
    /// Returns how long those of each kind took.
    pub(super) fn all(&self) -> BTreeMap<Kind, Durations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counts a request. Paths that are not known are one, so that nobody can make this grow.
pub(super) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or("other", MatchedPath::as_str).to_owned();
    let method = match request.method().as_str() {
        method @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => method,
        _ => "other",
    };
    let method = method.to_owned();
    let response = next.run(request).await;
    let kind = (method, path, response.status().as_u16());
    let mut requests = app.requests.0.lock().unwrap_or_else(PoisonError::into_inner);
    requests.entry(kind).or_default().add(began.elapsed());
    drop(requests);
    response
}
