//! How an object looks in an answer: its body, and what is worked out of others.

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::options::Order;
use crate::resource::{Resource, State, items_mut, object};
use crate::world::World;

impl World {
    /// Returns an object as a GET shows it.
    pub(crate) fn show(&self, resource: &Resource) -> Value {
        let mut shown = Map::new();
        shown.insert("name".to_owned(), json!(resource.name));
        shown.insert("id".to_owned(), json!(resource.id));
        shown.insert("type".to_owned(), json!(resource.kind.name()));
        shown.insert("location".to_owned(), json!(resource.location));
        for (name, value) in &resource.body {
            if !value.is_null() {
                shown.insert(name.clone(), value.clone());
            }
        }
        let compute_etag = matches!(resource.kind, Kind::Machine | Kind::ScaleSet | Kind::Instance);
        if resource.kind.is_network() || compute_etag {
            shown.insert("etag".to_owned(), json!(resource.etag()));
        }
        let state = match (resource.kind, resource.state) {
            // The network answers with one word for both.
            (kind, State::Creating) if kind.is_network() => State::Updating,
            // These are done when they are accepted; only their operation goes on.
            (Kind::Interface | Kind::PublicIp, State::Updating) => State::Succeeded,
            (_, state) => state,
        };
        let properties = object(&mut shown, "properties");
        properties.insert("provisioningState".to_owned(), json!(state.name()));
        if resource.kind.is_network() {
            properties.insert("resourceGuid".to_owned(), json!(resource.guid));
        }
        self.show_children(resource, properties, state);
        match resource.kind {
            Kind::VirtualNetwork => self.show_virtual_network(resource, properties),
            Kind::SecurityGroup => self.show_security_group(resource, properties),
            Kind::PublicIp => self.show_public_ip(resource, properties),
            Kind::Interface => self.show_interface(resource, properties),
            Kind::LoadBalancer => self.show_load_balancer(properties),
            Kind::Machine => Self::show_machine(properties),
            Kind::ScaleSet => Self::show_scale_set(properties),
            Kind::Disk => {
                let machine = self.show_disk(resource, properties);
                if let Some(machine) = machine {
                    shown.insert("managedBy".to_owned(), json!(machine));
                }
            }
            Kind::Instance => {}
        }
        let mut shown = Value::Object(shown);
        if self.options.order == Order::Turned {
            turn(&mut shown);
        }
        shown
    }

    /// Gives the members of lists inside of an object their ids, types, ETags and states.
    fn show_children(&self, resource: &Resource, properties: &mut Map<String, Value>, state: State) {
        for list in resource.kind.children() {
            for child in items_mut(properties, list) {
                let name = child.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
                child.insert("id".to_owned(), json!(format!("{}/{list}/{name}", resource.id)));
                child.insert("etag".to_owned(), json!(resource.etag()));
                child.insert("type".to_owned(), json!(format!("{}/{list}", resource.kind.name())));
                object(child, "properties").insert("provisioningState".to_owned(), json!(state.name()));
            }
        }
    }

    /// Returns the ids of the parts, such as `ipConfigurations/a`, of objects of a kind that refer to an id.
    pub(crate) fn parts_that_refer(&self, to: &str, kind: Kind, list: &str) -> Vec<String> {
        let to = to.to_lowercase();
        let mut parts = Vec::new();
        for key in self.references.to(&to) {
            let Some(resource) = self.resources.get(key).filter(|resource| resource.kind == kind) else {
                continue;
            };
            let Some(properties) = resource.properties() else {
                continue;
            };
            for part in crate::resource::items(properties, list) {
                let refers = crate::references::all(part)
                    .iter()
                    .any(|id| id.eq_ignore_ascii_case(&to));
                if refers && let Some(name) = crate::resource::text(part, "name") {
                    parts.push(format!("{}/{list}/{name}", resource.id));
                }
            }
        }
        parts
    }

    /// Returns the ids of the objects of a kind that refer to an id.
    pub(crate) fn that_refer(&self, to: &str, kind: Kind) -> Vec<&Resource> {
        let to = to.to_lowercase();
        let found = self.references.to(&to).filter_map(|key| self.resources.get(key));
        found.filter(|resource| resource.kind == kind).collect()
    }
}

/// Turns round lists that have no order, and gives names of groups in references in upper case: both is Azure's right.
fn turn(value: &mut Value) {
    const LISTS: [&str; 9] = [
        "subnets",
        "securityRules",
        "defaultSecurityRules",
        "dataDisks",
        "backendAddressPools",
        "probes",
        "destinationPortRanges",
        "sourceAddressPrefixes",
        "zones",
    ];
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if let Value::Array(items) = value
                    && LISTS.contains(&name.as_str())
                {
                    items.reverse();
                }
                turn_references(name, value);
                turn(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(turn),
        _ => {}
    }
}

fn turn_references(name: &str, value: &mut Value) {
    const REFERENCES: [&str; 5] = [
        "subnet",
        "networkSecurityGroup",
        "publicIPAddress",
        "managedDisk",
        "virtualMachineScaleSet",
    ];
    if REFERENCES.contains(&name) && value.get("id").is_some() {
        crate::lists::loud(value);
    }
}

/// Makes a list of references of ids.
pub(crate) fn references(ids: impl IntoIterator<Item = String>) -> Value {
    ids.into_iter().map(|id| json!({ "id": id })).collect()
}
