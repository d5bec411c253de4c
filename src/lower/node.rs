//! Nodes and the members of pools.

use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Kind, Schema, Value};

use super::layout::{member, number_of};
use super::{Desired, Layout, Lowering, Members, Objects, azure, container_node, health_check, host, name_of};
use crate::config::Record;
use crate::config::blocks::{Pool, Warm};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{Reason, STATE};

/// The kind of a node, whatever its provider.
pub(super) const NODE: Kind = Kind::new("node");

/// What others read of a node, beside what is declared.
const OUTPUTS: [&str; 7] = ["id", "name", "address", "public_ip", "private_ip", "runtime", "status"];

/// Returns the one resource of a `node`.
pub(super) fn resource(lowering: &Lowering<'_>) -> Result<Desired, Diagnostics> {
    machine(lowering, lowering.address.clone(), lowering.record)
}

/// Returns the members of a `pool`.
pub(super) fn members(lowering: &Lowering<'_>, declared: &Pool) -> Result<Vec<Desired>, Diagnostics> {
    let Some(pool) = lowering.layout.pools.get(lowering.address) else {
        return Ok(Vec::new());
    };
    if let Some(adopts) = &declared.import {
        return azure::adopted_members(lowering, declared, adopts);
    }
    let mut members = Vec::new();
    let is_meant = |member: &Address| lowering.is_meant(member);
    let mut lower = |address: Address, template: &Record, is_waiting: bool| {
        let mut desired = match is_waiting {
            false => machine(lowering, address, template)?,
            true => waiting(lowering, address, template, declared.warm)?,
        };
        desired.policy.drain = Some(declared.drain.into());
        desired.because = Some(Reason::Size {
            because: match is_waiting {
                true => "warm".to_owned(),
                false => pool.because.clone(),
            },
        });
        members.push(desired);
        Ok(())
    };
    of_template(lowering, &pool.members, is_meant, |address, template| {
        lower(address, template, false)
    })?;
    of_template(lowering, &pool.waiting, is_meant, |address, template| {
        lower(address, template, true)
    })?;
    Ok(members)
}

/// Returns a member that waits: it is as the others are, but for what it does, and nobody looks at its health.
fn waiting(lowering: &Lowering<'_>, address: Address, record: &Record, warm: Warm) -> Result<Desired, Diagnostics> {
    let mut member = bare(lowering, address, record)?;
    let schema = lowering.registry.schema(&member.provider.name, &member.kind);
    if schema.is_none_or(|schema| schema.attribute(STATE).is_none()) {
        let detail = format!(
            "A {} of provider `{}` cannot wait: it runs for as long as it is there.",
            member.kind, member.provider.name
        );
        let span = lowering.record.blocks("warm").next().map(|block| block.span().clone());
        let diagnostic = Diagnostic::error("Members that cannot wait", detail).on(lowering.address.clone());
        return Err(diagnostic.at(span).hint("take `warm` out, or raise `min`").into());
    }
    member.attributes.set(STATE, warm.state.as_str());
    member.policy.waits = true;
    Ok(member)
}

/// Evaluates the template of a pool for each of its members that works and is meant.
pub(super) fn each_member(
    lowering: &Lowering<'_>,
    is_meant: impl Fn(&Address) -> bool,
    mut lower: impl FnMut(Address, &Members, &Record) -> Result<(), Diagnostics>,
) -> Result<(), Diagnostics> {
    let Some(pool) = lowering.layout.pools.get(lowering.address) else {
        return Ok(());
    };
    of_template(lowering, &pool.members, is_meant, |address, template| {
        lower(address, pool, template)
    })
}

fn of_template(
    lowering: &Lowering<'_>,
    numbers: &[u64],
    is_meant: impl Fn(&Address) -> bool,
    mut lower: impl FnMut(Address, &Record) -> Result<(), Diagnostics>,
) -> Result<(), Diagnostics> {
    for number in numbers {
        let address = member(lowering.address, *number);
        if !is_meant(&address) {
            continue;
        }
        let record = (lowering.for_member)(about(&address, *number))?;
        if let Some(template) = record.blocks("node").next() {
            lower(address, template)?;
        }
    }
    Ok(())
}

/// Returns what the template of a pool knows of the member that it is evaluated for.
pub fn about(member: &Address, number: u64) -> Value {
    Value::object([("name", Value::from(name_of(member))), ("number", Value::from(number))])
}

/// Returns a node: its name, and of what is declared all that its provider's kind has.
fn machine(lowering: &Lowering<'_>, address: Address, record: &Record) -> Result<Desired, Diagnostics> {
    let mut node = bare(lowering, address, record)?;
    node.policy.health_check = health_check::of_node(lowering, &node, record)?.map(Box::new);
    node.policy.agent = azure::login_of_agent(record).map(Box::new);
    Ok(node)
}

