//! Load balancers: frontends, pools, probes, rules.

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::message::{ArmError, Result};
use crate::network::{check_names, without_answers, word};
use crate::resource::{Resource, default, items, items_mut, object, reference, text};
use crate::show::references;
use crate::world::{Asked, Made, World};

impl World {
    pub(crate) fn make_load_balancer(
        &self,
        asked: &Asked,
        mut body: Map<String, Value>,
        existing: Option<&Resource>,
    ) -> Result<Made> {
        let sku = object(&mut body, "sku");
        default(sku, "name", json!("Standard"));
        default(sku, "tier", json!("Regional"));
        let name = word(text(sku, "name"), &["Basic", "Standard", "Gateway"], "sku.name")?;
        sku.insert("name".to_owned(), json!(name));
        let properties = object(&mut body, "properties");
        for member in ["provisioningState", "resourceGuid"] {
            properties.remove(member);
        }
        for list in asked.kind.children() {
            default(properties, list, json!([]));
            check_names(properties, list)?;
            without_answers(properties, list);
        }
        for item in items_mut(properties, "backendAddressPools") {
            let inner = object(item, "properties");
            for member in ["backendIPConfigurations", "loadBalancingRules", "outboundRules"] {
                inner.remove(member);
            }
            default(inner, "loadBalancerBackendAddresses", json!([]));
        }
        for item in items_mut(properties, "frontendIPConfigurations") {
            let inner = object(item, "properties");
            inner.remove("loadBalancingRules");
            default(inner, "privateIPAllocationMethod", json!("Dynamic"));
            if reference(inner, "subnet").is_none() && reference(inner, "publicIPAddress").is_none() {
                return Err(ArmError::bad(
                    "LoadBalancerFrontendIPConfigMustHavePublicIPOrSubnet",
                    format!(
                        "A frontend of {} must reference either a subnet or a public IP address.",
                        asked.id
                    ),
                ));
            }
        }
        for item in items_mut(properties, "probes") {
            make_probe(item)?;
        }
        for item in items_mut(properties, "loadBalancingRules") {
            make_rule(asked, item)?;
        }
        if let Some(existing) = existing {
            let kept =
                |name: &str| items(properties, "backendAddressPools").any(|pool| text(pool, "name") == Some(name));
            for pool in existing
                .properties()
                .into_iter()
                .flat_map(|old| items(old, "backendAddressPools"))
            {
                let name = text(pool, "name").unwrap_or_default();
                if !kept(name) {
                    self.check_pool_unused(existing, name)?;
                }
            }
        }
        Ok(Made {
            body,
            ..Made::default()
        })
    }

    pub(crate) fn check_pools_unused(&self, resource: &Resource) -> Result<()> {
        let pools = resource
            .properties()
            .into_iter()
            .flat_map(|properties| items(properties, "backendAddressPools"));
        for pool in pools {
            // Interfaces let go of a balancer that is deleted; scale sets do not.
            let id = format!(
                "{}/backendAddressPools/{}",
                resource.id,
                text(pool, "name").unwrap_or_default()
            );
            if let Some(set) = self.that_refer(&id, Kind::ScaleSet).first() {
                return Err(in_use(resource, &id, &set.id));
            }
            if let Some(by) = self.parts_that_refer(&id, Kind::Interface, "ipConfigurations").first() {
                return Err(in_use(resource, &id, by));
            }
        }
        Ok(())
    }

    pub(crate) fn check_pool_unused(&self, resource: &Resource, pool: &str) -> Result<()> {
        let id = format!("{}/backendAddressPools/{pool}", resource.id);
        let interfaces = self.parts_that_refer(&id, Kind::Interface, "ipConfigurations");
        let sets = self
            .that_refer(&id, Kind::ScaleSet)
            .into_iter()
            .map(|set| set.id.clone());
        match interfaces.into_iter().chain(sets).next() {
            Some(by) => Err(in_use(resource, &id, &by)),
            None => Ok(()),
        }
    }

