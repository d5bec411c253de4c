//! Virtual networks and their subnets.

use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::message::{ArmError, Result};
use crate::network::{check_names, without_answers};
use crate::resource::{Resource, default, items, items_mut, object, text};
use crate::show::references;
use crate::world::{Asked, Made, World};

impl World {
    pub(crate) fn make_virtual_network(
        &self,
        asked: &Asked,
        mut body: Map<String, Value>,
        existing: Option<&Resource>,
    ) -> Result<Made> {
        let properties = object(&mut body, "properties");
        for member in ["provisioningState", "resourceGuid"] {
            properties.remove(member);
        }
        let prefixes = properties
            .get("addressSpace")
            .and_then(|space| space.get("addressPrefixes"));
        let prefixes: Vec<Ipv4Net> = match prefixes.and_then(Value::as_array) {
            Some(prefixes) if !prefixes.is_empty() => {
                let parsed = prefixes
                    .iter()
                    .map(|prefix| network(prefix.as_str().unwrap_or_default()));
                parsed.collect::<Result<_>>()?
            }
            _ => {
                return Err(ArmError::bad(
                    "InvalidRequestFormat",
                    "Cannot parse the request: addressSpace.addressPrefixes is missing.",
                ));
            }
        };
        default(properties, "subnets", json!([]));
        default(properties, "virtualNetworkPeerings", json!([]));
        default(properties, "enableDdosProtection", json!(false));
        default(properties, "privateEndpointVNetPolicies", json!("Disabled"));
        check_names(properties, "subnets")?;
        without_answers(properties, "subnets");
        let mut taken: Vec<(String, Ipv4Net)> = Vec::new();
        for subnet in items_mut(properties, "subnets") {
            let name = text(subnet, "name").unwrap_or_default().to_owned();
            let inner = object(subnet, "properties");
            for member in ["ipConfigurations", "purpose"] {
                inner.remove(member);
            }
            default(inner, "delegations", json!([]));
            default(inner, "privateEndpointNetworkPolicies", json!("Disabled"));
            default(inner, "privateLinkServiceNetworkPolicies", json!("Enabled"));
            for range in ranges(inner)? {
                if !prefixes.iter().any(|prefix| prefix.contains(&range)) {
                    return Err(ArmError::bad(
                        "NetcfgInvalidSubnet",
                        format!("Subnet '{name}' is not valid in virtual network '{}'.", asked.name),
                    ));
                }
                if let Some((other, _)) = taken
                    .iter()
                    .find(|(_, other)| other.contains(&range) || range.contains(other))
                {
                    return Err(ArmError::bad(
                        "NetcfgSubnetRangesOverlap",
                        format!(
                            "Subnet '{name}' is not valid because its IP address range overlaps with that of an existing subnet in virtual network '{}' (subnet '{other}').",
                            asked.name
                        ),
                    ));
                }
                taken.push((name.clone(), range));
            }
        }
        // Subnets that are not named any more are deleted.
        for subnet in existing
            .and_then(Resource::properties)
            .into_iter()
            .flat_map(|old| items(old, "subnets"))
        {
            let name = text(subnet, "name").unwrap_or_default();
            let kept = items(properties, "subnets")
                .find(|kept| text(kept, "name").is_some_and(|kept| kept.eq_ignore_ascii_case(name)));
            let range = |subnet: &Map<String, Value>| subnet.get("properties").and_then(Value::as_object).map(ranges);
            if let Some(existing) = existing
                && kept.is_none_or(|kept| range(kept) != range(subnet))
            {
                self.check_subnet_unused(existing, name)?;
            }
        }
        Ok(Made {
            body,
            ..Made::default()
        })
    }

    /// Checks that nothing is in a subnet.
    pub(crate) fn check_subnet_unused(&self, network: &Resource, subnet: &str) -> Result<()> {
        let id = format!("{}/subnets/{subnet}", network.id);
        let interfaces = self.parts_that_refer(&id, Kind::Interface, "ipConfigurations");
        let frontends = self.parts_that_refer(&id, Kind::LoadBalancer, "frontendIPConfigurations");
        let sets = self
            .that_refer(&id, Kind::ScaleSet)
            .into_iter()
            .map(|set| set.id.clone());
        let Some(by) = interfaces.into_iter().chain(frontends).chain(sets).next() else {
            return Ok(());
        };
        Err(ArmError::bad(
            "InUseSubnetCannotBeDeleted",
            format!(
                "Subnet {subnet} is in use by {by} and cannot be deleted. In order to delete the subnet, delete all the resources \
                 within the subnet. See aka.ms/deletesubnet."
            ),
        ))
    }

    pub(crate) fn show_virtual_network(&self, resource: &Resource, properties: &mut Map<String, Value>) {
        for subnet in items_mut(properties, "subnets") {
            let id = format!("{}/subnets/{}", resource.id, text(subnet, "name").unwrap_or_default());
            let inside = self.parts_that_refer(&id, Kind::Interface, "ipConfigurations");
            if !inside.is_empty() {
                object(subnet, "properties").insert("ipConfigurations".to_owned(), references(inside));
            }
        }
    }

    /// Returns the range of a subnet, by its id.
    pub(crate) fn subnet_range(&self, id: &str) -> Option<Ipv4Net> {
        let holder = self.holder(&id.to_lowercase())?;
        let name = crate::resource::last(id);
        let mut subnets = items(holder.properties()?, "subnets");
        let subnet =
            subnets.find(|subnet| text(subnet, "name").is_some_and(|known| known.eq_ignore_ascii_case(name)))?;
        ranges(subnet.get("properties")?.as_object()?).ok()?.into_iter().next()
    }
}

fn network(text: &str) -> Result<Ipv4Net> {
    let parsed: Option<Ipv4Net> = text.parse().ok();
    parsed.filter(|net| net.network() == net.addr()).ok_or_else(|| {
        ArmError::bad(
            "InvalidCIDRNotation",
            format!("The address prefix {text} is not a valid CIDR notation of a network."),
        )
    })
}

/// Returns the ranges of a subnet: one, or some.
fn ranges(subnet: &Map<String, Value>) -> Result<Vec<Ipv4Net>> {
    let mut given: Vec<&str> = text(subnet, "addressPrefix").into_iter().collect();
    if let Some(more) = subnet.get("addressPrefixes").and_then(Value::as_array)
        && given.is_empty()
    {
        given.extend(more.iter().filter_map(Value::as_str));
    }
    if given.is_empty() {
        return Err(ArmError::bad(
            "NoAddressPrefixOrPoolProvided",
            "Resource of type subnet must have an address prefix or pool provided.",
        ));
    }
    given.into_iter().map(network).collect()
}
