//! An object of the emulated cloud, as it is kept.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::kind::Kind;

/// What is made of an object at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is created.
    Creating,
    /// It is changed.
    Updating,
    /// Nothing is done with it, and all went well.
    Succeeded,
    /// The last change failed.
    Failed,
    /// It is deleted.
    Deleting,
}

impl State {
    /// Returns the word of `provisioningState`.
    pub fn name(self) -> &'static str {
        match self {
            State::Creating => "Creating",
            State::Updating => "Updating",
            State::Succeeded => "Succeeded",
            State::Failed => "Failed",
            State::Deleting => "Deleting",
        }
    }

    /// Whether an operation is under way.
    pub fn is_under_way(self) -> bool {
        matches!(self, State::Creating | State::Updating | State::Deleting)
    }
}

/// Whether a machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It does not yet.
    Starting,
    /// It does.
    Running,
    /// It is off, and still paid for.
    Stopped,
    /// It is off, and its place is given up.
    Deallocated,
}

impl Power {
    /// Returns the code and what is displayed in an instance view.
    pub fn status(self) -> (&'static str, &'static str) {
        match self {
            Power::Starting => ("PowerState/starting", "VM starting"),
            Power::Running => ("PowerState/running", "VM running"),
            Power::Stopped => ("PowerState/stopped", "VM stopped"),
            Power::Deallocated => ("PowerState/deallocated", "VM deallocated"),
        }
    }
}

/// An object of the cloud.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its id, with the letters as they were when it was created.
    pub id: String,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its region.
    pub location: String,
    /// What it says beside its id, name, type and region, with its defaults filled in.
    pub body: Map<String, Value>,
    /// What is made of it.
    pub state: State,
    /// Why it failed, if it did: code and message.
    pub failure: Option<(String, String)>,
    /// Counts its changes: the ETag is made of it.
    pub version: u64,
    /// When it was created.
    pub created: Timestamp,
    /// The id that it has beside its path.
    pub guid: String,
    /// Whether it runs, for machines.
    pub power: Power,
    /// What was given to its first boot; never shown.
    pub custom_data: Option<String>,
    /// What it can ask for at any time; shown only to who asks for it.
    pub user_data: Option<String>,
    /// What is asked of all objects with each call, taken out of the body when it is kept.
    pub facts: Facts,
}

/// What the body of an object takes up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The subnets that an interface is in, by key, with its address there.
    pub addresses: Vec<(String, Ipv4Addr)>,
    /// The family and the number of cores of a machine, and whether it is a spot machine's.
    pub cores: Option<(&'static str, u64, Price)>,
}

/// How a machine is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    /// As usual.
    Regular,
    /// Less, and it may be evicted.
    Spot,
}

impl Resource {
    /// Works out its facts.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        match self.kind {
            Kind::Interface => {
                for item in self
                    .properties()
                    .into_iter()
                    .flat_map(|properties| items(properties, "ipConfigurations"))
                {
                    let inner = item.get("properties").and_then(Value::as_object);
                    let subnet = inner.and_then(|inner| reference(inner, "subnet"));
                    let address = inner.and_then(|inner| text(inner, "privateIPAddress"));
                    if let (Some(subnet), Some(address)) = (subnet, address.and_then(|address| address.parse().ok())) {
                        facts.addresses.push((subnet.to_lowercase(), address));
                    }
                }
            }
            Kind::Machine | Kind::Instance => {
                let name = self
                    .text("/properties/hardwareProfile/vmSize")
                    .or(self.text("/sku/name"));
                let is_spot = self
                    .text("/properties/priority")
                    .is_some_and(|it| it.eq_ignore_ascii_case("Spot"));
                let price = if is_spot { Price::Spot } else { Price::Regular };
                facts.cores = name
                    .and_then(crate::catalogue::size)
                    .map(|(_, family, cores, _)| (family, cores, price));
            }
            _ => {}
        }
        facts
    }

    /// Returns its id in lower case, by which it is kept.
    pub fn key(&self) -> String {
        self.id.to_lowercase()
    }

    /// Returns a value inside its body, by a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        let mut steps = pointer.trim_start_matches('/').splitn(2, '/');
        let first = self.body.get(steps.next()?)?;
        match steps.next() {
            Some(rest) => first.pointer(&format!("/{rest}")),
            None => Some(first),
        }
    }

    /// Returns a text inside its body, by a JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).and_then(Value::as_str)
    }

    /// Returns its properties.
    pub fn properties(&self) -> Option<&Map<String, Value>> {
        self.body.get("properties").and_then(Value::as_object)
    }

    /// Returns its properties, to change them.
    pub fn properties_mut(&mut self) -> &mut Map<String, Value> {
        object(&mut self.body, "properties")
    }

    /// Returns the ETag of its version.
    pub fn etag(&self) -> String {
        if self.kind.is_network() {
            let space = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, self.guid.as_bytes());
            let guid = uuid::Uuid::new_v5(&space, &self.version.to_be_bytes());
            format!("W/\"{guid}\"")
        } else {
            format!("\"{}\"", self.version)
        }
    }
}

/// Returns a member that is an object, made where there is none.
pub fn object<'a>(of: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let value = of.entry(name.to_owned()).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(inside) => inside,
        _ => unreachable!("it was made an object above"),
    }
}

/// Fills in a member where there is none, or null.
pub fn default(of: &mut Map<String, Value>, name: &str, value: Value) {
    if of.get(name).is_none_or(Value::is_null) {
        of.insert(name.to_owned(), value);
    }
}

/// Returns the members of a list of objects, none where there is no list.
pub fn items<'a>(of: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Map<String, Value>> {
    let list = of.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
}

/// Returns the members of a list of objects, to change them.
pub fn items_mut<'a>(of: &'a mut Map<String, Value>, name: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = of.get_mut(name).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Returns a member that is a text.
pub fn text<'a>(of: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    of.get(name).and_then(Value::as_str)
}

/// Returns the id inside a reference: `{"id": …}`.
pub fn reference<'a>(of: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    of.get(name).and_then(|value| value.get("id")).and_then(Value::as_str)
}

/// Returns the last step of an id.
pub fn last(id: &str) -> &str {
    id.trim_end_matches('/').rsplit('/').next().unwrap_or(id)
}
