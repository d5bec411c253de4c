//! The kind `public_ip`: a public address, of the SKU Standard, which stays the same for its life.

use serde_json::{Value as Json, json};
use simfleet_provider_api::{Attributes, Kind, Path, Problem, Schema};

use super::{NETWORK_API, number, or_null, property, schema_of, text, texts, tracked};
use crate::names::Rule;
use crate::resource::{Call, Resource, put_changed};
use crate::wanted::Wanted;

/// A public IP address.
pub const PUBLIC_IP: Kind = Kind::new("public_ip");

pub(super) struct PublicIp;

impl Resource for PublicIp {
    fn kind(&self) -> Kind {
        PUBLIC_IP
    }

    fn make_schema(&self) -> Schema {
        let mut own = vec![
            texts("zones", "The zones that it is in; without them Azure chooses.")
                .optional_computed()
                .replaces(),
            text("dns_label", "The first part of its name in the DNS of the region."),
            number(
                "idle_timeout",
                "After how many minutes without traffic a TCP connection is forgotten.",
            )
            .default(4u64),
        ];
        own.extend(tracked());
        own.extend([
            text("address", "The address.").computed(),
            text("fqdn", "Its name in the DNS, where it has a `dns_label`.").live(),
        ]);
        schema_of(PUBLIC_IP, "A public IP address of the SKU Standard.", own)
    }

    fn names(&self) -> Rule {
        Rule::usual(80)
    }

    fn collection(&self) -> &'static str {
        "Microsoft.Network/publicIPAddresses"
    }

    fn api(&self) -> &'static str {
        NETWORK_API
    }

    fn check(&self, desired: &Attributes) -> Vec<Problem> {
        let minutes = desired
            .get("idle_timeout")
            .and_then(|value| Some(value.as_number()?.as_f64()));
        let problem = minutes
            .filter(|minutes| !(4.0..=30.0).contains(minutes))
            .map(|minutes| Problem {
                path: Path::attribute("idle_timeout"),
                message: format!("must be 4 to 30 minutes, but is {minutes}"),
                hint: None,
            });
        problem.into_iter().collect()
    }

    fn body(&self, wanted: &Wanted) -> Json {
        json!({
            "sku": { "name": "Standard", "tier": "Regional" },
            "zones": or_null(wanted.get("zones")),
            "properties": {
                "publicIPAllocationMethod": "Static",
                "publicIPAddressVersion": "IPv4",
                "idleTimeoutInMinutes": wanted.get("idle_timeout"),
                "dnsSettings": dns(wanted),
            },
        })
    }

    fn change(&self, current: &Json, wanted: &Wanted) -> Call {
        let changes = json!({
            "idleTimeoutInMinutes": wanted.get("idle_timeout"),
            "dnsSettings": dns(wanted),
        });
        put_changed(current, changes)
    }

    fn attributes(&self, seen: &Json) -> Json {
        let dns = property(seen, "dnsSettings");
        json!({
            "zones": or_null(seen.get("zones").unwrap_or(&Json::Null)),
            "dns_label": dns.get("domainNameLabel"),
            "idle_timeout": property(seen, "idleTimeoutInMinutes").as_u64().unwrap_or(4),
            "address": property(seen, "ipAddress"),
            "fqdn": dns.get("fqdn"),
        })
    }
}

fn dns(wanted: &Wanted) -> Json {
    match wanted.get("dns_label").as_str() {
        Some(label) => json!({ "domainNameLabel": label }),
        None => Json::Null,
    }
}
