//! What is recorded of a fleet: the sum of its events.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use simfleet_provider_api::{Address, Handle, Object, Token, Value};

use crate::declaration::{Declaration, DeposedKey, Operation};
use crate::event::{ConfigDigest, Configuration, HeldState};
use crate::host::HolderId;
use crate::port::Port;
use crate::stored;
use crate::timings::Timings;

/// What is recorded of a fleet. Made by [`replay`](crate::replay::replay), kept up by [`State::apply`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Grows by one with each recorded group of events.
    pub serial: u64,
    /// The objects that are managed, by the resource that each is the current one of.
    pub resources: BTreeMap<Address, Resource>,
    /// The objects that were replaced and wait to be deleted.
    pub deposed: BTreeMap<Address, BTreeMap<DeposedKey, Resource>>,
    /// The operations whose outcome is not recorded: in flight, or left by a run that died.
    pub intents: BTreeMap<Address, Intent>,
    /// The ports that are taken, by node.
    pub reservations: BTreeMap<Address, BTreeMap<Port, Reservation>>,
    /// The resources that somebody stopped by hand.
    pub holds: BTreeMap<Address, Hold>,
    /// The resources that somebody has for themselves.
    #[serde(default)]
    pub allocations: BTreeMap<Address, Allocation>,
    /// The sizes of the pools.
    pub pools: BTreeMap<Address, Pool>,
    /// The outputs of the root module.
    #[serde(with = "stored::values")]
    pub outputs: BTreeMap<Arc<str>, Value>,
    /// What the fleet was last to be brought to; `None` where that was nothing: before the first run, and after one that
    /// was to remove everything.
    pub intended: Option<ConfigDigest>,
    /// The configuration of that, or the last one before everything was to be removed.
    pub configuration: Option<Arc<Configuration>>,
    /// How long operations take.
    #[serde(default, skip_serializing_if = "Timings::is_empty")]
    pub timings: Timings,
}

/// An object that is managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// What the configuration said when it was last created or updated.
    pub declared: Declaration,
    /// The object as last seen.
    #[serde(with = "stored::object")]
    pub object: Object,
    /// Why it is to be replaced, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tainted: Option<Arc<str>>,
    /// Since when nothing new is placed on it, where it is a member of a pool that is about to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cordoned: Option<Timestamp>,
    /// When it was made or adopted.
    pub created: Timestamp,
    /// The serial at which something about it last changed.
    pub serial: u64,
}

/// An operation whose outcome is not recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Names it in every call; whoever finishes it uses the same.
    pub token: Token,
    /// What to do.
    pub operation: Operation,
    /// The far side accepted it, and this is what to ask by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<Handle>,
    /// Who started it.
    pub holder: HolderId,
    /// The epoch of the locks that it was started under.
    pub epoch: u64,
    /// When.
    pub started: Timestamp,
    /// The serial at which something about it last changed.
    pub serial: u64,
}

/// A port that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The resource that has it.
    pub address: Address,
    /// What the resource calls it.
    pub name: Arc<str>,
}

/// A resource that somebody stopped by hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// As what it is held.
    pub state: HeldState,
    /// Who wants it.
    pub by: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The serial at which it was made.
    pub serial: u64,
}

/// That somebody has a resource for themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// Who.
    pub by: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The serial at which it was made.
    pub serial: u64,
}

impl Allocation {
    /// Whether it lasts at an instant.
    pub fn lasts(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until)
    }
}

/// The size of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// How many members it should have.
    pub size: u64,
    /// The highest number that a member was ever given.
    pub numbered: u64,
    /// Since when it has this size.
    pub since: Timestamp,
    /// Why.
    pub reason: Arc<str>,
    /// The serial at which it last changed.
    pub serial: u64,
}

impl State {
    /// Returns what the configuration says of the object that an open intent is about: what is to be, or for a delete
    /// what is recorded. `None` where the address has no open intent.
    pub fn declared_of(&self, address: &Address) -> Option<&Declaration> {
        match &self.intents.get(address)?.operation {
            Operation::Create { declared } | Operation::Update { declared, .. } => Some(declared),
            Operation::Delete { deposed, .. } => Some(&self.object_of(address, deposed.as_ref())?.declared),
        }
    }

    /// Returns the current object of a resource, or a deposed one.
    pub fn object_of(&self, address: &Address, deposed: Option<&DeposedKey>) -> Option<&Resource> {
        match deposed {
            None => self.resources.get(address),
            Some(key) => self.deposed.get(address)?.get(key),
        }
    }

    /// Returns the ports of each resource: their names, the nodes they are on and their numbers. One pass over all.
    pub fn ports(&self) -> BTreeMap<&Address, BTreeMap<&Arc<str>, (&Address, Port)>> {
        let mut ports: BTreeMap<&Address, BTreeMap<&Arc<str>, (&Address, Port)>> = BTreeMap::new();
        for (host, taken) in &self.reservations {
            for (port, reservation) in taken {
                ports
                    .entry(&reservation.address)
                    .or_default()
                    .insert(&reservation.name, (host, *port));
            }
        }
        ports
    }

    /// Returns the serial at which something about an address last changed; `None` where nothing is recorded of it. A
    /// plan that was made of another one is stale.
    pub fn fingerprint(&self, address: &Address) -> Option<u64> {
        let deposed = self.deposed.get(address).into_iter().flat_map(BTreeMap::values);
        self.resources
            .get(address)
            .into_iter()
            .chain(deposed)
            .map(|resource| resource.serial)
            .chain(self.intents.get(address).map(|intent| intent.serial))
            .chain(self.holds.get(address).map(|hold| hold.serial))
            .chain(self.allocations.get(address).map(|allocation| allocation.serial))
            .chain(self.pools.get(address).map(|pool| pool.serial))
            .max()
    }

    /// Returns the addresses of which something is recorded; some more than once.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        let owners = self.reservations.values().flat_map(BTreeMap::values);
        self.resources
            .keys()
            .chain(self.deposed.keys())
            .chain(self.intents.keys())
            .chain(self.holds.keys())
            .chain(self.pools.keys())
            .chain(owners.map(|reservation| &reservation.address))
    }

    /// Whether nothing is managed and nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.deposed.is_empty() && self.intents.is_empty()
    }
}
