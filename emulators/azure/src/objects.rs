//! What is done with every kind of object: put, changed, read, listed, deleted.

use serde_json::{Map, Value};

use crate::kind::Kind;
use crate::message::{Answer, ArmError, Result};
use crate::operation::{Effect, Family, Operation};
use crate::resource::{Facts, Power, Resource, State};
use crate::world::{Asked, Made, World};

impl World {
    pub(crate) fn get(&self, asked: &Asked) -> Result<Answer> {
        let resource = self.find(asked)?;
        let mut shown = self.show(resource);
        let expand = asked.request.query.get("$expand").map_or("", String::as_str);
        if asked.kind == Kind::Machine && expand.eq_ignore_ascii_case("instanceview") {
            shown["properties"]["instanceView"] = self.instance_view(resource);
        }
        if let Some(data) = &resource.user_data
            && expand.eq_ignore_ascii_case("userdata")
        {
            shown["properties"]["userData"] = Value::String(data.clone());
        }
        Ok(Answer::json(200, shown).with("etag", resource.etag()))
    }

    /// Finds the object that was asked for.
    pub(crate) fn find(&self, asked: &Asked) -> Result<&Resource> {
        let found = self.resources.get(&asked.key()).filter(|resource| {
            let hidden = jiff::SignedDuration::from_millis(i64::try_from(self.pace.get_lag_ms).unwrap_or(i64::MAX));
            self.pace.get_lag_ms == 0 || self.now.duration_since(resource.created) >= hidden
        });
        found.ok_or_else(|| not_found(asked))
    }

    pub(crate) fn put(&mut self, asked: &Asked) -> Result<Answer> {
        let Value::Object(mut body) = asked.request.body.clone() else {
            return Err(ArmError::bad(
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'a JSON object is expected'.",
            ));
        };
        let existing = self.resources.get(&asked.key()).cloned();
        check_conditions(asked, existing.as_ref())?;
        self.check_group_lives(asked)?;
        self.check_registered(asked)?;
        if existing.is_none() {
            asked.kind.check_name(&asked.name)?;
        }
        let location = self.location_of(asked, &body, existing.as_ref())?;
        if !body.get("properties").is_none_or(Value::is_object) {
            return Err(ArmError::bad(
                "InvalidRequestContent",
                "The member 'properties' is not an object.",
            ));
        }
        asked.kind.check_members(&body)?;
        check_tags(&body)?;
        for member in ["id", "name", "type", "location", "etag", "systemData", "kind"] {
            body.remove(member);
        }
        let mut asked = asked.clone();
        asked.place.location = location;
        self.make(&asked, body, existing)
    }

    pub(crate) fn patch(&mut self, asked: &Asked) -> Result<Answer> {
        let Value::Object(change) = asked.request.body.clone() else {
            return Err(ArmError::bad(
                "InvalidRequestContent",
                "The request content was invalid: an object is expected.",
            ));
        };
        let existing = self.find(asked)?.clone();
        check_conditions(asked, Some(&existing))?;
        check_tags(&change)?;
        if asked.kind.is_network() {
            // There a PATCH changes tags, and nothing else.
            if let Some(member) = change.keys().find(|member| *member != "tags") {
                return Err(ArmError::bad(
                    "PatchResourceNotSupported",
                    format!("PATCH of {} changes tags only, and not '{member}'.", asked.kind.name()),
                ));
            }
            let mut changed = existing;
            changed
                .body
                .insert("tags".to_owned(), change.get("tags").cloned().unwrap_or(Value::Null));
            changed.version += 1;
            let answer = Answer::json(200, self.show(&changed)).with("etag", changed.etag());
            self.keep(changed);
            return Ok(answer);
        }
        asked.kind.check_members(&change)?;
        let mut body = existing.body.clone();
        if let Some(data) = &existing.user_data {
            crate::resource::object(&mut body, "properties").insert("userData".to_owned(), Value::String(data.clone()));
        }
        merge(&mut body, change);
        self.make(asked, body, Some(existing))
    }

