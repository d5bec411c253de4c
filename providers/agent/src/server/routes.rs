//! The requests that an agent answers; see [`crate::protocol`].

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;

use super::App;
use super::auth::authorize;
use super::error::ApiError;
use super::{console, logs, metrics};
use crate::durable;
use crate::protocol::{
    ActOnMachine, Desired, LogTail, MAX_BODY, MAX_PROGRAM, NodeChange, NodeView, PROTOCOL, PatchSimulator,
    PutSimulator, ResetSimulator, Shutdown, SimulatorList, SimulatorView, SnapshotList, TokenView, Version,
};

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a request waits for what it asked for to be done before it answers that it is under way.
const PATIENCE: Duration = Duration::from_millis(500);

type Answer<T> = Result<Json<T>, ApiError>;
pub(super) type Name = Result<Path<String>, PathRejection>;
type Body<T> = Result<Json<T>, JsonRejection>;

pub(super) fn routes(app: App) -> Router {
    Router::new()
        .route("/metrics", get(metrics::prometheus))
        .route("/v1/metrics", get(metrics::json))
        .route("/v1/version", get(version))
        .route("/v1/node", get(node).put(change_node))
        .route("/v1/shutdown", post(shut_down))
        .route("/v1/simulators", get(list))
        .route(
            "/v1/simulators/{name}",
            get(read).put(create).patch(change).delete(delete),
        )
        .route("/v1/simulators/{name}/start", post(start))
        .route("/v1/simulators/{name}/stop", post(stop))
        .route("/v1/simulators/{name}/reset", post(reset))
        .route("/v1/simulators/{name}/act", post(act))
        .route("/v1/simulators/{name}/snapshots", get(snapshots))
        .route("/v1/simulators/{name}/console", get(console::console))
        .route("/v1/simulators/{name}/logs", get(last_lines))
        .route("/v1/simulators/{name}/log", get(log))
        .route(
            "/v1/programs/{sha256}",
            put(put_program).layer(DefaultBodyLimit::max(MAX_PROGRAM)),
        )
        .route("/v1/tokens/{token}", get(token))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(app.clone(), authorize))
        // After the token, so that who has none learns nothing.
        .route("/healthz", get(healthz))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(limit_time))
        .with_state(app)
}

async fn limit_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(TIMEOUT, next.run(request))
        .await
        .unwrap_or_else(|_| ApiError::Timeout.into_response())
}

async fn no_route() -> ApiError {
    ApiError::NoRoute
}

async fn no_method() -> ApiError {
    ApiError::NoMethod
}

async fn healthz(State(app): State<App>) -> Response {
    let health = app.0.health();
    let status = if health.status == "ok" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}

