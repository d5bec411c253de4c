//! PX4 in a container: what the vehicle is told through its environment and its command line.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::{Type, Value, convert};

use super::placement::Place;
use super::{Desired, Lowering, container};
use crate::config::blocks::Simulator;
use crate::config::blocks::simulator::Px4;
use crate::diagnostic::Diagnostics;

/// The port at which the first PX4 talks to ground stations; that of instance `i` is `i` higher.
const GROUND_STATION: u64 = 18570;

/// Returns the container of a PX4.
pub(super) fn resource(
    lowering: &Lowering<'_>,
    simulator: &Simulator,
    place: &Place,
    px4: &Px4,
) -> Result<Desired, Diagnostics> {
    let instance = simulator.instance.unwrap_or(0);
    let inside = u16::try_from(GROUND_STATION + instance).ok();
    let mut desired = container::simulator(lowering, simulator, place, &px4.container, inside)?;
    let env = environment(px4, simulator.workload.env.as_ref());
    desired.attributes.set("env", env);
    if desired.attributes.get("command").is_none() {
        // As a daemon: without a terminal its own shell would read nothing without end.
        let command = ["-d", "-i", &instance.to_string()].map(Value::from);
        desired.attributes.set("command", Value::tuple(command));
    }
    Ok(desired)
}

/// Returns the environment of a PX4; what is declared there by name goes before what the attributes say.
fn environment(px4: &Px4, declared: Option<&Value>) -> Value {
    let mut variables: BTreeMap<Arc<str>, Value> = BTreeMap::new();
    let mut set = |name: &str, value: &Value| {
        let text = convert(value, &Type::String).unwrap_or_else(|_| value.clone());
        variables.insert(name.into(), text);
    };
    if px4.headless {
        set("HEADLESS", &"1".into());
    }
    if let Some(model) = &px4.model {
        set("PX4_SIM_MODEL", model);
    }
    if let Some(world) = &px4.world {
        set("PX4_GZ_WORLD", world);
    }
    if let Some(home) = &px4.home {
        set("PX4_HOME_LAT", &home.latitude);
        set("PX4_HOME_LON", &home.longitude);
        set("PX4_HOME_ALT", &home.altitude_m);
    }
    match declared {
        Some(declared) if declared.is_unknown() => declared.clone(),
        Some(declared) => {
            let fields = declared.as_fields().into_iter().flatten();
            variables.extend(fields.map(|(name, value)| (name.clone(), value.clone())));
            Value::object(variables).mark(declared.is_sensitive())
        }
        None if variables.is_empty() => Value::NULL,
        None => Value::object(variables),
    }
}
