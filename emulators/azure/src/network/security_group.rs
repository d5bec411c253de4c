//! Network security groups and their rules.

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::message::{ArmError, Result};
use crate::network::{check_names, without_answers, word};
use crate::resource::{Resource, default, items_mut, object, text};
use crate::show::references;
use crate::world::{Made, World};

pub(crate) fn make(mut body: Map<String, Value>) -> Result<Made> {
    let properties = object(&mut body, "properties");
    for member in [
        "provisioningState",
        "resourceGuid",
        "subnets",
        "networkInterfaces",
        "flowLogs",
    ] {
        properties.remove(member);
    }
    default(properties, "securityRules", json!([]));
    check_names(properties, "securityRules")?;
    without_answers(properties, "securityRules");
    let mut taken: Vec<(u64, String, String)> = Vec::new();
    for rule in items_mut(properties, "securityRules") {
        let name = text(rule, "name").unwrap_or_default().to_owned();
        let rule = object(rule, "properties");
        let (priority, direction) = check_rule(&name, rule)?;
        let other = taken
            .iter()
            .find(|(other, towards, _)| *other == priority && *towards == direction);
        if let Some((_, _, other)) = other {
            return Err(ArmError::bad(
                "SecurityRuleConflict",
                format!(
                    "Security rule {name} conflicts with rule {other}. Rules cannot have the same Priority and Direction. To learn \
                     more, see aka.ms/nsgrules."
                ),
            ));
        }
        taken.push((priority, direction, name));
    }
    properties.insert("defaultSecurityRules".to_owned(), defaults());
    Ok(Made {
        body,
        ..Made::default()
    })
}

/// Checks a rule and fills in its defaults. Returns its priority and its direction.
fn check_rule(name: &str, rule: &mut Map<String, Value>) -> Result<(u64, String)> {
    const PROTOCOLS: [&str; 6] = ["Tcp", "Udp", "Icmp", "Esp", "Ah", "*"];
    let protocol = word(text(rule, "protocol"), &PROTOCOLS, "protocol")?;
    let access = word(text(rule, "access"), &["Allow", "Deny"], "access")?;
    let direction = word(text(rule, "direction"), &["Inbound", "Outbound"], "direction")?;
    let priority = rule.get("priority").and_then(Value::as_u64).unwrap_or_default();
    if !(100..=4096).contains(&priority) {
        return Err(ArmError::bad(
            "SecurityRuleInvalidPriority",
            format!(
                "Security rule has invalid Priority. Value provided: {priority} Allowed range 100-4096. Rule: {name}."
            ),
        ));
    }
    for (one, many) in [
        ("sourcePortRange", "sourcePortRanges"),
        ("destinationPortRange", "destinationPortRanges"),
        ("sourceAddressPrefix", "sourceAddressPrefixes"),
        ("destinationAddressPrefix", "destinationAddressPrefixes"),
    ] {
        default(rule, many, json!([]));
        let list: Vec<String> = serde_json::from_value(rule.get(many).cloned().unwrap_or_default()).unwrap_or_default();
        let single = text(rule, one).map(str::to_owned);
        let groups = one == "sourceAddressPrefix" && rule.contains_key("sourceApplicationSecurityGroups")
            || one == "destinationAddressPrefix" && rule.contains_key("destinationApplicationSecurityGroups");
        if single.is_none() && list.is_empty() && !groups {
            return Err(ArmError::bad(
                "SecurityRuleParameterContainsUnsupportedValue",
                format!(
                    "Required security rule parameters are missing for security rule with Id: {name}. Security rule must specify {one} or {many}."
                ),
            ));
        }
        if single.is_some() && !list.is_empty() {
            return Err(ArmError::bad(
                "SecurityRuleInvalidRequestFormat",
                format!("Security rule {name} must not specify both {one} and {many}."),
            ));
        }
        for value in single.iter().chain(&list) {
            let valid = if one.ends_with("PortRange") {
                is_ports(value)
            } else {
                is_prefix(value)
            };
            if !valid || (value == "*" && single.is_none()) {
                let code = if one.ends_with("PortRange") {
                    "SecurityRuleInvalidPortRange"
                } else {
                    "SecurityRuleInvalidAddressPrefix"
                };
                return Err(ArmError::bad(
                    code,
                    format!("Security rule has invalid {one}. Value provided: {value}. Rule: {name}."),
                ));
            }
        }
    }
    rule.insert("protocol".to_owned(), json!(protocol));
    rule.insert("access".to_owned(), json!(access));
    rule.insert("direction".to_owned(), json!(direction));
    rule.remove("provisioningState");
    Ok((priority, direction))
}

fn is_ports(text: &str) -> bool {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.parse::<u16>(), to.parse::<u16>()) {
        (Ok(from), Ok(to)) => from <= to,
        _ => text == "*",
    }
}

fn is_prefix(text: &str) -> bool {
    // A service tag is a name, perhaps with a region.
    let is_tag = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    let is_address = text.parse::<ipnet::IpNet>().is_ok() || text.parse::<std::net::IpAddr>().is_ok();
    text == "*" || is_address || (is_tag && !text.contains('/'))
}

/// Returns the rules that every group has.
fn defaults() -> Value {
    const ALL: [(&str, &str, u32, &str, &str, &str); 6] = [
        (
            "AllowVnetInBound",
            "Inbound",
            65000,
            "Allow",
            "VirtualNetwork",
            "VirtualNetwork",
        ),
        (
            "AllowAzureLoadBalancerInBound",
            "Inbound",
            65001,
            "Allow",
            "AzureLoadBalancer",
            "*",
        ),
        ("DenyAllInBound", "Inbound", 65500, "Deny", "*", "*"),
        (
            "AllowVnetOutBound",
            "Outbound",
            65000,
            "Allow",
            "VirtualNetwork",
            "VirtualNetwork",
        ),
        ("AllowInternetOutBound", "Outbound", 65001, "Allow", "*", "Internet"),
        ("DenyAllOutBound", "Outbound", 65500, "Deny", "*", "*"),
    ];
    let rule = |(name, direction, priority, access, from, to): (&str, &str, u32, &str, &str, &str)| {
        json!({"name": name, "properties": {
            "protocol": "*", "sourcePortRange": "*", "destinationPortRange": "*",
            "sourceAddressPrefix": from, "destinationAddressPrefix": to,
            "access": access, "priority": priority, "direction": direction,
            "sourcePortRanges": [], "destinationPortRanges": [],
            "sourceAddressPrefixes": [], "destinationAddressPrefixes": [],
        }})
    };
    ALL.into_iter().map(rule).collect()
}

impl World {
    pub(crate) fn show_security_group(&self, resource: &Resource, properties: &mut Map<String, Value>) {
        let subnets: Vec<String> = self.parts_that_refer(&resource.id, Kind::VirtualNetwork, "subnets");
        if !subnets.is_empty() {
            properties.insert("subnets".to_owned(), references(subnets));
        }
        let interfaces = self.that_refer(&resource.id, Kind::Interface);
        if !interfaces.is_empty() {
            let ids = interfaces.into_iter().map(|interface| interface.id.clone());
            properties.insert("networkInterfaces".to_owned(), references(ids));
        }
    }
}
