//! How many cores a region gives, and which sizes it has none of.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::catalogue::{SIZES, size};
use crate::kind::Kind;
use crate::message::{Answer, ArmError, Result};
use crate::resource::Price;
use crate::world::{Place, World};

/// Limits that tests set.
#[derive(Debug)]
pub struct Quotas {
    cores: u64,
    limits: BTreeMap<(String, String), u64>,
    restricted: BTreeSet<(String, String)>,
}

impl Quotas {
    /// Begins with the same limit everywhere.
    pub fn new(cores: u64) -> Self {
        Quotas {
            cores,
            limits: BTreeMap::new(),
            restricted: BTreeSet::new(),
        }
    }

    /// Sets how many cores a family has in a region; `cores` is all families together, `lowPriorityCores` those of spot machines.
    pub fn limit(&mut self, location: &str, family: &str, cores: u64) {
        self.limits
            .insert((location.to_lowercase(), family.to_lowercase()), cores);
    }

    /// Lets a region run out of a size, or have it again.
    pub fn restrict(&mut self, location: &str, size: &str, restricted: Restricted) {
        let key = (location.to_lowercase(), size.to_lowercase());
        match restricted {
            Restricted::NotAvailable => self.restricted.insert(key),
            Restricted::Available => self.restricted.remove(&key),
        };
    }

    pub(crate) fn is_restricted(&self, location: &str, size: &str) -> bool {
        self.restricted
            .contains(&(location.to_lowercase(), size.to_lowercase()))
    }

    fn of(&self, location: &str, family: &str) -> u64 {
        let limit = self.limits.get(&(location.to_lowercase(), family.to_lowercase()));
        limit.copied().unwrap_or(self.cores)
    }
}

/// Whether a region has a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restricted {
    /// It does.
    Available,
    /// It has run out of it.
    NotAvailable,
}

impl World {
    /// Checks that a region has so many machines of a size.
    pub(crate) fn check_capacity(
        &self,
        place: &Place,
        name: &str,
        count: u64,
        had: Option<&str>,
        is_spot: bool,
        kind: Kind,
    ) -> Result<()> {
        let location = &place.location;
        let Some((name, family, cores, _)) = size(name) else {
            let known: Vec<&str> = SIZES.iter().map(|(name, ..)| *name).collect();
            return Err(ArmError::parameter(
                "vmSize",
                format!(
                    "The value {name} provided for the VM size is not valid. The valid sizes in the current region are: {}. Find out \
                     more on the valid VM sizes in each region at https://aka.ms/azure-regionservices.",
                    known.join(",")
                ),
            ));
        };
        if count == 0 {
            return Ok(());
        }
        if self.quotas.is_restricted(location, name) {
            return Err(ArmError {
                target: Some(if kind == Kind::Machine { "vmSize" } else { "sku.name" }.to_owned()),
                ..ArmError::new(
                    409,
                    "SkuNotAvailable",
                    format!(
                        "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {name}' is \
                         currently not available in location '{location}'. Please try another size or deploy to a different \
                         location or different zone. See https://aka.ms/azureskunotavailable for details."
                    ),
                )
            });
        }
        let freed = had.and_then(size).map_or(0, |(_, _, cores, _)| cores);
        let more = cores * count;
        let families: &[(&str, &str)] = if is_spot {
            &[("lowPriorityCores", "LowPriorityCores")]
        } else {
            &[("cores", "Total Regional Cores"), (family, family)]
        };
        for (key, called) in families {
            let limit = self.quotas.of(location, key);
            let usage = self
                .cores_used(&place.subscription, location, key)
                .saturating_sub(freed);
            if usage + more > limit {
                let needed = usage + more;
                return Err(ArmError::new(
                    409,
                    "OperationNotAllowed",
                    format!(
                        "Operation could not be completed as it results in exceeding approved {called} quota. Additional details - \
                         Deployment Model: Resource Manager, Location: {location}, Current Limit: {limit}, Current Usage: {usage}, \
                         Additional Required: {more}, (Minimum) New Limit Required: {needed}. Setup Alerts when Quota reaches \
                         threshold. Learn more at https://aka.ms/quotamonitoringalerting . Submit a request for Quota increase at \
                         https://aka.ms/ProdportalCRP/ by specifying parameters listed in the 'Details' section for deployment to \
                         succeed. Please read more about quota limits at \
                         https://docs.microsoft.com/en-us/azure/azure-supportability/per-vm-quota-requests"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn cores_used(&self, subscription: &str, location: &str, family: &str) -> u64 {
        let inside = format!("/subscriptions/{subscription}/").to_lowercase();
        let machines = self
            .resources
            .iter()
            .filter(|(_, resource)| resource.facts.cores.is_some());
        let here = machines.filter(|(key, resource)| resource.location == location && key.starts_with(&inside));
        let cores = here.filter_map(|(_, resource)| {
            let (of, cores, price) = resource.facts.cores?;
            let counts = match family {
                "lowPriorityCores" => price == Price::Spot,
                "cores" => price == Price::Regular,
                _ => price == Price::Regular && of == family,
            };
            counts.then_some(cores)
        });
        cores.sum()
    }

    pub(crate) fn usages(&self, subscription: &str, namespace: &str, location: &str) -> Answer {
        let mut usages = Vec::new();
        let mut add = |name: &str, called: &str, used: u64, limit: u64| {
            usages.push(json!({
                "limit": limit, "unit": "Count", "currentValue": used,
                "name": {"value": name, "localizedValue": called},
            }));
        };
        if namespace == "microsoft.compute" {
            let mut families: Vec<&str> = SIZES.iter().map(|(_, family, ..)| *family).collect();
            families.sort_unstable();
            families.dedup();
            add(
                "cores",
                "Total Regional vCPUs",
                self.cores_used(subscription, location, "cores"),
                self.quotas.of(location, "cores"),
            );
            let spot = self.cores_used(subscription, location, "lowPriorityCores");
            add(
                "lowPriorityCores",
                "Total Regional Spot vCPUs",
                spot,
                self.quotas.of(location, "lowPriorityCores"),
            );
            let machines = self
                .resources
                .values()
                .filter(|resource| resource.kind == Kind::Machine && resource.location == location);
            add("virtualMachines", "Virtual Machines", machines.count() as u64, 25_000);
            for family in families {
                let called = format!("{family} vCPUs");
                add(
                    family,
                    &called,
                    self.cores_used(subscription, location, family),
                    self.quotas.of(location, family),
                );
            }
        }
        Answer::json(200, json!({ "value": Value::Array(usages) }))
    }
}
