//! Operations that go on after the call: how they are followed, by this run or by one that comes after it.
//!
//! Resource Manager answers a write in one of three ways: 200 or 201 with the object, whose `provisioningState` says whether
//! it is done; the same or 202 with `Azure-AsyncOperation`, the URL of a status; 202 with `Location`, the URL of a result that
//! answers 202 until it is there.
//! See <https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations>.

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::refusal::Refusal;
use super::{Answer, Arm, CallError, Request};

/// How an operation is followed. Kept in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Follow {
    /// By the status at this URL.
    Status(String),
    /// By the result at this URL.
    Result(String),
    /// By the object itself.
    Object,
}

/// How an operation stands.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It goes on: when to look again, and from now on how.
    Running(Follow, Duration),
    /// It ended well.
    Done,
    /// It failed, or was cancelled.
    Failed(Refusal),
}

/// Returns how what was answered to a write is followed; `None` where it is done.
pub(crate) fn follow(answer: &Answer, method: &Method) -> Option<Follow> {
    let follow = match (&answer.operation, &answer.location) {
        (Some(url), _) => Follow::Status(url.clone()),
        (None, Some(url)) if answer.status == 202 => Follow::Result(url.clone()),
        _ if answer.status == 202 => Follow::Object,
        _ if *method == Method::DELETE => return None,
        _ => match provisioning(&answer.body) {
            Provisioning::Running => Follow::Object,
            // One that failed at once is looked at again, where failures are told.
            Provisioning::Failed => Follow::Object,
            Provisioning::Done => return None,
        },
    };
    Some(follow)
}

/// What an object says of the last operation on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provisioning {
    Running,
    Done,
    Failed,
}

/// Reads `provisioningState`. Kinds without one are done as soon as they are there.
pub(crate) fn provisioning(body: &Json) -> Provisioning {
    let state = body
        .get("properties")
        .and_then(|properties| properties.get("provisioningState"));
    match state.and_then(Json::as_str) {
        None => Provisioning::Done,
        Some(state) => standing(state),
    }
}

/// The terminal words are three; all others mean that it goes on.
fn standing(word: &str) -> Provisioning {
    match word.to_ascii_lowercase().as_str() {
        "succeeded" => Provisioning::Done,
        "failed" | "canceled" => Provisioning::Failed,
        _ => Provisioning::Running,
    }
}

impl Arm {
    /// Looks how an operation stands that is followed by a URL. One that is known there no more is followed by its object.
    pub(crate) async fn look(&self, what: &str, follow: Follow) -> Result<Standing, CallError> {
        let url = match &follow {
            Follow::Status(url) | Follow::Result(url) => url.clone(),
            Follow::Object => return Ok(Standing::Running(Follow::Object, Duration::ZERO)),
        };
        let answer = match self.send(&Request::get(what, url)).await {
            Ok(answer) => answer,
            Err(error) => return self.ended(&follow, error),
        };
        let pause = self.pause(&answer);
        if let Follow::Result(_) = &follow {
            return Ok(match answer.status {
                // Each answer can name another place.
                202 => Standing::Running(answer.location.map_or(follow, Follow::Result), pause),
                _ => Standing::Done,
            });
        }
        let state = answer.body.get("status").and_then(Json::as_str);
        let Some(state) = state else {
            // The services of old answer with the object itself.
            return Ok(match (answer.status, provisioning(&answer.body)) {
                (202, _) | (_, Provisioning::Running) => Standing::Running(follow, pause),
                (_, Provisioning::Done) => Standing::Done,
                (_, Provisioning::Failed) => Standing::Failed(Refusal::of(0, &answer.body)),
            });
        };
        Ok(match standing(state) {
            Provisioning::Running => Standing::Running(follow, pause),
            Provisioning::Done => Standing::Done,
            Provisioning::Failed => Standing::Failed(Refusal::of(0, &answer.body)),
        })
    }

    /// Returns what a refusal at the URL of an operation says of it.
    fn ended(&self, follow: &Follow, error: CallError) -> Result<Standing, CallError> {
        let Some(refusal) = error.refusal() else {
            return Err(error);
        };
        match (follow, refusal.status) {
            // Kept for a day or so; and the first look can come too early for another region.
            (_, 404 | 410) => Ok(Standing::Running(Follow::Object, Duration::ZERO)),
            (_, 401 | 403 | 408 | 429 | 500..) => Err(error),
            // The result of an operation that failed is the refusal.
            (Follow::Result(_), _) => Ok(Standing::Failed(refusal.clone())),
            _ => Err(error),
        }
    }
}
