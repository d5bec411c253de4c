//! Declarations and state to resources of a provider: what a node, a pool and a simulator expand to. Pure.
//!
//! - [`Layout`]: what has to be settled for the fleet as a whole: sizes of pools, places and ports of simulators
//! - [`placement`], [`size`], [`recorded`]: how that is done, and what the state says of it
//! - [`policy`]: how changes of a resource are made
//! - [`node`], [`network`], [`simulator`]: what one instance of a block becomes, and what others can read of it
//! - [`autoscale`]: what is declared of a pool's size; [`ahead`]: what a pool that looks ahead expects
//! - [`price`]: what members cost; [`limits`]: what no simulator may go beyond
//! - [`host`]: nodes that exist, with a Docker engine or an agent
//! - [`node_process`]: processes that nodes run themselves; [`health_check`]: how it is told whether a node is
//!   healthy; [`container_node`]: nodes that are containers; [`azure`]: nodes, pools and networks that are made of several
//!   objects each
//! - [`adopted`]: pools of a cloud that exist, and which instance each member is
//! - [`load_balancer`]: what spreads requests over the members of a pool
//! - [`process`], [`container`]: the two things that a simulator can be; [`workload`] is what they share. [`px4`] is one of
//!   the latter, [`qemu`] one of the former

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Hosting, Kind, Value};
use simfleet_state::ProviderConfig;

use crate::builtin;
use crate::config::blocks::Block;
use crate::config::{Config, Declaration, ProviderBlock, Record};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::plan::{Reason, same};
use crate::providers::Registry;
use crate::reference::FOR_TESTS;

mod adopted;
mod ahead;
pub mod autoscale;
mod azure;
mod container;
mod container_node;
mod health_check;
mod host;
mod layout;
mod limits;
mod load_balancer;
mod network;
mod node;
mod node_process;
mod paths;
mod placement;
mod policy;
mod price;
mod process;
mod px4;
mod qemu;
mod recorded;
mod simulator;
mod size;
mod workload;

pub use adopted::Adopted;
pub use ahead::Ahead;
pub use azure::{frame, groups, is_machine, set_of_instance, with_parts};
pub use container::{holds_data, mounted_at, volume_at};
pub use host::{adopted_host, is_adopted};
pub use layout::{Decided, LOCAL_NODE, Layout, Members, member, number_of, waits};
pub use limits::{check_count, check_loaded};
pub use load_balancer::served;
pub use node::{about, private_ip};
pub use policy::{Policy, Trigger, in_resource};
pub use price::price;
pub use process::reached_by;
pub use recorded::is_in_use;
pub use simulator::ends_by_itself;
pub use size::{Bounds, Ruling, Wanted};

/// The provider of the implied node of this machine.
const LOCAL_PROVIDER: &str = "local";

/// A resource of a provider as the configuration wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Its address.
    pub address: Address,
    /// Its kind, in the words of its provider.
    pub kind: Kind,
    /// Its provider; the settings can be unknown before apply.
    pub provider: ProviderConfig,
    /// What is wanted; unknown where it reads what only the apply will tell.
    pub attributes: Attributes,
    /// What must be there before it. The address of a block stands for all its instances.
    pub depends_on: BTreeSet<Address>,
    /// The node that it runs on.
    pub hosted_on: Option<Address>,
    /// Where it is declared.
    pub span: Option<Span>,
    /// Where its attributes are declared.
    pub spans: BTreeMap<&'static str, Span>,
    /// Why it is there, or is as it is, where that is not the declaration of an attribute.
    pub because: Option<Reason>,
    /// How changes of it are made.
    pub policy: Policy,
}

/// Where the attributes of resources come from: a plan, or the state. With the object's id as `id`.
pub trait Objects {
    /// Returns what is known of a resource.
    fn attributes(&self, address: &Address) -> Option<Attributes>;
}

