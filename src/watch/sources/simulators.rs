//! What simulators tell of themselves: how fast time passes for those that speak MAVLink.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use simfleet_provider_agent::real_time_factor;
use simfleet_provider_api::{Address, Attributes, Value};
use simfleet_state::{Protocol, Resource, State};

use super::{Question, Values};
use crate::plan::STATE;
use crate::status::reached_at;

/// How many vehicles are asked at once.
const AT_ONCE: usize = 64;

/// A simulator that speaks MAVLink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vehicle {
    /// Its address in the fleet.
    pub address: Address,
    /// Where it is reached: a host and a port, UDP.
    pub at: String,
}

/// Returns the vehicles that are recorded, by the node or member that they are on. Those are vehicles that have a check of the
/// type `mavlink_heartbeat`, or none and are of a kind that speaks MAVLink, and that have one UDP port that can be meant. Those that
/// are not to run now are none.
pub fn vehicles(state: &State) -> BTreeMap<Address, Vec<Vehicle>> {
    let mut vehicles: BTreeMap<Address, Vec<Vehicle>> = BTreeMap::new();
    for (address, ports) in state.ports() {
        let Some(resource) = state.resources.get(address) else {
            continue;
        };
        let is_to_run = resource
            .declared
            .inputs
            .str(STATE)
            .is_none_or(|state| state == "running");
        let Some(port) = mavlink_port(address, resource).filter(|_| is_to_run) else {
            continue;
        };
        let is_meant = |name: &str, number: u16| match &port {
            Port::Given(port) => port == name || port.parse() == Ok(number),
            Port::Only => true,
        };
        let mut meant = ports
            .iter()
            .filter(|(name, (_, port))| port.protocol == Protocol::Udp && is_meant(name, port.number));
        let (Some((_, (host, port))), None) = (meant.next(), meant.next()) else {
            continue;
        };
        if let Some(at) = reached_at(state, resource, host) {
            let vehicle = Vehicle {
                address: address.clone(),
                at: format!("{at}:{}", port.number),
            };
            vehicles.entry((*host).clone()).or_default().push(vehicle);
        }
    }
    vehicles
}

/// Which of its ports speaks MAVLink.
enum Port {
    /// The one of this name or number.
    Given(String),
    /// The only one that there is.
    Only,
}

fn mavlink_port(address: &Address, resource: &Resource) -> Option<Port> {
    let inputs: &Attributes = &resource.declared.inputs;
    let check = inputs.get("health_check").filter(|check| !check.is_null());
    let text = |name| check.and_then(|check| check.get(name)).and_then(Value::as_str);
    match text("type") {
        Some("mavlink_heartbeat") => Some(text("port").map_or(Port::Only, |port| Port::Given(port.to_owned()))),
        _ => {
            let kind = address.labels().first();
            kind.is_some_and(|kind| matches!(&**kind, "vehicle" | "px4"))
                .then_some(Port::Only)
        }
    }
}

/// Asks the vehicles on a pool's members; the value of a member is that of the slowest of them. A member with one that is
/// silent has none; on one without vehicles nobody falls behind.
pub(super) async fn ask(question: &Question) -> Values {
    let asked = question.members.iter();
    let asked = asked.flat_map(|member| std::iter::repeat(member.number).zip(member.vehicles.clone()));
    let asked: Vec<(u64, Vehicle)> = asked.collect();
    let timeout = question.timeout;
    let answers: Vec<_> = stream::iter(asked)
        .map(async |(number, vehicle)| {
            let answer = measured(&vehicle, timeout).await;
            (number, vehicle, answer)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut values = Values::default();
    for (number, vehicle, answer) in answers {
        match answer {
            Ok(factor) => {
                let slowest = values.members.entry(number).or_insert(factor);
                *slowest = slowest.min(factor);
            }
            Err(why) => _ = values.missing.insert(number, format!("{}: {why}", vehicle.address)),
        }
    }
    // The one that is silent may be the slowest.
    values.members.retain(|number, _| !values.missing.contains_key(number));
    for member in question.members.iter().filter(|member| member.vehicles.is_empty()) {
        values.members.insert(member.number, 1.0);
    }
    values
}

async fn measured(vehicle: &Vehicle, timeout: Duration) -> Result<f64, String> {
    let found = tokio::net::lookup_host(&vehicle.at).await;
    let mut found = found.map_err(|error| format!("{}: {error}", vehicle.at))?;
    let at: SocketAddr = found.next().ok_or_else(|| format!("{} has no address", vehicle.at))?;
    // The whole question has that long, so that its answer must be there a little before.
    real_time_factor(at, timeout.mul_f64(0.9)).await
}
