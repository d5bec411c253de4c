//! How a scale set gets as many members as its capacity says: instances of a uniform set, machines of a flexible one.

use serde_json::{Map, Value, json};

use crate::compute::instances::is_protected_from_scale_in;
use crate::kind::Kind;
use crate::operation::{Effect, Family};
use crate::resource::{Facts, Power, Resource, State, items, object};
use crate::world::{Asked, World};

impl World {
    /// Makes or removes members, so that there are as many as the capacity says.
    pub(crate) fn scale(&mut self, asked: &Asked) {
        let Some(set) = self.resources.get(&asked.key()).cloned() else {
            return;
        };
        let Some(capacity) = set.at("/sku/capacity").and_then(Value::as_u64) else {
            return;
        };
        if set.at("/properties/virtualMachineProfile").is_none() {
            return;
        }
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        let mut members: Vec<String> = self.members_of(&set.key());
        members.retain(|key| {
            self.resources
                .get(key)
                .is_some_and(|member| member.state != State::Deleting)
        });
        let flexible = set.text("/properties/orchestrationMode") == Some("Flexible");
        while members.len() < capacity {
            let made = if flexible {
                self.add_machine(asked, &set)
            } else {
                Some(self.add_instance(asked, &set))
            };
            let Some(key) = made else {
                break;
            };
            members.push(key);
        }
        // The newest go first, but those that are protected.
        members.sort_by_key(|key| {
            self.resources
                .get(key)
                .map(|member| (member.created, member.version, key.clone()))
        });
        let mut excess = members.len().saturating_sub(capacity);
        for key in members.iter().rev() {
            let spared = self.resources.get(key).is_none_or(is_protected_from_scale_in);
            if excess == 0 || spared {
                continue;
            }
            excess -= 1;
            if let Some(member) = self.resources.get_mut(key) {
                member.state = State::Deleting;
            }
            self.begin(Family::Compute, &asked.place, key, self.pace.delete_ms, Effect::Delete);
        }
    }

    fn add_instance(&mut self, asked: &Asked, set: &Resource) -> String {
        let inside = format!("{}/virtualMachines/", set.id);
        // A number is not used twice.
        let next = self.next_instance.entry(set.key()).or_default();
        let number = *next;
        *next += 1;
        let profile = set
            .at("/properties/virtualMachineProfile")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let name = format!("{}_{number}", set.name);
        let mut body = Map::new();
        body.insert("instanceId".to_owned(), json!(number.to_string()));
        body.insert(
            "sku".to_owned(),
            json!({"name": set.text("/sku/name"), "tier": set.text("/sku/tier")}),
        );
        for member in ["tags", "plan"] {
            if let Some(value) = set.body.get(member) {
                body.insert(member.to_owned(), value.clone());
            }
        }
        if let Some(zones) = set
            .at("/zones")
            .and_then(Value::as_array)
            .filter(|zones| !zones.is_empty())
        {
            let index = usize::try_from(number).unwrap_or_default() % zones.len();
            body.insert("zones".to_owned(), json!([zones[index]]));
        }
        let guid = self.draw.guid();
        let disk = format!("{name}_OsDisk_1_{}", self.draw.digits());
        let properties = object(&mut body, "properties");
        properties.insert("latestModelApplied".to_owned(), json!(true));
        properties.insert("modelDefinitionApplied".to_owned(), json!("VirtualMachineScaleSet"));
        properties.insert("vmId".to_owned(), json!(guid));
        properties.insert("timeCreated".to_owned(), json!(self.now.to_string()));
        properties.insert("hardwareProfile".to_owned(), json!({}));
        for member in [
            "storageProfile",
            "osProfile",
            "priority",
            "evictionPolicy",
            "securityProfile",
        ] {
            if let Some(value) = profile.get(member) {
                properties.insert(member.to_owned(), value.clone());
            }
        }
        object(object(properties, "storageProfile"), "osDisk").insert("name".to_owned(), json!(disk));
        if let Some(Value::Object(os)) = properties.get_mut("osProfile") {
            let prefix = os.remove("computerNamePrefix");
            let prefix = prefix.as_ref().and_then(Value::as_str).unwrap_or(&set.name);
            let computer = format!("{prefix}{:0>6}", base36(number));
            os.insert("computerName".to_owned(), json!(computer));
            os.remove("customData");
            os.remove("adminPassword");
        }
        if let Some(network) = profile.get("networkProfile").and_then(Value::as_object) {
            let ids = items(network, "networkInterfaceConfigurations")
                .filter_map(|interface| crate::resource::text(interface, "name"))
                .map(|interface| format!("{inside}{number}/networkInterfaces/{interface}"));
            let list: Vec<String> = ids.collect();
            // These interfaces have no life of their own: they are not objects of the emulator.
            let shown: Vec<Value> = list
                .iter()
                .map(|id| json!({"id": id, "properties": {"primary": true}}))
                .collect();
            properties.insert("networkProfile".to_owned(), json!({"networkInterfaces": shown}));
            properties.insert(
                "networkProfileConfiguration".to_owned(),
                json!({
                    "networkInterfaceConfigurations": network.get("networkInterfaceConfigurations"),
                }),
            );
        }
        let instance = Resource {
            id: format!("{inside}{number}"),
            kind: Kind::Instance,
            name,
            location: asked.place.location.clone(),
            body,
            state: State::Creating,
            failure: None,
            version: 1,
            created: self.now,
            guid,
            power: Power::Starting,
            custom_data: set
                .text("/properties/virtualMachineProfile/osProfile/customData")
                .map(str::to_owned),
            user_data: set.user_data.clone(),
            facts: Facts::default(),
        };
        let key = instance.key();
        self.keep(instance);
        key
    }