/// One instance of a declaration and all that its lowering reads.
pub struct Lowering<'l> {
    /// The whole configuration: for providers.
    pub config: &'l Config,
    /// The providers of this build.
    pub registry: &'l Registry,
    /// Sizes and places.
    pub layout: &'l Layout,
    /// Attributes of what was lowered before.
    pub objects: &'l dyn Objects,
    /// The declaration.
    pub declaration: &'l Declaration,
    /// The address of the instance.
    pub address: &'l Address,
    /// Its values.
    pub record: &'l Record,
    /// Evaluates the declaration for a member of a pool.
    pub for_member: &'l dyn Fn(Value) -> Result<Record, Diagnostics>,
    /// Evaluates what is declared of a node, or of a member of a pool, wherever that is declared; `None` where it is not.
    pub of_host: &'l dyn Fn(&Address) -> Result<Option<Record>, Diagnostics>,
    /// Evaluates the settings of a provider.
    pub settings: &'l dyn Fn(&ProviderBlock) -> Result<Record, Diagnostics>,
    /// What the declaration reads.
    pub depends_on: &'l BTreeSet<Address>,
    /// What has it made anew.
    pub triggers: &'l [Trigger],
    /// Whether a replacement is made before the old object goes: it says so, or something that reads it does.
    pub create_before_destroy: bool,
    /// The only resource that is asked for; without one, all.
    pub only: Option<&'l Address>,
}

/// A stage in which resources of an instance are lowered.
pub type Stage = for<'a, 'l> fn(&'a Lowering<'l>) -> Result<Vec<Desired>, Diagnostics>;

