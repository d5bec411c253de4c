//! What spreads requests over the members of a pool: the upstream of an nginx, `pool.web/nginx`, and each member that takes
//! part in it, `pool.web/nginx/m1`. Those of clouds are beside the machines of the cloud.

use simfleet_provider_api::{Address, Attributes, Kind, Value};
use simfleet_state::ProviderConfig;

use super::layout::{member, number_of};
use super::workload::{format_value, health_check, seconds};
use super::{Desired, LOCAL_PROVIDER, Lowering, azure, container_node, host, name_of, node};
use crate::config::blocks::{Nginx, Pool, WaitFor};
use crate::config::{Record, forms};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The provider of upstreams, and what the child of a pool is called that is one.
const NGINX: &str = "nginx";
/// The file of an upstream.
const UPSTREAM: Kind = Kind::new("upstream");
/// A server of one.
const SERVER: Kind = Kind::new("server");
/// How what answers no more says it is.
const UNHEALTHY: &str = "unhealthy";

/// What the child of a pool is called that is a load balancer of Azure.
pub(super) const AZURE: &str = "azure";

/// Returns the member of a pool that something is the server of a load balancer for.
pub fn served(address: &Address) -> Option<Address> {
    let (balancer, name) = address.child_name()?.split_once('/')?;
    let member = address.parent().child(name);
    ([NGINX, AZURE].contains(&balancer) && number_of(&member).is_some()).then_some(member)
}

/// Returns the upstream of a pool, and its servers: the members that are in service.
pub(super) fn of_pool(lowering: &Lowering<'_>, pool: &Pool) -> Result<Vec<Desired>, Diagnostics> {
    let mut all = match azure::of_machines(lowering)? {
        true => azure::backends(lowering, pool)?,
        false => {
            azure::refuse_balancer(lowering)?;
            Vec::new()
        }
    };
    let blocks = lowering.record.blocks("load_balancer");
    let block = blocks.into_iter().find(|block| &*block.label(0) == NGINX);
    let (Some(nginx), Some(block)) = (&pool.load_balancer, block) else {
        return Ok(all);
    };
    let provider = provider(lowering, pool, nginx, block)?;
    let upstream = upstream(lowering, nginx, block, &provider);
    let members = lowering.layout.pools.get(lowering.address);
    let members = members.map(|members| members.members.as_slice()).unwrap_or_default();
    let servers = members.iter().filter_map(|number| {
        let member = member(lowering.address, *number);
        let server = server(lowering, pool, nginx, block, &provider, &upstream.address, &member);
        is_in_service(lowering, pool, &member).then_some(server)
    });
    let servers: Vec<Desired> = servers.collect();
    all.push(upstream);
    all.extend(servers);
    Ok(all)
}

/// Whether requests may go to a member: nobody finds it unhealthy, and neither it nor what it runs says so. What was seen
/// last counts.
pub(super) fn is_in_service(lowering: &Lowering<'_>, pool: &Pool, member: &Address) -> bool {
    if lowering.layout.unhealthy.contains(member) {
        return false;
    }
    let processes = pool.node.processes.keys().map(|name| member.part(name));
    let mut all = std::iter::once(member.clone()).chain(processes);
    !all.any(|address| {
        let attributes = lowering.objects.attributes(&address).unwrap_or_default();
        ["status", "health"]
            .iter()
            .any(|name| attributes.str(name) == Some(UNHEALTHY))
    })
}

fn upstream(lowering: &Lowering<'_>, nginx: &Nginx, block: &Record, provider: &ProviderConfig) -> Desired {
    let mut attributes = Attributes::new();
    attributes.set("name", forms::alias(&name_of(lowering.address)));
    attributes.set("algorithm", nginx.algorithm.as_deref().map_or(Value::NULL, Value::from));
    attributes.set(
        "listen",
        nginx.listen.map_or(Value::NULL, |port| u64::from(port).into()),
    );
    part(
        lowering,
        &nginx.node,
        lowering.address.child(NGINX),
        UPSTREAM,
        provider,
        attributes,
        block,
    )
}

fn server(
    lowering: &Lowering<'_>,
    pool: &Pool,
    nginx: &Nginx,
    block: &Record,
    provider: &ProviderConfig,
    upstream: &Address,
    member: &Address,
) -> Desired {
    let processes: Vec<Address> = pool.node.processes.keys().map(|name| member.part(name)).collect();
    let outputs = node::outputs(member, None, lowering.objects);
    let at = outputs.into_iter().find(|(name, _)| *name == "private_ip");
    let at = at.map_or(Value::NULL, |(_, value)| value);
    let mut attributes = Attributes::new();
    attributes.set("name", forms::alias(&name_of(member)));
    attributes.set("member", identity(lowering, std::iter::once(member).chain(&processes)));
    attributes.set("address", format_value(&at, |host| endpoint(host, nginx.port)));
    attributes.set("max_fails", nginx.max_fails);
    attributes.set("fail_timeout", nginx.fail_timeout.as_secs());
    let name = member.child_name().unwrap_or_default();
    let mut server = part(
        lowering,
        &nginx.node,
        upstream.part(name),
        SERVER,
        provider,
        attributes,
        block,
    );
    server.depends_on.extend([upstream.clone(), member.clone()]);
    server.depends_on.extend(processes);
    // It goes and comes with its member, as often as that does.
    server.policy.prevent_destroy = false;
    server
}