    /// Makes or changes an object of a body that is checked by its kind.
    fn make(&mut self, asked: &Asked, body: Map<String, Value>, existing: Option<Resource>) -> Result<Answer> {
        if existing
            .as_ref()
            .is_some_and(|existing| existing.state == State::Deleting)
        {
            return Err(self.conflict_while_deleting(asked));
        }
        let made = self.made(asked, body, existing.as_ref())?;
        self.check_references(asked, &made)?;
        let family = if asked.kind.is_network() {
            Family::Network
        } else {
            Family::Compute
        };
        let is_new = existing.is_none();
        let Made {
            body,
            custom_data,
            user_data,
            together,
        } = made;
        let mut resource = match existing {
            Some(existing) => Resource {
                body,
                user_data: user_data.or(existing.user_data),
                version: existing.version + 1,
                state: if existing.state == State::Creating {
                    State::Creating
                } else {
                    State::Updating
                },
                ..existing
            },
            None => Resource {
                id: asked.id.clone(),
                kind: asked.kind,
                name: asked.name.clone(),
                location: asked.place.location.clone(),
                body,
                state: State::Creating,
                failure: None,
                version: 1,
                created: self.now,
                guid: self.draw.guid(),
                power: Power::Starting,
                custom_data,
                user_data,
                facts: Facts::default(),
            },
        };
        resource.failure = None;
        // A public IP and an interface are there as soon as they are accepted.
        if matches!(asked.kind, Kind::PublicIp | Kind::Interface) {
            resource.state = State::Updating;
        }
        for other in together {
            self.keep(other);
        }
        self.preempt(&asked.key());
        let etag = resource.etag();
        self.keep(resource);
        // A fault of the call is one of its own operation, and not of what it begins beside that.
        let fault = self.faults.take_operation();
        self.follow_up(asked);
        self.faults.give_back(fault);
        let operation = self.begin(
            family,
            &asked.place,
            &asked.key(),
            self.duration(asked.kind),
            Effect::Settle,
        );
        let shown = self.resources.get(&asked.key()).map(|resource| self.show(resource));
        let status = match (asked.kind, is_new) {
            (Kind::Disk, _) => 202,
            (_, true) => 201,
            (_, false) => 200,
        };
        let answer = Answer::json(status, shown.unwrap_or(Value::Null)).with("etag", etag);
        Ok(self.with_operation(answer, &operation, asked, status == 202))
    }

    /// Adds where an operation is followed.
    pub(crate) fn with_operation(
        &self,
        answer: Answer,
        operation: &Operation,
        asked: &Asked,
        location: bool,
    ) -> Answer {
        let (status, result) = operation.urls(asked.request);
        let mut answer = answer
            .with("azure-asyncoperation", status)
            .with("azure-asyncnotification", "Enabled");
        if location {
            answer = answer.with("location", result);
        }
        match self.pace.retry_after {
            Some(seconds) => answer.with("retry-after", seconds.to_string()),
            None => answer,
        }
    }

