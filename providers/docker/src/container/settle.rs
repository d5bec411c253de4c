//! When a container is as it should be: what is waited for after it was started, and what says that it never will be.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use simfleet_provider_api::{Handle, ProviderError, Step};

use super::gone;
use super::health::{self, Looks, Verdict};
use super::seen::{self, object};
use crate::client::container::{SeenContainer, Status};
use crate::client::{CallError, Engine, rejected};

/// How soon a container that is not ready is looked at again.
const POLL_AFTER: Duration = Duration::from_millis(500);
/// How often a container may be started anew before it counts as one that cannot run.
const RESTARTS: u64 = 3;
/// For how long a container must be up that has no health check.
const UP: Duration = Duration::from_millis(400);
/// After how long one that was started anew counts as one that runs, as it does to an engine.
const STEADY: Duration = Duration::from_secs(10);
/// How many of its last lines are told of a container that does not run.
const LINES: usize = 10;

/// An operation that goes on, as it is kept in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) op: Op,
    pub(super) id: String,
    /// Since when it is looked whether it is healthy: milliseconds since 1970.
    pub(super) since: u64,
    /// Good looks in a row.
    pub(super) good: u64,
    /// How often the engine had started it anew before.
    #[serde(default)]
    pub(super) restarts: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Op {
    Create,
    Update,
    Delete,
}

impl Operation {
    pub(super) fn new(op: Op, id: &str) -> Self {
        Operation {
            op,
            id: id.to_owned(),
            since: health::now(),
            good: 0,
            restarts: 0,
        }
    }

    /// Of something that is looked for: nobody knows since when it is there, so it need not be watched.
    pub(super) fn found(id: &str, is_checked: bool) -> Self {
        let found = Operation::new(Op::Create, id);
        match is_checked {
            true => found,
            false => Operation { since: 0, ..found },
        }
    }

    pub(super) fn running(&self) -> Result<Step, ProviderError> {
        Ok(Step::Running {
            handle: Handle::of(self)?,
            poll_after: POLL_AFTER,
        })
    }
}

/// Returns a container that is as it should be, or says that it is on its way there, or that it never will be.
pub(super) async fn settle(engine: &Engine, mut operation: Operation) -> Result<Step, ProviderError> {
    let id = operation.id.clone();
    let seen = engine.container(&id).await.map_err(CallError::halfway)?;
    let seen = seen.ok_or_else(|| gone(&id))?;
    let settled = match is_checked(&seen) {
        true => checked(engine, &seen, &mut operation).await,
        false => unchecked(&seen, &operation),
    };
    let why = match settled {
        Settled::Yes => return Ok(Step::Done(object(engine, seen).await.map_err(ProviderError::halfway)?)),
        Settled::NotYet => return operation.running(),
        Settled::Never(why) => why,
    };
    let lines = engine.last_lines(&id, LINES).await.unwrap_or_default();
    let log = match lines.is_empty() {
        true => String::new(),
        false => format!("; the end of its log:\n  {}", lines.join("\n  ")),
    };
    let why = rejected(format!("{why}{log}"), None);
    match operation.op {
        Op::Create => Err(give_up(engine, &id, why).await),
        Op::Update | Op::Delete => Err(why),
    }
}

/// Removes a container that never will be as it was declared; returns why it never will. Where it cannot be removed that is
/// said too, and is no proof that there is none: who asks again finds it, and tries again.
pub(super) async fn give_up(engine: &Engine, id: &str, why: ProviderError) -> ProviderError {
    match engine.remove_container(id, true).await {
        Ok(()) => why,
        Err(error) => ProviderError::Broken {
            message: format!("{why}\nand the container could not be removed: {error}"),
        },
    }
}

/// Whether something looks at how a container is.
pub(super) fn is_checked(seen: &SeenContainer) -> bool {
    seen.health.is_some() || seen::made_as(seen).is_some_and(|spec| spec.health_check.is_some())
}

/// Whether a container is as it should be.
enum Settled {
    Yes,
    NotYet,
    /// And why.
    Never(String),
}

/// Tells how a container is by its health check.
async fn checked(engine: &Engine, seen: &SeenContainer, operation: &mut Operation) -> Settled {
    let mut looks = Looks {
        since: operation.since,
        good: operation.good,
    };
    let spec = seen::made_as(seen).unwrap_or_default();
    let verdict = health::look(seen, &spec, engine.endpoint.address(), &mut looks).await;
    operation.good = looks.good;
    let ended = || format!("it ended with {} before it was healthy", end(seen));
    match (seen.status, verdict) {
        (Status::Running, Verdict::Starting) => Settled::NotYet,
        (Status::Restarting, _) if seen.restarts < RESTARTS => Settled::NotYet,
        (Status::Running, Verdict::Bad(why)) => Settled::Never(format!("it is unhealthy: {why}")),
        (Status::Restarting, _) => Settled::Never(format!("{}, {} times", ended(), seen.restarts)),
        (Status::Exited, Verdict::Starting | Verdict::Bad(_)) if operation.op == Op::Create => Settled::Never(ended()),
        _ => Settled::Yes,
    }
}

/// Tells how a container is that nothing looks at: whether it stays up for as long as one does that can run at all. One that
/// had to be started anew has longer for it, as what it needs may have come later.
fn unchecked(seen: &SeenContainer, operation: &Operation) -> Settled {
    let age = Duration::from_millis(health::now().saturating_sub(operation.since));
    let is_new = operation.op == Op::Create;
    let code = end(seen);
    match seen.status {
        Status::Restarting if seen.restarts >= RESTARTS => {
            let times = seen.restarts;
            Settled::Never(format!("it ends as soon as it is started: with {code}, {times} times"))
        }
        Status::Restarting => Settled::NotYet,
        Status::Running if seen.restarts > operation.restarts && age < STEADY => Settled::NotYet,
        Status::Running if age < UP => Settled::NotYet,
        Status::Exited if is_new && !seen::has_ended(seen) => {
            Settled::Never(format!("it ended with {code} as soon as it was started"))
        }
        _ => Settled::Yes,
    }
}

/// Returns what a container ended with, and why where the engine says it.
fn end(seen: &SeenContainer) -> String {
    let code = seen.exit_code.unwrap_or_default();
    match seen.is_out_of_memory {
        true => format!("{code}, as it wanted more memory than it may have,"),
        false => code.to_string(),
    }
}
