//! What a simulator writes: the last of it as text, or what it writes from now on as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures::StreamExt;
use futures::stream;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use simfleet_provider_api::runtime::{LogPiece, LogQuery, LogSource};
use simfleet_provider_api::{Ability, Provider};
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::guard::{Caller, Refused};
use super::simulators::{failed, pattern};
use super::{App, apart};
use crate::fleet::{Fleet, Reached};
use crate::plan::Pattern;

/// How many are followed at once, and for how long the last lines are waited for.
pub(super) const AT_ONCE: usize = 32;
const PATIENCE: Duration = Duration::from_secs(10);
/// How many lines of what was written before are told where nobody says, and at the most; and how many bytes.
const LINES: usize = 100;
const MOST_LINES: usize = 10_000;
const MOST_BYTES: usize = 4 << 20;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    follow: bool,
    tail: Option<usize>,
    name: Option<String>,
}

/// A piece of what is written, and where.
type Piece = Result<(LogSource, Vec<u8>), String>;

pub(super) async fn console(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(address): Path<String>,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Refused> {
    let asked = query?.0;
    let pattern = pattern(&app, &address).await?;
    let fleet = app
        .fleet()
        .called_by(caller.of_fleet(), format!("GET /v1/simulators/{address}/console"));
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let known = app.clone().until_unknown(caller);
    match asked.follow || accepts.is_some_and(|accept| accept.contains("text/event-stream")) {
        true => follow(&app, fleet, pattern, asked, known).await,
        false => tail(fleet, pattern, asked).await,
    }
}

/// Looks at the one simulator that is meant.
async fn reach(
    fleet: &Fleet,
    pattern: Pattern,
    asked: &Asked,
    is_followed: bool,
) -> Result<(Reached, Ability), Refused> {
    let mut parameters = Map::new();
    let mut set = |name: &str, value: Option<Value>| value.map(|value| parameters.insert(name.to_owned(), value));
    set("follow", is_followed.then_some(Value::Bool(true)));
    set("tail", asked.tail.map(Value::from));
    set("name", asked.name.as_deref().map(Value::from));
    // What was written before is in the log only.
    let abilities: &[Ability] = match is_followed {
        true => &[Ability::Console, Ability::Logs],
        false => &[Ability::Logs],
    };
    let reached = fleet.reach_any("console", abilities, parameters, &[pattern]).await;
    let mut reached = reached.map_err(failed)?;
    match (reached.pop(), reached.is_empty()) {
        (Some(one), true) => Ok(one),
        _ => {
            let why = "a console is that of one simulator, and these are several";
            Err(Refused(StatusCode::BAD_REQUEST, why.to_owned()))
        }
    }
}

fn not_read(error: impl std::fmt::Display) -> Refused {
    Refused(StatusCode::BAD_GATEWAY, format!("it cannot be read: {error}"))
}

/// Answers with the last lines.
async fn tail(fleet: Fleet, pattern: Pattern, asked: Asked) -> Result<Response, Refused> {
    let text = apart(async move || {
        let (one, _) = reach(&fleet, pattern, &asked, false).await?;
        let Some(runtime) = one.provider.runtime() else {
            return Ok(Vec::new());
        };
        let query = LogQuery {
            tail: Some(asked.tail.unwrap_or(LINES).min(MOST_LINES)),
            since: None,
            follow: false,
        };
        let read = async {
            let mut text = Vec::new();
            let mut log = runtime.logs(&one.kind, &one.object, &query).await.map_err(not_read)?;
            while let Some(piece) = log.next().await {
                text.extend(piece.map_err(not_read)?.bytes);
                let surplus = text.len().saturating_sub(MOST_BYTES);
                text.drain(..surplus);
            }
            Ok(text)
        };
        let late = |_| Refused(StatusCode::GATEWAY_TIMEOUT, "its log takes too long".to_owned());
        tokio::time::timeout(PATIENCE, read).await.map_err(late)?
    });
    let text = String::from_utf8_lossy(&text.await?).into_owned();
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// Answers with what is written from now on, until it ends, or whoever asked has gone.
async fn follow(
    app: &App,
    fleet: Fleet,
    pattern: Pattern,
    asked: Asked,
    known: impl Future<Output = ()> + Send + 'static,
) -> Result<Response, Refused> {
    let busy = |_| {
        let why = format!("{AT_ONCE} consoles are followed already");
        Refused(StatusCode::SERVICE_UNAVAILABLE, why)
    };
    let slot = Arc::clone(&app.consoles).try_acquire_owned().map_err(busy)?;
    let (begun, begins) = tokio::sync::oneshot::channel();
    let (send, pieces) = mpsc::channel::<Piece>(16);
    let runtime = Handle::current();
    // On a thread of its own: these futures stay on the thread that they began on.
    tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            let work = written(&fleet, pattern, &asked, begun, &send);
            tokio::select! {
                () = work => {}
                () = send.closed() => {}
            }
        });
        drop(slot);
    });
    let gone = |_| not_read("the watch is about to end");
    begins.await.map_err(gone)??;
    let texts = stream::unfold((pieces, Texts::default()), |(mut pieces, mut texts)| async {
        let event = match pieces.recv().await? {
            Ok((source, bytes)) => {
                let text = texts.take(source, &bytes);
                Event::default().data(json!({ "source": word(source), "text": text }).to_string())
            }
            Err(why) => Event::default()
                .event("failed")
                .data(json!({ "error": why }).to_string()),
        };
        Some((Ok::<_, Infallible>(event), (pieces, texts)))
    });
    let texts = texts.take_until(Box::pin(known));
    let ended = stream::once(async { Ok(Event::default().event("ended").data("{}")) });
    Ok(Sse::new(texts.chain(ended))
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// Sends what is written, once it is told whether it can be read.
async fn written(
    fleet: &Fleet,
    pattern: Pattern,
    asked: &Asked,
    begun: tokio::sync::oneshot::Sender<Result<(), Refused>>,
    send: &mpsc::Sender<Piece>,
) {
    let reached = reach(fleet, pattern, asked, true).await;
    let (one, ability) = match reached {
        Ok(reached) => reached,
        // Who asked may be gone.
        Err(refused) => return drop(begun.send(Err(refused))),
    };
    let Some(runtime) = one.provider.runtime() else {
        return;
    };
    if ability == Ability::Console {
        let console = runtime.console(&one.kind, &one.object, asked.name.as_deref()).await;
        let mut console = match console {
            Ok(console) => console,
            Err(error) => return drop(begun.send(Err(not_read(error)))),
        };
        drop(begun.send(Ok(())));
        let mut buffer = vec![0; 4 << 10];
        while let Ok(length @ 1..) = console.read(&mut buffer).await {
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            if send.send(Ok((LogSource::Output, bytes))).await.is_err() {
                return;
            }
        }
        return;
    }
    let query = LogQuery {
        tail: Some(asked.tail.unwrap_or(0).min(MOST_LINES)),
        since: None,
        follow: true,
    };
    let mut log = match runtime.logs(&one.kind, &one.object, &query).await {
        Ok(log) => log,
        Err(error) => return drop(begun.send(Err(not_read(error)))),
    };
    drop(begun.send(Ok(())));
    while let Some(piece) = log.next().await {
        let piece = piece.map(|LogPiece { source, bytes }| (source, bytes.to_vec()));
        if send.send(piece.map_err(|error| error.to_string())).await.is_err() {
            return;
        }
    }
}

fn word(source: LogSource) -> &'static str {
    match source {
        LogSource::Output => "output",
        LogSource::Error => "error",
    }
}

/// Bytes as text: a character that comes in two pieces is one.
#[derive(Debug, Default)]
struct Texts {
    output: Vec<u8>,
    error: Vec<u8>,
}

impl Texts {
    fn take(&mut self, source: LogSource, bytes: &[u8]) -> String {
        let rest = match source {
            LogSource::Output => &mut self.output,
            LogSource::Error => &mut self.error,
        };
        rest.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(rest) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => rest.len(),
        };
        let text = String::from_utf8_lossy(&rest[..whole]).into_owned();
        rest.drain(..whole);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_in_two_pieces_is_one() {
        let mut texts = Texts::default();
        let (a, b) = "grün".as_bytes().split_at(3);
        assert_eq!(texts.take(LogSource::Output, a), "gr");
        assert_eq!(texts.take(LogSource::Error, b"x"), "x");
        assert_eq!(texts.take(LogSource::Output, b), "ün");
        // What is no text is shown as that, and keeps nothing back.
        assert_eq!(texts.take(LogSource::Output, b"\xff!"), "\u{fffd}!");
    }
}
