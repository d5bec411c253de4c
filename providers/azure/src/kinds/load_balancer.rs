//! The kind `load_balancer`: one frontend, one pool, and rules with probes.

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use simfleet_provider_api::Presence::{Optional, Required};
use simfleet_provider_api::{Attribute, Attributes, Kind, Path, Problem, ProviderError, Schema, Type, Value};

use super::{NETWORK_API, items, property, schema_of, text, tracked};
use crate::arm::Request;
use crate::names::Rule;
use crate::resource::{Call, Resource, plain_request, put_changed};
use crate::wanted::{Wanted, folded, folded_reference};

/// A load balancer.
pub const LOAD_BALANCER: Kind = Kind::new("load_balancer");

/// The names of its parts.
const FRONTEND: &str = "frontend";
const POOL: &str = "members";

/// How connections are spread, in our words and in Azure's.
const DISTRIBUTIONS: [(&str, &str); 2] = [("source_ip", "SourceIP"), ("source_ip_protocol", "SourceIPProtocol")];

pub(super) struct LoadBalancer;

#[async_trait]
impl Resource for LoadBalancer {
    fn kind(&self) -> Kind {
        LOAD_BALANCER
    }

    fn make_schema(&self) -> Schema {
        let probe = Type::object([
            ("name", Type::String, Required),
            ("protocol", Type::String, Required),
            ("port", Type::Number, Required),
            ("path", Type::String, Optional),
            ("interval", Type::Number, Required),
            ("threshold", Type::Number, Required),
        ]);
        let rule = Type::object([
            ("name", Type::String, Required),
            ("protocol", Type::String, Required),
            ("port", Type::Number, Required),
            ("backend_port", Type::Number, Required),
            ("probe", Type::String, Optional),
            ("distribution", Type::String, Optional),
        ]);
        let set = |name, ty, doc| Attribute::new(name, Type::Set(Box::new(ty)), doc);
        let mut own = vec![
            text("public_ip", "The id of the public address that it answers at."),
            text(
                "subnet",
                "The id of the subnet that it answers in, without a public address.",
            )
            .replaces(),
            set(
                "probes",
                probe,
                "How it is found out whether a member answers: protocol (tcp, http, https), path, seconds between two, and how many in \
                 a row count.",
            ),
            set(
                "rules",
                rule,
                "Which port is answered by which port of the members (tcp, udp), the probe that decides, and what of a client goes to one member \
                 (source_ip, source_ip_protocol; without it each connection may go to another).",
            ),
        ];
        own.extend(tracked());
        own.extend([
            text("pool", "The id of the pool of its members.").computed(),
            text("private_ip", "Its address in the subnet.").live(),
        ]);
        schema_of(LOAD_BALANCER, "A load balancer of the SKU Standard.", own)
    }

    fn names(&self) -> Rule {
        Rule::usual(80)
    }

