//! Containers: services, and simulators of which there is an image. With what is theirs alone: volumes, and the image that is
//! built for one.

use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Kind, Value};
use simfleet_state::ProviderConfig;

use super::placement::Place;
use super::workload::{self, format_value, record};
use super::{Desired, LOCAL_PROVIDER, Lowering, Objects, container_node, host, limits as of_fleet, name_of};
use crate::config::IgnoreChanges;
use crate::config::blocks::{Build, Container, Protocol, Service, Simulator, Volume, Workload};
use crate::config::forms;
use crate::config::published::{self, Published};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// The kind of a container.
pub(super) const CONTAINER: Kind = Kind::new("container");
/// The kind of a volume.
const VOLUME: Kind = Kind::new("volume");

/// The kind of an image that is built.
const IMAGE: Kind = Kind::new("image");

/// What an image that is built is called beside what it is built for. No label of a volume is so: they are names.
const IMAGE_PART: &str = "image";

/// Whether what is in an object of a kind is lost with it: it is nowhere else, and nothing makes it anew.
pub fn holds_data(kind: &Kind) -> bool {
    *kind == VOLUME
}

/// Returns what of a service is its own beside its container.
pub(super) fn parts_of_service(lowering: &Lowering<'_>, service: &Service) -> Result<Vec<Desired>, Diagnostics> {
    if !has_parts(&service.container) {
        return Ok(Vec::new());
    }
    let provider = lowering.provider(lowering.declaration, &CONTAINER)?;
    Ok(parts(lowering, &service.container, &provider))
}

/// Returns what of a simulator is its own beside its container.
pub(super) fn parts_of_simulator(lowering: &Lowering<'_>, container: &Container) -> Result<Vec<Desired>, Diagnostics> {
    if !has_parts(container) {
        return Ok(Vec::new());
    }
    let (provider, node) = placed(lowering, lowering.layout.places.get(lowering.address))?;
    let mut parts = parts(lowering, container, &provider);
    for part in &mut parts {
        part.hosted_on.clone_from(&node);
    }
    Ok(parts)
}

fn has_parts(container: &Container) -> bool {
    container.build.is_some() || own_volumes(container).next().is_some()
}

fn parts(lowering: &Lowering<'_>, container: &Container, provider: &ProviderConfig) -> Vec<Desired> {
    let image = container
        .build
        .as_ref()
        .map(|build| image(lowering, container, build, provider));
    volumes(lowering, container, provider)
        .into_iter()
        .chain(image)
        .collect()
}

/// Returns the container of a service.
pub(super) fn service(lowering: &Lowering<'_>, service: &Service) -> Result<Desired, Diagnostics> {
    of_fleet::check_image(lowering, &service.container)?;
    let provider = lowering.provider(lowering.declaration, &CONTAINER)?;
    Ok(of(lowering, lowering.address.clone(), provider, service))
}

/// Returns the container of a service, or of a node that is one.
pub(super) fn of(lowering: &Lowering<'_>, address: Address, provider: ProviderConfig, declared: &Service) -> Desired {
    let mut attributes = attributes(lowering, &address, &declared.container, &declared.workload);
    let publish = declared.publish.as_ref().map(|publish| each(publish, in_full));
    attributes.set("publish", publish.map_or(Value::NULL, unless_empty));
    container(lowering, address, provider, attributes, &declared.container)
}

/// Returns the container of a simulator. `inside` is the port in the container that leads to it where none is declared;
/// without it, the same number.
pub(super) fn simulator(
    lowering: &Lowering<'_>,
    simulator: &Simulator,
    place: &Place,
    declared: &Container,
    inside: Option<u16>,
) -> Result<Desired, Diagnostics> {
    of_fleet::check_image(lowering, declared)?;
    let (provider, node) = placed(lowering, Some(place))?;
    let mut attributes = attributes(lowering, lowering.address, declared, &simulator.workload);
    attributes.set("state", simulator.state.as_str());
    attributes.set("ports", super::simulator::ports(place));
    let published = place.ports.iter().map(|(name, host)| {
        let port = simulator.ports.get(name).and_then(|port| port.container);
        let protocol = match lowering.layout.protocol(lowering.address, name) {
            "tcp" => Protocol::Tcp,
            _ => Protocol::Udp,
        };
        Published::at_all(*host, port.or(inside).unwrap_or(*host), protocol).to_string()
    });
    let published = published.map(Value::from);
    attributes.set("publish", unless_empty(Value::tuple(published)));
    let mut desired = container(lowering, lowering.address.clone(), provider, attributes, declared);
    desired.hosted_on = node;
    if let Some(span) = desired.spans.get("port").cloned() {
        desired.spans.insert("publish", span);
    }
    if let IgnoreChanges::Only(names) = &mut desired.policy.ignored
        && names.iter().any(|name| &**name == "ports")
    {
        // A port of a simulator is both.
        names.push("publish".into());
    }
    Ok(desired)
}

