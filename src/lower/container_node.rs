//! Nodes and members of pools that are containers of a Docker engine: each runs its command, and nothing is placed on it.

use simfleet_provider_api::{Address, Attributes, Kind};
use simfleet_state::ProviderConfig;

use super::container::{self, CONTAINER};
use super::node::{NODE, refuse_others};
use super::{Desired, Lowering, limits};
use crate::config::Record;
use crate::config::blocks::{HealthCheckType, Resources, Restart, Service};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// What of a node becomes an attribute of a container by another name.
const RENAMED: [&str; 2] = ["cpus", "memory"];

/// Whether the nodes of a provider are containers.
pub(super) fn is_of(lowering: &Lowering<'_>, provider: &str) -> bool {
    let has = |kind: &Kind| lowering.registry.schema(provider, kind).is_some();
    has(&CONTAINER) && !has(&NODE)
}

/// Returns the container that a node is, of a provider whose nodes are containers.
pub(super) fn node(
    lowering: &Lowering<'_>,
    address: Address,
    record: &Record,
    provider: ProviderConfig,
) -> Result<Desired, Diagnostics> {
    refuse(lowering, record, &provider)?;
    let mut declared = Service::decode(record)?;
    let workload = &mut declared.workload;
    workload.resources = Resources {
        cpu: record.get("cpus").and_then(|cpus| Some(cpus.as_number()?.as_f64())),
        memory: record.get("memory").and_then(|memory| memory.as_u64()),
    };
    workload.restart = workload.restart.or(Some(Restart::UnlessStopped));
    // What is looked at from here is waited for by the apply.
    let is_its_own = |kind| matches!(kind, HealthCheckType::Docker | HealthCheckType::Command);
    workload.health_check = workload.health_check.take().filter(|check| is_its_own(check.kind));
    limits::check_image(lowering, &declared.container)?;
    let mut desired = container::of(lowering, address, provider, &declared);
    desired.spans.extend(record.spans());
    Ok(desired)
}

/// Refuses what a container cannot have.
fn refuse(lowering: &Lowering<'_>, record: &Record, provider: &ProviderConfig) -> Result<(), Diagnostics> {
    let what = format!("node of provider `{}`", provider.name);
    let of_container = Attributes::from_iter(
        record
            .attributes()
            .iter()
            .filter(|(name, _)| !RENAMED.contains(&&***name))
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    if let Some(schema) = lowering.registry.schema(&provider.name, &CONTAINER) {
        refuse_others(lowering, schema, record, &of_container, &["labels"], &what)?;
    }
    if record.get("image").is_none_or(|image| image.is_null()) {
        let detail = format!("A {what} is a container, so it needs `image`.");
        let diagnostic = Diagnostic::error("Missing attribute", detail).on(lowering.address.clone());
        let hint = "name an image; an engine that exists is a node with a `runtime` and without this provider";
        return Err(diagnostic.at(record.span().clone()).hint(hint).into());
    }
    Ok(())
}

/// Returns what is told where something is to run on a node that is a container.
pub(super) fn nothing_runs_on(lowering: &Lowering<'_>, node: &Address) -> Diagnostics {
    let detail = format!("{node} is a container: it runs its command, and nothing else is placed on it.");
    let diagnostic = Diagnostic::error("Node without a runtime", detail).on(lowering.address.clone());
    let hint = match lowering.address.block() {
        "simulator" => "place it on \"local\", or on a node of provider `local`",
        _ => "take `process` out: `image` and `command` of the node say what runs in it",
    };
    diagnostic.at(lowering.declaration.span.clone()).hint(hint).into()
}
