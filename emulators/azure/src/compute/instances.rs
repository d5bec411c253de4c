//! The members of scale sets: listed, looked at, protected, deleted by name.

use axum::http::Method;
use serde_json::{Value, json};

use crate::kind::Kind;
use crate::message::{Answer, ArmError, Result};
use crate::operation::{Effect, Family};
use crate::resource::{Resource, State};
use crate::world::{Asked, World};

impl World {
    /// Answers below `…/virtualMachineScaleSets/{name}/`.
    pub(crate) fn on_scale_set(&mut self, asked: &Asked, inside: &[&str]) -> Result<Answer> {
        let set = self.find(asked)?.clone();
        match (&asked.request.method, inside) {
            (&Method::GET, ["instanceview"]) => Ok(Answer::json(200, self.set_view(&set))),
            (&Method::GET, ["skus"]) => Ok(self.set_skus(&set)),
            (&Method::GET, ["virtualmachines"]) => self.list_members(asked, &set),
            (&Method::POST, ["delete"]) => self.delete_members(asked, &set),
            (&Method::POST, [action]) => self.act_on_members(asked, &set, action),
            (_, ["virtualmachines", id, rest @ ..]) => self.on_instance(asked, &set, id, rest),
            _ => Err(crate::arm::nothing_at(asked.request)),
        }
    }

    fn list_members(&self, asked: &Asked, set: &Resource) -> Result<Answer> {
        let members: std::collections::BTreeSet<String> = self.members_of(&set.key()).into_iter().collect();
        let root = format!("/subscriptions/{}/", asked.request.step(1));
        let found = self.listed(&root, |resource| members.contains(&resource.key()));
        let set_id = set.id.clone();
        let expand = asked
            .request
            .query
            .get("$expand")
            .is_some_and(|expand| expand.eq_ignore_ascii_case("instanceview"));
        self.page(asked.request, found, |world, resource| {
            let mut shown = world.show(resource);
            if resource.kind == Kind::Machine {
                // Members of a flexible set are shown as if they were inside of it.
                shown["id"] = json!(format!("{set_id}/virtualMachines/{}", resource.name));
                shown["type"] = json!("Microsoft.Compute/virtualMachineScaleSets/virtualMachines");
                shown["instanceId"] = json!(resource.name);
            }
            if expand {
                shown["properties"]["instanceView"] = world.instance_view(resource);
            }
            shown
        })
    }

    /// Finds the members that a body names: instance ids, or names of machines.
    fn named(&self, set: &Resource, ids: &[String]) -> Result<Vec<String>> {
        let members = self.members_of(&set.key());
        let mut keys = Vec::new();
        for id in ids {
            if id == "*" {
                return Ok(members);
            }
            let wanted = crate::resource::last(id).to_lowercase();
            let found = members.iter().find(|key| crate::resource::last(key) == wanted);
            let Some(found) = found else {
                return Err(ArmError {
                    target: Some("instanceIds".to_owned()),
                    ..ArmError::bad(
                        "InvalidParameter",
                        format!(
                            "The provided instanceId {id} is not an active Virtual Machine Scale Set VM instanceId."
                        ),
                    )
                });
            };
            keys.push(found.clone());
        }
        Ok(keys)
    }

    fn delete_members(&mut self, asked: &Asked, set: &Resource) -> Result<Answer> {
        let ids = instance_ids(&asked.request.body);
        let Some(ids) = ids.filter(|ids| !ids.is_empty()) else {
            return Err(ArmError::parameter(
                "instanceIds",
                "Required parameter 'instanceIds' is missing (null).",
            ));
        };
        // Protection is from what a set does itself: who names an instance is not stopped by it.
        let keys = self.named(set, &ids)?;
        self.begin_delete(asked, set, keys)
    }

    fn guarded(&self, keys: &[String]) -> Vec<String> {
        let guarded = keys
            .iter()
            .filter_map(|key| self.resources.get(key))
            .filter(|member| is_protected_from_actions(member));
        guarded.map(|member| member.name.clone()).collect()
    }

    fn begin_delete(&mut self, asked: &Asked, set: &Resource, keys: Vec<String>) -> Result<Answer> {
        for key in &keys {
            self.preempt(key);
            if let Some(member) = self.resources.get_mut(key) {
                member.state = State::Deleting;
            }
        }
        let members = self.members_of(&set.key());
        // Those that other calls have named count no more.
        let is_leaving = |key: &&String| self.resources.get(*key).is_some_and(|it| it.state == State::Deleting);
        let left = members.iter().filter(|key| !is_leaving(key)).count();
        if let Some(set) = self.resources.get_mut(&set.key()) {
            set.version += 1;
            if let Some(Value::Object(sku)) = set.body.get_mut("sku") {
                sku.insert("capacity".to_owned(), json!(left));
            }
        }
        let effect = Effect::DeleteInstances(keys);
        let operation = self.begin(Family::Compute, &asked.place, &set.key(), self.pace.delete_ms, effect);
        Ok(self.with_operation(Answer::empty(202), &operation, asked, true))
    }