impl Lowering<'_> {
    /// All that an instance becomes, in the order in which it is planned: each stage reads what the ones before became.
    pub const STAGES: [Stage; 5] = [
        |it| it.parts(),
        |it| azure::links(it),
        |it| it.resources(),
        |it| it.hosted(),
        |it| it.balanced(),
    ];

    /// Returns the one resource of the instance that has an address.
    ///
    /// # Errors
    /// No provider for it, or values that do not fit together.
    pub fn resource(&self, address: &Address) -> Result<Option<Desired>, Diagnostics> {
        let one = Lowering {
            only: Some(address),
            ..*self
        };
        for stage in Self::STAGES {
            let mut lowered = stage(&one)?.into_iter();
            if let Some(found) = lowered.find(|desired| desired.address == *address) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether a resource is asked for.
    fn is_meant(&self, address: &Address) -> bool {
        self.only.is_none_or(|only| only == address)
    }

    /// Returns what the instance is made of beside itself, and reads.
    fn parts(&self) -> Result<Vec<Desired>, Diagnostics> {
        match self.declaration.decode(self.record)? {
            Block::Service(service) => container::parts_of_service(self, &service),
            Block::Simulator(simulator) => simulator::parts(self, &simulator),
            Block::Node(_) | Block::Pool(_) | Block::Network(_) => azure::parts(self),
            Block::Program(_) | Block::Metrics(_) | Block::Webhook(_) | Block::Alert(_) | Block::Value(_) => {
                Ok(Vec::new())
            }
        }
    }

    /// Returns the resources that the instance expands to, without its parts.
    fn resources(&self) -> Result<Vec<Desired>, Diagnostics> {
        match self.declaration.decode(self.record)? {
            Block::Node(_) => Ok(vec![node::resource(self)?]),
            Block::Pool(pool) => node::members(self, &pool),
            Block::Simulator(simulator) => Ok(simulator::resource(self, &simulator)?.into_iter().collect()),
            Block::Network(network) => Ok(network::resource(self, &network)?.into_iter().collect()),
            Block::Service(service) => Ok(vec![container::service(self, &service)?]),
            // They are only asked, or told.
            Block::Metrics(_) | Block::Webhook(_) | Block::Alert(_) => Ok(Vec::new()),
            // What runs it takes it along.
            Block::Program(program) => limits::check_program(self, &program).map(|()| Vec::new()),
            Block::Value(value) => {
                let mut attributes = Attributes::new();
                attributes.set("input", value.input.unwrap_or(Value::NULL));
                attributes.set("triggers_replace", value.triggers_replace.unwrap_or(Value::NULL));
                let provider = ProviderConfig {
                    name: builtin::NAME.into(),
                    settings: Attributes::new(),
                };
                Ok(vec![self.desired(
                    self.address.clone(),
                    builtin::VALUE,
                    provider,
                    attributes,
                )])
            }
        }
    }

    /// Returns what the nodes run themselves that the instance expands to.
    fn hosted(&self) -> Result<Vec<Desired>, Diagnostics> {
        match self.address.block() {
            "node" => node_process::of_node(self),
            "pool" => node_process::of_members(self),
            _ => Ok(Vec::new()),
        }
    }

    /// Returns what spreads requests over what the instance expands to.
    fn balanced(&self) -> Result<Vec<Desired>, Diagnostics> {
        match self.declaration.decode(self.record)? {
            Block::Pool(pool) => load_balancer::of_pool(self, &pool),
            _ => Ok(Vec::new()),
        }
    }

    fn desired(&self, address: Address, kind: Kind, provider: ProviderConfig, attributes: Attributes) -> Desired {
        let mut spans = self.record.spans();
        let renamed = spans.iter().filter_map(|(&name, span)| {
            let called = in_resource(name);
            (called != name).then(|| (called, span.clone()))
        });
        let renamed: Vec<(&'static str, Span)> = renamed.collect();
        spans.extend(renamed);
        Desired {
            address,
            kind,
            provider,
            attributes,
            depends_on: self.depends_on.clone(),
            hosted_on: None,
            span: Some(self.declaration.span.clone()),
            spans,
            because: None,
            policy: Policy::of(self.declaration, self.triggers.to_vec(), self.create_before_destroy),
        }
    }

    /// Returns the configuration of the provider that has a node or a member of a pool.
    fn provider_of(&self, host: &Address) -> Result<ProviderConfig, Diagnostics> {
        if let Some(engine) = host::engine_of(self, host)? {
            return Ok(engine);
        }
        if let Some(agent) = host::agent_of(self, host)? {
            return Ok(agent);
        }
        match self.config.declaration_of(host) {
            Some(declaration) => self.provider(declaration, &node::NODE),
            None => Ok(ProviderConfig {
                name: LOCAL_PROVIDER.into(),
                settings: Attributes::new(),
            }),
        }
    }

    /// Returns the configuration of the provider that has a declaration's objects: the one that it names, else the only
    /// configured one that offers the kind.
    fn provider(&self, declaration: &Declaration, kind: &Kind) -> Result<ProviderConfig, Diagnostics> {
        let named = declaration.meta.provider.as_ref();
        let module: Vec<Arc<str>> = declaration
            .address
            .modules()
            .iter()
            .map(|step| step.name.clone())
            .collect();
        let known = |name: &str, alias: Option<&str>| self.config.provider_in(&module, name, alias);
        let blocks: Vec<&ProviderBlock> = match named {
            Some(named) => known(&named.name, named.alias.as_deref()).into_iter().collect(),
            None => {
                let offering = self.offering(kind);
                offering.filter_map(|name| known(name, None)).collect()
            }
        };
        let at = named.map_or_else(|| declaration.span.clone(), |named| named.span.clone());
        let error = |summary: &'static str, detail: String, hint: String| {
            let diagnostic = Diagnostic::error(summary, detail)
                .on(self.address.clone())
                .at(at.clone())
                .hint(hint);
            Diagnostics::from(diagnostic)
        };
        match (blocks.as_slice(), named) {
            ([block], _) => {
                let record = (self.settings)(block)?;
                Ok(ProviderConfig {
                    name: block.name.clone(),
                    settings: record.attributes(),
                })
            }
            ([], Some(named)) if self.registry.get(&named.name).is_some() => {
                // A provider that needs no settings needs no block.
                Ok(ProviderConfig {
                    name: named.name.clone(),
                    settings: Attributes::new(),
                })
            }
            ([], Some(named)) => Err(error(
                "Unknown provider",
                format!("There is no provider `{}` in this build.", named.name),
                format!(
                    "the providers are {}",
                    self.registry.names().collect::<Vec<_>>().join(", ")
                ),
            )),
            ([], None) => {
                let (detail, hint) = self.none_offers(kind);
                Err(error("No provider", detail, hint))
            }
            (several, _) => Err(error(
                "Several providers",
                format!(
                    "`{kind}` is offered by {}.",
                    several
                        .iter()
                        .map(|block| block.name.to_string())
                        .collect::<Vec<_>>()
                        .join(" and ")
                ),
                format!("say which one: provider = {}", several[0].name),
            )),
        }
    }

    /// Returns what is told where no configured provider without an alias offers a kind, and what to do about it.
    fn none_offers(&self, kind: &Kind) -> (String, String) {
        let offering: Vec<&str> = self.offering(kind).filter(|name| *name != FOR_TESTS).collect();
        let blocks = self.config.providers.iter();
        let others = blocks.filter(|block| offering.contains(&&*block.name));
        let aliases = others.filter_map(|block| Some(format!("{}.{}", block.name, block.alias.as_ref()?)));
        let aliases: Vec<String> = aliases.collect();
        if let Some(first) = aliases.first() {
            let aliases = aliases.join(" and ");
            return (
                format!("`{kind}` is offered by {aliases}, used only where it is named."),
                format!("say which one: provider = {first}"),
            );
        }
        let blocks: Vec<String> = offering.iter().map(|name| format!("provider {name:?} {{}}")).collect();
        (
            format!("No configured provider offers the kind `{kind}`."),
            format!("add a provider block: {}", blocks.join(" or ")),
        )
    }

    /// Returns the providers of this build that have a kind.
    fn offering<'k>(&'k self, kind: &'k Kind) -> impl Iterator<Item = &'static str> + use<'k> {
        let registry = self.registry;
        let names = registry.names();
        names.filter(move |name| registry.schema(name, kind).is_some())
    }

    /// Returns how simulators on the nodes of a provider are managed.
    fn hosting(&self, provider: &str) -> Hosting {
        self.registry
            .get(provider)
            .map_or(Hosting::Nothing, |provider| provider.hosting())
    }
}

