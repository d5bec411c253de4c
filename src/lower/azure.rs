//! Nodes, pools and networks of a provider that has machines and their parts one by one, as Azure does.
//!
//! A `node` is a machine with a network interface and a public address, a `pool` a scale set with such machines in it, a
//! `network` a virtual network with its subnets and one security group with its rules.

use simfleet_provider_api::{Address, Attributes, Kind, Value};
use simfleet_state::ProviderConfig;

use super::layout::number_of;
use super::node::{NODE, each_member, refuse_others};
use super::{Desired, Lowering, Objects, name_of};
use crate::config::Record;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

mod adopted;
mod balancer;
mod boot;
mod group;
mod login;

pub(super) use adopted::members as adopted_members;
pub use adopted::{frame, set_of_instance};
pub(super) use balancer::{backends, of_balancer, refuse as refuse_balancer};
pub(super) use boot::has_agent;
pub use group::groups;
pub use login::with_parts;
pub(super) use login::{agent_of, declares_machine, engine_of, login, login_of_agent};

const NETWORK: Kind = Kind::new("network");
const SUBNET: Kind = Kind::new("subnet");
const SECURITY_GROUP: Kind = Kind::new("security_group");
const PUBLIC_IP: Kind = Kind::new("public_ip");
const NIC: Kind = Kind::new("nic");
const SCALE_SET: Kind = Kind::new("scale_set");
pub(super) const VM: Kind = Kind::new("vm");

/// What the parts of a machine are called below it.
const IP_PART: &str = "ip";
const NIC_PART: &str = "nic";
/// What the frame of a pool is called below it.
const SET_PART: &str = "set";
/// What the parts of a network are called below it. The virtual network is one of them: what depends on the block depends on
/// all of them, so no part of it could depend on that.
const NET_PART: &str = "net";
const SUBNET_PART: &str = "subnet";
const RULES_PART: &str = "rules";

/// Who logs in, where nobody is named.
const USER: &str = "azureuser";
/// The priority of the first rule of a network, and how far it is to the next.
const FIRST_PRIORITY: u64 = 100;
const PRIORITY_STEP: u64 = 10;
const GIB: f64 = (1u64 << 30) as f64;

/// What of a node becomes something else, or is acted on by simfleet itself.
const TAKEN: [&str; 10] = [
    "cpus",
    "memory",
    "max_simulators",
    "labels",
    "tags",
    "size",
    "image",
    "subnet",
    "disk",
    "spot",
];

/// Whether a kind is that of such a machine.
pub fn is_machine(kind: &Kind) -> bool {
    *kind == VM
}

/// Whether these are the attributes of such a machine.
pub(super) fn is_one(attributes: &Attributes) -> bool {
    attributes.get("nic").is_some()
}

/// Whether an object was there before the fleet.
pub fn is_found(kind: &Kind, seen: Option<&Attributes>) -> bool {
    adopted::is_set(kind) || seen.is_some_and(|seen| group::is_found(kind, seen))
}

/// Whether a provider has machines and their parts one by one.
pub(super) fn is_of(lowering: &Lowering<'_>, provider: &str) -> bool {
    let has = |kind: &Kind| lowering.registry.schema(provider, kind).is_some();
    has(&VM) && has(&NIC) && !has(&NODE)
}

/// Returns the provider of the declaration, where it is such a one.
fn provider(lowering: &Lowering<'_>) -> Result<Option<ProviderConfig>, Diagnostics> {
    let Some(named) = &lowering.declaration.meta.provider else {
        return Ok(None);
    };
    match is_of(lowering, &named.name) {
        true => lowering.provider(lowering.declaration, &VM).map(Some),
        false => Ok(None),
    }
}

/// Whether a pool has such machines.
pub(super) fn of_machines(lowering: &Lowering<'_>) -> Result<bool, Diagnostics> {
    Ok(provider(lowering)?.is_some())
}

/// Returns what needs nothing else of the block: public addresses, the frame of a pool, a network and its rules.
pub(super) fn parts(lowering: &Lowering<'_>) -> Result<Vec<Desired>, Diagnostics> {
    let pool = lowering.layout.pools.get(lowering.address);
    if let Some(adopts) = pool.and_then(|pool| pool.declared.import.as_ref()) {
        return Ok(vec![adopted::set(lowering, adopts)?]);
    }
    let Some(provider) = provider(lowering)? else {
        return Ok(Vec::new());
    };
    let parts: Result<Vec<Desired>, Diagnostics> = match lowering.address.block() {
        "node" => Ok(vec![public_ip(lowering, &provider, lowering.address, lowering.record)]),
        "pool" => {
            let mut parts = vec![scale_set(lowering, &provider)];
            parts.extend(balancer::address(lowering, &provider));
            each_member(
                lowering,
                |_| true,
                |member, _, template| {
                    parts.push(public_ip(lowering, &provider, &member, template));
                    Ok(())
                },
            )?;
            Ok(parts)
        }
        "network" => Ok(network(lowering, &provider)),
        _ => Ok(Vec::new()),
    };
    in_group(lowering, &provider, parts?)
}