    /// Starts, stops or restarts members, all or those that are named.
    fn act_on_members(&mut self, asked: &Asked, set: &Resource, action: &str) -> Result<Answer> {
        if action == "manualupgrade" {
            let operation = self.begin(
                Family::Compute,
                &asked.place,
                &set.key(),
                self.pace.compute_ms,
                Effect::Settle,
            );
            return Ok(self.with_operation(Answer::empty(202), &operation, asked, true));
        }
        let ids = instance_ids(&asked.request.body).filter(|ids| !ids.is_empty());
        let named = ids.is_some();
        let keys = self.named(set, &ids.unwrap_or_else(|| vec!["*".to_owned()]))?;
        let guarded = if named { Vec::new() } else { self.guarded(&keys) };
        let mut last = None;
        for key in keys {
            if let Some(member) = self.resources.get(&key).cloned()
                && !guarded.contains(&member.name)
            {
                last = Some(self.act(asked, &member, action)?);
            }
        }
        match last {
            Some(answer) => Ok(answer),
            None => Ok(Answer::empty(200)),
        }
    }

    /// Answers at `…/virtualMachines/{instance}` of a set.
    fn on_instance(&mut self, asked: &Asked, set: &Resource, id: &str, inside: &[&str]) -> Result<Answer> {
        let missing = |_| {
            ArmError::new(
                404,
                "NotFound",
                format!(
                    "The entity was not found in this Azure location: instance {id} of {}.",
                    set.name
                ),
            )
        };
        let key = self.named(set, &[id.to_owned()]).map_err(missing)?.into_iter().next();
        let member = key
            .and_then(|key| self.resources.get(&key))
            .cloned()
            .ok_or_else(|| missing(ArmError::bad("", "")))?;
        match (&asked.request.method, inside) {
            (&Method::GET, []) => {
                let mut shown = self.show(&member);
                if asked
                    .request
                    .query
                    .get("$expand")
                    .is_some_and(|expand| expand.eq_ignore_ascii_case("instanceview"))
                {
                    shown["properties"]["instanceView"] = self.instance_view(&member);
                }
                Ok(Answer::json(200, shown).with("etag", member.etag()))
            }
            (&Method::GET, ["instanceview"]) => Ok(Answer::json(200, self.instance_view(&member))),
            (&Method::PUT, []) => self.put_instance(asked, member),
            (&Method::DELETE, []) => self.begin_delete(asked, set, vec![member.key()]),
            (&Method::POST, [action]) => self.act(asked, &member, action),
            _ => Err(crate::arm::nothing_at(asked.request)),
        }
    }

    /// Changes what can be changed of an instance: its protection and its tags.
    fn put_instance(&mut self, asked: &Asked, mut member: Resource) -> Result<Answer> {
        let body = &asked.request.body;
        if member.kind == Kind::Machine && body.pointer("/properties/protectionPolicy").is_some() {
            return Err(ArmError::new(
                409,
                "OperationNotAllowed",
                "Instance protection is not supported for Virtual Machine Scale Sets with orchestration mode Flexible.",
            ));
        }
        if let Some(policy) = body.pointer("/properties/protectionPolicy") {
            let from = |name: &str| policy.get(name).and_then(Value::as_bool).unwrap_or_default();
            if from("protectFromScaleSetActions") && !from("protectFromScaleIn") {
                return Err(ArmError::bad(
                    "BadRequest",
                    "protectFromScaleSetActions can be set only together with protectFromScaleIn.",
                ));
            }
            member
                .properties_mut()
                .insert("protectionPolicy".to_owned(), policy.clone());
        }
        if let Some(tags) = body.get("tags") {
            member.body.insert("tags".to_owned(), tags.clone());
        }
        member.version += 1;
        member.state = State::Updating;
        let (key, shown) = (member.key(), self.show(&member));
        self.keep(member);
        let operation = self.begin(
            Family::Compute,
            &asked.place,
            &key,
            self.pace.compute_ms,
            Effect::Settle,
        );
        Ok(self.with_operation(Answer::json(200, shown), &operation, asked, false))
    }

    fn set_view(&self, set: &Resource) -> Value {
        let mut counts: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
        for member in self.members_of(&set.key()) {
            if let Some(member) = self.resources.get(&member) {
                let state = format!("ProvisioningState/{}", member.state.name().to_lowercase());
                *counts.entry(state).or_default() += 1;
                *counts.entry(member.power.status().0.to_owned()).or_default() += 1;
            }
        }
        let summary: Vec<Value> = counts
            .into_iter()
            .map(|(code, count)| json!({"code": code, "count": count}))
            .collect();
        json!({
            "virtualMachine": {"statusesSummary": summary}, "extensions": [],
            "statuses": [{
                "code": format!("ProvisioningState/{}", set.state.name().to_lowercase()), "level": "Info",
                "displayStatus": format!("Provisioning {}", set.state.name().to_lowercase()), "time": self.now.to_string(),
            }],
            "orchestrationServices": [],
        })
    }

    fn set_skus(&self, set: &Resource) -> Answer {
        crate::arm::value(vec![json!({
            "resourceType": "Microsoft.Compute/virtualMachineScaleSets",
            "sku": {"name": set.text("/sku/name"), "tier": "Standard"},
            "capacity": {"minimum": 0, "maximum": 1000, "defaultCapacity": 1, "scaleType": "Automatic"},
        })])
    }
}

fn instance_ids(body: &Value) -> Option<Vec<String>> {
    let ids = body.get("instanceIds")?.as_array()?;
    Some(ids.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn protects(member: &Resource, from: &str) -> bool {
    member.at(&format!("/properties/protectionPolicy/{from}")) == Some(&json!(true))
}

/// Whether a set that shrinks leaves a member alone.
pub(crate) fn is_protected_from_scale_in(member: &Resource) -> bool {
    protects(member, "protectFromScaleIn") || is_protected_from_actions(member)
}

/// Whether what is done to a set leaves a member alone.
pub(crate) fn is_protected_from_actions(member: &Resource) -> bool {
    protects(member, "protectFromScaleSetActions")
}