/// Returns the node that `placement = "local"` stands for where none of that name is declared.
pub fn implied_local_node() -> Desired {
    let address = layout::local_node();
    Desired {
        kind: node::NODE,
        provider: ProviderConfig {
            name: LOCAL_PROVIDER.into(),
            settings: Attributes::new(),
        },
        attributes: Attributes::from_iter([("name", address.to_string())]),
        address,
        depends_on: BTreeSet::new(),
        hosted_on: None,
        span: None,
        spans: BTreeMap::new(),
        because: None,
        policy: Policy::default(),
    }
}

/// Returns what others read of one instance of a declaration: what is declared, and the outputs of what it became.
///
/// # Errors
/// Values that do not fit together.
pub fn value(
    declaration: &Declaration,
    address: &Address,
    record: &Record,
    layout: &Layout,
    objects: &dyn Objects,
) -> Result<Value, Diagnostics> {
    let outputs = match declaration.decode(record)? {
        Block::Node(_) => node::outputs(address, Some(record), objects),
        Block::Pool(_) => node::pool_outputs(address, record, layout, objects),
        Block::Simulator(simulator) => simulator::outputs(address, &simulator, layout, objects),
        Block::Network(_) => network::outputs(address, record, objects),
        Block::Service(_) => container::outputs(address, objects),
        Block::Metrics(_) | Block::Webhook(_) | Block::Alert(_) => vec![("name", name_of(address).into())],
        Block::Program(program) => vec![("id", (&*program.id).into()), ("name", name_of(address).into())],
        Block::Value(_) => stored_outputs(address, record, objects),
    };
    let field = |name: &Arc<str>| {
        let output = outputs.iter().find(|(output, _)| *output == &**name);
        let value = output.map(|(_, value)| value).or_else(|| record.get(name));
        (Arc::clone(name), value.cloned().unwrap_or(Value::NULL))
    };
    Ok(Value::object(declaration.parts().iter().map(field)).with_origin(address.clone()))
}

/// Returns what others read of a stored value, beside what is declared.
fn stored_outputs(address: &Address, record: &Record, objects: &dyn Objects) -> Vec<(&'static str, Value)> {
    let attributes = objects.attributes(address);
    let field = |name: &'static str| match &attributes {
        Some(attributes) => attributes.get(name).cloned().unwrap_or(Value::NULL),
        None => Value::unknown(format!("{address}.{name}")),
    };
    let input = record.get("input");
    let mut outputs = vec![("id", field("id"))];
    outputs.push(match (input, field("output")) {
        // Of a secret that is kept without a key the state has a digest only: where that is of what is declared, this is it.
        (Some(input), kept) if kept.has_redacted() && same(Some(input), Some(&kept)) => ("output", input.clone()),
        (_, kept) => ("output", kept),
    });
    // What was made of the time is as it was made.
    if input.is_some_and(|input| !input.is_known()) {
        outputs.push(("input", field("input")));
    }
    outputs
}

/// Returns a name made of an address that tells instances of a block apart: `quad-0`, `iris-x`, `field-m2`.
pub fn name_of(address: &Address) -> String {
    let mut name = String::new();
    let modules = address.modules().iter().map(|step| (&*step.name, step.key.as_ref()));
    for (part, key) in modules.chain([(address.name(), address.key())]) {
        if !name.is_empty() {
            name.push('-');
        }
        name.push_str(part);
        match key {
            Some(simfleet_provider_api::Key::Index(index)) => name.push_str(&format!("-{index}")),
            Some(simfleet_provider_api::Key::Name(key)) => name.push_str(&format!("-{key}")),
            None => {}
        }
    }
    match address.child_name() {
        Some(child) => format!("{name}-{child}"),
        None => name,
    }
}