/// Has objects come after the resource group that they are in.
fn in_group(
    lowering: &Lowering<'_>,
    provider: &ProviderConfig,
    mut objects: Vec<Desired>,
) -> Result<Vec<Desired>, Diagnostics> {
    if let Some(group) = group::of(lowering, provider)? {
        for object in &mut objects {
            object.depends_on.insert(group.clone());
        }
    }
    Ok(objects)
}

/// Returns what needs the first parts: network interfaces and subnets.
pub(super) fn links(lowering: &Lowering<'_>) -> Result<Vec<Desired>, Diagnostics> {
    let Some(provider) = provider(lowering)? else {
        return Ok(Vec::new());
    };
    let links: Result<Vec<Desired>, Diagnostics> = match lowering.address.block() {
        "node" => Ok(vec![nic(lowering, &provider, lowering.address, lowering.record)?]),
        "pool" => {
            let mut links = Vec::new();
            let pool = lowering.layout.pools.get(lowering.address);
            if let Some(pool) = pool.map(|pool| &pool.declared) {
                links.extend(balancer::balancer(lowering, pool, &provider)?);
            }
            each_member(
                lowering,
                |_| true,
                |member, _, template| {
                    links.push(nic(lowering, &provider, &member, template)?);
                    Ok(())
                },
            )?;
            Ok(links)
        }
        "network" => Ok(subnets(lowering, &provider)),
        _ => Ok(Vec::new()),
    };
    in_group(lowering, &provider, links?)
}

/// Returns the machine of a node, or of a member of a pool.
pub(super) fn machine(
    lowering: &Lowering<'_>,
    address: Address,
    record: &Record,
    provider: ProviderConfig,
) -> Result<Desired, Diagnostics> {
    let what = format!("node of provider `{}`", provider.name);
    if let Some(schema) = lowering.registry.schema(&provider.name, &VM) {
        refuse_others(lowering, schema, record, &record.attributes(), &TAKEN, &what)?;
    }
    login::refuse_secrets(lowering, record)?;
    let user = user(record);
    let nic = address.part(NIC_PART);
    let mut attributes = Attributes::new();
    attributes.set("name", azure_name(&address));
    for name in ["size", "image"] {
        attributes.set(name, needed(lowering, record, name, &what)?);
    }
    attributes.set("nic", id_of(&nic, lowering.objects));
    attributes.set("admin_user", user.clone());
    attributes.set("ssh_public_key", public_key(lowering, record, &what)?);
    attributes.set("user_data", boot::user_data(lowering, record, &user)?);
    if let Some(disk) = record.get("disk").filter(|disk| !disk.is_null()) {
        attributes.set("disk_gib", disk.get("size").map_or(Value::NULL, in_gib));
        attributes.set("disk_type", disk.get("type").cloned().unwrap_or(Value::NULL));
    }
    attributes.set("spot", record.get("spot").cloned().unwrap_or(Value::NULL));
    attributes.set("tags", record.get("tags").cloned().unwrap_or(Value::NULL));
    let mut needs = vec![nic];
    if let Some(number) = number_of(&address) {
        let set = lowering.address.child(SET_PART);
        attributes.set("scale_set", id_of(&set, lowering.objects));
        attributes.set("zone", zone(lowering.record, number));
        needs.push(set);
    }
    let mut desired = lowering.desired(address, VM, provider, attributes);
    desired.spans.extend(record.spans());
    desired.depends_on.extend(needs);
    desired.depends_on.extend(group::of(lowering, &desired.provider)?);
    Ok(desired)
}

/// Returns a zone of the pool for each of its members in turn.
fn zone(pool: &Record, number: u64) -> Value {
    let zones = pool.get("zones").and_then(Value::as_slice).unwrap_or_default();
    let turn = u64::try_from(zones.len())
        .ok()
        .and_then(|count| number.saturating_sub(1).checked_rem(count));
    let zone = turn.and_then(|turn| zones.get(usize::try_from(turn).ok()?));
    zone.cloned().unwrap_or(Value::NULL)
}

fn public_ip(lowering: &Lowering<'_>, provider: &ProviderConfig, node: &Address, record: &Record) -> Desired {
    part(lowering, provider, PUBLIC_IP, node.part(IP_PART), record)
}

