//! What was asked for, and what became of it. It is kept in the state, so that also a watch that follows one that was killed
//! knows of it. A watch that stands by reads it there each time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use simfleet_state::{HolderId, HttpOperation, StateError, StateStore};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::App;
use super::guard::{Caller, Refused};
use crate::control::{Control, Done};
use crate::fleet::{Allocate, Fleet, FleetError};
use crate::plan::Pattern;
use crate::view::{control as shown, diagnostics, failure};
use crate::watch::lead::Standing;

/// How many are at work at once, and how many are known.
const AT_ONCE: usize = 16;
const KNOWN: usize = 1_000;
/// For how long somebody may wait for an end, and for how long one waits for locks where nobody says.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
const LOCKED: Duration = Duration::from_secs(30);
/// For how long those at work are waited for where the watch is to end.
const ENDING: Duration = Duration::from_secs(10);
/// How often it is looked what became of what another watch is at work on.
const LOOK: Duration = Duration::from_millis(500);

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Running,
    Succeeded,
    Failed,
    /// The watch ended while it was at work.
    Interrupted,
}

/// Something that was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Operation {
    id: Arc<str>,
    verb: String,
    address: String,
    parameters: Map<String, Value>,
    by: Arc<str>,
    from: Arc<str>,
    at: Timestamp,
    ended: Option<Timestamp>,
    status: Status,
    result: Vec<Changed>,
    errors: Vec<Value>,
    message: Option<String>,
}

/// A simulator with which something was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Changed {
    address: String,
    changed: bool,
    until: Option<Timestamp>,
}

/// All that is known of what was asked for.
#[derive(Debug)]
pub struct Operations {
    store: Arc<dyn StateStore>,
    /// Whether this watch leads.
    standing: watch::Receiver<Standing>,
    /// Oldest first; each can be followed. What this watch began, and while it leads all that is known.
    known: Mutex<VecDeque<watch::Sender<Operation>>>,
    /// As which leader it has taken over what was known before.
    taken_over: tokio::sync::Mutex<Option<HolderId>>,
    at_work: Arc<Semaphore>,
    /// Turns true when all is to end.
    stop: watch::Receiver<bool>,
    /// Told whenever something was done.
    done: mpsc::UnboundedSender<()>,
}

/// What is to be done with simulators.
#[derive(Debug)]
pub(super) enum What {
    Control(Control),
    Allocate(Allocate),
    Release { force: bool },
}

impl What {
    fn verb(&self) -> &'static str {
        match self {
            What::Control(control) => control.verb(),
            What::Allocate(_) => "allocate",
            What::Release { .. } => "release",
        }
    }

    async fn carry_out(
        &self,
        fleet: &Fleet,
        patterns: &[Pattern],
        stop: watch::Receiver<bool>,
    ) -> Result<Vec<Done>, FleetError> {
        // What is told meanwhile is in the journal, and in what becomes of it.
        let (progress, _) = mpsc::unbounded_channel();
        match self {
            What::Control(control) => fleet.control(control, patterns, &progress, stop).await,
            What::Allocate(how) => fleet.allocate(*how, patterns, &progress, stop).await,
            What::Release { force } => fleet.release(*force, patterns, &progress).await,
        }
    }
}

/// An order that somebody gives.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) what: What,
    pub(super) pattern: Pattern,
    /// As it is told of.
    pub(super) parameters: Map<String, Value>,
}

/// How long to wait, as it is given in a query.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Waiting {
    wait: Option<String>,
    lock_timeout: Option<String>,
}

impl Operations {
    /// Knows of none yet.
    pub fn new(
        store: Arc<dyn StateStore>,
        standing: watch::Receiver<Standing>,
        stop: watch::Receiver<bool>,
        done: mpsc::UnboundedSender<()>,
    ) -> Self {
        Operations {
            store,
            standing,
            known: Mutex::default(),
            taken_over: tokio::sync::Mutex::default(),
            at_work: Arc::new(Semaphore::new(AT_ONCE)),
            stop,
            done,
        }
    }

    /// Takes over what is known of watches before this one, where it has begun to lead: what one was at work on was
    /// interrupted. Returns whether it leads.
    async fn take_over(&self) -> Result<bool, StateError> {
        let leader = match &*self.standing.borrow() {
            Standing::Leads(leader) => leader.holder.id.clone(),
            _ => return Ok(false),
        };
        let mut taken_over = self.taken_over.lock().await;
        if taken_over.as_ref() == Some(&leader) {
            return Ok(true);
        }
        let kept = self.kept().await?;
        let mut known = self.known();
        // What it is at work on itself goes on.
        let own: Vec<_> = known
            .drain(..)
            .filter(|own| own.borrow().status == Status::Running)
            .collect();
        let own_of = |id: &str| own.iter().find(|own| *own.borrow().id == *id).cloned();
        for mut operation in kept {
            if let Some(own) = own_of(&operation.id) {
                known.push_back(own);
                continue;
            }
            if operation.status == Status::Running {
                operation.status = Status::Interrupted;
                operation.message = Some(interrupted(&operation.verb));
            }
            known.push_back(watch::channel(operation).0);
        }
        *taken_over = Some(leader);
        Ok(true)
    }

