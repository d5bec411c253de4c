//! Simulators that are processes of a node: programs, the built-in vehicle, and machines under QEMU.

use std::borrow::Cow;

use simfleet_provider_api::process::PROCESS;
use simfleet_provider_api::{Address, Attributes, Hosting, Kind, Type, Value, convert};
use simfleet_state::ProviderConfig;

use super::host::{self, AGENT};
use super::node::NODE;
use super::placement::Place;
use super::workload::{self, format_value, record, seconds};
use super::{Desired, Lowering, azure, container_node, limits};
use crate::config::blocks::simulator::{Exec, Vehicle};
use crate::config::blocks::{Kind as SimulatorKind, Log, Ready, Simulator};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Its settings, which are attributes of the node.
const AGENT_SETTINGS: [&str; 2] = ["runtime", "token_file"];
/// Stands for simfleet itself as the program of a process, so that no path of a machine is recorded.
const SIMFLEET: &str = "{simfleet}";

/// Returns the process of a program.
pub(super) fn exec(
    lowering: &Lowering<'_>,
    simulator: &Simulator,
    place: &Place,
    exec: &Exec,
) -> Result<Desired, Diagnostics> {
    let host = lowering.objects.attributes(&place.host).unwrap_or_default();
    let mut desired = process(lowering, simulator, place, &host, exec.command.clone())?;
    set_program(&mut desired.attributes, exec);
    Ok(desired)
}

/// Sets what a program is.
pub(super) fn set_program(attributes: &mut Attributes, exec: &Exec) {
    attributes.set("command", exec.command.clone());
    attributes.set("working_dir", exec.working_dir.clone().unwrap_or(Value::NULL));
    attributes.set("ready", exec.ready.as_ref().map_or(Value::NULL, ready));
}

/// Sets where the output goes.
pub(super) fn set_log(attributes: &mut Attributes, declared: Option<&Log>) {
    attributes.set("log", declared.map_or(Value::NULL, log));
}

/// Returns the process of a vehicle.
pub(super) fn vehicle(
    lowering: &Lowering<'_>,
    simulator: &Simulator,
    place: &Place,
    vehicle: &Vehicle,
) -> Result<Desired, Diagnostics> {
    let host = lowering.objects.attributes(&place.host).unwrap_or_default();
    let command = fly(vehicle, simulator.instance, place, &host, lowering)?;
    process(lowering, simulator, place, &host, command)
}

fn process(
    lowering: &Lowering<'_>,
    simulator: &Simulator,
    place: &Place,
    host: &Attributes,
    command: Value,
) -> Result<Desired, Diagnostics> {
    let (provider, host_id) = provider(lowering, &place.host, host)?;
    let mut desired = shared(lowering, simulator, place, PROCESS, provider);
    desired.attributes.set("command", command);
    desired.attributes.set("host", host_id.unwrap_or(Value::NULL));
    Ok(desired)
}

/// Returns what every process of a node has, of a kind that the agents of nodes have.
pub(super) fn of_agent(
    lowering: &Lowering<'_>,
    simulator: &Simulator,
    place: &Place,
    kind: Kind,
) -> Result<Desired, Diagnostics> {
    let host = lowering.objects.attributes(&place.host).unwrap_or_default();
    let (provider, host_id) = provider(lowering, &place.host, &host)?;
    match host_id {
        None => Ok(shared(lowering, simulator, place, kind, provider)),
        Some(_) => Err(no_runtime(lowering, &format!("No {kind}"), &provider.name)),
    }
}

fn shared(
    lowering: &Lowering<'_>,
    simulator: &Simulator,
    place: &Place,
    kind: Kind,
    provider: ProviderConfig,
) -> Desired {
    let mut attributes = workload::attributes(&simulator.workload);
    attributes.set("name", lowering.address.to_string());
    attributes.set("ports", super::simulator::ports(place));
    attributes.set("state", simulator.state.as_str());
    attributes.set("max_lifetime", simulator.max_lifetime.map_or(Value::NULL, seconds));
    let limit = lowering.config.limits.idle_timeout.as_ref();
    let idle_timeout = match simulator.kind {
        // Who flies it is not seen.
        SimulatorKind::Vehicle(_) => None,
        _ => limits::narrower(limit, simulator.idle_timeout),
    };
    attributes.set("idle_timeout", idle_timeout.map_or(Value::NULL, seconds));
    set_log(&mut attributes, simulator.log.as_ref());
    let mut desired = lowering.desired(lowering.address.clone(), kind, provider, attributes);
    desired.hosted_on = Some(place.host.clone());
    desired
}

fn no_runtime(lowering: &Lowering<'_>, what: &str, provider: &str) -> Diagnostics {
    let detail = format!("{what} can run on a `{NODE}` of provider `{provider}`.");
    let diagnostic = Diagnostic::error("Node without a runtime", detail);
    let diagnostic = diagnostic.on(lowering.address.clone());
    diagnostic.at(lowering.declaration.span.clone()).into()
}

