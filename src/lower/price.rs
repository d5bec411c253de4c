//! What the members of a pool cost an hour where the pool does not say: what its provider lists. Pure.

use simfleet_provider_api::{Attributes, Price, Value};

use super::azure::VM;
use crate::config::blocks::Pool;
use crate::config::{Config, Declaration, ProviderBlock, Record};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::providers::Registry;

/// The currency of budgets that do not say, and of what is listed.
const CURRENCY: &str = "USD";

/// Gives a pool the price of its members that is listed, where it has none of its own.
///
/// # Errors
/// A budget without a price, and settings of the provider that cannot be evaluated.
pub fn price(
    pool: &mut Pool,
    config: &Config,
    registry: &Registry,
    (declaration, record): (&Declaration, &Record),
    settings: &dyn Fn(&ProviderBlock) -> Result<Record, Diagnostics>,
) -> Result<(), Diagnostics> {
    if pool.price_hourly.is_some() {
        return Ok(());
    }
    let listed = listed(config, registry, declaration, record, settings)?;
    let currency = pool.currency().to_owned();
    let lacks = match listed {
        Some(Price::Hourly {
            amount,
            currency: of_it,
        }) if *of_it == *currency => {
            pool.price_hourly = Some(amount);
            return Ok(());
        }
        Some(Price::Hourly { currency: of_it, .. }) => {
            format!("the price that is listed is in {of_it}, the budget in {currency}")
        }
        Some(Price::Unknown { of }) => format!("no price is listed of {of}"),
        None => return Ok(()),
    };
    if pool.autoscale.budget.is_none() {
        return Ok(());
    }
    let budgets = record
        .blocks("autoscale")
        .flat_map(|autoscale| autoscale.blocks("budget"));
    let span = budgets.map(|budget| budget.span().clone()).next();
    let detail = format!("A `budget` needs to know what a member costs: {lacks}.");
    let diagnostic = Diagnostic::error("E25 budget without a price", detail).on(declaration.address.clone());
    let hint = "set price_hourly in the pool; `prices` in the provider block has those of sizes, in USD";
    Err(diagnostic.at(span).hint(hint).into())
}

/// Returns what a provider lists for the template of a pool; `None` where it lists nothing.
fn listed(
    config: &Config,
    registry: &Registry,
    declaration: &Declaration,
    record: &Record,
    settings: &dyn Fn(&ProviderBlock) -> Result<Record, Diagnostics>,
) -> Result<Option<Price>, Diagnostics> {
    let Some(named) = &declaration.meta.provider else {
        return Ok(None);
    };
    let Some(provider) = registry
        .get(&named.name)
        .filter(|provider| provider.schema(&VM).is_some())
    else {
        return Ok(None);
    };
    let block = config.provider_in(&declaration.address.module_path(), &named.name, named.alias.as_deref());
    let settings = match block {
        Some(block) => settings(block)?.attributes(),
        None => Attributes::new(),
    };
    let mut machine = Attributes::new();
    if let Some(template) = record.blocks("node").next() {
        for name in ["size", "spot"] {
            machine.set(name, template.get(name).cloned().unwrap_or(Value::NULL));
        }
    }
    Ok(provider.price(&settings, &VM, &machine))
}

impl Pool {
    /// Returns the currency of its price.
    pub fn currency(&self) -> &str {
        let budget = self.autoscale.budget.as_ref();
        budget.map_or(CURRENCY, |budget| &*budget.currency)
    }
}
