//! Networks.

use simfleet_provider_api::{Address, Kind, Value};

use super::node::taken;
use super::{Desired, Lowering, Objects, azure, name_of};
use crate::config::Record;
use crate::config::blocks::Network;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The kind of a network, whatever its provider.
const NETWORK: Kind = Kind::new("network");

/// Returns the network: its name, and of what is declared all that its provider's kind has. `None` of one that is made of
/// several objects.
pub(super) fn resource(lowering: &Lowering<'_>, network: &Network) -> Result<Option<Desired>, Diagnostics> {
    let provider = lowering.provider(lowering.declaration, &NETWORK)?;
    if azure::is_of(lowering, &provider.name) {
        return Ok(None);
    }
    let mut attributes = Default::default();
    if let Some(schema) = lowering.registry.schema(&provider.name, &NETWORK) {
        attributes = taken(schema, &network.attributes);
        let mut diagnostics = Diagnostics::new();
        let mut refuse = |name: &str, span| {
            let detail = format!("A network of provider `{}` has no `{name}`.", provider.name);
            let diagnostic = Diagnostic::error("Unknown attribute", detail).at(span);
            let hint = format!(
                "take it out; `simfleet schema {}/network` shows what there is",
                provider.name
            );
            diagnostics.push(diagnostic.on(lowering.address.clone()).hint(hint));
        };
        for (name, span) in &network.blocks {
            if schema.attribute(name).is_none() {
                refuse(name, Some(span.clone()));
            }
        }
        for (name, _) in network.attributes.iter() {
            // A default that a provider knows nothing of was not asked for.
            let span = lowering.record.attribute_span(name).cloned();
            if schema.attribute(name).is_none() && span.is_some() {
                refuse(name, span);
            }
        }
        diagnostics.or(())?;
    }
    attributes.set("name", lowering.address.to_string());
    let address = lowering.address.clone();
    Ok(Some(lowering.desired(address, NETWORK, provider, attributes)))
}

/// Returns what others read of a network.
pub(super) fn outputs(address: &Address, record: &Record, objects: &dyn Objects) -> Vec<(&'static str, Value)> {
    let attributes = objects.attributes(address);
    let attributes = attributes.or_else(|| azure::virtual_network(address, objects));
    let id = match &attributes {
        Some(attributes) => attributes.get("id").cloned().unwrap_or(Value::NULL),
        None => Value::unknown(format!("{address}.id")),
    };
    let subnets = azure::subnet_outputs(address, record, objects);
    let outputs = [("id", id), ("name", name_of(address).into())];
    outputs
        .into_iter()
        .chain(subnets.map(|subnets| ("subnet", subnets)))
        .collect()
}
