//! Nodes with a Docker engine: those with a `runtime`, hosts that exist, and machines that are made and logged in to. Each has a
//! provider of its own, made on the fly.

use simfleet_provider_api::{Address, Attributes, Kind, Value};
use simfleet_state::{Declaration, ProviderConfig};

use super::{Desired, Lowering, azure};
use crate::config::blocks::Placement;
use crate::config::{self, Record};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The kind of an engine that exists.
const ENGINE: Kind = Kind::new("engine");
/// The provider of engines.
pub(super) const PROVIDER: &str = "docker";
/// The attribute that makes a node one, and the setting of the provider that it is.
const RUNTIME: &str = "runtime";
const HOST: &str = "host";

/// Returns the engine that a node, or a member of a pool, is; `None` where it is a machine of a provider.
pub(super) fn node(
    lowering: &Lowering<'_>,
    address: &Address,
    record: &Record,
) -> Result<Option<Desired>, Diagnostics> {
    let Some(runtime) = record.get(RUNTIME).filter(|runtime| !runtime.is_null()) else {
        return Ok(None);
    };
    let provider = provider(lowering, lowering.declaration, runtime)?;
    let attributes = Attributes::from_iter([(RUNTIME, runtime.clone())]);
    let mut desired = lowering.desired(address.clone(), ENGINE, provider, attributes);
    desired.spans.extend(record.spans());
    Ok(Some(desired))
}

/// Returns the provider of the engine of a node that was lowered before; `None` where it has none of its own.
pub(super) fn of_node(lowering: &Lowering<'_>, host: &Address) -> Result<Option<ProviderConfig>, Diagnostics> {
    let Some(declaration) = lowering.config.declaration_of(host) else {
        return Ok(None);
    };
    if let Some(machine) = azure::engine_of(lowering, declaration, host)? {
        return Ok(Some(machine));
    }
    if !has_runtime(declaration) {
        return Ok(None);
    }
    let node = lowering.objects.attributes(host).unwrap_or_default();
    match node.get(RUNTIME).filter(|runtime| !runtime.is_null()) {
        // What runs agents says where they are by itself.
        Some(runtime) if runtime.as_str().is_none_or(|text| !text.starts_with("agent+")) => {
            Ok(Some(provider(lowering, declaration, runtime)?))
        }
        _ => Ok(None),
    }
}

/// Whether nothing can be told of the engine of what has no place yet: each host of its pool has one of its own.
pub(super) fn is_open(lowering: &Lowering<'_>, placement: &Placement) -> bool {
    match placement {
        Placement::On(on) => {
            let declaration = lowering.config.declaration_of(on);
            declaration.is_some_and(|it| has_runtime(it) || azure::declares_machine(lowering, it))
        }
        Placement::Local => false,
    }
}

fn has_runtime(declaration: &config::Declaration) -> bool {
    let template = match declaration.address.block() {
        "pool" => declaration.body.blocks("node").next(),
        _ => Some(&declaration.body),
    };
    template.is_some_and(|template| template.attribute(RUNTIME).is_some())
}

/// Returns a provider for one engine: with the settings of the one that the node names, at another place.
fn provider(
    lowering: &Lowering<'_>,
    declaration: &config::Declaration,
    runtime: &Value,
) -> Result<ProviderConfig, Diagnostics> {
    let mut provider = match &declaration.meta.provider {
        Some(named) if &*named.name != PROVIDER => {
            let detail = format!(
                "It has a `runtime`, so it exists: provider `{}` cannot make it.",
                named.name
            );
            let diagnostic = Diagnostic::error("Two origins of a node", detail).on(lowering.address.clone());
            let hint = "take `provider` or `runtime` out; a `provider = docker.ALIAS` can have `tls` or `ssh` for it";
            return Err(diagnostic.at(named.span.clone()).hint(hint).into());
        }
        Some(_) => lowering.provider(declaration, &ENGINE)?,
        None => ProviderConfig {
            name: PROVIDER.into(),
            settings: Attributes::new(),
        },
    };
    provider.settings.set(HOST, runtime.clone());
    Ok(provider)
}

/// Returns where the engine is that a resource adopts, as far as that is known.
pub fn adopted_host(desired: &Desired) -> Option<&str> {
    let is_engine = desired.kind == ENGINE && &*desired.provider.name == PROVIDER;
    desired.attributes.str(RUNTIME).filter(|_| is_engine)
}

/// Whether a recorded object exists by itself, a host or what the fleet found: it was not made, and does not go. `seen` is what is
/// known of it.
pub fn is_adopted(declared: &Declaration, seen: Option<&Attributes>) -> bool {
    let is_engine = declared.kind == ENGINE && &*declared.provider.name == PROVIDER;
    is_engine || azure::is_found(&declared.kind, seen)
}
