//! How a test in another process rules over an emulator: HTTP and JSON below `/_emulator`, without a token.
//!
//! | request | does |
//! |---|---|
//! | `GET /_emulator/clock`, `POST /_emulator/clock/advance` `{"milliseconds": N}` | tells the time; lets it go on |
//! | `GET`, `POST`, `DELETE /_emulator/faults` | what goes wrong: all, one more, none |
//! | `GET`, `DELETE /_emulator/log` | the requests so far; forgets them |
//! | `GET /_emulator/objects` | everything there is, with what ARM never shows |
//! | `GET`, `PUT /_emulator/pace` | how long things take |
//! | `POST /_emulator/metrics` `{"id", "metric", "value", "at"?}` | what a metric is from now on, or from an instant on |
//! | `POST /_emulator/quota` `{"location", "family", "cores"}` | how many cores a family has |
//! | `POST /_emulator/sizes` `{"location", "size", "available"}` | lets a region run out of a size |
//! | `POST /_emulator/evict` `{"id"}` | takes a spot machine away |
//! | `POST /_emulator/tokens/revoke` | lets every token be refused |
//! | `POST /_emulator/unregister` `{"namespace"}` | lets a resource provider be registered no more |

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::emulator::{Control, Shared};
use crate::fault::Fault;
use crate::message::{Answer, Request};
use crate::options::Pace;
use crate::quota::Restricted;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    milliseconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    id: String,
    metric: String,
    value: f64,
    at: Option<jiff::Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quota {
    location: String,
    family: String,
    cores: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    location: String,
    size: String,
    available: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Namespace {
    namespace: String,
}

/// Answers below `/_emulator`.
pub(crate) fn answer(shared: &Arc<Shared>, request: &Request) -> Answer {
    done(shared, request).unwrap_or_else(|why| Answer::json(400, json!({ "error": why })))
}

fn done(shared: &Arc<Shared>, request: &Request) -> Result<Answer, String> {
    let control = Control {
        shared: Arc::clone(shared),
    };
    let steps: Vec<&str> = request.steps.iter().skip(1).map(String::as_str).collect();
    let nothing = Ok(Answer::empty(204));
    match (&request.method, steps.as_slice()) {
        (&Method::GET, ["clock"]) => Ok(Answer::json(200, json!({"now": control.now().to_string()}))),
        (&Method::POST, ["clock", "advance"]) => {
            let Advance { milliseconds } = body(request)?;
            control.advance(Duration::from_millis(milliseconds));
            Ok(Answer::json(200, json!({"now": control.now().to_string()})))
        }
        (&Method::GET, ["faults"]) => Ok(Answer::json(200, json!(control.faults()))),
        (&Method::POST, ["faults"]) => {
            control.fault(body::<Fault>(request)?);
            nothing
        }
        (&Method::DELETE, ["faults"]) => {
            control.clear_faults();
            nothing
        }
        (&Method::GET, ["log"]) => Ok(Answer::json(200, json!(control.log()))),
        (&Method::DELETE, ["log"]) => {
            control.clear_log();
            nothing
        }
        (&Method::GET, ["objects"]) => Ok(Answer::json(200, Value::Array(control.objects()))),
        (&Method::GET, ["pace"]) => Ok(Answer::json(200, json!(control.pace()))),
        (&Method::PUT, ["pace"]) => {
            control.set_pace(body::<Pace>(request)?);
            nothing
        }
        (&Method::POST, ["metrics"]) => {
            let Metric { id, metric, value, at } = body(request)?;
            control.set_metric_at(&id, &metric, at.unwrap_or_else(|| control.now()), value);
            nothing
        }
        (&Method::POST, ["quota"]) => {
            let Quota {
                location,
                family,
                cores,
            } = body(request)?;
            control.set_quota(&location, &family, cores);
            nothing
        }
        (&Method::POST, ["sizes"]) => {
            let Size {
                location,
                size,
                available,
            } = body(request)?;
            let restricted = if available {
                Restricted::Available
            } else {
                Restricted::NotAvailable
            };
            control.set_size(&location, &size, restricted);
            nothing
        }
        (&Method::POST, ["evict"]) => {
            let Id { id } = body(request)?;
            control.evict(&id).map_err(|error| error.to_string())?;
            nothing
        }
        (&Method::POST, ["tokens", "revoke"]) => {
            control.revoke_tokens();
            nothing
        }
        (&Method::POST, ["unregister"]) => {
            let Namespace { namespace } = body(request)?;
            control.unregister(&namespace);
            nothing
        }
        _ => Ok(Answer::json(
            404,
            json!({"error": "there is nothing at this path of the emulator"}),
        )),
    }
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, String> {
    serde_json::from_value(request.body.clone()).map_err(|error| error.to_string())
}
