//! Nodes with a Docker engine, or an agent: those with a `runtime`, hosts that exist, and machines that are made and logged in to.
//! Each has a provider of its own, made on the fly.

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
/// The kind of a machine with an agent that exists, and the provider of what runs under agents.
const MACHINE: Kind = Kind::new("host");
pub(super) const AGENT: &str = "agent";
/// How the runtime of an agent on another machine begins.
const FAR: &str = "agent+ssh://";
/// The attribute that makes a node one, and the setting of the provider that it is.
const RUNTIME: &str = "runtime";
const HOST: &str = "host";

/// Returns the host that a node, or a member of a pool, is; `None` where it is a machine of a provider.
pub(super) fn node(
    lowering: &Lowering<'_>,
    address: &Address,
    record: &Record,
) -> Result<Option<Desired>, Diagnostics> {
    let Some(runtime) = record.get(RUNTIME).filter(|runtime| !runtime.is_null()) else {
        return Ok(None);
    };
    let attributes = Attributes::from_iter([(RUNTIME, runtime.clone())]);
    let (kind, provider) = match is_agent(runtime) {
        true => (MACHINE, agent(lowering, lowering.declaration, attributes.clone())?),
        false => (ENGINE, provider(lowering, lowering.declaration, runtime)?),
    };
    let mut desired = lowering.desired(address.clone(), kind, provider, attributes);
    desired.spans.extend(record.spans());
    Ok(Some(desired))
}

/// Returns the provider of the engine of a node that was lowered before; `None` where it has none of its own.
pub(super) fn engine_of(lowering: &Lowering<'_>, host: &Address) -> Result<Option<ProviderConfig>, Diagnostics> {
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
        Some(runtime) if !is_agent(runtime) => Ok(Some(provider(lowering, declaration, runtime)?)),
        _ => Ok(None),
    }
}

/// Returns the provider of what runs under the agent of a node that was lowered before; `None` where it has none of its own, or is
/// of a provider whose nodes are agents.
pub(super) fn agent_of(lowering: &Lowering<'_>, host: &Address) -> Result<Option<ProviderConfig>, Diagnostics> {
    let Some(declaration) = lowering.config.declaration_of(host) else {
        return Ok(None);
    };
    if let Some(settings) = azure::agent_of(lowering, declaration, host)? {
        return Ok(Some(under_agent(settings)));
    }
    if !has_runtime(declaration) {
        return Ok(None);
    }
    let node = lowering.objects.attributes(host).unwrap_or_default();
    match node.get(RUNTIME).filter(|runtime| is_agent(runtime)) {
        Some(runtime) => {
            let settings = Attributes::from_iter([(RUNTIME, runtime.clone())]);
            agent(lowering, declaration, settings).map(Some)
        }
        None => Ok(None),
    }
}

/// Returns the provider of what runs under an agent.
pub(super) fn under_agent(settings: Attributes) -> ProviderConfig {
    ProviderConfig {
        name: AGENT.into(),
        settings,
    }
}

/// Whether what is known of a node says that it is reached at another address than it has itself.
pub(super) fn is_far(node: &Attributes) -> bool {
    azure::is_one(node) || node.str(RUNTIME).is_some_and(|runtime| runtime.starts_with(FAR))
}

/// Whether a runtime is that of an agent. One that is not known yet is taken for an engine's.
fn is_agent(runtime: &Value) -> bool {
    runtime.as_str().is_some_and(|runtime| runtime.starts_with("agent+"))
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

/// Returns a provider for one agent.
fn agent(
    lowering: &Lowering<'_>,
    declaration: &config::Declaration,
    settings: Attributes,
) -> Result<ProviderConfig, Diagnostics> {
    match &declaration.meta.provider {
        Some(named) => {
            let hint = "take `provider` or `runtime` out";
            Err(two_origins(lowering, named).hint(hint).into())
        }
        None => Ok(under_agent(settings)),
    }
}

fn two_origins(lowering: &Lowering<'_>, named: &config::meta::ProviderReference) -> Diagnostic {
    let detail = format!(
        "It has a `runtime`, so it exists: provider `{}` cannot make it.",
        named.name
    );
    let diagnostic = Diagnostic::error("Two origins of a node", detail).on(lowering.address.clone());
    diagnostic.at(named.span.clone())
}

/// Returns a provider for one engine: with the settings of the one that the node names, at another place.
fn provider(
    lowering: &Lowering<'_>,
    declaration: &config::Declaration,
    runtime: &Value,
) -> Result<ProviderConfig, Diagnostics> {
    let mut provider = match &declaration.meta.provider {
        Some(named) if &*named.name != PROVIDER => {
            let hint = "take `provider` or `runtime` out; a `provider = docker.ALIAS` can have `tls` or `ssh` for it";
            return Err(two_origins(lowering, named).hint(hint).into());
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

/// Returns where the host is that a resource adopts, as far as that is known.
pub fn adopted_host(desired: &Desired) -> Option<&str> {
    let is_host = is_host(&desired.kind, &desired.provider);
    desired.attributes.str(RUNTIME).filter(|_| is_host)
}

/// Whether a recorded object exists by itself, a host or what the fleet found: it was not made, and does not go. `seen` is what is
/// known of it.
pub fn is_adopted(declared: &Declaration, seen: Option<&Attributes>) -> bool {
    is_host(&declared.kind, &declared.provider) || azure::is_found(&declared.kind, seen)
}

fn is_host(kind: &Kind, provider: &ProviderConfig) -> bool {
    (*kind == ENGINE && &*provider.name == PROVIDER) || (*kind == MACHINE && &*provider.name == AGENT)
}
