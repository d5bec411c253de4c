//! Who holds addresses, and having them let go.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use simfleet_state::Liveness;

use super::guard::{Caller, Refused};
use super::simulators::failed;
use super::{App, apart};
use crate::fleet::Held;

pub(super) async fn all(State(app): State<App>) -> Result<Json<Value>, Refused> {
    let fleet = app.fleet();
    let held = apart(async move || fleet.holders().await.map_err(failed)).await?;
    Ok(Json(held.iter().map(told).collect()))
}

fn told(held: &Held) -> Value {
    let Held {
        lease,
        liveness,
        is_over,
    } = held;
    let addresses = lease.locks.exclusive.iter().chain(&lease.locks.shared);
    json!({
        "holder": lease.holder.id,
        "by": lease.holder.who,
        "command": lease.holder.command,
        "since": lease.holder.since.to_string(),
        "expires": lease.expires.to_string(),
        "alive": match liveness {
            Liveness::Alive => Some(true),
            Liveness::Dead => Some(false),
            Liveness::Unknown => None,
        },
        "over": is_over,
        "addresses": addresses.collect::<Vec<_>>(),
    })
}

pub(super) async fn unlock(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(holder): Path<String>,
) -> Result<StatusCode, Refused> {
    let fleet = app
        .fleet()
        .called_by(caller.of_fleet(), format!("DELETE /v1/locks/{holder}"));
    let missing = Refused(StatusCode::NOT_FOUND, format!("no run `{holder}` holds anything"));
    let is_dropped = apart(async move || fleet.unlocked(&holder).await.map_err(failed)).await?;
    is_dropped.then_some(StatusCode::NO_CONTENT).ok_or(missing)
}
