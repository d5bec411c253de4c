//! Resource groups.

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::message::{Answer, ArmError, Request, Result};
use crate::operation::{Effect, Family};
use crate::resource::State;
use crate::world::{Group, Place, World};

impl World {
    pub(crate) fn list_groups(&self, request: &Request) -> Answer {
        let inside = format!("/subscriptions/{}/", request.step(1));
        let groups = self.groups.iter().filter(|(key, _)| key.starts_with(&inside));
        crate::arm::value(groups.map(|(_, group)| show(group)).collect())
    }

    pub(crate) fn on_group(&mut self, request: &Request) -> Result<Answer> {
        let name = request.steps[3].clone();
        let subscription = request.steps[1].clone();
        match request.method {
            Method::GET => Ok(Answer::json(200, show(self.group(&subscription, &name)?))),
            Method::HEAD => Ok(Answer::empty(match self.group(&subscription, &name) {
                Ok(_) => 204,
                Err(_) => 404,
            })),
            Method::PUT => self.put_group(request, &subscription, &name),
            Method::PATCH => {
                let key = self.group(&subscription, &name)?.id.to_lowercase();
                let tags = request.body.get("tags").cloned();
                let group = self.groups.get_mut(&key);
                let group = group.ok_or_else(|| crate::arm::nothing_at(request))?;
                group.tags = tags.unwrap_or_else(|| group.tags.clone());
                Ok(Answer::json(200, show(group)))
            }
            Method::DELETE => self.delete_group(request, &subscription, &name),
            _ => Err(crate::arm::nothing_at(request)),
        }
    }

    fn put_group(&mut self, request: &Request, subscription: &str, name: &str) -> Result<Answer> {
        crate::kind::check_group_name(name)?;
        let given = request.body.get("location").and_then(Value::as_str).unwrap_or_default();
        let location: String = given.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
        if location.is_empty() {
            return Err(ArmError::bad(
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        }
        if !crate::catalogue::LOCATIONS.iter().any(|(known, _)| *known == location) {
            return Err(ArmError::bad(
                "LocationNotAvailableForResourceGroup",
                format!("The provided location '{given}' is not available for resource group."),
            ));
        }
        let id = format!("/subscriptions/{subscription}/resourceGroups/{name}");
        let key = id.to_lowercase();
        let tags = request.body.get("tags").cloned().unwrap_or(Value::Null);
        if let Some(group) = self.groups.get_mut(&key) {
            if group.state == State::Deleting {
                return Err(ArmError::new(
                    409,
                    "ResourceGroupBeingDeleted",
                    format!(
                        "The resource group '{name}' is in deprovisioning state and cannot perform this operation."
                    ),
                ));
            }
            if group.location != location {
                return Err(ArmError::new(
                    409,
                    "InvalidResourceGroupLocation",
                    format!(
                        "Invalid resource group location '{location}'. The Resource group already exists in location '{}'.",
                        group.location
                    ),
                ));
            }
            group.tags = tags;
            return Ok(Answer::json(200, show(group)));
        }
        let managed_by = request.body.get("managedBy").and_then(Value::as_str).map(str::to_owned);
        let group = Group {
            id,
            name: name.to_owned(),
            location,
            tags,
            managed_by,
            state: State::Succeeded,
        };
        let answer = Answer::json(201, show(&group));
        self.groups.insert(key, group);
        Ok(answer)
    }

    fn delete_group(&mut self, request: &Request, subscription: &str, name: &str) -> Result<Answer> {
        let group = self.group(subscription, name)?;
        let key = group.id.to_lowercase();
        let place = Place {
            subscription: subscription.to_owned(),
            group: group.name.clone(),
            location: group.location.clone(),
        };
        if let Some(group) = self.groups.get_mut(&key) {
            group.state = State::Deleting;
        }
        let inside = format!("{key}/");
        for (_, resource) in self
            .resources
            .range_mut(inside.clone()..)
            .take_while(|(key, _)| key.starts_with(&inside))
        {
            resource.state = State::Deleting;
        }
        let operation = self.begin(Family::Group, &place, &key, self.pace.delete_ms, Effect::DeleteGroup);
        let (_, url) = operation.urls(request);
        let answer = Answer::empty(202).with("location", url);
        Ok(match self.pace.retry_after {
            Some(seconds) => answer.with("retry-after", seconds.to_string()),
            None => answer,
        })
    }
}

fn show(group: &Group) -> Value {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(group.id));
    shown.insert("name".to_owned(), json!(group.name));
    shown.insert("type".to_owned(), json!("Microsoft.Resources/resourceGroups"));
    shown.insert("location".to_owned(), json!(group.location));
    if !group.tags.is_null() {
        shown.insert("tags".to_owned(), group.tags.clone());
    }
    if let Some(managed_by) = &group.managed_by {
        shown.insert("managedBy".to_owned(), json!(managed_by));
    }
    shown.insert(
        "properties".to_owned(),
        json!({"provisioningState": group.state.name()}),
    );
    Value::Object(shown)
}
