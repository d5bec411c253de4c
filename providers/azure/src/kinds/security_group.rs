//! The kind `security_group`: a network security group with its rules.

use serde_json::{Value as Json, json};
use simfleet_provider_api::Presence::Required;
use simfleet_provider_api::{Attribute, Attributes, Kind, Path, Problem, Schema, Type, Value};

use super::{NETWORK_API, items, property, schema_of, tracked};
use crate::names::Rule;
use crate::resource::{Call, Resource, put_changed};
use crate::wanted::Wanted;

/// A network security group.
pub const SECURITY_GROUP: Kind = Kind::new("security_group");

/// Our words for Azure's.
const PROTOCOLS: [(&str, &str); 6] = [
    ("tcp", "Tcp"),
    ("udp", "Udp"),
    ("icmp", "Icmp"),
    ("esp", "Esp"),
    ("ah", "Ah"),
    ("any", "*"),
];

pub(super) struct SecurityGroup;

impl Resource for SecurityGroup {
    fn kind(&self) -> Kind {
        SECURITY_GROUP
    }

    fn make_schema(&self) -> Schema {
        let texts = || Type::Set(Box::new(Type::String));
        let rule = Type::object([
            ("name", Type::String, Required),
            ("priority", Type::Number, Required),
            ("direction", Type::String, Required),
            ("access", Type::String, Required),
            ("protocol", Type::String, Required),
            ("sources", texts(), Required),
            ("ports", texts(), Required),
        ]);
        let rules = Attribute::new(
            "rules",
            Type::Set(Box::new(rule)),
            "What is let through, beside Azure's own rules: direction (inbound, outbound), access (allow, deny), protocol (tcp, udp, \
             icmp, esp, ah, any), sources (ranges, \"*\" or service tags) and ports (\"22\", \"14560-14570\", \"*\") of the far side \
             of each, in the order of their priority (100 to 4096).",
        );
        let mut own = vec![rules];
        own.extend(tracked());
        schema_of(SECURITY_GROUP, "A network security group with its rules.", own)
    }

    fn names(&self) -> Rule {
        Rule::usual(80)
    }

    fn collection(&self) -> &'static str {
        "Microsoft.Network/networkSecurityGroups"
    }

    fn api(&self) -> &'static str {
        NETWORK_API
    }

    fn check(&self, desired: &Attributes) -> Vec<Problem> {
        let rules = desired.get("rules").and_then(Value::as_slice).into_iter().flatten();
        let mut problems = Vec::new();
        let mut taken = Vec::new();
        for rule in rules {
            let text = |name: &str| rule.get(name).and_then(Value::as_str);
            let rule_name = text("name").unwrap_or_default();
            let mut problem = |what: String| {
                problems.push(Problem {
                    path: Path::attribute("rules"),
                    message: format!("has the rule {rule_name:?}, {what}"),
                    hint: None,
                });
            };
            let mut one_of = |name: &str, words: &[&str]| {
                if let Some(word) = text(name).filter(|word| !words.contains(word)) {
                    problem(format!(
                        "whose `{name}` must be one of {}, but is {word:?}",
                        words.join(", ")
                    ));
                }
            };
            one_of("direction", &["inbound", "outbound"]);
            one_of("access", &["allow", "deny"]);
            one_of("protocol", &PROTOCOLS.map(|(ours, _)| ours));
            if let Some(priority) = rule.get("priority").and_then(Value::as_number) {
                let priority = priority.as_f64();
                if !(100.0..=4096.0).contains(&priority) {
                    problem(format!("whose `priority` must be 100 to 4096, but is {priority}"));
                }
                let place = (priority.to_bits(), text("direction").map(str::to_owned));
                if taken.contains(&place) {
                    problem(format!("whose `priority` {priority} another one has"));
                }
                taken.push(place);
            }
            for ports in rule.get("ports").and_then(Value::as_slice).into_iter().flatten() {
                if let Some(ports) = ports.as_str().filter(|ports| !is_ports(ports)) {
                    problem(format!(
                        "whose `ports` have {ports:?}: a port, a range such as \"1-2\", or \"*\""
                    ));
                }
            }
        }
        problems
    }

    fn body(&self, wanted: &Wanted) -> Json {
        let rules: Vec<Json> = wanted.items("rules").map(sent).collect();
        json!({ "properties": { "securityRules": rules } })
    }

    fn change(&self, current: &Json, wanted: &Wanted) -> Call {
        put_changed(current, self.body(wanted)["properties"].take())
    }

    fn attributes(&self, seen: &Json) -> Json {
        let rules: Vec<Json> = items(seen, "securityRules").map(shown).collect();
        json!({ "rules": super::or_null(&rules.into()) })
    }
}

fn is_ports(text: &str) -> bool {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    text == "*" || matches!((from.parse::<u16>(), to.parse::<u16>()), (Ok(from), Ok(to)) if from <= to)
}

/// Returns a rule as it is sent: one source or port in the field for one, several in the one for several.
fn sent(rule: &Json) -> Json {
    let text = |name: &str| rule.get(name).and_then(Json::as_str).unwrap_or_default();
    let protocol = PROTOCOLS.iter().find(|(ours, _)| *ours == text("protocol"));
    let mut properties = json!({
        "priority": rule.get("priority"),
        "direction": if text("direction") == "outbound" { "Outbound" } else { "Inbound" },
        "access": if text("access") == "deny" { "Deny" } else { "Allow" },
        "protocol": protocol.map_or("*", |(_, theirs)| theirs),
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
    });
    let mut fill = |name: &str, one: &str, several: &str| {
        let values = rule
            .get(name)
            .and_then(Json::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        match values {
            [single] => properties[one] = single.clone(),
            values => properties[several] = values.into(),
        }
    };
    fill("sources", "sourceAddressPrefix", "sourceAddressPrefixes");
    fill("ports", "destinationPortRange", "destinationPortRanges");
    json!({ "name": rule.get("name"), "properties": properties })
}

/// Returns a rule as the attributes show it.
fn shown(rule: &Json) -> Json {
    let text = |name: &str| property(rule, name).as_str().unwrap_or_default();
    let protocol = PROTOCOLS
        .iter()
        .find(|(_, theirs)| theirs.eq_ignore_ascii_case(text("protocol")));
    let both = |one: &str, several: &str| {
        let one = property(rule, one).as_str().filter(|one| !one.is_empty());
        let several = items(rule, several).filter_map(Json::as_str);
        several.chain(one).map(Json::from).collect::<Vec<_>>()
    };
    json!({
        "name": rule.get("name"),
        "priority": property(rule, "priority"),
        "direction": text("direction").to_ascii_lowercase(),
        "access": text("access").to_ascii_lowercase(),
        "protocol": protocol.map_or("any", |(ours, _)| ours),
        "sources": both("sourceAddressPrefix", "sourceAddressPrefixes"),
        "ports": both("destinationPortRange", "destinationPortRanges"),
    })
}
