//! Network interfaces.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::message::{ArmError, Result};
use crate::network::{check_names, without_answers, word};
use crate::resource::{Resource, default, items, items_mut, object, reference, text};
use crate::world::{Asked, Made, World};

/// Azure keeps the first four addresses of a subnet, and its last.
const KEPT: u32 = 4;

impl World {
    pub(crate) fn make_interface(
        &self,
        asked: &Asked,
        mut body: Map<String, Value>,
        existing: Option<&Resource>,
    ) -> Result<Made> {
        let properties = object(&mut body, "properties");
        for member in [
            "provisioningState",
            "resourceGuid",
            "virtualMachine",
            "macAddress",
            "primary",
            "hostedWorkloads",
        ] {
            properties.remove(member);
        }
        if items(properties, "ipConfigurations").next().is_none() {
            return Err(ArmError::bad(
                "NetworkInterfaceMustHaveAtLeastOneIpConfiguration",
                format!(
                    "Network interface {} must have at least one IP configuration.",
                    asked.id
                ),
            ));
        }
        check_names(properties, "ipConfigurations")?;
        without_answers(properties, "ipConfigurations");
        default(properties, "dnsSettings", json!({}));
        let dns = object(properties, "dnsSettings");
        default(dns, "dnsServers", json!([]));
        default(dns, "appliedDnsServers", json!([]));
        let suffix = format!(
            "{}.bx.internal.cloudapp.net",
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, asked.key().as_bytes()).simple()
        );
        default(dns, "internalDomainNameSuffix", json!(suffix));
        for (name, value) in [
            ("enableAcceleratedNetworking", json!(false)),
            ("vnetEncryptionSupported", json!(false)),
            ("enableIPForwarding", json!(false)),
            ("disableTcpStateTracking", json!(false)),
            ("defaultOutboundConnectivityEnabled", json!(true)),
            ("tapConfigurations", json!([])),
            ("nicType", json!("Standard")),
            ("auxiliaryMode", json!("None")),
            ("auxiliarySku", json!("None")),
        ] {
            default(properties, name, value);
        }
        let primary = items(properties, "ipConfigurations")
            .any(|item| item.get("properties").and_then(|inner| inner.get("primary")) == Some(&json!(true)));
        let mut mine: BTreeSet<Ipv4Addr> = BTreeSet::new();
        for (index, item) in items_mut(properties, "ipConfigurations").enumerate() {
            let name = text(item, "name").unwrap_or_default().to_owned();
            let inner = object(item, "properties");
            default(inner, "primary", json!(!primary && index == 0));
            default(inner, "privateIPAddressVersion", json!("IPv4"));
            default(inner, "privateIPAllocationMethod", json!("Dynamic"));
            let method = word(
                text(inner, "privateIPAllocationMethod"),
                &["Static", "Dynamic"],
                "privateIPAllocationMethod",
            )?;
            inner.insert("privateIPAllocationMethod".to_owned(), json!(method));
            let Some(subnet) = reference(inner, "subnet").map(str::to_owned) else {
                return Err(ArmError::bad(
                    "SubnetNotProvided",
                    format!(
                        "Subnet is not provided for IP configuration {}/ipConfigurations/{name}.",
                        asked.id
                    ),
                ));
            };
            self.check_public_ip_free(asked, inner)?;
            let had = existing.and_then(Resource::properties).and_then(|old| {
                let mut old = items(old, "ipConfigurations").filter(|old| text(old, "name") == Some(name.as_str()));
                let old = old.next()?.get("properties")?.as_object()?;
                let same = reference(old, "subnet").is_some_and(|old| old.eq_ignore_ascii_case(&subnet));
                same.then(|| text(old, "privateIPAddress").map(str::to_owned))?
            });
            let asked_for = (method == "Static")
                .then(|| text(inner, "privateIPAddress"))
                .flatten()
                .map(str::to_owned);
            let address = self.place_in_subnet(asked, &subnet, asked_for.as_deref(), had.as_deref(), &mine)?;
            if let Some(address) = address {
                mine.insert(address);
                inner.insert("privateIPAddress".to_owned(), json!(address.to_string()));
            }
        }
        Ok(Made {
            body,
            ..Made::default()
        })
    }

    fn check_public_ip_free(&self, asked: &Asked, inner: &Map<String, Value>) -> Result<()> {
        let Some(public) = reference(inner, "publicIPAddress") else {
            return Ok(());
        };
        let mut by = self.parts_that_refer(public, Kind::Interface, "ipConfigurations");
        by.extend(self.parts_that_refer(public, Kind::LoadBalancer, "frontendIPConfigurations"));
        let own = format!("{}/", asked.key());
        match by.into_iter().find(|by| !by.to_lowercase().starts_with(&own)) {
            Some(by) => Err(ArmError::bad(
                "PublicIPAddressInUse",
                format!(
                    "Resource {} is referencing public IP address {public} that is already allocated to resource {by}.",
                    asked.id
                ),
            )),
            None => Ok(()),
        }
    }

    /// Chooses an address of a subnet: the one that is asked for, the one that was had, or the lowest free.
    fn place_in_subnet(
        &self,
        asked: &Asked,
        subnet: &str,
        wanted: Option<&str>,
        had: Option<&str>,
        mine: &BTreeSet<Ipv4Addr>,
    ) -> Result<Option<Ipv4Addr>> {
        // Whether the subnet is there is checked with the other references.
        let Some(range) = self.subnet_range(subnet) else {
            return Ok(None);
        };
        let mut taken: BTreeSet<Ipv4Addr> = mine.clone();
        let key = subnet.to_lowercase();
        for other in self
            .that_refer(subnet, Kind::Interface)
            .into_iter()
            .filter(|other| other.id != asked.id)
        {
            let here = other.facts.addresses.iter().filter(|(subnet, _)| *subnet == key);
            taken.extend(here.map(|(_, address)| *address));
        }
        if let Some(wanted) = wanted {
            let address: Option<Ipv4Addr> = wanted.parse().ok();
            let Some(address) = address.filter(|address| range.contains(address)) else {
                return Err(ArmError::bad(
                    "PrivateIPAddressNotInSubnet",
                    format!(
                        "Private static IP address {wanted} does not belong to the range of subnet prefix {range}."
                    ),
                ));
            };
            if taken.contains(&address) {
                return Err(ArmError::bad(
                    "PrivateIPAddressIsAllocated",
                    format!(
                        "IP configuration {} is using the private IP address {wanted} which is already allocated.",
                        asked.id
                    ),
                ));
            }
            return Ok(Some(address));
        }
        if let Some(had) = had
            .and_then(|had| had.parse().ok())
            .filter(|had| range.contains(had) && !taken.contains(had))
        {
            return Ok(Some(had));
        }
        let first = u32::from(range.network()) + KEPT;
        let end = u32::from(range.broadcast());
        let free = (first..end)
            .map(Ipv4Addr::from)
            .find(|address| !taken.contains(address));
        free.map(Some).ok_or_else(|| {
            ArmError::bad(
                "SubnetIsFull",
                format!(
                    "Subnet {subnet} with address prefix {range} does not have enough capacity for 1 IP addresses."
                ),
            )
        })
    }

    pub(crate) fn show_interface(&self, resource: &Resource, properties: &mut Map<String, Value>) {
        properties.insert("hostedWorkloads".to_owned(), json!([]));
        let Some(machine) = self.machine_of(&resource.key()) else {
            return;
        };
        properties.insert("virtualMachine".to_owned(), json!({ "id": machine.id }));
        properties.insert("primary".to_owned(), json!(true));
        let digest = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, resource.guid.as_bytes());
        let bytes = digest.as_bytes();
        let mac = format!("00-0D-3A-{:02X}-{:02X}-{:02X}", bytes[0], bytes[1], bytes[2]);
        properties.insert("macAddress".to_owned(), json!(mac));
    }
}
