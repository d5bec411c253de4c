//! The kind `network`: a virtual network. Its subnets are objects of their own.

use serde_json::{Value as Json, json};
use simfleet_provider_api::{Attributes, Kind, Problem, Schema};

use super::{NETWORK_API, check_cidr, property, schema_of, text, tracked};
use crate::names::Rule;
use crate::resource::{Call, Resource, put_changed};
use crate::wanted::Wanted;

/// A virtual network.
pub const NETWORK: Kind = Kind::new("network");

pub(super) struct Network;

impl Resource for Network {
    fn kind(&self) -> Kind {
        NETWORK
    }

    fn make_schema(&self) -> Schema {
        let mut own = vec![text("cidr", "The range of its addresses.").required()];
        own.extend(tracked());
        schema_of(NETWORK, "A virtual network.", own)
    }

    fn names(&self) -> Rule {
        Rule::usual(64)
    }

    fn collection(&self) -> &'static str {
        "Microsoft.Network/virtualNetworks"
    }

    fn api(&self) -> &'static str {
        NETWORK_API
    }

    fn check(&self, desired: &Attributes) -> Vec<Problem> {
        check_cidr(desired).into_iter().collect()
    }

    fn body(&self, wanted: &Wanted) -> Json {
        json!({ "properties": { "addressSpace": { "addressPrefixes": [wanted.get("cidr")] } } })
    }

    /// The subnets that are there are sent along: without them Azure has been known to delete them.
    fn change(&self, current: &Json, wanted: &Wanted) -> Call {
        put_changed(current, self.body(wanted)["properties"].take())
    }

    fn attributes(&self, seen: &Json) -> Json {
        let prefixes = property(seen, "addressSpace")
            .get("addressPrefixes")
            .and_then(Json::as_array);
        let prefixes = prefixes.into_iter().flatten().filter_map(Json::as_str);
        // More than one is somebody's change; it shows as one.
        json!({ "cidr": prefixes.collect::<Vec<_>>().join(",") })
    }
}
