//! What the machines of a fleet cost an hour, before and after a plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Price};
use simfleet_state::ProviderConfig;

use super::{Action, Change};
use crate::lower::{Layout, number_of};
use crate::providers::Registry;

/// What machines cost an hour, as far as their prices are known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Costs {
    /// By currency, before and after.
    pub hourly: BTreeMap<Arc<str>, (f64, f64)>,
    /// The machines that there are afterwards and of which no price is known, with what they are.
    pub unpriced: BTreeMap<Address, String>,
}

impl Costs {
    /// Returns what the machines of a plan cost. A pool's own price comes before what its provider lists.
    pub(super) fn of(changes: &[Change], layout: &Layout, registry: &Registry) -> Self {
        let mut costs = Costs::default();
        for change in changes.iter().filter(|change| change.deposed.is_none()) {
            let before = change.before.as_ref().filter(|_| change.action != Action::Create);
            let before = before.filter(|machine| !is_off(machine));
            let before = price(change, change.provider_before.as_ref(), before, layout, registry);
            let after = change.after.as_ref().filter(|_| !change.waits);
            let after = price(
                change,
                change.provider.as_ref().or(change.provider_before.as_ref()),
                after,
                layout,
                registry,
            );
            if let Some(Price::Hourly { amount, currency }) = before {
                costs.hourly.entry(currency).or_default().0 += amount;
            }
            match after {
                Some(Price::Hourly { amount, currency }) => costs.hourly.entry(currency).or_default().1 += amount,
                Some(Price::Unknown { of }) => _ = costs.unpriced.insert(change.address.clone(), of),
                None => {}
            }
        }
        for (before, after) in costs.hourly.values_mut() {
            (*before, *after) = (rounded(*before), rounded(*after));
        }
        costs
    }

    /// Whether nothing costs anything, as far as is known.
    pub fn is_empty(&self) -> bool {
        self.hourly.is_empty() && self.unpriced.is_empty()
    }
}

/// Whether a machine is there and not paid for: only its disks are.
fn is_off(machine: &Attributes) -> bool {
    machine.str("status") == Some("deallocated")
}

fn price(
    change: &Change,
    provider: Option<&ProviderConfig>,
    machine: Option<&Attributes>,
    layout: &Layout,
    registry: &Registry,
) -> Option<Price> {
    let (provider, machine) = (provider?, machine?);
    let is_member = change.address.block() == "pool" && number_of(&change.address).is_some();
    let pool = is_member.then(|| layout.pools.get(&change.address.parent()));
    let own = pool.flatten().and_then(|pool| {
        Some(Price::Hourly {
            amount: pool.declared.price_hourly?,
            currency: pool.declared.currency().into(),
        })
    });
    own.or_else(|| {
        registry
            .get(&provider.name)?
            .price(&provider.settings, &change.kind, machine)
    })
}

/// Sums of prices are shown as people add them up.
fn rounded(amount: f64) -> f64 {
    (amount * 1e6).round() / 1e6
}
