//! Public IP addresses.

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::message::{ArmError, Result};
use crate::network::word;
use crate::resource::{Resource, default, object, text};
use crate::world::{Asked, Made, World};

impl World {
    pub(crate) fn make_public_ip(
        &mut self,
        asked: &Asked,
        mut body: Map<String, Value>,
        existing: Option<&Resource>,
    ) -> Result<Made> {
        let sku = object(&mut body, "sku");
        default(sku, "name", json!("Basic"));
        default(sku, "tier", json!("Regional"));
        let name = word(text(sku, "name"), &["Basic", "Standard", "StandardV2"], "sku.name")?;
        sku.insert("name".to_owned(), json!(name));
        if name == "Basic" && existing.is_none() {
            return Err(ArmError::bad(
                "IPv4BasicSkuPublicIpCountLimitReached",
                "Cannot create more than 0 IPv4 Basic SKU public IP addresses for this subscription in this region.",
            ));
        }
        if existing.is_some_and(|existing| existing.text("/sku/name") != Some(&name)) {
            return Err(ArmError::bad(
                "SkuPropertyCannotBeChanged",
                format!("Sku property of resource {} cannot be changed.", asked.id),
            ));
        }
        if existing.is_some_and(|existing| existing.at("/zones") != body.get("zones")) {
            return Err(ArmError::bad(
                "ResourceAvailabilityZonesCannotBeModified",
                format!(
                    "Resource {} has an existing availability zone constraint and it cannot be modified.",
                    asked.id
                ),
            ));
        }
        crate::compute::zones::check(asked, &body)?;
        let properties = object(&mut body, "properties");
        for member in ["provisioningState", "resourceGuid", "ipConfiguration", "ipAddress"] {
            properties.remove(member);
        }
        default(properties, "publicIPAddressVersion", json!("IPv4"));
        default(properties, "publicIPAllocationMethod", json!("Dynamic"));
        default(properties, "idleTimeoutInMinutes", json!(4));
        default(properties, "ipTags", json!([]));
        default(
            properties,
            "ddosSettings",
            json!({"protectionMode": "VirtualNetworkInherited"}),
        );
        let method = text(properties, "publicIPAllocationMethod");
        let method = word(method, &["Static", "Dynamic"], "publicIPAllocationMethod")?;
        if method == "Dynamic" {
            return Err(ArmError::bad(
                "StandardAndStandardV2SkuPublicIPAddressesMustBeStatic",
                format!(
                    "Standard sku publicIp {} must have AllocationMethod set to Static.",
                    asked.id
                ),
            ));
        }
        properties.insert("publicIPAllocationMethod".to_owned(), json!(method));
        if let Some(Value::Object(dns)) = properties.get_mut("dnsSettings")
            && let Some(label) = text(dns, "domainNameLabel").map(str::to_owned)
        {
            let fqdn = format!("{label}.{}.cloudapp.azure.com", asked.place.location);
            let taken = self
                .resources
                .values()
                .find(|other| other.key() != asked.key() && other.text("/properties/dnsSettings/fqdn") == Some(&fqdn));
            if taken.is_some() {
                return Err(ArmError::bad(
                    "DnsRecordInUse",
                    format!("DNS record {fqdn} is already used by another public IP."),
                ));
            }
            dns.insert("fqdn".to_owned(), json!(fqdn));
        }
        let address = existing
            .and_then(|existing| existing.text("/properties/ipAddress"))
            .map(str::to_owned);
        let address = address.unwrap_or_else(|| self.draw_public_address());
        properties.insert("ipAddress".to_owned(), json!(address));
        Ok(Made {
            body,
            ..Made::default()
        })
    }

    /// Draws an address of the public range that is not used yet.
    fn draw_public_address(&mut self) -> String {
        let (first, bits) = self.options.public_addresses;
        let size = 1 << (32 - u32::from(bits.clamp(8, 28)));
        loop {
            let n = self.draw.below(size);
            let address = Ipv4Addr::from(u32::from(first) | n).to_string();
            let taken = self
                .resources
                .values()
                .any(|other| other.kind == Kind::PublicIp && other.text("/properties/ipAddress") == Some(&address));
            if !taken {
                return address;
            }
        }
    }

    pub(crate) fn show_public_ip(&self, resource: &Resource, properties: &mut Map<String, Value>) {
        let by = self.parts_that_refer(&resource.id, Kind::Interface, "ipConfigurations");
        let frontends = self.parts_that_refer(&resource.id, Kind::LoadBalancer, "frontendIPConfigurations");
        if let Some(by) = by.first().or(frontends.first()) {
            properties.insert("ipConfiguration".to_owned(), json!({ "id": by }));
        }
    }
}
