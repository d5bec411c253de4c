//! A console of a machine: once the connection is upgraded, its bytes are those of the serial line, both ways.

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use super::App;
use super::error::ApiError;
use super::routes::{Name, Params};
use crate::protocol::CONSOLE;

/// Which console of which simulator.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    id: Option<String>,
    console: Option<String>,
}

pub(super) async fn console(
    State(app): State<App>,
    name: Name,
    which: Params<Which>,
    mut request: Request,
) -> Result<Response, ApiError> {
    let (Path(name), Query(which)) = (name?, which?);
    if request.headers().get(UPGRADE).is_none_or(|to| to != CONSOLE) {
        return Err(ApiError::Invalid {
            status: StatusCode::UPGRADE_REQUIRED,
            message: format!("a console is spoken to over a connection that is upgraded to `{CONSOLE}`"),
            attribute: None,
        });
    }
    let supervisor = &app.0.supervisor;
    let (mut line, user) = supervisor
        .console(&name, which.id.as_deref(), which.console.as_deref())
        .await?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            // It ends with whoever ends first.
            Ok(upgraded) => drop(tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut line).await),
            Err(error) => tracing::warn!(%error, "a console was not opened"),
        }
        drop(user);
    });
    let headers = [(UPGRADE, CONSOLE), (CONNECTION, "upgrade")];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}