/// Returns what others read of a service.
pub(super) fn outputs(address: &Address, objects: &dyn Objects) -> Vec<(&'static str, Value)> {
    let attributes = objects.attributes(address);
    let output = |name: &'static str| match &attributes {
        Some(attributes) => (name, attributes.get(name).cloned().unwrap_or(Value::NULL)),
        None => (name, Value::unknown(format!("{address}.{name}"))),
    };
    let mut outputs: Vec<_> = ["id", "address", "status"].map(output).into();
    outputs.push(("name", name(address).into()));
    outputs
}

/// Returns what a container is called in its networks, beside its aliases.
pub(super) fn name(address: &Address) -> String {
    forms::alias(&name_of(address))
}

/// Returns the engine that has what is placed somewhere, and the node that it goes with, where that is the engine.
fn placed(lowering: &Lowering<'_>, place: Option<&Place>) -> Result<(ProviderConfig, Option<Address>), Diagnostics> {
    let Some(place) = place else {
        return Ok((local_engine(lowering)?, None));
    };
    match host::engine_of(lowering, &place.host)? {
        Some(provider) => {
            refuse_provider(lowering, place)?;
            Ok((provider, Some(place.host.clone())))
        }
        None => {
            refuse_host(lowering, place)?;
            Ok((local_engine(lowering)?, None))
        }
    }
}

/// A container on a node with an engine is made by that engine.
fn refuse_provider(lowering: &Lowering<'_>, place: &Place) -> Result<(), Diagnostics> {
    let Some(named) = &lowering.declaration.meta.provider else {
        return Ok(());
    };
    let detail = format!("Its engine is that of {}, on which it is placed.", place.host);
    let diagnostic = Diagnostic::error("Two engines", detail).on(lowering.address.clone());
    Err(diagnostic.at(named.span.clone()).hint("take `provider` out").into())
}

/// Returns the engine that has the containers of simulators on this machine: as for other blocks, and that of this machine where no
/// engine is configured.
fn local_engine(lowering: &Lowering<'_>) -> Result<ProviderConfig, Diagnostics> {
    let engines: Vec<&str> = lowering.offering(&CONTAINER).collect();
    let mut blocks = lowering.config.providers.iter();
    let is_configured = blocks.any(|block| engines.contains(&&*block.name));
    match engines.as_slice() {
        [only] if lowering.declaration.meta.provider.is_none() && !is_configured => Ok(ProviderConfig {
            name: Arc::from(*only),
            settings: Attributes::new(),
        }),
        _ => lowering.provider(lowering.declaration, &CONTAINER),
    }
}

/// A container of a simulator runs at the engine of this machine: on no node that is another one.
fn refuse_host(lowering: &Lowering<'_>, place: &Place) -> Result<(), Diagnostics> {
    let provider = lowering.provider_of(&place.host)?;
    if &*provider.name == LOCAL_PROVIDER && place.host.child_name().is_none() {
        return Ok(());
    }
    if container_node::is_of(lowering, &provider.name) {
        return Err(container_node::nothing_runs_on(lowering, &place.host));
    }
    let what = match place.host.child_name() {
        Some(_) => "a member of a pool",
        None => "a `node`",
    };
    let detail = format!(
        "No container can run on {what} of provider `{}`: this version knows of no engine there.",
        provider.name
    );
    let diagnostic = Diagnostic::error("Node without a runtime", detail).on(lowering.address.clone());
    let diagnostic = diagnostic.at(lowering.declaration.span.clone());
    let hint = "place it on \"local\", on a node of provider `local`, or on one with a `runtime`: runtime = \"ssh://user@host\"";
    Err(diagnostic.hint(hint).into())
}

