//! The paths.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response, Sse, sse::KeepAlive};
use axum::routing::get;
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use simfleet_provider_api::Address;

use super::guard::{Refused, guard};
use super::page::page;
use super::requests::count;
use super::{App, metrics};
use crate::view::{alerts as shown, pools, state, status};
use crate::watch::published::Published;

/// A loop that has made no lap for so long is stuck. It looks at the files every two seconds.
const STUCK: Duration = Duration::from_secs(60);

/// What of the history is told where nobody says, and the span that its peak is of.
const WINDOW: Duration = Duration::from_secs(30 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Answer = Result<Json<Value>, Refused>;

pub(super) fn routes(app: App) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(health))
        .route("/health", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(prometheus))
        .route("/v1/watch", get(loop_itself))
        .route("/v1/state", get(recorded))
        .route("/v1/nodes", get(nodes))
        .route("/v1/simulators", get(simulators))
        .route("/v1/pools", get(all_pools))
        .route("/v1/pools/{pool}/history", get(history))
        .route("/v1/alerts", get(alerts))
        .route("/v1/events", get(events))
        .fallback(no_such_path)
        .method_not_allowed_fallback(only_shows)
        .layer(from_fn(guard))
        .layer(from_fn_with_state(app.clone(), count))
        .with_state(app)
}

/// Whether laps are made.
async fn health(State(app): State<App>) -> Answer {
    let published = picture(&app)?;
    let ago = published.made.elapsed();
    if ago < STUCK {
        return Ok(Json(json!({ "status": "ok", "last_lap": published.at.to_string() })));
    }
    let why = match &published.trouble {
        Some(trouble) => format!("there was no lap for {} s: {trouble}", ago.as_secs()),
        None => format!("there was no lap for {} s", ago.as_secs()),
    };
    Err(Refused(StatusCode::SERVICE_UNAVAILABLE, why))
}

/// Whether all that is recorded was looked at, and the fleet is kept.
async fn ready(State(app): State<App>) -> Answer {
    let published = picture(&app)?;
    match (&published.trouble, published.is_ready) {
        (None, true) => Ok(Json(json!({ "status": "ready" }))),
        (Some(trouble), _) => Err(Refused(StatusCode::SERVICE_UNAVAILABLE, trouble.clone())),
        (None, false) => {
            let why = "not everything that is recorded was looked at yet";
            Err(Refused(StatusCode::SERVICE_UNAVAILABLE, why.to_owned()))
        }
    }
}

async fn prometheus(State(app): State<App>) -> Response {
    let text = match app.picture() {
        Some(published) => metrics::render(&published, &app.status(&published).await, &app.requests),
        None => String::new(),
    };
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn loop_itself(State(app): State<App>) -> Answer {
    Ok(Json(pools::watch_json(picture(&app)?.as_ref())))
}

async fn recorded(State(app): State<App>) -> Answer {
    Ok(Json(state::json(&picture(&app)?.snapshot)))
}

async fn nodes(State(app): State<App>) -> Answer {
    Ok(Json(status::nodes_json(&app.status(&picture(&app)?).await.nodes)))
}

async fn simulators(State(app): State<App>) -> Answer {
    let status = app.status(&picture(&app)?).await;
    Ok(Json(status::simulators_json(&status.simulators)))
}

async fn all_pools(State(app): State<App>) -> Answer {
    Ok(Json(pools::json(picture(&app)?.as_ref())))
}

async fn alerts(State(app): State<App>) -> Answer {
    Ok(Json(shown::json(picture(&app)?.as_ref())))
}

#[derive(Debug, Deserialize)]
struct Window {
    window: Option<String>,
}

async fn history(
    State(app): State<App>,
    Path(pool): Path<String>,
    query: Result<Query<Window>, QueryRejection>,
) -> Answer {
    let published = picture(&app)?;
    let pool = pool_named(&pool, &published)?;
    let window = window(query?.0.window.as_deref())?;
    let now = Timestamp::now();
    let since = now.checked_sub(window.max(DAY)).unwrap_or(Timestamp::MIN);
    let laps = app.shown.store.laps(&pool, since).await;
    let laps = laps.map_err(|error| Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok(Json(pools::history_json(&pool, &laps, window, now)))
}

/// Returns the pool of a name, such as `web` or `pool.web`.
fn pool_named(name: &str, published: &Published) -> Result<Address, Refused> {
    let named = published.pools.keys().find(|pool| {
        let address = pool.to_string();
        address == name || address.strip_prefix("pool.") == Some(name)
    });
    let missing = || Refused(StatusCode::NOT_FOUND, format!("there is no pool `{name}`"));
    named.cloned().ok_or_else(missing)
}

fn window(text: Option<&str>) -> Result<Duration, Refused> {
    let Some(text) = text else { return Ok(WINDOW) };
    let window = text
        .parse::<SignedDuration>()
        .ok()
        .and_then(|window| window.try_into().ok());
    let wrong = || {
        let why = format!("`window={text}` is no duration, such as 30m or 24h");
        Refused(StatusCode::BAD_REQUEST, why)
    };
    window.ok_or_else(wrong)
}

#[derive(Debug, Deserialize)]
struct Following {
    #[serde(default)]
    laps: bool,
}

async fn events(
    State(app): State<App>,
    headers: HeaderMap,
    query: Result<Query<Following>, QueryRejection>,
) -> Result<Response, Refused> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let laps = query?.0.laps.then(|| app.shown.pictures.clone());
    let events = Arc::clone(&app.shown.events).after(last, laps);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

async fn no_such_path(uri: Uri) -> Refused {
    Refused(StatusCode::NOT_FOUND, format!("there is nothing at `{}`", uri.path()))
}

async fn only_shows() -> Refused {
    let why = "it only shows; what is done with a fleet is done with `simfleet`";
    Refused(StatusCode::METHOD_NOT_ALLOWED, why.to_owned())
}

fn picture(app: &App) -> Result<Arc<Published>, Refused> {
    let none = || Refused(StatusCode::SERVICE_UNAVAILABLE, "there was no lap yet".to_owned());
    app.picture().ok_or_else(none)
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Refused(rejection.status(), rejection.body_text())
    }
}
