//! The resource group of a provider block, `provider.azure/group`: it is made where there is none of its name. Nobody declares it,
//! so it is there for as long as something is declared that is in it.

use std::collections::BTreeSet;

use simfleet_provider_api::{Address, Attributes, Key, Kind, Value};
use simfleet_state::ProviderConfig;

use super::super::{Desired, Lowering, Policy};
use crate::config::{Config, IgnoreChanges, ProviderBlock, Record};
use crate::diagnostic::Diagnostics;
use crate::providers::Registry;

const RESOURCE_GROUP: Kind = Kind::new("resource_group");
/// What it is called below the address of its provider block.
const PART: &str = "group";
/// The settings that say which group is meant.
const NAME: &str = "resource_group";
const SETTINGS: [&str; 2] = ["subscription_id", NAME];

/// Evaluates the settings of a provider.
type Settings<'e> = &'e dyn Fn(&ProviderBlock) -> Result<Record, Diagnostics>;

/// Returns the groups of the provider blocks that are used, each once.
///
/// # Errors
/// Settings that cannot be evaluated.
pub fn groups(
    config: &Config,
    registry: &Registry,
    is_used: impl Fn(&ProviderBlock) -> bool,
    settings: Settings<'_>,
) -> Result<Vec<Desired>, Diagnostics> {
    let mut groups: Vec<Desired> = Vec::new();
    for block in with_groups(config, registry).filter(|block| is_used(block)) {
        let settings = settings(block)?.attributes();
        let known = groups.iter().any(|group| is_same(&group.provider.settings, &settings));
        let Some(name) = settings.str(NAME).filter(|_| !known) else {
            continue;
        };
        let attributes = Attributes::from_iter([("name", name)]);
        groups.push(Desired {
            address: address_of(block),
            kind: RESOURCE_GROUP,
            provider: ProviderConfig {
                name: block.name.clone(),
                settings,
            },
            attributes,
            depends_on: BTreeSet::new(),
            hosted_on: None,
            span: Some(block.span.clone()),
            spans: std::collections::BTreeMap::new(),
            because: None,
            policy: Policy {
                // Of one that is found, the tags are somebody's.
                ignored: IgnoreChanges::Only(vec!["tags".into(), "location".into()]),
                ..Policy::default()
            },
        });
    }
    Ok(groups)
}

/// Returns the address of the group that what a provider has is in.
pub(super) fn of(lowering: &Lowering<'_>, provider: &ProviderConfig) -> Result<Option<Address>, Diagnostics> {
    for block in with_groups(lowering.config, lowering.registry) {
        let is_it =
            block.name == provider.name && is_same(&(lowering.settings)(block)?.attributes(), &provider.settings);
        if is_it {
            return Ok(provider.settings.str(NAME).map(|_| address_of(block)));
        }
    }
    Ok(None)
}

/// Whether an object is a group that was there before the fleet.
pub(super) fn is_found(kind: &Kind, seen: &Attributes) -> bool {
    *kind == RESOURCE_GROUP && seen.get("made").and_then(Value::as_bool) == Some(false)
}

/// Returns the blocks of providers that have such groups, in their order.
fn with_groups<'c>(config: &'c Config, registry: &'c Registry) -> impl Iterator<Item = &'c ProviderBlock> {
    let blocks = config.providers.iter();
    blocks.filter(|block| registry.schema(&block.name, &RESOURCE_GROUP).is_some())
}

fn address_of(block: &ProviderBlock) -> Address {
    let address = Address::new("provider", [block.name.clone()]);
    match &block.alias {
        Some(alias) => address.with_key(Key::Name(alias.clone())).child(PART),
        None => address.child(PART),
    }
}

/// Whether two settings are of the same group.
fn is_same(one: &Attributes, other: &Attributes) -> bool {
    let value = |settings: &Attributes, name| settings.get(name).cloned().map(Value::unmarked);
    SETTINGS.iter().all(|name| value(one, name) == value(other, name))
}