    fn collection(&self) -> &'static str {
        "Microsoft.Network/loadBalancers"
    }

    fn api(&self) -> &'static str {
        NETWORK_API
    }

    fn check(&self, desired: &Attributes) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |attribute: &'static str, message: String| {
            problems.push(Problem {
                path: Path::attribute(attribute),
                message,
                hint: None,
            });
        };
        if desired.get("public_ip").is_some() && desired.get("subnet").is_some() {
            problem("subnet", "must not be given beside a `public_ip`".to_owned());
        }
        let list = |name: &str| desired.get(name).and_then(Value::as_slice).unwrap_or_default();
        let field = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        for rule in list("rules") {
            let known = list("probes").iter().filter_map(|probe| field(probe, "name"));
            let distribution = field(rule, "distribution");
            if let Some(word) = distribution.filter(|word| !DISTRIBUTIONS.iter().any(|(known, _)| known == word)) {
                problem(
                    "rules",
                    format!("has the distribution {word:?}; there are source_ip and source_ip_protocol"),
                );
            }
            if let Some(probe) = field(rule, "probe")
                && desired.get("probes").is_none_or(Value::is_known)
                && !known.into_iter().any(|name| name == probe)
            {
                problem("rules", format!("names the probe {probe:?}, which `probes` lacks"));
            }
        }
        problems
    }

    fn body(&self, wanted: &Wanted) -> Json {
        json!({
            "sku": { "name": "Standard", "tier": "Regional" },
            "properties": {
                "frontendIPConfigurations": [{
                    "name": FRONTEND,
                    "properties": {
                        "publicIPAddress": wanted.reference("public_ip"),
                        "subnet": wanted.reference("subnet"),
                    },
                }],
                "backendAddressPools": [{ "name": POOL }],
                "probes": wanted.items("probes").map(sent_probe).collect::<Vec<_>>(),
                "loadBalancingRules": wanted.items("rules").collect::<Vec<_>>(),
            },
        })
    }

    fn change(&self, current: &Json, wanted: &Wanted) -> Call {
        let mut changes = self.body(wanted)["properties"].take();
        if let Some(changes) = changes.as_object_mut() {
            // The members are in it.
            changes.remove("backendAddressPools");
        }
        put_changed(current, crate::wanted::without_nulls(changes))
    }

    fn attributes(&self, seen: &Json) -> Json {
        let frontend = items(seen, "frontendIPConfigurations").next().unwrap_or(&Json::Null);
        let pool = items(seen, "backendAddressPools").find(|pool| pool.get("name").is_some_and(|name| name == POOL));
        json!({
            "public_ip": folded_reference(Some(property(frontend, "publicIPAddress"))),
            "subnet": folded_reference(Some(property(frontend, "subnet"))),
            "private_ip": property(frontend, "privateIPAddress"),
            "pool": pool.and_then(|pool| Some(folded(pool.get("id")?.as_str()?))),
            "probes": super::or_null(&items(seen, "probes").map(shown_probe).collect::<Vec<_>>().into()),
            "rules": super::or_null(&items(seen, "loadBalancingRules").map(shown_rule).collect::<Vec<_>>().into()),
        })
    }

    /// The parts of a load balancer name one another by their ids, which are below its own.
    async fn request(&self, id: &str, mut call: Call) -> Result<Request, ProviderError> {
        if let Call::Put(body, _) = &mut call
            && let Some(Json::Array(rules)) = body.pointer_mut("/properties/loadBalancingRules")
        {
            rules.iter_mut().for_each(|rule| *rule = sent_rule(id, rule));
        }
        Ok(plain_request(self, id, call))
    }
}

fn word(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + letters.as_str()
    })
}

fn sent_probe(probe: &Json) -> Json {
    let text = |name: &str| probe.get(name).and_then(Json::as_str);
    json!({
        "name": probe.get("name"),
        "properties": {
            "protocol": word(text("protocol").unwrap_or_default()),
            "port": probe.get("port"),
            "requestPath": text("path"),
            "intervalInSeconds": probe.get("interval"),
            "probeThreshold": probe.get("threshold"),
        },
    })
}

fn shown_probe(probe: &Json) -> Json {
    // `numberOfProbes` is what it was called before.
    let threshold = match property(probe, "probeThreshold") {
        Json::Null => property(probe, "numberOfProbes"),
        threshold => threshold,
    };
    json!({
        "name": probe.get("name"),
        "protocol": property(probe, "protocol").as_str().map(str::to_ascii_lowercase),
        "port": property(probe, "port"),
        "path": property(probe, "requestPath"),
        "interval": property(probe, "intervalInSeconds"),
        "threshold": threshold,
    })
}

fn sent_rule(id: &str, rule: &Json) -> Json {
    let text = |name: &str| rule.get(name).and_then(Json::as_str);
    let part = |collection: &str, name: &str| json!({ "id": format!("{id}/{collection}/{name}") });
    let mut properties = json!({
        "protocol": word(text("protocol").unwrap_or_default()),
        "frontendPort": rule.get("port"),
        "backendPort": rule.get("backend_port"),
        "idleTimeoutInMinutes": 4,
        "frontendIPConfiguration": part("frontendIPConfigurations", FRONTEND),
        "backendAddressPool": part("backendAddressPools", POOL),
    });
    let distribution = DISTRIBUTIONS
        .iter()
        .find(|(word, _)| text("distribution") == Some(word));
    if let Some((_, distribution)) = distribution {
        properties["loadDistribution"] = (*distribution).into();
    }
    if let Some(probe) = text("probe") {
        properties["probe"] = part("probes", probe);
    }
    json!({ "name": rule.get("name"), "properties": properties })
}

fn shown_rule(rule: &Json) -> Json {
    let probe = property(rule, "probe").get("id").and_then(Json::as_str);
    let distribution = property(rule, "loadDistribution").as_str();
    let distribution = DISTRIBUTIONS.iter().find(|(_, theirs)| distribution == Some(theirs));
    json!({
        "name": rule.get("name"),
        "protocol": property(rule, "protocol").as_str().map(str::to_ascii_lowercase),
        "port": property(rule, "frontendPort"),
        "backend_port": property(rule, "backendPort"),
        "probe": probe.and_then(|id| id.rsplit('/').next()),
        "distribution": distribution.map(|(word, _)| word),
    })
}
