//! What is done with simulators, as the verbs of the command line do it.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{self, Extension, Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use simfleet_provider_api::{Ability, Act, Address, Provider};
use simfleet_state::State;

use super::guard::{Caller, Refused};
use super::operations::{self, LONGEST, Order, Waiting, What, duration};
use super::programs::Programs;
use super::{App, apart};
use crate::config::check::is_name;
use crate::control::{self, Control};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fleet::{Allocate, FleetError};
use crate::plan::Pattern;
use crate::view;

/// A verb: what it does, and the schema of what it takes.
pub(super) struct Verb {
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    pub(super) body: &'static str,
}

/// The verbs, as `simfleet simulator` has them.
pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "start",
        says: "Starts simulators that were stopped or paused by hand, or that ended.",
        body: "None",
    },
    Verb {
        name: "stop",
        says: "Stops simulators, and holds them so.",
        body: "Lasting",
    },
    Verb {
        name: "pause",
        says: "Pauses simulators where they are, and holds them so.",
        body: "Lasting",
    },
    Verb {
        name: "resume",
        says: "Has paused simulators go on.",
        body: "None",
    },
    Verb {
        name: "reset",
        says: "Starts simulators anew where they are.",
        body: "None",
    },
    Verb {
        name: "load",
        says: "Has simulators run a program that was uploaded, until their block says otherwise.",
        body: "Load",
    },
    Verb {
        name: "snapshot",
        says: "Keeps what simulators are now, under a name.",
        body: "Named",
    },
    Verb {
        name: "restore",
        says: "Has simulators be what they were when a snapshot was made.",
        body: "Named",
    },
    Verb {
        name: "allocate",
        says: "Has simulators be the caller's: all of them or none, or any one that is free.",
        body: "Allocate",
    },
    Verb {
        name: "release",
        says: "Gives simulators back.",
        body: "Release",
    },
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lasting {
    #[serde(rename = "for")]
    length: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
    program: String,
    #[serde(default)]
    halt: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllocateBody {
    #[serde(default)]
    any: bool,
    #[serde(rename = "for")]
    length: Option<String>,
    wait: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    #[serde(default)]
    force: bool,
}

/// Reads what a verb takes: what is to be done, and how that is told of.
fn read(verb: &str, body: &[u8], programs: &Programs) -> Result<(What, Map<String, Value>), Refused> {
    let mut parameters = Map::new();
    let control = match verb {
        "start" | "resume" | "reset" => {
            let Nothing {} = given(body)?;
            match verb {
                "start" => Control::Start,
                "resume" => Control::Resume,
                _ => Control::Act(Act::Reset),
            }
        }
        "stop" | "pause" => {
            let Lasting { length } = given(body)?;
            let read = length.as_deref().map(|text| duration("for", text)).transpose()?;
            parameters.extend(length.map(|length| ("for".to_owned(), length.into())));
            match verb {
                "stop" => Control::Stop { length: read },
                _ => Control::Pause { length: read },
            }
        }
        "load" => {
            let Load { program, halt } = given(body)?;
            let path: PathBuf = programs.find(&program)?;
            parameters.insert("program".to_owned(), program.into());
            parameters.insert("halt".to_owned(), halt.into());
            Control::Act(Act::Load { program: path, halt })
        }
        "snapshot" | "restore" => {
            let Named { name } = given(body)?;
            if !is_name(&name) {
                let why = format!("`{name}` is no name: it has letters, digits, `_` and `-`");
                return Err(Refused(StatusCode::BAD_REQUEST, why));
            }
            parameters.insert("name".to_owned(), name.as_str().into());
            match verb {
                "snapshot" => Control::Act(Act::Snapshot { name }),
                _ => Control::Act(Act::Restore { name }),
            }
        }
        "allocate" => {
            let AllocateBody { any, length, wait } = given(body)?;
            let read = |name, text: &Option<String>| text.as_deref().map(|text| duration(name, text)).transpose();
            let how = Allocate {
                any,
                length: read("for", &length)?,
                // Who waits takes the place of somebody else's order.
                wait: read("wait", &wait)?.unwrap_or_default().min(LONGEST),
            };
            parameters.insert("any".to_owned(), any.into());
            for (name, text) in [("for", length), ("wait", wait)] {
                parameters.extend(text.map(|text| (name.to_owned(), text.into())));
            }
            return Ok((What::Allocate(how), parameters));
        }
        "release" => {
            let ReleaseBody { force } = given(body)?;
            parameters.insert("force".to_owned(), force.into());
            return Ok((What::Release { force }, parameters));
        }
        verb => return Err(Refused(StatusCode::NOT_FOUND, format!("there is no verb `{verb}`"))),
    };
    Ok((What::Control(control), parameters))
}

/// Reads a body; without one, that of an empty object.
fn given<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    let body = match body.is_empty() {
        true => b"{}",
        false => body,
    };
    serde_json::from_slice(body).map_err(|error| Refused(StatusCode::BAD_REQUEST, format!("the body: {error}")))
}