fn bare(lowering: &Lowering<'_>, address: Address, record: &Record) -> Result<Desired, Diagnostics> {
    let named = lowering.declaration.meta.provider.as_ref();
    if named.is_none_or(|named| !azure::is_of(lowering, &named.name)) {
        azure::refuse_blocks(lowering, record)?;
    }
    if let Some(engine) = host::node(lowering, &address, record)? {
        let schema = lowering.registry.schema(&engine.provider.name, &engine.kind);
        if let Some(schema) = schema {
            refuse_others(
                lowering,
                schema,
                record,
                &record.attributes(),
                &OURS,
                "node with a `runtime`",
            )?;
        }
        return Ok(engine);
    }
    let provider = lowering.provider(lowering.declaration, &NODE)?;
    if azure::is_of(lowering, &provider.name) {
        return azure::machine(lowering, address, record, provider);
    }
    if container_node::is_of(lowering, &provider.name) {
        return container_node::node(lowering, address, record, provider);
    }
    let schema = lowering.registry.schema(&provider.name, &NODE);
    let mut attributes = schema
        .map(|schema| taken(schema, &record.attributes()))
        .unwrap_or_default();
    attributes.set("name", unique_name(&address));
    if let Some(schema) = schema {
        let what = format!("node of provider `{}`", provider.name);
        refuse_others(lowering, schema, record, &record.attributes(), &OURS, &what)?;
    }
    let mut desired = lowering.desired(address, NODE, provider, attributes);
    desired.spans.extend(record.spans());
    Ok(desired)
}

/// Returns the declared attributes that a provider's kind has.
pub(super) fn taken(schema: &Schema, attributes: &Attributes) -> Attributes {
    let known = attributes
        .iter()
        .filter(|(name, _)| schema.attribute(name).is_some_and(|a| a.is_configurable()));
    known.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The attributes of a node that simfleet itself acts on.
const OURS: [&str; 5] = ["cpus", "memory", "max_simulators", "labels", "tags"];

/// Refuses those of some attributes that neither simfleet itself acts on, which are `ours`, nor the provider.
pub(super) fn refuse_others(
    lowering: &Lowering<'_>,
    schema: &Schema,
    record: &Record,
    attributes: &Attributes,
    ours: &[&str],
    what: &str,
) -> Result<(), Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    for (name, _) in attributes.iter() {
        let is_known = ours.contains(&&**name) || schema.attribute(name).is_some();
        if !is_known {
            let detail = format!("A {what} has no `{name}`.");
            let span = record.attribute_span(name).cloned();
            diagnostics.push(
                Diagnostic::error("Unknown attribute", detail)
                    .on(lowering.address.clone())
                    .at(span)
                    .hint("take it out, or give the node to a provider that has it"),
            );
        }
    }
    if diagnostics.has_errors() {
        Err(diagnostics)
    } else {
        Ok(())
    }
}

/// Returns what others read of a node; of one that is not there, nothing is known.
/// `declared` is its block, where that is at hand.
pub(super) fn outputs(
    address: &Address,
    declared: Option<&Record>,
    objects: &dyn Objects,
) -> Vec<(&'static str, Value)> {
    let Some(attributes) = objects.attributes(address) else {
        return OUTPUTS
            .map(|name| (name, Value::unknown(format!("{address}.{name}"))))
            .into();
    };
    let output = |name: &'static str| {
        let of_parts = || azure::output(address, name, &attributes, declared, objects);
        let value = match (attributes.get(name).cloned().or_else(of_parts), name) {
            (Some(value), _) => value,
            (None, "name") => name_of(address).into(),
            (None, "private_ip") => private_ip(&attributes),
            (None, "public_ip") => attributes.get("address").cloned().unwrap_or(Value::NULL),
            (None, _) => Value::NULL,
        };
        (name, value)
    };
    OUTPUTS.into_iter().map(output).collect()
}

/// Returns the address of a node within its network: of a container that in the first of its networks. Where a provider knows one
/// address only, it is both.
pub fn private_ip(attributes: &Attributes) -> Value {
    let given = attributes.get("private_ip").cloned();
    let of_container = || {
        let ips = attributes.get("ips")?;
        match ips.as_fields() {
            Some(fields) => fields.iter().next().map(|(_, ip)| ip.clone()),
            None => ips.is_unknown().then(|| ips.clone()),
        }
    };
    let address = || attributes.get("address").cloned();
    given.or_else(of_container).or_else(address).unwrap_or(Value::NULL)
}

/// Returns a node or a member of a pool as what runs on it sees it.
pub(super) fn value(address: &Address, objects: &dyn Objects) -> Value {
    Value::object(outputs(address, None, objects)).with_origin(address.clone())
}

/// Returns what stands for a node that is only a name of this machine: nothing is made for it, and all that is known of it
/// is where its engine is.
pub(super) fn this_machine(address: &Address, at: &Value) -> Value {
    let output = |name: &'static str| match name {
        "name" => (name, address.name().into()),
        "address" | "public_ip" | "private_ip" => (name, at.clone()),
        _ => (name, Value::NULL),
    };
    Value::object(OUTPUTS.map(output)).with_origin(address.clone())
}

/// Returns what others read of a pool.
pub(super) fn pool_outputs(
    address: &Address,
    declared: &Record,
    layout: &Layout,
    objects: &dyn Objects,
) -> Vec<(&'static str, Value)> {
    let template = declared.blocks("node").next();
    let members = layout
        .pools
        .get(address)
        .map(|pool| pool.members.as_slice())
        .unwrap_or_default();
    let nodes = members.iter().map(|number| {
        let address = member(address, *number);
        let number = number_of(&address).unwrap_or_default();
        let mut fields = outputs(&address, template, objects);
        fields.push(("number", Value::from(number)));
        Value::object(fields).with_origin(address)
    });
    vec![
        ("name", Value::string(Arc::<str>::from(address.name()))),
        ("size", Value::from(members.len() as u64)),
        ("members", Value::tuple(nodes)),
        ("public_ip", azure::of_balancer(address, declared, objects)),
    ]
}

/// Returns a name that no other node of the fleet has.
fn unique_name(address: &Address) -> String {
    address.to_string()
}