/// Returns the provider that has the processes of a node, and the node's id where the process must name it. `host` is what
/// is known of the node.
pub(super) fn provider(
    lowering: &Lowering<'_>,
    node: &Address,
    host: &Attributes,
) -> Result<(ProviderConfig, Option<Value>), Diagnostics> {
    if let Some(agent) = host::agent_of(lowering, node)? {
        return Ok((agent, None));
    }
    let own = lowering.provider_of(node)?;
    let known = |name: &str| {
        host.get(name)
            .cloned()
            .unwrap_or_else(|| Value::unknown(format!("{node}.{name}")))
    };
    match lowering.hosting(&own.name) {
        Hosting::Agent => {
            let settings = AGENT_SETTINGS.map(|name| (name, known(name)));
            Ok((host::under_agent(Attributes::from_iter(settings)), None))
        }
        Hosting::Itself => Ok((own, Some(known("id")))),
        Hosting::Nothing => match host::engine_of(lowering, node)? {
            Some(_) => {
                let is_machine = azure::is_one(host);
                let what = if is_machine {
                    "has no agent"
                } else {
                    "is a Docker engine"
                };
                let detail = format!("{node} {what}: nothing runs there but in a container.");
                let diagnostic = Diagnostic::error("Node without a runtime", detail).on(lowering.address.clone());
                let hint = match lowering.address.block() {
                    _ if is_machine => {
                        "bootstrap { agent_url = …, agent_sha256 = … } gives it an agent, which runs that"
                    }
                    "simulator" => {
                        "place it on a node with an agent, such as one of provider `local`, or have an image of it"
                    }
                    _ => "take `process` out, and place a simulator with an image there",
                };
                Err(diagnostic.at(lowering.declaration.span.clone()).hint(hint).into())
            }
            None if container_node::is_of(lowering, &own.name) => Err(container_node::nothing_runs_on(lowering, node)),
            None => Err(no_runtime(lowering, "Nothing", &own.name)),
        },
    }
}

/// Returns the provider of what runs on a node, by what is now known of that node: its agent can be somewhere else than
/// it was when the process was made.
pub fn reached_by<'a>(recorded: &'a ProviderConfig, host: Option<&Attributes>) -> Cow<'a, ProviderConfig> {
    let mut config = Cow::Borrowed(recorded);
    if let (AGENT, Some(host)) = (&*recorded.name, host) {
        for name in AGENT_SETTINGS {
            let now = host.get(name).filter(|value| value.is_known() && !value.is_null());
            if now.is_some() && now != recorded.settings.get(name) {
                config.to_mut().settings.set(name, now.cloned().unwrap_or(Value::NULL));
            }
        }
    }
    config
}

/// Returns the command line of a vehicle.
fn fly(
    vehicle: &Vehicle,
    instance: Option<u64>,
    place: &Place,
    host: &Attributes,
    lowering: &Lowering<'_>,
) -> Result<Value, Diagnostics> {
    let Some(port) = place.ports.values().next() else {
        let diagnostic = Diagnostic::error("Missing port", "A vehicle needs a port to be reached at.")
            .hint("add one: port \"gcs\" { range = \"mavlink\" }, with a port_range \"mavlink\" on its node");
        return Err(diagnostic
            .on(lowering.address.clone())
            .at(lowering.declaration.span.clone())
            .into());
    };
    let system_id = instance.unwrap_or(0) + 1;
    let bind = match host.get("address") {
        // It is reached at another address than it has.
        _ if host::is_far(host) => format!("0.0.0.0:{port}").into(),
        Some(address) => format_value(address, |address| format!("{address}:{port}")),
        None => Value::unknown(format!("{}.address", place.host)),
    };
    let mut command: Vec<Value> = vec![SIMFLEET.into(), "vehicle".into(), "--listen".into(), bind];
    command.extend(["--system-id".into(), system_id.to_string().into()]);
    if let Some(home) = &vehicle.home {
        for (flag, part) in [
            ("--latitude", &home.latitude),
            ("--longitude", &home.longitude),
            ("--altitude", &home.altitude_m),
        ] {
            let part = convert(part, &Type::String).unwrap_or_else(|_| part.clone());
            command.extend([flag.into(), part]);
        }
    }
    command.extend(["--model".into(), vehicle.model.as_str().into()]);
    Ok(Value::tuple(command))
}

fn ready(ready: &Ready) -> Value {
    record([
        ("pattern", ready.pattern.clone().unwrap_or(Value::NULL)),
        ("tcp", ready.tcp.clone().unwrap_or(Value::NULL)),
        ("http", ready.http.clone().unwrap_or(Value::NULL)),
        ("timeout", ready.timeout.map_or(Value::NULL, seconds)),
    ])
}

fn log(log: &Log) -> Value {
    record([
        ("path", log.path.clone().unwrap_or(Value::NULL)),
        ("max_size", log.max_size.map_or(Value::NULL, Value::from)),
        ("keep", log.keep.map_or(Value::NULL, Value::from)),
    ])
}