/// Returns the attributes that services, simulators and nodes share.
fn attributes(lowering: &Lowering<'_>, address: &Address, container: &Container, workload: &Workload) -> Attributes {
    let mut attributes = workload::attributes(workload);
    for (name, value) in container.attributes.iter() {
        attributes.set(name.clone(), value.clone());
    }
    attributes.set("name", address.to_string());
    if container.build.is_some() {
        attributes.set("image", id_of(&image_of(lowering.address), lowering.objects));
        attributes.set("pull", "never");
    }
    if attributes.get("networks").is_some_and(|networks| !networks.is_empty()) {
        // An engine knows no aliases in the network that containers are in by default.
        attributes.set("aliases", aliases(address, container.aliases.as_ref()));
    }
    let full = |value: &Option<Value>, full: fn(&str) -> Vec<String>| match value {
        Some(value) => each(value, full),
        None => Value::NULL,
    };
    let capabilities: fn(&str) -> Vec<String> = |text| vec![forms::capability(text)];
    attributes.set("cap_add", full(&container.cap_add, capabilities));
    attributes.set("cap_drop", full(&container.cap_drop, capabilities));
    let device = |text: &str| vec![forms::device(text).unwrap_or_else(|| text.to_owned())];
    attributes.set("devices", full(&container.devices, device));
    attributes.set("ulimits", container.ulimits.as_ref().map_or(Value::NULL, limits));
    attributes.set(
        "mounts",
        Value::tuple(container.volumes.iter().map(|volume| mount(lowering, volume))),
    );
    attributes.set(
        "files",
        Value::object(
            container
                .files
                .iter()
                .map(|(at, content)| (at.clone(), content.clone())),
        ),
    );
    if let Some(driver) = &container.log_driver {
        let options = container.log_options.clone().unwrap_or(Value::NULL);
        let log = record([("driver", driver.clone()), ("options", unless_empty(options))]);
        attributes.set("log", log);
    }
    // What is empty is as if it were not set.
    attributes
        .iter()
        .map(|(name, value)| (name.clone(), unless_empty(value.clone())))
        .collect()
}

fn container(
    lowering: &Lowering<'_>,
    address: Address,
    provider: ProviderConfig,
    attributes: Attributes,
    declared: &Container,
) -> Desired {
    let mut desired = lowering.desired(address, CONTAINER, provider, attributes);
    let volumes = own_volumes(declared).map(|volume| address_of(lowering.address, volume));
    desired.depends_on.extend(volumes);
    desired
        .depends_on
        .extend(declared.build.as_ref().map(|_| image_of(lowering.address)));
    desired
}

/// The volumes of a container that no folder of the host is.
fn own_volumes(container: &Container) -> impl Iterator<Item = &Volume> {
    container.volumes.iter().filter(|volume| volume.source.is_none())
}

fn address_of(container: &Address, volume: &Volume) -> Address {
    container.child(volume.name.clone())
}

fn volumes(lowering: &Lowering<'_>, container: &Container, provider: &ProviderConfig) -> Vec<Desired> {
    let volume = |volume: &Volume| {
        let address = address_of(lowering.address, volume);
        let attributes = Attributes::from_iter([("name", address.to_string())]);
        part(lowering, address, VOLUME, provider, attributes, &volume.span)
    };
    own_volumes(container).map(volume).collect()
}

/// Returns what is a container's own; it outlives containers.
fn part(
    lowering: &Lowering<'_>,
    address: Address,
    kind: Kind,
    provider: &ProviderConfig,
    attributes: Attributes,
    span: &Span,
) -> Desired {
    let mut desired = lowering.desired(address, kind, provider.clone(), attributes);
    desired.span = Some(span.clone());
    desired.spans.clear();
    desired.policy = desired.policy.of_part();
    desired
}

fn image_of(container: &Address) -> Address {
    container.child(IMAGE_PART)
}

/// Returns the image that is built for a container. A new one is there before the container of the old one goes, and the old
/// one goes last.
fn image(lowering: &Lowering<'_>, container: &Container, build: &Build, provider: &ProviderConfig) -> Desired {
    let address = image_of(lowering.address);
    let given = |value: Option<&Value>| value.cloned().map_or(Value::NULL, unless_empty);
    let context = lowering.in_fleet(&lowering.declaration.address.module_path(), &build.context);
    let attributes = Attributes::from_iter([
        ("name", Value::from(address.to_string())),
        ("tag", given(container.attributes.get("image"))),
        ("context", context.into()),
        ("context_digest", (&*build.digest).into()),
        ("dockerfile", (&*build.dockerfile).into()),
        ("args", given(build.args.as_ref())),
        ("target", given(build.target.as_ref())),
    ]);
    let mut desired = part(lowering, address, IMAGE, provider, attributes, &build.span);
    desired.policy.create_before_destroy = true;
    // It can be built again.
    desired.policy.prevent_destroy = false;
    desired
}

