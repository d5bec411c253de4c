//! The kind `subnet`: a part of a virtual network.

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use simfleet_provider_api::{Attributes, Kind, Problem, Schema, Token};

use super::{NETWORK_API, check_cidr, items, property, schema_of, text};
use crate::names::Rule;
use crate::resource::{Call, Resource, Site, put_changed};
use crate::tags::{self, Tags};
use crate::wanted::{Wanted, folded, folded_reference};

/// A subnet.
pub const SUBNET: Kind = Kind::new("subnet");

/// A subnet has no tags: its name alone says that it was made with a token, and its network of which fleet it is.
pub(super) struct Subnet;

#[async_trait]
impl Resource for Subnet {
    fn kind(&self) -> Kind {
        SUBNET
    }

    fn make_schema(&self) -> Schema {
        let own = vec![
            text("network", "The id of its virtual network.").required().replaces(),
            text("cidr", "The range of its addresses.").required(),
            text("security_group", "The id of the security group that holds in it."),
        ];
        schema_of(SUBNET, "A subnet of a virtual network.", own)
    }

    fn names(&self) -> Rule {
        Rule::usual(80)
    }

    fn collection(&self) -> &'static str {
        "Microsoft.Network/virtualNetworks"
    }

    fn api(&self) -> &'static str {
        NETWORK_API
    }

    fn is_tracked(&self) -> bool {
        false
    }

    fn check(&self, desired: &Attributes) -> Vec<Problem> {
        check_cidr(desired).into_iter().collect()
    }

    fn id(&self, _site: &Site, wanted: &Wanted, token: &Token) -> String {
        let name = tags::azure_name(wanted.str("name"), token);
        format!("{}/subnets/{name}", wanted.str("network"))
    }

    fn body(&self, wanted: &Wanted) -> Json {
        json!({ "properties": {
            "addressPrefix": wanted.get("cidr"),
            "networkSecurityGroup": wanted.reference("security_group"),
        } })
    }

    fn change(&self, current: &Json, wanted: &Wanted) -> Call {
        let mut changes = self.body(wanted)["properties"].take();
        changes["addressPrefixes"] = Json::Null;
        put_changed(current, changes)
    }

    fn attributes(&self, seen: &Json) -> Json {
        // Newer networks answer with a list, of one.
        let prefix = property(seen, "addressPrefix").as_str();
        let prefixes = items(seen, "addressPrefixes").filter_map(Json::as_str);
        let cidr = prefix.map_or_else(|| prefixes.collect::<Vec<_>>().join(","), str::to_owned);
        let id = seen.get("id").and_then(Json::as_str).map(folded).unwrap_or_default();
        json!({
            "network": id.split("/subnets/").next(),
            "cidr": cidr,
            "security_group": folded_reference(Some(property(seen, "networkSecurityGroup"))),
        })
    }

    /// The list of networks shows their subnets.
    fn listed(&self, networks: Vec<Json>, lineage: &str) -> Vec<Json> {
        let own = networks.iter().filter(|network| Tags::of(network).is_of(lineage));
        own.flat_map(|network| items(network, "subnets").cloned()).collect()
    }
}