fn nic(
    lowering: &Lowering<'_>,
    provider: &ProviderConfig,
    node: &Address,
    record: &Record,
) -> Result<Desired, Diagnostics> {
    let what = format!("node of provider `{}`", provider.name);
    let ip = node.part(IP_PART);
    let mut nic = part(lowering, provider, NIC, node.part(NIC_PART), record);
    nic.attributes.set("subnet", needed(lowering, record, "subnet", &what)?);
    nic.attributes.set("public_ip", id_of(&ip, lowering.objects));
    nic.depends_on.insert(ip);
    Ok(nic)
}

fn scale_set(lowering: &Lowering<'_>, provider: &ProviderConfig) -> Desired {
    let template = lowering.record.blocks("node").next();
    let record = template.unwrap_or(lowering.record);
    let mut set = part(lowering, provider, SCALE_SET, lowering.address.child(SET_PART), record);
    let zones = lowering
        .record
        .get("zones")
        .filter(|zones| zones.as_slice().is_none_or(|it| !it.is_empty()));
    set.attributes.set("zones", zones.cloned().unwrap_or(Value::NULL));
    set
}

/// Returns the virtual network, and what is let through to it.
fn network(lowering: &Lowering<'_>, provider: &ProviderConfig) -> Vec<Desired> {
    let record = lowering.record;
    let mut network = lowering.desired(
        lowering.address.part(NET_PART),
        NETWORK,
        provider.clone(),
        named(lowering.address, record),
    );
    network
        .attributes
        .set("cidr", record.get("cidr").cloned().unwrap_or(Value::NULL));
    let mut all = vec![network];
    if has_rules(record) {
        let mut group = part(
            lowering,
            provider,
            SECURITY_GROUP,
            lowering.address.part(RULES_PART),
            record,
        );
        group.attributes.set("rules", Value::tuple(rules(record)));
        all.push(group);
    }
    all
}

fn subnets(lowering: &Lowering<'_>, provider: &ProviderConfig) -> Vec<Desired> {
    let blocks = lowering.record.blocks(SUBNET_PART);
    let subnets = blocks.map(|block| {
        let label = block.label(0);
        let mut subnet = part(lowering, provider, SUBNET, subnet_of(lowering.address, &label), block);
        let attributes = &mut subnet.attributes;
        attributes.set("name", &*label);
        attributes.remove("tags");
        let network = lowering.address.part(NET_PART);
        attributes.set("network", id_of(&network, lowering.objects));
        attributes.set("cidr", block.get("cidr").cloned().unwrap_or(Value::NULL));
        subnet.depends_on.insert(network);
        if has_rules(lowering.record) {
            let group = lowering.address.part(RULES_PART);
            attributes.set("security_group", id_of(&group, lowering.objects));
            subnet.depends_on.insert(group);
        }
        subnet
    });
    subnets.collect()
}

fn subnet_of(network: &Address, label: &str) -> Address {
    network.part(&format!("{SUBNET_PART}/{label}"))
}

fn has_rules(network: &Record) -> bool {
    network.blocks("rule").next().is_some()
}

/// Returns the rules that have sources. A rule keeps its priority whether those before it have any or not.
fn rules(network: &Record) -> Vec<Value> {
    let rules = network.blocks("rule").enumerate().filter_map(|(position, rule)| {
        let list = |name: &str| rule.get(name).filter(|list| !list.is_null());
        let is_empty = |list: &Value| list.as_slice().is_some_and(<[Value]>::is_empty);
        let sources = list("sources").filter(|sources| !is_empty(sources))?;
        let ports = list("ports").filter(|ports| !is_empty(ports)).cloned();
        let position = u64::try_from(position).unwrap_or(u64::MAX);
        Some(Value::object([
            ("name", Value::from(&*rule.label(0))),
            (
                "priority",
                FIRST_PRIORITY
                    .saturating_add(position.saturating_mul(PRIORITY_STEP))
                    .into(),
            ),
            ("direction", "inbound".into()),
            ("access", "allow".into()),
            (
                "protocol",
                rule.get("protocol").cloned().unwrap_or_else(|| "tcp".into()),
            ),
            ("sources", sources.clone()),
            ("ports", ports.unwrap_or_else(|| Value::tuple(["*".into()]))),
        ]))
    });
    rules.collect()
}

/// Returns a part of what is declared: its name and its tags.
fn part(lowering: &Lowering<'_>, provider: &ProviderConfig, kind: Kind, address: Address, record: &Record) -> Desired {
    let attributes = named(&address, record);
    let mut part = lowering.desired(address, kind, provider.clone(), attributes);
    part.policy = part.policy.of_part();
    part
}