/// Returns a volume as it is mounted: by the id of the volume, or the full path of the folder.
fn mount(lowering: &Lowering<'_>, volume: &Volume) -> Value {
    let (kind, source) = match &volume.source {
        Some(source) => (
            "bind",
            format_value(source, |source| lowering.on_host(source).display().to_string()),
        ),
        None => ("volume", id_of(&address_of(lowering.address, volume), lowering.objects)),
    };
    record([
        ("type", kind.into()),
        ("source", source),
        // As engines tell it.
        ("target", volume.target.trim_end_matches('/').into()),
        ("read_only", volume.read_only.clone()),
    ])
}

/// Returns where a container is to have a volume of its own that is not there yet.
pub fn mounted_at(wanted: &Attributes, volume: &Address) -> Option<Arc<str>> {
    let origin = format!("{volume}.id");
    let mut mounts = mounts(wanted);
    let mount = mounts.find(|mount| mount.get("source").and_then(Value::unknown_origin) == Some(&*origin))?;
    Some(mount.get("target")?.as_str()?.into())
}

/// Returns the volume that a container has at a place, one without a name of its own too.
pub fn volume_at(seen: &Attributes, target: &str) -> Option<Arc<str>> {
    if let Some(volume) = seen.get("volumes").and_then(|volumes| volumes.get(target)?.as_str()) {
        return Some(volume.into());
    }
    let text = |mount: &Value, field: &str| Some(mount.get(field)?.as_str()?.to_owned());
    let is_it = |mount: &&Value| {
        text(mount, "type").as_deref() == Some("volume") && text(mount, "target").as_deref() == Some(target)
    };
    Some(text(mounts(seen).find(is_it)?, "source")?.into())
}

fn mounts(attributes: &Attributes) -> impl Iterator<Item = &Value> {
    attributes.get("mounts").and_then(Value::as_slice).into_iter().flatten()
}

fn id_of(address: &Address, objects: &dyn Objects) -> Value {
    let attributes = objects.attributes(address);
    let id = attributes.and_then(|attributes| attributes.get("id").cloned());
    id.unwrap_or_else(|| Value::unknown(format!("{address}.id")))
}

/// Returns what a container is called in its networks.
fn aliases(address: &Address, declared: Option<&Value>) -> Value {
    let own = Value::from(name(address));
    match declared {
        Some(declared) if declared.is_unknown() => declared.clone(),
        Some(declared) => {
            let declared_too = declared.as_slice().unwrap_or_default().iter().cloned();
            Value::tuple([own].into_iter().chain(declared_too)).mark(declared.is_sensitive())
        }
        None => Value::tuple([own]),
    }
}

fn in_full(publish: &str) -> Vec<String> {
    match published::parse(publish) {
        Some(ports) => ports.iter().map(Published::to_string).collect(),
        None => vec![publish.to_owned()],
    }
}

/// Returns a list with each of its texts as a function writes it. What is not known stays.
fn each(list: &Value, full: impl Fn(&str) -> Vec<String>) -> Value {
    let Some(items) = list.as_slice() else {
        return list.clone();
    };
    let items = items.iter().flat_map(|item| match item.as_str() {
        Some(text) => full(text)
            .into_iter()
            .map(|full| Value::from(full).mark(item.is_sensitive()))
            .collect(),
        None => vec![item.clone()],
    });
    Value::tuple(items).mark(list.is_sensitive())
}

/// Returns limits in full, both the soft and the hard one.
fn limits(declared: &Value) -> Value {
    let Some(fields) = declared.as_fields() else {
        return declared.clone();
    };
    let full = |text: &str| forms::limit(text).unwrap_or_else(|| text.to_owned());
    let limits = fields
        .iter()
        .map(|(name, limit): (&Arc<str>, &Value)| (name.clone(), format_value(limit, full)));
    Value::object(limits).mark(declared.is_sensitive())
}

fn unless_empty(value: Value) -> Value {
    match value.is_empty() {
        true => Value::NULL,
        false => value,
    }
}