/// Returns what answers a verb.
pub(super) fn order(verb: &'static str) -> MethodRouter<App> {
    let order = move |extract::State(app): extract::State<App>,
                      Extension(caller): Extension<Caller>,
                      Path(address): Path<String>,
                      waiting: Result<Query<Waiting>, QueryRejection>,
                      body: Result<Bytes, BytesRejection>| async move {
        let body = body?;
        let (what, parameters) = read(verb, &body, &app.programs)?;
        let pattern = pattern(&app, &address).await?;
        let order = Order {
            what,
            pattern,
            parameters,
        };
        operations::begin(&app, &caller, waiting, order).await
    };
    post(order)
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, Refused> {
    text.parse()
        .map_err(|error: T::Err| Refused(StatusCode::BAD_REQUEST, error.to_string()))
}

/// Reads which simulators are meant; there must be such.
pub(super) async fn pattern(app: &App, text: &str) -> Result<Pattern, Refused> {
    let pattern: Pattern = parsed(text)?;
    let (fleet, state) = (app.fleet(), recorded(app).await?);
    let found = control::simulators(fleet.config(), &state, std::slice::from_ref(&pattern));
    found.map_err(|why| Refused(StatusCode::NOT_FOUND, in_words(&why)))?;
    Ok(pattern)
}

/// Returns what is recorded now, which is more than what the loop knew at the end of its last lap.
async fn recorded(app: &App) -> Result<State, Refused> {
    let snapshot = app.fleet().snapshot().await;
    Ok(snapshot.map_err(failed)?.state)
}

/// Returns what is wrong in words, with what to do about it.
pub(super) fn in_words(diagnostics: &Diagnostics) -> String {
    let one = |diagnostic: &Diagnostic| match &diagnostic.hint {
        Some(hint) => format!("{} ({hint})", diagnostic.detail.trim_end_matches('.')),
        None => diagnostic.detail.trim_end_matches('.').to_owned(),
    };
    diagnostics.0.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The snapshots of a simulator.
pub(super) async fn snapshots(
    extract::State(app): extract::State<App>,
    Extension(caller): Extension<Caller>,
    Path(address): Path<String>,
) -> Result<Json<Value>, Refused> {
    let pattern = pattern(&app, &address).await?;
    let fleet = app
        .fleet()
        .called_by(caller.of_fleet(), format!("GET {address}/snapshots"));
    let found = apart(async move || {
        let reached = fleet
            .reach("snapshots", Ability::Snapshot, Map::new(), &[pattern])
            .await;
        let mut found = Vec::new();
        for one in reached.map_err(failed)? {
            let Some(runtime) = one.provider.runtime() else {
                continue;
            };
            let snapshots = runtime.snapshots(&one.kind, &one.object).await;
            found.extend(snapshots.map_err(|error| Refused(StatusCode::BAD_GATEWAY, error.to_string()))?);
        }
        Ok(found)
    });
    let time = |made: SystemTime| Timestamp::try_from(made).ok().map(|made| made.to_string());
    let json = found
        .await?
        .into_iter()
        .map(|snapshot| json!({ "name": snapshot.name, "made": snapshot.made.and_then(time), "size": snapshot.size }));
    Ok(Json(json.collect()))
}

/// Says why something cannot be read of a simulator.
pub(super) fn failed(error: FleetError) -> Refused {
    let status = match error {
        FleetError::Diagnostics(_) => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Refused(status, in_words(&view::failure::diagnostics(&error)))
}

/// What is held.
pub(super) async fn holds(extract::State(app): extract::State<App>) -> Result<Json<Value>, Refused> {
    let state = recorded(&app).await?;
    let holds = state.holds.iter().map(|(address, hold)| {
        let mut told = view::state::hold(hold);
        told["address"] = json!(address);
        told
    });
    Ok(Json(holds.collect()))
}

/// Ends a hold.
pub(super) async fn end_hold(
    extract::State(app): extract::State<App>,
    Extension(caller): Extension<Caller>,
    Path(address): Path<String>,
    waiting: Result<Query<Waiting>, QueryRejection>,
) -> Result<Response, Refused> {
    let address: Address = parsed(&address)?;
    if !recorded(&app).await?.holds.contains_key(&address) {
        return Err(Refused(StatusCode::NOT_FOUND, format!("{address} is not held")));
    }
    let pattern = pattern(&app, &address.to_string()).await?;
    let order = Order {
        what: What::Control(Control::Start),
        pattern,
        parameters: Map::new(),
    };
    operations::begin(&app, &caller, waiting, order).await
}
