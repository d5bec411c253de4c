//! Simulators: processes on a node.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::process::PROCESS;
use simfleet_provider_api::{Address, Attributes, Data, Hosting, Number, Type, Value, convert};
use simfleet_state::ProviderConfig;

use super::node::{self, NODE};
use super::placement::Place;
use super::{Desired, Layout, Lowering, Objects, name_of};
use crate::config::blocks::{HealthCheck, Kind, Log, Ready, Resources, Simulator};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The provider of what runs under an agent.
const AGENT: &str = "agent";
/// Its settings, which are attributes of the node.
const AGENT_SETTINGS: [&str; 2] = ["runtime", "token_file"];
/// Stands for simfleet itself as the program of a process, so that no path of a machine is recorded.
const SIMFLEET: &str = "{simfleet}";

/// Returns the process of a simulator; `None` where there is no place for it.
pub(super) fn resource(lowering: &Lowering<'_>, simulator: &Simulator) -> Result<Option<Desired>, Diagnostics> {
    let Some(place) = lowering.layout.places.get(lowering.address) else {
        return Ok(None);
    };
    let host = lowering.objects.attributes(&place.host).unwrap_or_default();
    let (provider, host_id) = provider(lowering, place, &host)?;
    let mut attributes = Attributes::new();
    attributes.set("name", lowering.address.to_string());
    attributes.set(
        "command",
        command(&simulator.kind, simulator.instance, place, &host, lowering)?,
    );
    let ports = place
        .ports
        .iter()
        .map(|(name, port)| (name.clone(), Value::from(u64::from(*port))));
    attributes.set(
        "ports",
        if place.ports.is_empty() {
            Value::NULL
        } else {
            Value::object(ports)
        },
    );
    attributes.set("host", host_id.unwrap_or(Value::NULL));
    attributes.set("env", simulator.env.clone().unwrap_or(Value::NULL));
    attributes.set("labels", simulator.labels.clone().unwrap_or(Value::NULL));
    attributes.set(
        "restart",
        simulator.restart.map_or(Value::NULL, |restart| restart.as_str().into()),
    );
    attributes.set("stop_grace", simulator.stop_grace.map_or(Value::NULL, seconds));
    attributes.set("state", simulator.state.as_str());
    attributes.set(
        "health_check",
        simulator.health_check.as_ref().map_or(Value::NULL, health_check),
    );
    attributes.set("resources", resources(&simulator.resources));
    attributes.set("log", simulator.log.as_ref().map_or(Value::NULL, log));
    if let Kind::Exec(exec) = &simulator.kind {
        attributes.set("working_dir", exec.working_dir.clone().unwrap_or(Value::NULL));
        attributes.set("ready", exec.ready.as_ref().map_or(Value::NULL, ready));
    }
    let mut desired = lowering.desired(lowering.address.clone(), PROCESS, provider, attributes);
    desired.hosted_on = Some(place.host.clone());
    if let Some(span) = desired.spans.get("port").cloned() {
        desired.spans.insert("ports", span);
    }
    Ok(Some(desired))
}

