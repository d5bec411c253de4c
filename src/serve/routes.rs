//! What is only read.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response, Sse, sse::KeepAlive};
use axum::{Extension, Json};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use simfleet_provider_api::Address;
use simfleet_state::Role;

use super::guard::{Caller, Refused};
use super::{App, metrics};
use crate::view::{alerts as shown, pools, state, status};
use crate::watch::lead::Standing;
use crate::watch::published::Published;

/// A loop that has made no lap for so long is stuck. It looks at the files every two seconds.
const STUCK: Duration = Duration::from_secs(60);

/// What of the history is told where nobody says, and the span that its peak is of.
const WINDOW: Duration = Duration::from_secs(30 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Answer = Result<Json<Value>, Refused>;

/// Whether laps are made.
pub(super) async fn health(State(app): State<App>) -> Answer {
    let published = picture(&app)?;
    let ago = published.made.elapsed();
    let role = app.standing().role();
    let (what, healthy) = match published.is_standby {
        true => ("the state was not read", json!({ "status": "ok", "role": role })),
        false => {
            let last = published.at.to_string();
            let healthy = json!({ "status": "ok", "role": role, "last_lap": last });
            ("there was no lap", healthy)
        }
    };
    if ago < STUCK {
        return Ok(Json(healthy));
    }
    let why = match &published.trouble {
        Some(trouble) => format!("{what} for {} s: {trouble}", ago.as_secs()),
        None => format!("{what} for {} s", ago.as_secs()),
    };
    Err(unwell(&app, why))
}

/// Says why it is not well: to whoever is on this machine. Others have to be known, and ask at `/v1/watch`.
fn unwell(app: &App, why: String) -> Refused {
    let why = match app.settings.is_beyond() {
        true => "it is not well; /v1/watch says why".to_owned(),
        false => why,
    };
    Refused(StatusCode::SERVICE_UNAVAILABLE, why)
}

/// Whether all that is recorded was looked at, and the fleet is kept.
pub(super) async fn ready(State(app): State<App>) -> Answer {
    let published = picture(&app)?;
    let standing = app.standing();
    // What was shown by the one that stood by is no lap of the one that leads.
    let is_past = published.is_standby && matches!(standing, Standing::Leads(_));
    match (&published.trouble, published.is_ready && !is_past) {
        (None, true) => Ok(Json(json!({ "status": "ready", "role": standing.role() }))),
        (Some(trouble), _) => Err(unwell(&app, trouble.clone())),
        (None, false) => Err(unwell(
            &app,
            "not everything that is recorded was looked at yet".to_owned(),
        )),
    }
}

pub(super) async fn prometheus(State(app): State<App>) -> Response {
    let text = match app.picture() {
        Some(published) => metrics::render(
            &published,
            matches!(app.standing(), Standing::Leads(_)),
            &app.status(&published).await,
            &app.requests,
            app.programs.uploaded(),
        ),
        None => String::new(),
    };
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

pub(super) async fn loop_itself(State(app): State<App>) -> Answer {
    Ok(Json(pools::watch_json(picture(&app)?.as_ref(), &app.standing())))
}

pub(super) async fn recorded(State(app): State<App>) -> Answer {
    Ok(Json(state::json(&picture(&app)?.snapshot)))
}

pub(super) async fn nodes(State(app): State<App>) -> Answer {
    Ok(Json(status::nodes_json(&app.status(&picture(&app)?).await.nodes)))
}

pub(super) async fn simulators(State(app): State<App>) -> Answer {
    let status = app.status(&picture(&app)?).await;
    Ok(Json(status::simulators_json(&status.simulators)))
}

pub(super) async fn all_pools(State(app): State<App>) -> Answer {
    Ok(Json(pools::json(picture(&app)?.as_ref())))
}

pub(super) async fn alerts(State(app): State<App>) -> Answer {
    Ok(Json(shown::json(picture(&app)?.as_ref())))
}

#[derive(Debug, Deserialize)]
pub(super) struct Window {
    window: Option<String>,
}

pub(super) async fn history(
    State(app): State<App>,
    Path(pool): Path<String>,
    query: Result<Query<Window>, QueryRejection>,
) -> Answer {
    let published = picture(&app)?;
    let pool = pool_named(&pool, &published)?;
    let window = window(query?.0.window.as_deref())?;
    Ok(Json(history_of(&app, &pool, window).await?))
}

async fn history_of(app: &App, pool: &Address, window: Duration) -> Result<Value, Refused> {
    let now = Timestamp::now();
    let since = now.checked_sub(window.max(DAY)).unwrap_or(Timestamp::MIN);
    let laps = app.store().laps(pool, since).await;
    let laps = laps.map_err(|error| Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok(pools::history_json(pool, &laps, window, now))
}

/// What the page shows, in one answer: so that it is one request a time.
pub(super) async fn overview(State(app): State<App>, query: Result<Query<Window>, QueryRejection>) -> Answer {
    let window = window(query?.0.window.as_deref())?;
    let published = picture(&app)?;
    let mut all = Vec::new();
    for (address, mut pool) in published.pools.keys().zip(each(pools::json(&published))) {
        pool["history"] = history_of(&app, address, window).await?;
        all.push(pool);
    }
    let status = app.status(&published).await;
    Ok(Json(json!({
        "watch": pools::watch_json(&published, &app.standing()),
        "pools": all,
        "nodes": status::nodes_json(&status.nodes),
        "simulators": status::simulators_json(&status.simulators),
        "alerts": shown::json(&published),
    })))
}

fn each(list: Value) -> Vec<Value> {
    match list {
        Value::Array(list) => list,
        _ => Vec::new(),
    }
}

/// One simulator.
pub(super) async fn simulator(State(app): State<App>, Path(address): Path<String>) -> Answer {
    let status = app.status(&picture(&app)?).await;
    let simulators = each(status::simulators_json(&status.simulators)).into_iter();
    let found = simulators.into_iter().find(|one| one["address"] == address.as_str());
    let missing = || Refused(StatusCode::NOT_FOUND, format!("there is no simulator `{address}`"));
    found.map(Json).ok_or_else(missing)
}

/// Who asks.
pub(super) async fn whoami(State(app): State<App>, Extension(caller): Extension<Caller>) -> Json<Value> {
    let known = caller.credential.as_ref();
    let role = known.map_or(Role::Viewer, |known| known.role);
    let is_needed = app.settings.is_beyond() || known.is_some();
    Json(json!({
        "name": known.map(|known| &known.name),
        "role": role.as_str(),
        "source": known.map(|known| known.source),
        "expires": known.and_then(|known| known.expires).map(|at| at.to_string()),
        "from": caller.from.to_string(),
        "token_needed": is_needed,
    }))
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
pub(super) struct Following {
    #[serde(default)]
    laps: bool,
}

pub(super) async fn events(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    query: Result<Query<Following>, QueryRejection>,
) -> Result<Response, Refused> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let laps = query?.0.laps.then(|| app.shown.pictures.clone());
    let events = Arc::clone(&app.shown.events).after(last, laps);
    let events = events.take_until(Box::pin(app.until_unknown(caller)));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

pub(super) async fn no_such_path(uri: Uri) -> Refused {
    Refused(StatusCode::NOT_FOUND, format!("there is nothing at `{}`", uri.path()))
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Refused {
    let why = format!(
        "`{}` does not take {method}; /v1/openapi.json says what can be asked",
        uri.path()
    );
    Refused(StatusCode::METHOD_NOT_ALLOWED, why)
}

pub(super) fn picture(app: &App) -> Result<Arc<Published>, Refused> {
    let none = || Refused(StatusCode::SERVICE_UNAVAILABLE, "there was no lap yet".to_owned());
    app.picture().ok_or_else(none)
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Refused(rejection.status(), rejection.body_text())
    }
}

impl From<BytesRejection> for Refused {
    fn from(rejection: BytesRejection) -> Self {
        Refused(rejection.status(), rejection.body_text())
    }
}