    /// Reads what is kept, oldest first.
    async fn kept(&self) -> Result<Vec<Operation>, StateError> {
        let kept = self.store.operations().await?;
        // What an other version wrote otherwise is nothing that anybody waits for.
        let read = kept.iter().filter_map(|kept| serde_json::from_str(&kept.told).ok());
        Ok(read.collect())
    }

    /// Returns all that is known, oldest first.
    async fn all(&self) -> Result<Vec<Operation>, StateError> {
        match self.take_over().await? {
            true => Ok(self.known().iter().map(|known| known.borrow().clone()).collect()),
            false => self.kept().await,
        }
    }

    /// Returns what is known of one, once it has ended or after so long; `None` where nothing is known of it.
    async fn one(&self, id: &str, wait: Option<Duration>) -> Result<Option<Operation>, StateError> {
        let until = Instant::now() + wait.unwrap_or_default();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.take_over().await? {
                let Some(mut follow) = self.find(id) else {
                    return Ok(None);
                };
                return Ok(Some(ended(&mut follow, wait.map(|_| left)).await));
            }
            let found = self.kept().await?.into_iter().find(|kept| *kept.id == *id);
            match found {
                Some(operation) if operation.status == Status::Running && !left.is_zero() => {
                    tokio::time::sleep(LOOK.min(left)).await;
                }
                found => return Ok(found),
            }
        }
    }

    /// Waits until none is at work, for a while: those that are asked to stop do so soon, and one that does not was interrupted.
    pub async fn end(&self) {
        let all = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(ENDING, self.at_work.acquire_many(all)).await;
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<watch::Sender<Operation>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Option<watch::Receiver<Operation>> {
        let known = self.known();
        let found = known.iter().rev().find(|known| *known.borrow().id == *id);
        found.map(watch::Sender::subscribe)
    }

    /// Begins to do what somebody asked for. It is kept before anything is done.
    async fn begin(
        self: &Arc<Self>,
        fleet: Fleet,
        caller: &Caller,
        order: Order,
    ) -> Result<watch::Receiver<Operation>, Refused> {
        let busy = |_| {
            Refused(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{AT_ONCE} operations are at work already"),
            )
        };
        self.take_over().await.map_err(unread)?;
        let slot = Arc::clone(&self.at_work).try_acquire_owned().map_err(busy)?;
        let caller = caller.of_fleet();
        let operation = Operation {
            id: format!("op_{}", Uuid::new_v4().simple()).into(),
            verb: order.what.verb().to_owned(),
            address: order.pattern.to_string(),
            parameters: order.parameters,
            by: Arc::clone(&caller.by),
            from: Arc::clone(&caller.from),
            at: Timestamp::now(),
            ended: None,
            status: Status::Running,
            result: Vec::new(),
            errors: Vec::new(),
            message: None,
        };
        let kept = self.store.keep_operation(&kept_of(&operation)).await;
        kept.map_err(unread)?;
        let command = format!("POST /v1/simulators/{}/{}", operation.address, operation.verb);
        let fleet = fleet.called_by(caller, command).at(operation.at);
        let (told, follow) = watch::channel(operation);
        {
            let mut known = self.known();
            known.push_back(told.clone());
            while known.len() > KNOWN {
                known.pop_front();
            }
        }
        let (what, pattern) = (order.what, order.pattern);
        let (operations, stop, runtime) = (Arc::clone(self), self.stop.clone(), Handle::current());
        // On a thread of its own: these futures stay on the thread that they began on.
        tokio::task::spawn_blocking(move || {
            runtime.block_on(async {
                let done = what.carry_out(&fleet, &[pattern], stop.clone()).await;
                // The loop may have ended.
                let _ = operations.done.send(());
                told.send_modify(|operation| operation.end(&done, *stop.borrow()));
                let kept = kept_of(&told.borrow());
                // Who waits has heard of it; a watch that follows this one would call it interrupted.
                let _ = operations.store.keep_operation(&kept).await;
            });
            drop(slot);
        });
        Ok(follow)
    }
}