    /// Makes a machine of the profile of a flexible set, named by the set.
    fn add_machine(&mut self, asked: &Asked, set: &Resource) -> Option<String> {
        let tail = self.draw.digits();
        let name = format!("{}_{}", set.name, tail.get(..8)?);
        let profile = set.at("/properties/virtualMachineProfile")?.as_object()?.clone();
        let group = asked.id.split("/providers/").next()?;
        let id = format!("{group}/providers/{}/{name}", Kind::Machine.name());
        let member = Asked {
            kind: Kind::Machine,
            name: name.clone(),
            id: id.clone(),
            ..asked.clone()
        };
        let mut body = Map::new();
        let zones = set
            .at("/zones")
            .and_then(Value::as_array)
            .filter(|zones| !zones.is_empty());
        if let Some(zones) = zones {
            let index = self.members_of(&set.key()).len() % zones.len();
            body.insert("zones".to_owned(), json!([zones[index]]));
        }
        if let Some(tags) = set.body.get("tags") {
            body.insert("tags".to_owned(), tags.clone());
        }
        let properties = object(&mut body, "properties");
        for (member, value) in profile {
            if member != "timeCreated" && member != "extensionProfile" {
                properties.insert(member, value);
            }
        }
        properties.insert("hardwareProfile".to_owned(), json!({"vmSize": set.text("/sku/name")}));
        properties.insert("virtualMachineScaleSet".to_owned(), json!({"id": set.id}));
        if let Some(Value::Object(os)) = properties.get_mut("osProfile") {
            let prefix = os.remove("computerNamePrefix");
            let prefix = prefix.as_ref().and_then(Value::as_str).unwrap_or_default();
            os.insert("computerName".to_owned(), json!(format!("{prefix}{}", tail.get(..6)?)));
        }
        // The quota was checked for all of them.
        let made = self.make_machine(&member, body, None).ok()?;
        for other in made.together {
            self.keep(other);
        }
        let guid = self.draw.guid();
        self.keep(Resource {
            id,
            kind: Kind::Machine,
            name,
            location: asked.place.location.clone(),
            body: made.body,
            state: State::Creating,
            failure: None,
            version: 1,
            created: self.now,
            guid,
            power: Power::Starting,
            custom_data: made.custom_data,
            user_data: made.user_data.or_else(|| set.user_data.clone()),
            facts: Facts::default(),
        });
        Some(member.key())
    }
}

fn base36(number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut rest = number;
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(DIGITS[usize::try_from(rest % 36).unwrap_or_default()]));
        rest /= 36;
        if rest == 0 {
            return digits.iter().rev().collect();
        }
    }
}