    fn duration(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Machine | Kind::ScaleSet | Kind::Instance => self.pace.compute_ms,
            Kind::Disk => self.pace.disk_ms,
            _ => self.pace.network_ms,
        }
    }

    /// Fills in defaults and checks, by kind.
    fn made(&mut self, asked: &Asked, body: Map<String, Value>, existing: Option<&Resource>) -> Result<Made> {
        match asked.kind {
            Kind::VirtualNetwork => self.make_virtual_network(asked, body, existing),
            Kind::SecurityGroup => crate::network::security_group::make(body),
            Kind::PublicIp => self.make_public_ip(asked, body, existing),
            Kind::Interface => self.make_interface(asked, body, existing),
            Kind::LoadBalancer => self.make_load_balancer(asked, body, existing),
            Kind::Disk => self.make_disk(asked, body, existing),
            Kind::Machine => self.make_machine(asked, body, existing),
            Kind::ScaleSet => self.make_scale_set(asked, body, existing),
            Kind::Instance => Err(crate::arm::nothing_at(asked.request)),
        }
    }

    /// What changes elsewhere when an object was put.
    fn follow_up(&mut self, asked: &Asked) {
        if asked.kind == Kind::ScaleSet {
            self.scale(asked);
        }
    }

    pub(crate) fn delete(&mut self, asked: &Asked) -> Result<Answer> {
        self.group(&asked.place.subscription, &asked.place.group)?;
        let Some(resource) = self.resources.get(&asked.key()).cloned() else {
            return Ok(Answer::empty(204));
        };
        check_conditions(asked, Some(&resource))?;
        self.check_unused(&resource)?;
        let forced = asked
            .request
            .query
            .get("forcedeletion")
            .is_some_and(|forced| forced.eq_ignore_ascii_case("true"));
        if !forced {
            self.check_no_machines(&resource)?;
        }
        self.preempt(&asked.key());
        if let Some(resource) = self.resources.get_mut(&asked.key()) {
            resource.state = State::Deleting;
            resource.version += 1;
        }
        let family = if asked.kind.is_network() {
            Family::Network
        } else {
            Family::Compute
        };
        let operation = self.begin(family, &asked.place, &asked.key(), self.pace.delete_ms, Effect::Delete);
        Ok(self.with_operation(Answer::empty(202), &operation, asked, true))
    }

    fn conflict_while_deleting(&self, asked: &Asked) -> ArmError {
        if asked.kind.is_network() {
            return self.try_again(
                "ResourceBeingDeleted",
                format!("Resource {} is being deleted.", asked.id),
            );
        }
        ArmError::new(
            409,
            "OperationNotAllowed",
            format!(
                "Operation 'Put' is not allowed on '{}' since it is marked for deletion. You can only retry the Delete operation \
                 (or wait for an ongoing one to complete).",
                asked.name
            ),
        )
    }

    fn check_group_lives(&self, asked: &Asked) -> Result<()> {
        let group = self.group(&asked.place.subscription, &asked.place.group)?;
        if group.state == State::Deleting {
            return Err(ArmError::new(
                409,
                "ResourceGroupBeingDeleted",
                format!(
                    "The resource group '{}' is in deprovisioning state and cannot perform this operation.",
                    group.name
                ),
            ));
        }
        Ok(())
    }

    fn location_of(&self, asked: &Asked, body: &Map<String, Value>, existing: Option<&Resource>) -> Result<String> {
        let given = body.get("location").and_then(Value::as_str).unwrap_or_default();
        let location: String = given.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
        if location.is_empty() {
            return Err(ArmError::bad(
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        }
        if let Some(existing) = existing {
            if existing.location != location {
                return Err(ArmError::new(
                    409,
                    "InvalidResourceLocation",
                    format!(
                        "The resource '{}' already exists in location '{}' in resource group '{}'. A resource with the same name \
                         cannot be created in location '{location}'. Please select a new resource name.",
                        existing.name, existing.location, asked.place.group
                    ),
                ));
            }
        } else if !crate::catalogue::LOCATIONS.iter().any(|(name, _)| *name == location) {
            return Err(ArmError::bad(
                "LocationNotAvailableForResourceType",
                format!(
                    "The provided location '{given}' is not available for resource type '{}'. List of available regions for the \
                     resource type is '{}'.",
                    asked.kind.name(),
                    crate::catalogue::LOCATIONS.map(|(name, _)| name).join(",")
                ),
            ));
        }
        Ok(location)
    }
}

/// 404 for an object that is not there.
pub(crate) fn not_found(asked: &Asked) -> ArmError {
    ArmError::new(
        404,
        "ResourceNotFound",
        format!(
            "The Resource '{}/{}' under resource group '{}' was not found. For more details please go to \
             https://aka.ms/ARMResourceNotFoundFix",
            asked.kind.name(),
            asked.name,
            asked.place.group
        ),
    )
}

fn check_conditions(asked: &Asked, existing: Option<&Resource>) -> Result<()> {
    let failed = |message: String| Err(ArmError::new(412, "PreconditionFailed", message));
    if let Some(wanted) = asked.request.header("if-match") {
        let Some(existing) = existing else {
            return failed(format!(
                "The condition '{wanted}' in the If-Match header was not satisfied: there is no resource."
            ));
        };
        let etag = existing.etag();
        if wanted != "*" && wanted.trim_start_matches("W/") != etag.trim_start_matches("W/") {
            return failed(format!(
                "Precondition failed. Etag provided in if-match header {wanted} does not match etag {etag} of resource {}.",
                asked.id
            ));
        }
    }
    if asked.request.header("if-none-match") == Some("*") && existing.is_some() {
        return failed(format!(
            "The condition '*' in the If-None-Match header was not satisfied: the resource {} exists.",
            asked.id
        ));
    }
    Ok(())
}

fn check_tags(body: &Map<String, Value>) -> Result<()> {
    let tags = match body.get("tags") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(tags)) => tags,
        Some(_) => return Err(ArmError::bad("InvalidRequestContent", "The tags are not an object.")),
    };
    if tags.len() > 50 {
        return Err(ArmError::bad(
            "InvalidTags",
            "The number of tags exceeds the maximum of '50'.",
        ));
    }
    for (name, value) in tags {
        let Some(text) = value.as_str() else {
            return Err(ArmError::bad(
                "InvalidTags",
                format!("The value of the tag '{name}' is not a text."),
            ));
        };
        let invalid = ['<', '>', '%', '&', '\\', '?', '/']
            .into_iter()
            .any(|c| name.contains(c));
        if name.len() > 512 || invalid {
            return Err(ArmError::bad(
                "InvalidTagNameCharacters",
                format!("The tag names '{name}' have reserved characters '<,>,%,&,\\,?,/' or control characters."),
            ));
        }
        if text.chars().count() > 256 {
            return Err(ArmError::bad(
                "InvalidTagValueLength",
                format!(
                    "Tag value too large. Following tag value '{text}' exceeded the maximum length. Maximum allowed length for tag value - '256' characters."
                ),
            ));
        }
    }
    Ok(())
}

/// Merges a change into a body as RFC 7396 says, but tags, which are replaced as a whole, as Compute does.
fn merge(into: &mut Map<String, Value>, change: Map<String, Value>) {
    for (name, value) in change {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(value)) if name != "tags" => merge(inner, value),
            (_, Value::Null) => {
                into.remove(&name);
            }
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}