fn named(address: &Address, record: &Record) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.set("name", azure_name(address));
    attributes.set("tags", record.get("tags").cloned().unwrap_or(Value::NULL));
    attributes
}

/// Returns a name that every kind takes: that of a machine is the name of a host, too.
fn azure_name(address: &Address) -> String {
    name_of(address).replace(['/', '_'], "-")
}

/// Returns what others read of a machine that its parts know: `None` of what is no such machine.
pub(super) fn output(
    address: &Address,
    name: &str,
    machine: &Attributes,
    record: Option<&Record>,
    objects: &dyn Objects,
) -> Option<Value> {
    if !is_one(machine) {
        return None;
    }
    match name {
        "address" | "public_ip" => Some(login::of_part(address, IP_PART, "address", objects)),
        "private_ip" => Some(login::of_part(address, NIC_PART, "private_ip", objects)),
        "runtime" => Some(login::runtime(address, machine, record, objects)),
        _ => None,
    }
}

/// Returns the attributes of the virtual network that a network has, where it is made of several objects.
pub(super) fn virtual_network(address: &Address, objects: &dyn Objects) -> Option<Attributes> {
    objects.attributes(&address.part(NET_PART))
}

/// Returns what others read of the subnets of a network, by label: `network.a.subnet.b.id`.
pub(super) fn subnet_outputs(address: &Address, record: &Record, objects: &dyn Objects) -> Option<Value> {
    let mut subnets = record.blocks(SUBNET_PART).peekable();
    subnets.peek()?;
    let subnets = subnets.map(|block| {
        let label = block.label(0);
        let subnet = Value::object([
            ("id", id_of(&subnet_of(address, &label), objects)),
            ("name", (&*label).into()),
            ("cidr", block.get("cidr").cloned().unwrap_or(Value::NULL)),
        ]);
        (label, subnet)
    });
    Some(Value::object(subnets))
}

fn id_of(address: &Address, objects: &dyn Objects) -> Value {
    let attributes = objects.attributes(address);
    let id = attributes.and_then(|attributes| attributes.get("id").cloned());
    id.unwrap_or_else(|| Value::unknown(format!("{address}.id")))
}

/// Returns a size in GiB; Azure's disks have whole ones.
fn in_gib(size: &Value) -> Value {
    match size.as_number() {
        Some(bytes) => Value::from((bytes.as_f64() / GIB).ceil() as u64),
        None => size.clone(),
    }
}

fn user(record: &Record) -> Value {
    let user = record.blocks("ssh").next().and_then(|ssh| ssh.get("user").cloned());
    user.filter(|user| !user.is_null()).unwrap_or_else(|| USER.into())
}

/// Returns the key that logs in, without the end of its line.
fn public_key(lowering: &Lowering<'_>, record: &Record, what: &str) -> Result<Value, Diagnostics> {
    let key = record
        .blocks("ssh")
        .next()
        .and_then(|ssh| ssh.get("public_key").cloned());
    match key.filter(|key| !key.is_null()) {
        Some(key) => Ok(key
            .as_str()
            .map_or_else(|| key.clone(), |text| Value::from(text.trim()))),
        None => {
            let detail = format!("A {what} is logged in to with a key, so it needs `ssh` with `public_key`.");
            Err(missing(lowering, record.span(), detail)
                .hint("ssh { public_key = file(\"~/.ssh/id_ed25519.pub\") }")
                .into())
        }
    }
}

fn needed(lowering: &Lowering<'_>, record: &Record, name: &str, what: &str) -> Result<Value, Diagnostics> {
    let value = record.get(name).filter(|value| !value.is_null()).cloned();
    value.ok_or_else(|| missing(lowering, record.span(), format!("A {what} needs `{name}`.")).into())
}

fn missing(lowering: &Lowering<'_>, span: &Span, detail: String) -> Diagnostic {
    Diagnostic::error("Missing attribute", detail)
        .on(lowering.address.clone())
        .at(span.clone())
}

/// Refuses the blocks that only machines that are made have.
pub(super) fn refuse_blocks(lowering: &Lowering<'_>, record: &Record) -> Result<(), Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    for name in ["ssh", "bootstrap"] {
        for block in record.blocks(name) {
            let detail = format!("Only a node of a provider that makes machines, such as `azure`, has `{name}`.");
            let diagnostic = Diagnostic::error("Unknown block", detail).on(lowering.address.clone());
            let diagnostic = diagnostic.at(block.span().clone());
            diagnostics.push(match record.get("runtime") {
                Some(runtime) if name == "ssh" && !runtime.is_null() => {
                    diagnostic.hint("the configuration of your own ssh says how a host that exists is logged in to")
                }
                _ => diagnostic,
            });
        }
    }
    diagnostics.or(()).map(drop)
}