/// Returns the provider that has the processes of a node, and the node's id where the process must name it.
fn provider(
    lowering: &Lowering<'_>,
    place: &Place,
    host: &Attributes,
) -> Result<(ProviderConfig, Option<Value>), Diagnostics> {
    let own = lowering.provider_of(&place.host)?;
    let known = |name: &str| {
        host.get(name)
            .cloned()
            .unwrap_or_else(|| Value::unknown(format!("{}.{name}", place.host)))
    };
    match lowering.hosting(&own.name) {
        Hosting::Agent => {
            let settings = AGENT_SETTINGS.map(|name| (name, known(name)));
            let settings = Attributes::from_iter(settings);
            Ok((
                ProviderConfig {
                    name: AGENT.into(),
                    settings,
                },
                None,
            ))
        }
        Hosting::Itself => Ok((own, Some(known("id")))),
        Hosting::Nothing => {
            let detail = format!("Nothing can run on a `{NODE}` of provider `{}`.", own.name);
            let diagnostic = Diagnostic::error("Node without a runtime", detail);
            Err(diagnostic
                .on(lowering.address.clone())
                .at(lowering.declaration.span.clone())
                .into())
        }
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

/// Whether a simulator ends when its work is done: a program of the user's that is not started again. A vehicle runs until
/// it is stopped.
pub fn ends_by_itself(address: &Address, attributes: &Attributes) -> bool {
    let is_program = address.block() == "simulator" && address.labels().first().is_some_and(|kind| &**kind == "exec");
    let restart = attributes.str("restart").unwrap_or("no");
    is_program && matches!(restart, "no" | "on-failure")
}

/// Returns the command line of a simulator.
fn command(
    kind: &Kind,
    instance: Option<u64>,
    place: &Place,
    host: &Attributes,
    lowering: &Lowering<'_>,
) -> Result<Value, Diagnostics> {
    match kind {
        Kind::Exec(exec) => Ok(exec.command.clone()),
        Kind::Vehicle(vehicle) => {
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
    }
}

/// Applies a function to a string that may be unknown or sensitive.
fn format_value(value: &Value, format: impl FnOnce(&str) -> String) -> Value {
    match (value.data(), value.as_str()) {
        (_, Some(text)) => Value::from(format(text)).mark(value.is_sensitive()),
        _ => value.clone(),
    }
}

fn seconds(duration: Duration) -> Value {
    Number::from_f64(duration.as_secs_f64()).map_or(Value::NULL, Value::from)
}

/// Returns an object of the fields that are set.
fn record<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::object(fields.into_iter().filter(|(_, value)| !value.is_null()))
}

fn resources(resources: &Resources) -> Value {
    let fields = record([
        (
            "cpu",
            resources
                .cpu
                .and_then(Number::from_f64)
                .map_or(Value::NULL, Value::from),
        ),
        ("memory", resources.memory.map_or(Value::NULL, Value::from)),
    ]);
    if *resources == Resources::default() {
        Value::NULL
    } else {
        fields
    }
}

fn health_check(check: &HealthCheck) -> Value {
    record([
        ("type", check.kind.as_str().into()),
        ("url", check.url.clone().unwrap_or(Value::NULL)),
        ("command", check.command.clone().unwrap_or(Value::NULL)),
        ("port", check.port.clone().unwrap_or(Value::NULL)),
        ("interval", seconds(check.interval)),
        ("timeout", seconds(check.timeout)),
        ("start_period", seconds(check.start_period)),
        ("healthy_threshold", check.healthy_threshold.into()),
        ("unhealthy_threshold", check.unhealthy_threshold.into()),
    ])
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

/// Returns what others read of a simulator.
pub(super) fn outputs(address: &Address, layout: &Layout, objects: &dyn Objects) -> Vec<(&'static str, Value)> {
    let attributes = objects.attributes(address);
    let attribute = |name: &str| match &attributes {
        Some(attributes) => attributes.get(name).cloned().unwrap_or(Value::NULL),
        None => Value::unknown(format!("{address}.{name}")),
    };
    let Some(place) = layout.places.get(address) else {
        // Not null: what reads it is not wrong, it has to wait for a place.
        let unknown = |name: &'static str| (name, Value::unknown(format!("{address}.{name}, which has no place")));
        let known = [("name", name_of(address).into()), ("status", "unplaced".into())];
        return known
            .into_iter()
            .chain(["id", "endpoints", "node", "ports"].map(unknown))
            .collect();
    };
    let node = node::value(&place.host, objects);
    let ports: BTreeMap<Arc<str>, Value> = place
        .ports
        .iter()
        .map(|(name, port)| (name.clone(), Value::from(u64::from(*port))))
        .collect();
    let endpoint = |(name, port): (&Arc<str>, &u16)| {
        let protocol = layout.protocol(address, name);
        let url = match node.get("address") {
            Some(host) => format_value(host, |host| format!("{protocol}://{host}:{port}")),
            None => Value::NULL,
        };
        (name.clone(), url)
    };
    vec![
        ("name", name_of(address).into()),
        ("id", attribute("id")),
        ("endpoints", Value::object(place.ports.iter().map(endpoint))),
        ("node", node),
        ("ports", Data::Map(Arc::new(ports)).into()),
        ("status", attribute("status")),
    ]
}
