//! What all kinds have in common: an object of Resource Manager is made, looked at, changed and deleted.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use simfleet_provider_api::json::to_json_with;
use simfleet_provider_api::{
    Attributes, Kind, Mode, Object, ObjectId, Path, Problem, ProviderError, Schema, Token, Value, convert,
};

use crate::arm::{Arm, CallError, Condition, Request};
use crate::kinds;
use crate::names::Rule;
use crate::tags::{self, Tags};
use crate::wanted::{Wanted, canonical, folded};

/// Where the objects of one configured provider are.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) arm: Arm,
    pub(crate) subscription: String,
    pub(crate) group: String,
    /// Where objects are made that do not say.
    pub(crate) region: Option<String>,
    pub(crate) lineage: Arc<str>,
    /// When to look again at what is being worked on.
    pub(crate) pause: Duration,
}

impl Site {
    /// Returns the id of the resource group.
    pub(crate) fn group_id(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", self.subscription, self.group)
    }
}

/// A call for one object.
#[derive(Debug)]
pub(crate) enum Call {
    Get,
    Put(Json, Condition),
    Patch(Json, Condition),
    /// Does something that is no change of what it shows: `…/NAME/ACTION`.
    Post(&'static str, Json),
    Delete,
}

impl Call {
    /// Returns what it does, in a word.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Call::Get => "look at",
            Call::Put(_, Condition::IsNew) => "make",
            Call::Put(..) | Call::Patch(..) | Call::Post(..) => "change",
            Call::Delete => "delete",
        }
    }
}

/// A kind of object of Resource Manager.
#[async_trait]
pub(crate) trait Resource: Send + Sync {
    fn kind(&self) -> Kind;

    /// Returns what its objects look like here.
    fn make_schema(&self) -> Schema;

    /// Returns what Azure lets its names be.
    fn names(&self) -> Rule;

    /// The namespace and collection: `Microsoft.Network/virtualNetworks`.
    fn collection(&self) -> &'static str;

    /// The version of the API.
    fn api(&self) -> &'static str;

    /// Whether Azure documents that `If-None-Match: *` holds for it. Of others it is looked first whether there is one.
    fn is_conditional(&self) -> bool {
        false
    }

    /// Whether its objects have tags and a region.
    fn is_tracked(&self) -> bool {
        true
    }

    /// Whether one that somebody else made is used as it is.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether it is a part of another object, which is changed for it.
    fn is_part(&self) -> bool {
        false
    }

    /// Whether it is made here. What is not is there, or cannot be had.
    fn is_made(&self) -> bool {
        true
    }

    /// Checks wanted attributes beyond their types and the name.
    fn check(&self, _desired: &Attributes) -> Vec<Problem> {
        Vec::new()
    }

    /// Returns the id of what is to be made.
    fn id(&self, site: &Site, wanted: &Wanted, token: &Token) -> String {
        let name = tags::azure_name(wanted.str("name"), token);
        format!("{}/providers/{}/{name}", site.group_id(), self.collection())
    }

    /// Returns what is sent to make it: `properties` and the like, without region and tags.
    fn body(&self, wanted: &Wanted) -> Json;

    /// Returns what is sent to change it, from what is there now: what no attribute says stays as it is.
    fn change(&self, current: &Json, wanted: &Wanted) -> Call;

    /// Whether nothing of a change is left to do, where the object itself says so.
    fn is_done(&self, _current: &Json, _wanted: &Wanted) -> Option<bool> {
        None
    }

    /// Returns the attributes of its own that an object shows.
    fn attributes(&self, seen: &Json) -> Json;

    /// Adds tags of its own.
    fn tag(&self, _wanted: &Wanted, _tags: &mut Tags) {}

    /// Adds the attributes that only tags show.
    fn restore(&self, _tags: &Tags, _attributes: &mut Attributes) {}

    /// Returns the address of the list of all of them.
    fn list_target(&self, site: &Site) -> String {
        format!(
            "{}/providers/{}?api-version={}",
            site.group_id(),
            self.collection(),
            self.api()
        )
    }

    /// Returns the objects of this lineage in a list.
    fn listed(&self, items: Vec<Json>, lineage: &str) -> Vec<Json> {
        items.into_iter().filter(|item| Tags::of(item).is_of(lineage)).collect()
    }