    pub(crate) fn show_load_balancer(&self, properties: &mut Map<String, Value>) {
        let rules: Vec<(String, Vec<String>)> = items(properties, "loadBalancingRules")
            .map(|rule| {
                let id = text(rule, "id").unwrap_or_default().to_owned();
                let refers = crate::references::all(rule);
                (id, refers.into_iter().map(|id| id.to_lowercase()).collect())
            })
            .collect();
        for list in ["frontendIPConfigurations", "backendAddressPools", "probes"] {
            for item in items_mut(properties, list) {
                let id = text(item, "id").unwrap_or_default().to_lowercase();
                let by: Vec<String> = rules
                    .iter()
                    .filter(|(_, refers)| refers.contains(&id))
                    .map(|(rule, _)| rule.clone())
                    .collect();
                let inner = object(item, "properties");
                if !by.is_empty() {
                    inner.insert("loadBalancingRules".to_owned(), references(by));
                }
                if list == "backendAddressPools" {
                    let members = self.parts_that_refer(&id, Kind::Interface, "ipConfigurations");
                    if !members.is_empty() {
                        inner.insert("backendIPConfigurations".to_owned(), references(members));
                    }
                }
            }
        }
    }
}

fn in_use(resource: &Resource, pool: &str, by: &str) -> ArmError {
    ArmError::bad(
        "LoadBalancerInUseByVirtualMachineScaleSet",
        format!(
            "Cannot delete load balancer {} or its child {pool} since it is in use by {by}.",
            resource.id
        ),
    )
}

fn make_probe(item: &mut Map<String, Value>) -> Result<()> {
    let name = text(item, "name").unwrap_or_default().to_owned();
    let inner = object(item, "properties");
    inner.remove("loadBalancingRules");
    let protocol = word(text(inner, "protocol"), &["Tcp", "Http", "Https"], "protocol")?;
    if protocol != "Tcp" && text(inner, "requestPath").is_none() {
        return Err(ArmError::bad(
            "ProbeRequestPathIsMissing",
            format!("Probe {name} must have a request path."),
        ));
    }
    check_port(inner, "port", &name)?;
    inner.insert("protocol".to_owned(), json!(protocol));
    default(inner, "intervalInSeconds", json!(15));
    default(inner, "numberOfProbes", json!(2));
    default(inner, "probeThreshold", json!(1));
    default(inner, "noHealthyBackendsBehavior", json!("AllProbedDown"));
    Ok(())
}

fn make_rule(asked: &Asked, item: &mut Map<String, Value>) -> Result<()> {
    let name = text(item, "name").unwrap_or_default().to_owned();
    let inner = object(item, "properties");
    let protocol = word(text(inner, "protocol"), &["Tcp", "Udp", "All"], "protocol")?;
    inner.insert("protocol".to_owned(), json!(protocol));
    check_port(inner, "frontendPort", &name)?;
    check_port(inner, "backendPort", &name)?;
    if reference(inner, "frontendIPConfiguration").is_none() {
        return Err(ArmError::bad(
            "LoadBalancingRuleMustHaveFrontendIPConfiguration",
            format!(
                "Load balancing rule {}/loadBalancingRules/{name} must reference a frontend.",
                asked.id
            ),
        ));
    }
    if let Some(pool) = inner.get("backendAddressPool").cloned() {
        default(inner, "backendAddressPools", json!([pool]));
    } else if let Some(pool) = inner
        .get("backendAddressPools")
        .and_then(Value::as_array)
        .and_then(|pools| pools.first())
        .cloned()
    {
        inner.insert("backendAddressPool".to_owned(), pool);
    }
    for (name, value) in [
        ("idleTimeoutInMinutes", json!(4)),
        ("enableFloatingIP", json!(false)),
        ("enableTcpReset", json!(false)),
        ("disableOutboundSnat", json!(false)),
        ("loadDistribution", json!("Default")),
    ] {
        default(inner, name, value);
    }
    Ok(())
}

fn check_port(inner: &Map<String, Value>, port: &str, name: &str) -> Result<()> {
    let number = inner.get(port).and_then(Value::as_u64);
    if number.is_some_and(|number| number <= 65_535) {
        return Ok(());
    }
    Err(ArmError::bad(
        "InvalidPort",
        format!("The {port} of {name} is missing, or no port."),
    ))
}
