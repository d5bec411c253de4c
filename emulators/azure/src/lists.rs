//! Lists: by group and by subscription, in pages, some time behind.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::kind::Kind;
use crate::message::{Answer, ArmError, Request, Result};
use crate::resource::Resource;
use crate::world::{Group, World};

/// An object in a list, with its key.
pub(crate) type Listed<'a> = (Cow<'a, str>, &'a Resource);

impl World {
    pub(crate) fn list(&self, request: &Request, kind: Kind, group: Option<&Group>) -> Result<Answer> {
        let subscription = format!("/subscriptions/{}/", request.step(1));
        let inside = group.map_or(subscription, |group| format!("{}/", group.id.to_lowercase()));
        let location = (request.step(4) == "locations").then(|| request.step(5));
        let set = request
            .query
            .get("$filter")
            .and_then(|filter| filter_on(filter, "virtualMachineScaleSet/id"));
        let found = self.listed(&inside, |resource| {
            let of = resource.text("/properties/virtualMachineScaleSet/id");
            let is_member = set
                .as_ref()
                .is_none_or(|set| of.is_some_and(|of| of.eq_ignore_ascii_case(set)));
            let is_there = location.as_ref().is_none_or(|location| *location == resource.location);
            resource.kind == kind && is_there && is_member
        });
        let says = |name: &str, word: &str| {
            request
                .query
                .get(name)
                .is_some_and(|given| given.eq_ignore_ascii_case(word))
        };
        let with_view = says("statusonly", "true") || says("$expand", "instanceView");
        self.page(request, found, |world, resource| {
            let mut shown = world.show(resource);
            if kind == Kind::Machine || kind == Kind::Disk {
                loud(&mut shown);
            }
            if kind == Kind::Machine && with_view {
                shown["properties"]["instanceView"] = world.instance_view(resource);
            }
            shown
        })
    }

    /// Lists all objects of a group or a subscription, each in a few words.
    pub(crate) fn list_resources(&self, request: &Request) -> Result<Answer> {
        let inside = match request.step(2).as_str() {
            "resourcegroups" => format!(
                "{}/",
                self.group(&request.step(1), &request.steps[3])?.id.to_lowercase()
            ),
            _ => format!("/subscriptions/{}/", request.step(1)),
        };
        let kind = request
            .query
            .get("$filter")
            .and_then(|filter| filter_on(filter, "resourceType"));
        let found = self.listed(&inside, |resource| {
            resource.kind != Kind::Instance
                && kind
                    .as_ref()
                    .is_none_or(|kind| kind.eq_ignore_ascii_case(resource.kind.name()))
        });
        self.page(request, found, |world, resource| {
            let mut shown = world.show(resource);
            if let Some(shown) = shown.as_object_mut() {
                shown.retain(|name, _| {
                    matches!(
                        name.as_str(),
                        "id" | "name" | "type" | "location" | "tags" | "sku" | "zones"
                    )
                });
            }
            shown
        })
    }

    /// Returns what a list shows: not yet what was just created, and still what was just deleted.
    pub(crate) fn listed(&self, inside: &str, wanted: impl Fn(&Resource) -> bool) -> Vec<Listed<'_>> {
        let lag = SignedDuration::from_millis(i64::try_from(self.pace.list_lag_ms).unwrap_or(i64::MAX));
        let there = self
            .resources
            .range(inside.to_owned()..)
            .take_while(|(key, _)| key.starts_with(inside));
        let there = there.filter(|(_, resource)| wanted(resource) && self.now.duration_since(resource.created) >= lag);
        let mut found: Vec<Listed> = there
            .map(|(key, resource)| (Cow::Borrowed(key.as_str()), resource))
            .collect();
        let gone = self
            .ghosts
            .iter()
            .map(|(_, resource)| (Cow::<str>::Owned(resource.key()), resource));
        let gone = gone.filter(|(key, gone)| {
            key.starts_with(inside) && !self.resources.contains_key(key.as_ref()) && wanted(gone)
        });
        let before = found.len();
        found.extend(gone);
        if found.len() > before {
            found.sort_by(|(one, _), (other, _)| one.cmp(other));
            found.dedup_by(|(one, _), (other, _)| one == other);
        }
        found
    }

    /// Answers with a page of a list, and where the next is.
    pub(crate) fn page(
        &self,
        request: &Request,
        found: Vec<Listed>,
        show: impl Fn(&World, &Resource) -> Value,
    ) -> Result<Answer> {
        let after = match request.query.get("$skiptoken") {
            Some(token) => {
                let decoded = URL_SAFE_NO_PAD
                    .decode(token)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok());
                decoded
                    .ok_or_else(|| ArmError::bad("InvalidSkipToken", format!("The skip token '{token}' is invalid.")))?
            }
            None => String::new(),
        };
        let top = request
            .query
            .get("$top")
            .and_then(|top| top.parse().ok())
            .unwrap_or(usize::MAX);
        let size = self.options.page.min(top).max(1);
        let mut rest = found.into_iter().filter(|(key, _)| key.as_ref() > after.as_str());
        let page: Vec<Listed> = rest.by_ref().take(size).collect();
        let more = rest.next().is_some();
        let items: Vec<Value> = page.iter().map(|(_, resource)| show(self, resource)).collect();
        let mut body = json!({ "value": items });
        if more && let Some((last, _)) = page.last() {
            let token = URL_SAFE_NO_PAD.encode(last.as_bytes());
            let mut query = String::new();
            for (name, value) in &request.query {
                if name != "$skiptoken" {
                    query.push_str(&format!("{name}={}&", encode(value)));
                }
            }
            body["nextLink"] = json!(format!("{}{}?{query}$skiptoken={token}", request.base, request.path));
        }
        Ok(Answer::json(200, body))
    }
}

/// Lists of Compute give the names of groups in upper case.
pub(crate) fn loud(shown: &mut Value) {
    let Some(id) = shown.get("id").and_then(Value::as_str) else {
        return;
    };
    let mut steps: Vec<String> = id.split('/').map(str::to_owned).collect();
    if let Some(group) = steps.get_mut(4) {
        *group = group.to_uppercase();
    }
    shown["id"] = json!(steps.join("/"));
}

/// Reads a filter such as `'name' eq 'value'`.
fn filter_on(filter: &str, wanted: &str) -> Option<String> {
    let (name, value) = filter.split_once(" eq ")?;
    let is_wanted = name.trim().trim_matches('\'').eq_ignore_ascii_case(wanted);
    is_wanted.then(|| value.trim().trim_matches('\'').to_owned())
}

fn encode(value: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    value
        .bytes()
        .map(|byte| {
            if keep(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