    /// Checks that an object may be changed so.
    async fn may_change(&self, _site: &Site, _current: &Json, _wanted: &Wanted) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Adds what only other addresses show of what has an id; `None` where it is not there after all.
    async fn complete(&self, _site: &Site, _id: &str, seen: Json) -> Result<Option<Json>, ProviderError> {
        Ok(Some(seen))
    }

    /// Returns the request that has a part of another object be there, or not; `None` of what is an object of its own.
    async fn as_part(&self, _site: &Site, _id: &str, _is_there: bool) -> Result<Option<Request>, ProviderError> {
        Ok(None)
    }

    /// Checks that an object may be deleted.
    async fn may_delete(&self, _site: &Site, _id: &str) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Returns the request of a call.
    async fn request(&self, id: &str, call: Call) -> Result<Request, ProviderError> {
        Ok(plain_request(self, id, call))
    }
}

/// Returns the request of a call as Resource Manager takes it of every kind.
pub(crate) fn plain_request<R: Resource + ?Sized>(resource: &R, id: &str, call: Call) -> Request {
    let what = what(&resource.kind(), call.verb(), id);
    let mut target = format!("{id}?api-version={}", resource.api());
    let (method, body, condition) = match call {
        Call::Get => return Request::get(what, target),
        Call::Post(action, body) => {
            target = format!("{id}/{action}?api-version={}", resource.api());
            (Method::POST, Some(body), Condition::None)
        }
        Call::Put(body, condition) => (Method::PUT, Some(body), condition),
        Call::Patch(body, condition) => (Method::PATCH, Some(body), condition),
        Call::Delete => (Method::DELETE, None, Condition::None),
    };
    Request {
        what,
        method,
        target,
        body,
        condition,
    }
}

/// Returns what a call is for, in words.
pub(crate) fn what(kind: &Kind, verb: &str, id: &str) -> String {
    let name = id.rsplit('/').next().unwrap_or(id);
    format!("{verb} the {kind} `{name}`")
}

impl Call {
    /// Returns the request of a call for an object of a kind.
    pub(crate) async fn request(self, resource: &dyn Resource, id: &str) -> Result<Request, ProviderError> {
        if !id.starts_with("/subscriptions/") {
            return Err(ProviderError::Broken {
                message: format!("`{id}` is no id in Azure"),
            });
        }
        resource.request(id, self).await
    }
}