async fn version() -> Json<Version> {
    Json(Version {
        protocols: vec![PROTOCOL],
        program: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

async fn node_view(app: &App) -> NodeView {
    let record = app.0.node.lock().await.clone();
    NodeView {
        cpus: Some(record.cpus()),
        memory: Some(record.memory()),
        health: app.0.health(),
        settings: record.settings,
        revision: record.revision,
        started: app.0.started.clone(),
        simulators: app.0.supervisor.len().await as u64,
    }
}

async fn node(State(app): State<App>) -> Json<NodeView> {
    Json(node_view(&app).await)
}

async fn change_node(State(app): State<App>, body: Body<NodeChange>) -> Answer<NodeView> {
    let Json(change) = body?;
    {
        let mut node = app.0.node.lock().await;
        let changed = node.changed(change)?;
        if *node != changed {
            let path = app.0.data.node();
            durable::write_json(&path, &changed).map_err(crate::node::NodeError::from)?;
            *node = changed;
        }
    }
    Ok(Json(node_view(&app).await))
}

async fn shut_down(State(app): State<App>, body: Body<Shutdown>) -> Result<StatusCode, ApiError> {
    let Json(shutdown) = body?;
    // At once, so that no create slips in between this answer and the end.
    app.0.supervisor.close();
    app.0.end.send_replace(Some(shutdown.simulators));
    Ok(StatusCode::ACCEPTED)
}

async fn list(State(app): State<App>) -> Json<SimulatorList> {
    Json(SimulatorList {
        simulators: app.0.supervisor.list().await,
    })
}

/// Which of all simulators that have or had a name is meant.
#[derive(Debug, Deserialize)]
struct Which {
    id: Option<String>,
}

pub(super) type Params<T> = Result<Query<T>, QueryRejection>;

async fn read(State(app): State<App>, name: Name, which: Params<Which>) -> Answer<SimulatorView> {
    let (Path(name), Query(which)) = (name?, which?);
    Ok(Json(app.0.supervisor.get(&name, which.id.as_deref()).await?))
}

async fn create(State(app): State<App>, name: Name, body: Body<PutSimulator>) -> Result<Response, ApiError> {
    let (Path(name), Json(request)) = (name?, body?);
    let token = request.token.clone();
    let most = app.0.node.lock().await.settings.max_simulators;
    app.0.supervisor.put(&name, request, most).await?;
    settled(&app, &name, Some(&token)).await
}

async fn change(State(app): State<App>, name: Name, body: Body<PatchSimulator>) -> Result<Response, ApiError> {
    let (Path(name), Json(request)) = (name?, body?);
    let id = request.id.clone();
    app.0.supervisor.patch(&name, request).await?;
    settled(&app, &name, Some(&id)).await
}

async fn start(State(app): State<App>, name: Name) -> Result<Response, ApiError> {
    let Path(name) = name?;
    app.0.supervisor.set(&name, Desired::Running).await?;
    settled(&app, &name, None).await
}

async fn stop(State(app): State<App>, name: Name) -> Result<Response, ApiError> {
    let Path(name) = name?;
    app.0.supervisor.set(&name, Desired::Stopped).await?;
    settled(&app, &name, None).await
}

async fn reset(State(app): State<App>, name: Name, body: Body<ResetSimulator>) -> Result<Response, ApiError> {
    let (Path(name), Json(request)) = (name?, body?);
    app.0.supervisor.reset(&name, &request.id, request.token).await?;
    settled(&app, &name, Some(&request.id)).await
}

async fn act(State(app): State<App>, name: Name, body: Body<ActOnMachine>) -> Result<Response, ApiError> {
    let (Path(name), Json(request)) = (name?, body?);
    let id = request.id.clone();
    app.0.supervisor.act(&name, request).await?;
    settled(&app, &name, Some(&id)).await
}

async fn snapshots(State(app): State<App>, name: Name, which: Params<Which>) -> Answer<SnapshotList> {
    let (Path(name), Query(which)) = (name?, which?);
    let snapshots = app.0.supervisor.snapshots(&name, which.id.as_deref()).await?;
    Ok(Json(SnapshotList { snapshots }))
}

async fn settled(app: &App, name: &str, id: Option<&str>) -> Result<Response, ApiError> {
    let view = app.0.supervisor.settle(name, id, PATIENCE).await?;
    let status = if view.settled {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((status, Json(view)).into_response())
}

async fn delete(State(app): State<App>, name: Name, which: Params<Which>) -> Result<StatusCode, ApiError> {
    let (Path(name), Query(which)) = (name?, which?);
    let id = which.id.as_deref();
    app.0.supervisor.delete(&name, id).await?;
    if app.0.supervisor.wait_gone(&name, id, PATIENCE).await {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Ok(StatusCode::ACCEPTED)
    }
}

#[derive(Debug, Deserialize)]
struct Tail {
    tail: Option<usize>,
}

async fn last_lines(State(app): State<App>, name: Name, tail: Params<Tail>) -> Answer<LogTail> {
    let (Path(name), Query(tail)) = (name?, tail?);
    let path = app.0.supervisor.log(&name).await?;
    let lines = tail.tail.unwrap_or(100);
    let lines = tokio::task::spawn_blocking(move || durable::tail(&path, lines))
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))?
        .map_err(|error| ApiError::Internal(format!("cannot read the log: {error}")))?;
    Ok(Json(LogTail { lines }))
}

async fn put_program(State(app): State<App>, sha256: Name, content: Bytes) -> Result<StatusCode, ApiError> {
    let Path(sha256) = sha256?;
    // It becomes the name of a file.
    let is_digest = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if sha256.len() != 64 || !sha256.bytes().all(is_digest) {
        return Err(ApiError::NoRoute);
    }
    tokio::task::spawn_blocking(move || app.0.supervisor.put_program(&sha256, &content))
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))?
        .map_err(|error| ApiError::Internal(format!("cannot keep the program: {error}")))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
struct Log {
    id: Option<String>,
    tail: Option<usize>,
    since: Option<f64>,
    follow: Option<bool>,
}

/// What comes in pieces is not bounded in time: it ends with the simulator, or with who reads it.
async fn log(State(app): State<App>, name: Name, log: Params<Log>) -> Result<Response, ApiError> {
    let (Path(name), Query(query)) = (name?, log?);
    let supervisor = app.0.supervisor.clone();
    supervisor.get(&name, query.id.as_deref()).await?;
    let path = supervisor.written(&name).await?;
    let wanted = logs::Wanted {
        name,
        id: query.id,
        tail: query.tail,
        // What is no length of time is too long ago to leave anything out.
        since: query
            .since
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        follow: query.follow.unwrap_or_default(),
    };
    let log = logs::stream(supervisor, path, wanted).await;
    let log = log.map_err(|error| ApiError::Internal(format!("cannot read the log: {error}")))?;
    Ok(axum::body::Body::from_stream(log).into_response())
}

async fn token(State(app): State<App>, token: Name) -> Answer<TokenView> {
    let Path(token) = token?;
    match app.0.supervisor.token(&token).await {
        Some(view) => Ok(Json(view)),
        None => Err(ApiError::NoRoute),
    }
}
