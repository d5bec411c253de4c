//! Where simulators are by the state, and which ports they have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use simfleet_provider_api::{Address, Value};
use simfleet_state::{Declaration, Operation, Port, Protocol, Reservation, Resource, State};

use super::placement::Place;

/// Returns where simulators are by the state: the node of the object, or of the one being made, and the ports there. One
/// whose object is gone still has its ports, so it goes back to them.
pub(super) fn recorded_places(state: &State) -> BTreeMap<Address, Place> {
    let mut places: BTreeMap<Address, Place> = BTreeMap::new();
    for (host, ports) in &state.reservations {
        for (port, reservation) in ports {
            let empty = || Place {
                host: host.clone(),
                ports: BTreeMap::new(),
            };
            let place = places.entry(reservation.address.clone()).or_insert_with(empty);
            // While a simulator is replaced it can have two ports of one name; the one that it uses counts.
            let is_known = place.ports.contains_key(&reservation.name);
            if place.host == *host && (!is_known || is_in_use(state, host, *port, &reservation.address)) {
                place.ports.insert(reservation.name.clone(), port.number);
            }
        }
    }
    let being_made = state
        .intents
        .iter()
        .filter_map(|(address, intent)| match &intent.operation {
            Operation::Create { declared } => Some((address, declared.hosted_on.as_ref()?)),
            _ => None,
        });
    let made = state
        .resources
        .iter()
        .filter_map(|(address, it)| Some((address, it.declared.hosted_on.as_ref()?)));
    for (address, host) in being_made.chain(made) {
        let place = places.entry(address.clone()).or_insert_with(|| Place {
            host: host.clone(),
            ports: BTreeMap::new(),
        });
        if place.host != *host {
            *place = Place {
                host: host.clone(),
                ports: reserved(state, host, address),
            };
        }
    }
    places
}

/// Whether a simulator is there, or perhaps is.
pub(super) fn is_recorded(state: &State, address: &Address) -> bool {
    state.resources.contains_key(address) || state.intents.contains_key(address)
}

/// Returns when a container has run for so long since it was made, or started by hand: that is what is recorded, whatever its
/// engine did with it meanwhile.
pub(super) fn end_of_life(state: &State, address: &Address, length: Duration) -> Option<Timestamp> {
    let made = &state.resources.get(address)?.object.attributes;
    let began: Timestamp = made.str("started_at")?.parse().ok()?;
    began.checked_add(length).ok()
}

/// Whether a node is recorded with a simulator: one that it goes with.
pub(super) fn is_hosted(state: &State, address: &Address) -> bool {
    let being_made = state
        .intents
        .get(address)
        .and_then(|intent| intent.operation.declared());
    let made = state.resources.get(address).map(|resource| &resource.declared);
    being_made
        .into_iter()
        .chain(made)
        .any(|declared| declared.hosted_on.is_some())
}

/// Returns the ports of a host that a simulator has, by name; of two of one name the one that it uses.
pub(super) fn reserved(state: &State, host: &Address, by: &Address) -> BTreeMap<Arc<str>, u16> {
    let mut ports = BTreeMap::new();
    let all = state.reservations.get(host).into_iter().flatten();
    for (port, reservation) in all.filter(|(_, reservation)| reservation.address == *by) {
        if !ports.contains_key(&reservation.name) || is_in_use(state, host, *port, by) {
            ports.insert(reservation.name.clone(), port.number);
        }
    }
    ports
}

/// Whether what has a port of a host is there, or perhaps is, and uses it.
pub fn is_in_use(state: &State, host: &Address, port: Port, by: &Address) -> bool {
    let uses = |declared: &Declaration| {
        let ports = declared.inputs.get("ports").and_then(Value::as_fields);
        let mut numbers = ports.into_iter().flatten().filter_map(|(_, number)| number.as_u64());
        // A container's engine knows no hosts: its ports are those of each host that they are reserved on.
        let is_here = declared.hosted_on.as_ref().is_none_or(|on| on == host);
        is_here && numbers.any(|number| number == u64::from(port.number))
    };
    let being_made = state.intents.get(by).and_then(|intent| intent.operation.declared());
    let made = state.resources.get(by).map(|resource| &resource.declared);
    being_made.into_iter().chain(made).any(uses)
}

/// Returns the ports, by node, of what is there, and who has them: to others they are free once it is gone.
pub(super) fn ports_in_use(state: &State) -> BTreeMap<Address, BTreeMap<(Protocol, u16), Address>> {
    let mut in_use: BTreeMap<Address, BTreeMap<(Protocol, u16), Address>> = BTreeMap::new();
    for (host, ports) in &state.reservations {
        for (port, Reservation { address, .. }) in ports {
            if is_in_use(state, host, *port, address) {
                let ports = in_use.entry(host.clone()).or_default();
                ports.insert((port.protocol, port.number), address.clone());
            }
        }
    }
    in_use
}

/// Whether a container that has a port of a host has the same one on another, where it is placed now: that is no other port
/// of its engine.
pub(super) fn is_taken_along(state: &State, address: &Address, port: Port, to: &Address) -> bool {
    let is_container = |resource: &Resource| resource.declared.hosted_on.is_none();
    let there = state.reservations.get(to).and_then(|ports| ports.get(&port));
    state.resources.get(address).is_some_and(is_container) && there.is_some_and(|it| it.address == *address)
}