/// Returns what a member is, with what it runs: when any of it is made anew, that enters once it is there.
fn identity<'m>(lowering: &Lowering<'_>, all: impl Iterator<Item = &'m Address>) -> Value {
    let mut ids = Vec::new();
    for address in all {
        let id = lowering
            .objects
            .attributes(address)
            .and_then(|it| it.get("id").cloned());
        match id.as_ref().and_then(Value::as_str) {
            Some(id) => ids.push(id.to_owned()),
            None => return Value::unknown(format!("{address}.id")),
        }
    }
    ids.join(",").into()
}

fn part(
    lowering: &Lowering<'_>,
    node: &Address,
    address: Address,
    kind: Kind,
    provider: &ProviderConfig,
    attributes: Attributes,
    block: &Record,
) -> Desired {
    let mut part = lowering.desired(address, kind, provider.clone(), attributes);
    part.span = Some(block.span().clone());
    part.spans = block.spans();
    part.policy = part.policy.of_part();
    // There is one file, and of a member that is made first the old one has left before.
    part.policy.create_before_destroy = false;
    // What is in a container goes with it.
    part.hosted_on = provider.settings.get("container").map(|_| node.clone());
    part
}

/// Returns the provider: one file of the nginx of a node.
fn provider(
    lowering: &Lowering<'_>,
    pool: &Pool,
    nginx: &Nginx,
    block: &Record,
) -> Result<ProviderConfig, Diagnostics> {
    let place = place(lowering, nginx, block)?;
    let given = |value: &Option<Value>| value.clone().unwrap_or(Value::NULL);
    let drain = match pool.drain.wait_for {
        WaitFor::Connections => seconds(pool.drain.timeout),
        WaitFor::Simulators | WaitFor::Lease => Value::NULL,
    };
    let mut settings = Attributes::from_iter(place);
    for (name, value) in [
        ("file", nginx.file.clone()),
        ("test", given(&nginx.test)),
        ("reload", given(&nginx.reload)),
        (
            "health_check",
            nginx.health_check.as_ref().map_or(Value::NULL, health_check),
        ),
        ("drain", drain),
    ] {
        settings.set(name, value);
    }
    Ok(ProviderConfig {
        name: NGINX.into(),
        settings,
    })
}

/// Returns the settings that say where a node is; none for this machine.
fn place(lowering: &Lowering<'_>, nginx: &Nginx, block: &Record) -> Result<Vec<(&'static str, Value)>, Diagnostics> {
    let refused = |detail: String| {
        let diagnostic = Diagnostic::error("No nginx there", detail).on(lowering.address.clone());
        let at = block.attribute_span("node").unwrap_or(block.span()).clone();
        let hint = "have a node of provider `local` for this machine, one that is a container, or one with runtime = \
                    \"ssh://user@host\"";
        Err(diagnostic.at(at).hint(hint).into())
    };
    let node = &nginx.node;
    let (own, is_container) = match host::engine_of(lowering, node)? {
        Some(engine) => (engine, false),
        None => (lowering.provider_of(node)?, true),
    };
    if is_container && &*own.name == LOCAL_PROVIDER {
        return Ok(Vec::new());
    }
    if is_container && !container_node::is_of(lowering, &own.name) {
        return refused(format!(
            "{node} is of provider `{}`, where nginx cannot be reached.",
            own.name
        ));
    }
    let mut place = Vec::new();
    let given = |name| own.settings.get(name).cloned().unwrap_or(Value::NULL);
    let host = given("host");
    match host.as_str() {
        Some(at) if at.starts_with("unix://") || host.is_null() => {}
        Some(at) if at.starts_with("ssh://") => place.extend([("host", host.clone()), ("ssh", given("ssh"))]),
        Some(at) if !is_container => {
            return refused(format!(
                "{node} is at {at}, where only its Docker engine can be reached."
            ));
        }
        Some(_) if !given("tls").is_null() => {
            return refused(format!(
                "{node} is a container of an engine with certificates of its own."
            ));
        }
        _ => {}
    }
    if is_container {
        let id = lowering.objects.attributes(node).and_then(|it| it.get("id").cloned());
        place.push(("container", id.unwrap_or_else(|| Value::unknown(format!("{node}.id")))));
        if host.as_str().is_some_and(|at| !at.starts_with("ssh://")) {
            place.push(("engine", host));
        }
    }
    Ok(place)
}

/// Returns a host and a port as one word.
fn endpoint(host: &str, port: u16) -> String {
    match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}
