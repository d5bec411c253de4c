//! How calls and operations make up what the engine asks for.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use simfleet_provider_api::{
    Attributes, Data, Found, Handle, Object, ObjectId, Observed, Path, ProviderError, Step, Token,
};

use crate::arm::operation::{Follow, Provisioning, Standing, follow, provisioning};
use crate::arm::refusal::Refusal;
use crate::arm::{Answer, Condition, Request};
use crate::kinds;
use crate::resource::{Call, Resource, Site, changed_tags, get, is_absent, is_as_wanted, new_body, object, what};
use crate::tags::{self, Tags};
use crate::wanted::Wanted;

/// How often a change is made anew whose object had another ETag when it arrived.
const ROUNDS: u32 = 3;

/// An operation that goes on there: all that a later run needs.
#[derive(Debug, Serialize, Deserialize)]
struct Operation {
    id: String,
    purpose: Purpose,
    follow: Follow,
}

/// What an operation is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Purpose {
    Create,
    Update,
    Delete,
    /// What a create that failed has left is deleted.
    Undo {
        /// Why it failed.
        message: String,
        attribute: Option<Path>,
    },
}

impl Purpose {
    fn verb(&self) -> &'static str {
        match self {
            Purpose::Create => "make",
            Purpose::Update => "change",
            Purpose::Delete | Purpose::Undo { .. } => "delete",
        }
    }
}

impl Operation {
    fn running(self, poll_after: Duration) -> Result<Step, ProviderError> {
        Ok(Step::Running {
            handle: Handle::of(&self)?,
            poll_after,
        })
    }
}

pub(crate) async fn read(site: &Site, resource: &dyn Resource, id: &ObjectId) -> Result<Observed, ProviderError> {
    let seen = get(site, resource, &id.0).await?;
    Ok(match seen {
        Some(seen) => Observed::Present(object(site, resource, &seen)?),
        None => Observed::Absent,
    })
}

