//! Simulators: processes on a node, and containers.

use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Value};

use super::placement::Place;
use super::workload::format_value;
use super::{Desired, Layout, Lowering, Objects, container, host, name_of, node, process, px4, qemu};
use crate::config::blocks::{Kind, Simulator};
use crate::diagnostic::Diagnostics;
use crate::plan::STATE;

/// Returns what a simulator becomes; `None` where there is no place for it.
pub(super) fn resource(lowering: &Lowering<'_>, simulator: &Simulator) -> Result<Option<Desired>, Diagnostics> {
    let Some(place) = lowering.layout.places.get(lowering.address) else {
        return Ok(None);
    };
    let mut desired = match &simulator.kind {
        Kind::Vehicle(vehicle) => process::vehicle(lowering, simulator, place, vehicle)?,
        Kind::Exec(exec) => process::exec(lowering, simulator, place, exec)?,
        Kind::Container(container) => container::simulator(lowering, simulator, place, container, None)?,
        Kind::Px4(px4) => px4::resource(lowering, simulator, place, px4)?,
        Kind::Qemu(qemu) => qemu::resource(lowering, simulator, place, qemu)?,
    };
    if lowering.layout.off_schedule.contains(lowering.address) {
        desired.attributes.set(STATE, "stopped");
        let schedule = lowering.record.blocks("schedule").next();
        if let Some(schedule) = schedule {
            desired.spans.insert(STATE, schedule.span().clone());
        }
    }
    if lowering.layout.outlived.contains(lowering.address) {
        desired.attributes.set(STATE, "stopped");
        if let Some(span) = lowering.record.attribute_span("max_lifetime") {
            desired.spans.insert(STATE, span.clone());
        }
    }
    Ok(Some(desired))
}

/// Returns what of a simulator is its own beside itself. It needs a place only where that says which engine has it.
pub(super) fn parts(lowering: &Lowering<'_>, simulator: &Simulator) -> Result<Vec<Desired>, Diagnostics> {
    let is_placed = lowering.layout.places.contains_key(lowering.address);
    if !is_placed && host::is_open(lowering, &simulator.placement) {
        return Ok(Vec::new());
    }
    match &simulator.kind {
        Kind::Container(container) => container::parts_of_simulator(lowering, container),
        Kind::Px4(px4) => container::parts_of_simulator(lowering, &px4.container),
        Kind::Vehicle(_) | Kind::Exec(_) | Kind::Qemu(_) => Ok(Vec::new()),
    }
}

/// Returns the ports of a place, by name.
pub(super) fn ports(place: &Place) -> Value {
    match place.ports.is_empty() {
        true => Value::NULL,
        false => Value::object(numbers(place)),
    }
}

fn numbers(place: &Place) -> impl Iterator<Item = (Arc<str>, Value)> {
    let ports = place.ports.iter();
    ports.map(|(name, port)| (name.clone(), Value::from(u64::from(*port))))
}

/// Whether a simulator ends when its work is done: a program or an image of the user's that is not started again. A vehicle
/// runs until it is stopped.
pub fn ends_by_itself(address: &Address, attributes: &Attributes) -> bool {
    let kind = address.labels().first().filter(|_| address.block() == "simulator");
    let is_users = kind.is_some_and(|kind| matches!(&**kind, "exec" | "container")) && address.child_name().is_none();
    let restart = attributes.str("restart").unwrap_or("no");
    is_users && matches!(restart, "no" | "on-failure")
}

/// Returns what others read of a simulator.
pub(super) fn outputs(
    address: &Address,
    simulator: &Simulator,
    layout: &Layout,
    objects: &dyn Objects,
) -> Vec<(&'static str, Value)> {
    let attributes = objects.attributes(address);
    let attribute = |name: &str| match &attributes {
        Some(attributes) => attributes.get(name).cloned().unwrap_or(Value::NULL),
        None => Value::unknown(format!("{address}.{name}")),
    };
    let name = match simulator.kind.is_container() {
        true => container::name(address),
        false => name_of(address),
    };
    let Some(place) = layout.places.get(address) else {
        // Not null: what reads it is not wrong, it has to wait for a place.
        let unknown = |name: &'static str| (name, Value::unknown(format!("{address}.{name}, which has no place")));
        let known = [("name", name.into()), ("status", "unplaced".into())];
        return known
            .into_iter()
            .chain(["id", "endpoints", "node", "ports"].map(unknown))
            .collect();
    };
    // A container is reached where its engine is.
    let own_address = simulator.kind.is_container().then(|| attribute("address"));
    let node = match &own_address {
        Some(at) if !layout.has_node(&place.host) => node::this_machine(&place.host, at),
        _ => node::value(&place.host, objects),
    };
    let reached_at = own_address.as_ref().or(node.get("address"));
    let endpoint = |(name, port): (&Arc<str>, &u16)| {
        let protocol = layout.protocol(address, name);
        let url = match reached_at {
            Some(host) => format_value(host, |host| format!("{protocol}://{host}:{port}")),
            None => Value::NULL,
        };
        (name.clone(), url)
    };
    let mut endpoints: Vec<(Arc<str>, Value)> = place.ports.iter().map(endpoint).collect();
    if let Kind::Qemu(machine) = &simulator.kind {
        let debugger = qemu::debugger(address, machine, attributes.as_ref());
        endpoints.extend(debugger.map(|url| (Arc::from("gdb"), url)));
    }
    vec![
        ("name", name.into()),
        ("id", attribute("id")),
        ("endpoints", Value::object(endpoints)),
        ("ports", Value::map(numbers(place))),
        ("node", node),
        ("status", attribute("status")),
    ]
}
