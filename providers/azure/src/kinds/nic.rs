//! The kind `nic`: a network interface with one address.

use serde_json::{Value as Json, json};
use simfleet_provider_api::{Kind, Schema};

use super::{NETWORK_API, flag, items, property, schema_of, text, texts, tracked};
use crate::names::Rule;
use crate::resource::{Call, Resource, put_changed};
use crate::wanted::{Wanted, folded, folded_reference};

/// A network interface.
pub const NIC: Kind = Kind::new("nic");

/// The name of the one configuration.
const CONFIGURATION: &str = "primary";

pub(super) struct Nic;

impl Resource for Nic {
    fn kind(&self) -> Kind {
        NIC
    }

    fn make_schema(&self) -> Schema {
        let mut own = vec![
            text("subnet", "The id of the subnet that it is in.")
                .required()
                .replaces(),
            text("public_ip", "The id of its public address."),
            text("security_group", "The id of the security group that holds for it."),
            flag("forwarding", "Whether it passes on what is for others.").default(false),
            flag("accelerated", "Whether the machine has the card to itself (SR-IOV).").default(false),
        ];
        own.extend(tracked());
        own.extend([
            text("private_ip", "Its address in the subnet.").computed(),
            texts("pools", "The ids of the pools of load balancers that it is in.").live(),
        ]);
        schema_of(NIC, "A network interface.", own)
    }

    fn names(&self) -> Rule {
        Rule::usual(80)
    }

    fn collection(&self) -> &'static str {
        "Microsoft.Network/networkInterfaces"
    }

    fn api(&self) -> &'static str {
        NETWORK_API
    }

    fn body(&self, wanted: &Wanted) -> Json {
        json!({ "properties": {
            "enableIPForwarding": wanted.get("forwarding"),
            "enableAcceleratedNetworking": wanted.get("accelerated"),
            "networkSecurityGroup": wanted.reference("security_group"),
            "ipConfigurations": [{
                "name": CONFIGURATION,
                "properties": {
                    "primary": true,
                    "privateIPAllocationMethod": "Dynamic",
                    "privateIPAddressVersion": "IPv4",
                    "subnet": wanted.reference("subnet"),
                    "publicIPAddress": wanted.reference("public_ip"),
                },
            }],
        } })
    }

    fn change(&self, current: &Json, wanted: &Wanted) -> Call {
        let mut configurations = property(current, "ipConfigurations").clone();
        if let Some(Json::Object(properties)) = configurations.pointer_mut("/0/properties") {
            match wanted.reference("public_ip") {
                Json::Null => drop(properties.remove("publicIPAddress")),
                address => drop(properties.insert("publicIPAddress".to_owned(), address)),
            }
        }
        let changes = json!({
            "enableIPForwarding": wanted.get("forwarding"),
            "enableAcceleratedNetworking": wanted.get("accelerated"),
            "networkSecurityGroup": wanted.reference("security_group"),
            "ipConfigurations": configurations,
        });
        put_changed(current, changes)
    }

    fn attributes(&self, seen: &Json) -> Json {
        let first = items(seen, "ipConfigurations").next().unwrap_or(&Json::Null);
        let pools = items(first, "loadBalancerBackendAddressPools");
        let pools: Vec<String> = pools
            .filter_map(|pool| Some(folded(pool.get("id")?.as_str()?)))
            .collect();
        json!({
            "subnet": folded_reference(Some(property(first, "subnet"))),
            "public_ip": folded_reference(Some(property(first, "publicIPAddress"))),
            "security_group": folded_reference(Some(property(seen, "networkSecurityGroup"))),
            "pools": super::or_null(&pools.into()),
            "forwarding": property(seen, "enableIPForwarding").as_bool().unwrap_or_default(),
            "accelerated": property(seen, "enableAcceleratedNetworking").as_bool().unwrap_or_default(),
            "private_ip": property(first, "privateIPAddress"),
        })
    }
}