/// Looks at what has an id; `None` where nothing has.
pub(crate) async fn get(site: &Site, resource: &dyn Resource, id: &str) -> Result<Option<Json>, ProviderError> {
    let request = Call::Get.request(resource, id).await?;
    match site.arm.send(&request).await {
        Ok(answer) => {
            let mut body = answer.body;
            // Some services show it in the header only.
            if let (Some(fields), Some(etag)) = (body.as_object_mut(), answer.etag) {
                fields.entry("etag").or_insert(etag.into());
            }
            resource.complete(site, id, body).await
        }
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a refusal proves that there is no such object. That a subscription is not found proves nothing of what is in it.
pub(crate) fn is_absent(error: &CallError) -> bool {
    let unproven = [
        "SubscriptionNotFound",
        "InvalidSubscriptionId",
        "InvalidResourceType",
        "NoRegisteredProviderFound",
    ];
    let refusal = error.refusal();
    refusal.is_some_and(|refusal| refusal.status == 404 && !refusal.is_any(&unproven))
}

/// Returns an object of Azure as one of a kind.
pub(crate) fn object(site: &Site, resource: &dyn Resource, seen: &Json) -> Result<Object, ProviderError> {
    let kind = resource.kind();
    let text = |name: &str| seen.get(name).and_then(Json::as_str);
    let id = text("id").map(folded).ok_or_else(|| ProviderError::Broken {
        message: format!("Azure shows a {kind} without an id"),
    })?;
    let tags = Tags::of(seen);
    let mut fields = resource.attributes(seen);
    let azure_name = text("name").unwrap_or_else(|| id.rsplit('/').next().unwrap_or_default());
    let name = tags.get(tags::NAME).unwrap_or_else(|| tags::fleet_name(azure_name));
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("name".to_owned(), name.into());
        fields.insert("id".to_owned(), id.clone().into());
        fields.insert("azure_name".to_owned(), azure_name.to_lowercase().into());
        if resource.is_tracked() {
            fields.insert("location".to_owned(), text("location").map(region).into());
            fields.insert("tags".to_owned(), tags.declared());
        }
        if resource.is_shared() {
            fields.insert("made".to_owned(), tags.is_of(&site.lineage).into());
        }
    }
    let schema = kinds::schema(&kind)?;
    let mut attributes = canonical(schema, &fields)?;
    resource.restore(&tags, &mut attributes);
    Ok(Object {
        id: ObjectId(id.into()),
        version: Some(version(schema, &attributes)),
        attributes,
        token: tags.token(),
    })
}

/// Returns a region in its one spelling: `East US` is `eastus`.
fn region(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Returns a version of what can be configured of an object.
///
/// The ETag is not taken for it: that of a network changes with each subnet and that of a subnet with each interface, so that
/// a plan would be refused for what it did itself a moment before. A change is conditional on both: this, which says that what
/// was planned on is still so, and the ETag that was seen with it, which says that it is until the change is made.
fn version(schema: &Schema, attributes: &Attributes) -> Arc<str> {
    let mut hash = Sha256::new();
    for attribute in schema.attributes.iter().filter(|attribute| attribute.is_configurable()) {
        let Some(value) = attributes.get(attribute.name) else {
            continue;
        };
        let shown = to_json_with(value, &mut |_, _| Ok::<_, std::convert::Infallible>(Json::Null));
        let Ok(json) = shown;
        hash.update(format!("{}={json}\n", attribute.name));
    }
    hex::encode(&hash.finalize()[..8]).into()
}

/// Returns all that is sent to make an object.
pub(crate) fn new_body(
    site: &Site,
    resource: &dyn Resource,
    wanted: &Wanted,
    token: &Token,
) -> Result<Json, ProviderError> {
    let mut body = crate::wanted::without_nulls(resource.body(wanted));
    if resource.is_tracked() {
        let location = wanted.get("location").as_str().or(site.region.as_deref());
        let location = location.ok_or_else(|| ProviderError::Rejected {
            message: format!("a {} needs a `location`, or the provider a `region`", resource.kind()),
            attribute: Some(Path::attribute("location")),
        })?;
        let mut tags = Tags::default();
        tags.declare(Some(wanted.get("tags")));
        tags.set(tags::LINEAGE, &site.lineage);
        tags.set(tags::NAME, wanted.str("name"));
        tags.set(tags::TOKEN, &token.0);
        resource.tag(wanted, &mut tags);
        body["location"] = location.into();
        body["tags"] = tags.to_json();
    }
    Ok(body)
}

/// Returns the tags of an object after a change: the declared ones, ours, and the token of the change.
pub(crate) fn changed_tags(current: &Json, wanted: &Wanted, token: &Token) -> Json {
    let mut tags = Tags::of(current);
    tags.declare(Some(wanted.get("tags")));
    tags.set(tags::CHANGE, &token.0);
    tags.to_json()
}

/// Returns the whole of an object with its properties changed: what a PUT sends.
pub(crate) fn put_changed(current: &Json, changes: Json) -> Call {
    let mut body = current.clone();
    let properties = body
        .as_object_mut()
        .map(|body| body.entry("properties").or_insert_with(|| json!({})));
    if let (Some(Json::Object(properties)), Json::Object(changes)) = (properties, changes) {
        for (name, change) in changes {
            match change {
                Json::Null => drop(properties.remove(&name)),
                change => drop(properties.insert(name, change)),
            }
        }
    }
    Call::Put(body, Condition::None)
}

/// Whether what is wanted is what an object has, in all that can be configured.
pub(crate) fn is_as_wanted(schema: &Schema, planned: &Attributes, object: &Object) -> bool {
    let mut configurable = schema.attributes.iter().filter(|attribute| attribute.is_configurable());
    configurable.all(|attribute| {
        let default = match &attribute.mode {
            Mode::Default(value) => Some(value),
            _ => None,
        };
        let wanted = planned.get(attribute.name).or(default);
        let wanted = wanted.and_then(|value| convert(value, &attribute.ty).ok());
        let found = object.attributes.get(attribute.name).cloned();
        match wanted {
            None if attribute.mode == Mode::OptionalComputed => true,
            wanted => wanted.map(Value::unmarked) == found.map(Value::unmarked),
        }
    })
}
