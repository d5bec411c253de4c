//! Processes that nodes run themselves: what a simulator `exec` is, on its node and with its node's life.

use simfleet_provider_api::process::PROCESS;
use simfleet_provider_api::{Address, Value};

use super::{Desired, Lowering, node, process, workload};
use crate::config::Record;
use crate::config::blocks::Process;
use crate::diagnostic::Diagnostics;

/// Returns the processes of a `node`.
pub(super) fn of_node(lowering: &Lowering<'_>) -> Result<Vec<Desired>, Diagnostics> {
    on(lowering, lowering.address, lowering.record)
}

/// Returns the processes of the members of a `pool`.
pub(super) fn of_members(lowering: &Lowering<'_>) -> Result<Vec<Desired>, Diagnostics> {
    let template = lowering.record.blocks("node").next();
    let names: Vec<_> = template
        .into_iter()
        .flat_map(|template| template.blocks("process"))
        .map(|process| process.label(0))
        .collect();
    let has_one_that_is_meant = |member: &Address| names.iter().any(|name| lowering.is_meant(&member.part(name)));
    let mut processes = Vec::new();
    node::each_member(lowering, has_one_that_is_meant, |member, _, template| {
        processes.extend(on(lowering, &member, template)?);
        Ok(())
    })?;
    Ok(processes)
}

/// Returns the processes of a node that was lowered before.
fn on(lowering: &Lowering<'_>, node: &Address, template: &Record) -> Result<Vec<Desired>, Diagnostics> {
    let blocks = template.blocks("process");
    let processes = blocks.map(|block| Ok((block, Process::decode(block)?)));
    processes
        .map(|process| process.and_then(|(block, process)| one(lowering, node, block, &process)))
        .collect()
}

fn one(lowering: &Lowering<'_>, node: &Address, block: &Record, declared: &Process) -> Result<Desired, Diagnostics> {
    let address = node.part(&block.label(0));
    let host = lowering.objects.attributes(node).unwrap_or_default();
    let (provider, host_id) = process::provider(lowering, node, &host)?;
    let mut attributes = workload::attributes(&declared.workload);
    attributes.set("name", address.to_string());
    attributes.set("of_node", true);
    attributes.set("host", host_id.unwrap_or(Value::NULL));
    process::set_program(&mut attributes, &declared.exec);
    process::set_log(&mut attributes, declared.log.as_ref());
    let mut desired = lowering.desired(address, PROCESS, provider, attributes);
    desired.hosted_on = Some(node.clone());
    desired.span = Some(block.span().clone());
    desired.spans = block.spans();
    desired.policy = desired.policy.of_part();
    // It can be started again, and two of it would want the same ports.
    desired.policy.prevent_destroy = false;
    desired.policy.create_before_destroy = false;
    Ok(desired)
}