impl Operation {
    fn end(&mut self, done: &Result<Vec<Done>, FleetError>, is_stopped: bool) {
        let errors = match done {
            Ok(all) => {
                let (done, failed) = shown::split(all);
                self.result = done
                    .iter()
                    .map(|(address, now)| Changed {
                        address: address.to_string(),
                        changed: now.is_news,
                        until: now.until,
                    })
                    .collect();
                failed
            }
            Err(error) => failure::diagnostics(error),
        };
        self.ended = Some(Timestamp::now());
        self.status = match (errors.0.is_empty(), is_stopped) {
            (true, _) => Status::Succeeded,
            (false, false) => Status::Failed,
            (false, true) => {
                self.message = Some(interrupted(&self.verb));
                Status::Interrupted
            }
        };
        self.errors = errors.0.iter().map(diagnostics::one_json).collect();
    }
}

/// Says what becomes of what was interrupted.
fn interrupted(verb: &str) -> String {
    match verb {
        "start" | "stop" | "pause" | "resume" => {
            "the watch ended while it was at work; what was recorded of it is finished by the watch that followed"
        }
        _ => "the watch ended while it was at work; it may be done or not, and is not done again",
    }
    .to_owned()
}

fn kept_of(operation: &Operation) -> HttpOperation {
    HttpOperation {
        id: Arc::clone(&operation.id),
        at: operation.at,
        told: serde_json::to_string(operation).unwrap_or_default().into(),
    }
}

impl Waiting {
    fn for_end(&self) -> Result<Option<Duration>, Refused> {
        let wait = self.wait.as_deref().map(|text| duration("wait", text)).transpose()?;
        Ok(wait.map(|wait| wait.min(LONGEST)))
    }

    fn for_locks(&self) -> Result<Duration, Refused> {
        match &self.lock_timeout {
            Some(text) => duration("lock_timeout", text),
            None => Ok(LOCKED),
        }
    }
}

/// Reads a duration, such as `10s`.
pub(super) fn duration(name: &str, text: &str) -> Result<Duration, Refused> {
    let read: Option<SignedDuration> = text.parse().ok();
    let wrong = || {
        let why = format!("`{name}={text}` is no duration, such as 30s or 10m");
        Refused(StatusCode::BAD_REQUEST, why)
    };
    read.and_then(|read| read.try_into().ok()).ok_or_else(wrong)
}

/// Begins to do what somebody asked for, and waits for its end where they asked for that, too.
pub(super) async fn begin(
    app: &App,
    caller: &Caller,
    waiting: Result<Query<Waiting>, QueryRejection>,
    order: Order,
) -> Result<Response, Refused> {
    let waiting = waiting?.0;
    let wait = waiting.for_end()?;
    if app.only_looks {
        let why = "this watch changes nothing: it was started with --dry-run";
        return Err(Refused(StatusCode::CONFLICT, why.to_owned()));
    }
    if *app.operations.stop.borrow() {
        let why = "this watch is about to end";
        return Err(Refused(StatusCode::SERVICE_UNAVAILABLE, why.to_owned()));
    }
    let fleet = app.fleet().with_lock_timeout(waiting.for_locks()?);
    let mut follow = app.operations.begin(fleet, caller, order).await?;
    let id = Arc::clone(&follow.borrow().id);
    let operation = tokio::select! {
        operation = ended(&mut follow, wait) => operation,
        () = app.clone().until_unknown(caller.clone()), if caller.credential.is_some() => {
            let why = format!("the token is not known any more; operation {id} goes on");
            return Err(Refused(StatusCode::UNAUTHORIZED, why));
        }
    };
    let location = format!("{}/v1/operations/{}", app.settings.base_path, operation.id);
    let status = match operation.status {
        Status::Running => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    };
    let mut response = (status, Json(operation)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Returns what is known of an operation once it has ended, or after so long.
async fn ended(follow: &mut watch::Receiver<Operation>, wait: Option<Duration>) -> Operation {
    if let Some(wait) = wait {
        let end = follow.wait_for(|operation| operation.status != Status::Running);
        // Late, or it ended with its thread: what is known now is told in any case.
        let _ = tokio::time::timeout(wait, end).await;
    }
    follow.borrow().clone()
}

pub(super) async fn all(State(app): State<App>) -> Result<Json<Value>, Refused> {
    let all = app.operations.all().await.map_err(unread)?;
    Ok(Json(
        all.iter()
            .rev()
            .filter_map(|known| serde_json::to_value(known).ok())
            .collect(),
    ))
}

pub(super) async fn one(
    State(app): State<App>,
    Path(id): Path<String>,
    waiting: Result<Query<Waiting>, QueryRejection>,
) -> Result<Response, Refused> {
    let wait = waiting?.0.for_end()?;
    let missing = || {
        Refused(
            StatusCode::NOT_FOUND,
            format!("there is no operation `{id}`, or not any more"),
        )
    };
    let found = app.operations.one(&id, wait).await.map_err(unread)?;
    Ok(Json(found.ok_or_else(missing)?).into_response())
}

fn unread(error: StateError) -> Refused {
    Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