pub(crate) async fn list(site: &Site, resource: &dyn Resource) -> Result<Vec<Object>, ProviderError> {
    let what = format!("list every {}", resource.kind());
    let items = match site.arm.list(&what, resource.list_target(site)).await {
        Ok(items) => items,
        // Without the group there is nothing in it.
        Err(error) if is_absent(&error) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let own = resource.listed(items, &site.lineage);
    own.iter().map(|seen| object(site, resource, seen)).collect()
}

/// Looks at what has the name that a create with this token gives. What cannot be asked for was not sent either.
pub(crate) async fn find(
    site: &Site,
    resource: &dyn Resource,
    token: &Token,
    planned: &Attributes,
) -> Result<Found, ProviderError> {
    let Ok(wanted) = Wanted::of(kinds::schema(&resource.kind())?, planned) else {
        return Ok(Found::Nothing);
    };
    let id = resource.id(site, &wanted, token);
    let Some(seen) = get(site, resource, &id).await? else {
        return Ok(Found::Nothing);
    };
    if !is_made_by(resource, &seen, token) {
        return Ok(Found::Nothing);
    }
    Ok(match provisioning(&seen) {
        Provisioning::Done => Found::Ready(object(site, resource, &seen)?),
        // Of one that failed what is left is deleted when it is polled.
        Provisioning::Running | Provisioning::Failed => Found::InProgress(Handle::of(&Operation {
            id,
            purpose: Purpose::Create,
            follow: Follow::Object,
        })?),
    })
}

/// Whether an object was made with a token. Of what has no tags the name says so, which ends with the start of the token.
fn is_made_by(resource: &dyn Resource, seen: &Json, token: &Token) -> bool {
    !resource.is_tracked() || Tags::of(seen).token().as_ref() == Some(token)
}

pub(crate) async fn create(
    site: &Site,
    resource: &dyn Resource,
    token: &Token,
    planned: &Attributes,
) -> Result<Step, ProviderError> {
    let is_redacted = |value: &simfleet_provider_api::Value| matches!(value.data(), Data::Redacted(_));
    if let Some((name, _)) = planned.iter().find(|(_, value)| is_redacted(value)) {
        return Err(ProviderError::Rejected {
            message: format!("`{name}` must be given again: only a digest of it is kept"),
            attribute: Some(Path::attribute(name.clone())),
        });
    }
    let wanted = Wanted::of(kinds::schema(&resource.kind())?, planned)?;
    let body = new_body(site, resource, &wanted, token)?;
    let id = resource.id(site, &wanted, token);
    if !resource.is_made() && get(site, resource, &id).await?.is_none() {
        return Err(ProviderError::Rejected {
            message: format!("there is no {} `{id}`, and none is made", resource.kind()),
            attribute: None,
        });
    }
    if !resource.is_conditional()
        && let Some(seen) = get(site, resource, &id).await?
    {
        return adopt(site, resource, id, &seen, token).await;
    }
    if let Some(step) = as_part(site, resource, &id, Purpose::Create).await? {
        return Ok(step);
    }
    let request = Call::Put(body, Condition::IsNew).request(resource, &id).await?;
    let answer = match site.arm.send(&request).await {
        Ok(answer) => answer,
        Err(error) if error.status() == Some(412) => {
            return match get(site, resource, &id).await? {
                Some(seen) => adopt(site, resource, id, &seen, token).await,
                None => Err(error.into()),
            };
        }
        Err(error) => return Err(error.into()),
    };
    answered(site, resource, id, Purpose::Create, &request, answer).await
}

/// Has a part of another object be there, or not; `None` of what is an object of its own.
async fn as_part(
    site: &Site,
    resource: &dyn Resource,
    id: &str,
    purpose: Purpose,
) -> Result<Option<Step>, ProviderError> {
    let is_there = matches!(purpose, Purpose::Create);
    let mut last = None;
    for _ in 0..ROUNDS {
        let Some(request) = resource.as_part(site, id, is_there).await? else {
            return Ok(None);
        };
        match site.arm.send(&request).await {
            Ok(answer) => {
                let id = id.to_owned();
                return answered(site, resource, id, purpose, &request, answer).await.map(Some);
            }
            // Something of the whole has changed since it was looked at.
            Err(error) if error.status() == Some(412) => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(last.map_or_else(
        || ProviderError::Broken {
            message: format!("the {} `{id}` was not changed", resource.kind()),
        },
        ProviderError::from,
    ))
}

/// Takes what has the name already, if it was made with this token.
async fn adopt(
    site: &Site,
    resource: &dyn Resource,
    id: String,
    seen: &Json,
    token: &Token,
) -> Result<Step, ProviderError> {
    if resource.is_shared() && !Tags::of(seen).is_of(&site.lineage) {
        return Ok(Step::Done(object(site, resource, seen)?));
    }
    if !is_made_by(resource, seen, token) {
        let kind = resource.kind();
        let owner = match Tags::of(seen).get(tags::LINEAGE) {
            None => "which simfleet did not make",
            Some(lineage) if *lineage == *site.lineage => "which another declaration of this fleet made",
            Some(_) => "which another fleet made",
        };
        return Err(ProviderError::Conflict {
            message: format!("there is a {kind} `{id}` already, {owner}"),
        });
    }
    let operation = Operation {
        id,
        purpose: Purpose::Create,
        follow: Follow::Object,
    };
    standing(site, resource, operation, Some(seen)).await
}

/// Goes on after the answer to a write.
async fn answered(
    site: &Site,
    resource: &dyn Resource,
    id: String,
    purpose: Purpose,
    request: &Request,
    answer: Answer,
) -> Result<Step, ProviderError> {
    match follow(&answer, &request.method) {
        Some(follow) => Operation { id, purpose, follow }.running(site.arm.pause(&answer)),
        None => finished(site, resource, &id, purpose).await,
    }
}

pub(crate) async fn update(
    site: &Site,
    resource: &dyn Resource,
    prior: &Object,
    planned: &Attributes,
    token: &Token,
) -> Result<Step, ProviderError> {
    let kind = resource.kind();
    let schema = kinds::schema(&kind)?;
    let wanted = Wanted::of(schema, planned)?;
    let id = prior.id.to_string();
    let mut last = None;
    for _ in 0..ROUNDS {
        let Some(current) = get(site, resource, &id).await? else {
            return Err(ProviderError::Conflict {
                message: format!("the {kind} `{id}` is gone"),
            });
        };
        let seen = object(site, resource, &current)?;
        let is_done = match (resource.is_done(&current, &wanted), resource.is_tracked()) {
            (Some(is_done), _) => is_done,
            (None, true) => Tags::of(&current).get(tags::CHANGE) == Some(&*token.0),
            (None, false) => is_as_wanted(schema, planned, &seen),
        };
        if is_done {
            let operation = Operation {
                id,
                purpose: Purpose::Update,
                follow: Follow::Object,
            };
            return standing(site, resource, operation, Some(&current)).await;
        }
        if provisioning(&current) == Provisioning::Running {
            return Err(ProviderError::NotSent {
                message: format!("cannot {}: another operation on it goes on", what(&kind, "change", &id)),
                retry_after: Some(site.pause),
            });
        }
        if prior.version.is_some() && prior.version != seen.version {
            return Err(ProviderError::Conflict {
                message: format!("the {kind} `{id}` is not as it was when the change was planned"),
            });
        }
        resource.may_change(site, &current, &wanted).await?;
        let request = change(resource, &id, &current, &wanted, token).await?;
        match site.arm.send(&request).await {
            Ok(answer) => return answered(site, resource, id, Purpose::Update, &request, answer).await,
            // Something of it has changed since it was looked at: perhaps nothing that counts.
            Err(error) if error.status() == Some(412) => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(last.map_or_else(
        || ProviderError::Broken {
            message: format!("the {kind} `{id}` was not changed"),
        },
        ProviderError::from,
    ))
}

/// Returns the request that changes an object, on the condition that it still is as it was seen.
async fn change(
    resource: &dyn Resource,
    id: &str,
    current: &Json,
    wanted: &Wanted,
    token: &Token,
) -> Result<Request, ProviderError> {
    let etag = current.get("etag").and_then(Json::as_str);
    let version = || etag.map_or(Condition::None, |etag| Condition::IsVersion(etag.to_owned()));
    let with_tags = |mut body: Json| {
        if resource.is_tracked() {
            body["tags"] = changed_tags(current, wanted, token);
        }
        body
    };
    let call = match resource.change(current, wanted) {
        Call::Put(body, _) => Call::Put(with_tags(body), version()),
        Call::Patch(body, _) => Call::Patch(with_tags(body), version()),
        other => other,
    };
    call.request(resource, id).await
}

pub(crate) async fn delete(site: &Site, resource: &dyn Resource, prior: &Object) -> Result<Step, ProviderError> {
    let id = prior.id.to_string();
    if resource.is_part() {
        if get(site, resource, &id).await?.is_none() {
            return Ok(Step::Gone);
        }
        let step = as_part(site, resource, &id, Purpose::Delete).await?;
        return Ok(step.unwrap_or(Step::Gone));
    }
    let request = Call::Delete.request(resource, &id).await?;
    resource.may_delete(site, &id).await?;
    match site.arm.send(&request).await {
        Ok(answer) => answered(site, resource, id, Purpose::Delete, &request, answer).await,
        Err(error) if is_absent(&error) => Ok(Step::Gone),
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn poll(site: &Site, resource: &dyn Resource, handle: &Handle) -> Result<Step, ProviderError> {
    let Operation { id, purpose, follow } = handle.read()?;
    let what = what(&resource.kind(), purpose.verb(), &id);
    let looked = site.arm.look(&what, follow).await.map_err(ProviderError::from);
    match looked.map_err(unproven)? {
        Standing::Running(Follow::Object, _) => {
            let seen = get(site, resource, &id).await.map_err(unproven)?;
            let follow = Follow::Object;
            standing(site, resource, Operation { id, purpose, follow }, seen.as_ref()).await
        }
        Standing::Running(follow, pause) => Operation { id, purpose, follow }.running(pause),
        Standing::Done => finished(site, resource, &id, purpose).await,
        Standing::Failed(refusal) => failed(site, resource, id, purpose, &refusal).await,
    }
}

/// Returns what a look at an operation says that failed: that the look was refused proves nothing of the operation.
fn unproven(error: ProviderError) -> ProviderError {
    match error.is_transient() {
        true => error,
        false => error.halfway(),
    }
}

/// Returns how an operation stands, from the object that it is on.
async fn standing(
    site: &Site,
    resource: &dyn Resource,
    operation: Operation,
    seen: Option<&Json>,
) -> Result<Step, ProviderError> {
    let Some(seen) = seen else {
        return gone(resource, &operation.id, operation.purpose);
    };
    match (&operation.purpose, provisioning(seen)) {
        (Purpose::Create | Purpose::Update, Provisioning::Done) => Ok(Step::Done(object(site, resource, seen)?)),
        (_, Provisioning::Failed) => {
            let Operation { id, purpose, .. } = operation;
            failed(site, resource, id, purpose, &why(seen)).await
        }
        (_, Provisioning::Running) | (Purpose::Delete | Purpose::Undo { .. }, _) => operation.running(site.pause),
    }
}

/// Returns why the last operation on an object failed, as far as the object shows it.
fn why(seen: &Json) -> Refusal {
    let statuses = seen
        .pointer("/properties/instanceView/statuses")
        .and_then(Json::as_array);
    let is_failure = |status: &&Json| {
        let code = status.get("code").and_then(Json::as_str);
        code.is_some_and(|code| code.to_ascii_lowercase().starts_with("provisioningstate/failed"))
    };
    let status = statuses.into_iter().flatten().find(is_failure);
    let text = |name: &str| status.and_then(|status| status.get(name)?.as_str());
    let code = text("code")
        .and_then(|code| code.splitn(3, '/').nth(2))
        .unwrap_or("ProvisioningFailed");
    let message = text("message").unwrap_or("the last operation on it failed");
    Refusal::of(0, &serde_json::json!({ "code": code, "message": message }))
}

/// Ends an operation that ended well.
async fn finished(site: &Site, resource: &dyn Resource, id: &str, purpose: Purpose) -> Result<Step, ProviderError> {
    if matches!(purpose, Purpose::Delete | Purpose::Undo { .. }) {
        return gone(resource, id, purpose);
    }
    match get(site, resource, id).await.map_err(ProviderError::halfway)? {
        Some(seen) => Ok(Step::Done(object(site, resource, &seen)?)),
        None => gone(resource, id, purpose),
    }
}

/// Returns what it means that there is no object.
fn gone(resource: &dyn Resource, id: &str, purpose: Purpose) -> Result<Step, ProviderError> {
    let kind = resource.kind();
    match purpose {
        Purpose::Delete => Ok(Step::Gone),
        Purpose::Undo { message, attribute } => Err(ProviderError::Rejected { message, attribute }),
        Purpose::Create => Err(ProviderError::Rejected {
            message: format!("the {kind} `{id}` was deleted while it was made"),
            attribute: None,
        }),
        Purpose::Update => Err(ProviderError::Conflict {
            message: format!("the {kind} `{id}` was deleted while it was changed"),
        }),
    }
}

/// Ends an operation that failed. What a create has left is deleted first: only then was the object not made.
async fn failed(
    site: &Site,
    resource: &dyn Resource,
    id: String,
    purpose: Purpose,
    refusal: &Refusal,
) -> Result<Step, ProviderError> {
    let what = what(&resource.kind(), purpose.verb(), &id);
    let ProviderError::Rejected { message, attribute } = refusal.failed(&what) else {
        return Err(refusal.failed(&what));
    };
    match purpose {
        Purpose::Create => {}
        // It is there, as something that failed: whoever asks again finds it by its token, and tries once more.
        Purpose::Undo { message: first, .. } => {
            return Err(ProviderError::Ambiguous {
                message: format!("{first}; and what it left could not be deleted: {refusal}"),
            });
        }
        _ => return Err(ProviderError::Rejected { message, attribute }),
    }
    if resource.is_part() {
        return Err(ProviderError::Rejected { message, attribute });
    }
    let undo = Purpose::Undo { message, attribute };
    let request = Call::Delete.request(resource, &id).await?;
    match site.arm.send(&request).await {
        Ok(answer) => Box::pin(answered(site, resource, id, undo, &request, answer)).await,
        Err(error) if is_absent(&error) => gone(resource, &id, undo),
        Err(error) => Err(ProviderError::from(error).halfway()),
    }
}
