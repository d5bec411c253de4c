//! The cloud as a process of its own: HTTP and JSON on loopback.
//!
//! | request | does |
//! |---|---|
//! | `POST /calls` | a call of a provider |
//! | `GET /objects`, `GET /operations`, `GET /log` | show everything |
//! | `PATCH /objects/ID`, `DELETE /objects/ID` | change or delete behind the caller's back |
//! | `GET /faults`, `PUT /faults` | what goes wrong |
//! | `POST /holds`, `GET /holds/N`, `POST /holds/N/release` | stop a call; wait until it has come; let it go on |

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::calls::{Fields, Record, Refusal, Request};
use crate::cloud::Entry;
use crate::faults::Faults;
use crate::gateway::{Gateway, Hold, HoldId, HoldState};

/// A server that is bound and not yet running.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    gateway: Arc<Gateway>,
}

impl Server {
    /// Binds a free port on loopback for this cloud.
    pub async fn bind(gateway: Arc<Gateway>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Server {
            listener,
            address,
            gateway,
        })
    }

    /// Returns the endpoint for the setting of the provider: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until it is dropped.
    pub async fn run(self) -> io::Result<()> {
        axum::serve(self.listener, router(self.gateway)).await
    }
}

fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/calls", post(call))
        .route("/objects", get(objects))
        .route("/objects/{id}", patch(change).delete(destroy))
        .route("/operations", get(operations))
        .route("/log", get(log))
        .route("/faults", get(faults).put(set_faults))
        .route("/holds", post(hold))
        .route("/holds/{id}", get(held))
        .route("/holds/{id}/release", post(release))
        .with_state(gateway)
}

async fn call(State(gateway): State<Arc<Gateway>>, Json(request): Json<Request>) -> Response {
    let Some(reply) = gateway.call(request).await else {
        return broken_off();
    };
    let status = reply.as_ref().map_or_else(status, |_| StatusCode::OK);
    (status, Json(reply)).into_response()
}

/// Returns an answer that breaks off, and the connection with it.
fn broken_off() -> Response {
    let cut = futures::stream::once(async { Err::<String, _>(io::Error::from(io::ErrorKind::ConnectionReset)) });
    Response::new(Body::from_stream(cut))
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::Unreachable { .. } => StatusCode::BAD_GATEWAY,
        Refusal::Conflict { .. } => StatusCode::CONFLICT,
        Refusal::Denied { .. } => StatusCode::FORBIDDEN,
        Refusal::Rejected { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Malformed { .. } => StatusCode::BAD_REQUEST,
    }
}

async fn objects(State(gateway): State<Arc<Gateway>>) -> Json<Vec<Record>> {
    Json(gateway.objects())
}

async fn operations(State(gateway): State<Arc<Gateway>>) -> Json<Vec<String>> {
    Json(gateway.pending())
}

async fn log(State(gateway): State<Arc<Gateway>>) -> Json<Vec<Entry>> {
    Json(gateway.log())
}

async fn change(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>, Json(fields): Json<Fields>) -> Json<bool> {
    Json(gateway.change(&id, &fields))
}

async fn destroy(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Json<bool> {
    Json(gateway.destroy(&id))
}

async fn faults(State(gateway): State<Arc<Gateway>>) -> Json<Faults> {
    Json(gateway.faults())
}

async fn set_faults(State(gateway): State<Arc<Gateway>>, Json(faults): Json<Faults>) -> Json<Faults> {
    gateway.set_faults(faults);
    Json(gateway.faults())
}

async fn hold(State(gateway): State<Arc<Gateway>>, Json(hold): Json<Hold>) -> Json<HoldId> {
    Json(gateway.hold(hold))
}

async fn held(State(gateway): State<Arc<Gateway>>, Path(id): Path<usize>) -> Json<Option<HoldState>> {
    Json(gateway.held(HoldId(id)).await)
}

async fn release(State(gateway): State<Arc<Gateway>>, Path(id): Path<usize>) -> Json<bool> {
    Json(gateway.release(HoldId(id)))
}
