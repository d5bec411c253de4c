//! Scale sets: the frame of machines that are named one by one (flexible), or instances that it makes itself (uniform).

use serde_json::{Map, Value, json};

use crate::compute::machine::{show_identity, take_base64, unchangeable, unknown_member};
use crate::message::{ArmError, Result};
use crate::network::word;
use crate::resource::{Resource, default, items, items_mut, object, reference, text};
use crate::world::{Asked, Made, World};

/// What may stand in the properties of a scale set.
const MEMBERS: [&str; 25] = [
    "upgradePolicy",
    "scheduledEventsPolicy",
    "automaticRepairsPolicy",
    "virtualMachineProfile",
    "overprovision",
    "doNotRunExtensionsOnOverprovisionedVMs",
    "uniqueId",
    "singlePlacementGroup",
    "zoneBalance",
    "platformFaultDomainCount",
    "proximityPlacementGroup",
    "hostGroup",
    "additionalCapabilities",
    "scaleInPolicy",
    "orchestrationMode",
    "spotRestorePolicy",
    "priorityMixPolicy",
    "timeCreated",
    "constrainedMaximumCapacity",
    "resiliencyPolicy",
    "zonalPlatformFaultDomainAlignMode",
    "skuProfile",
    "highSpeedInterconnectPlacement",
    "provisioningState",
    "extensionProfile",
];

impl World {
    pub(crate) fn make_scale_set(
        &mut self,
        asked: &Asked,
        mut body: Map<String, Value>,
        existing: Option<&Resource>,
    ) -> Result<Made> {
        // What a PUT of an existing set leaves out stays as it is: clients scale with a body of a region and a SKU.
        for (name, value) in existing.into_iter().flat_map(|existing| &existing.body) {
            if name != "properties" {
                default(&mut body, name, value.clone());
            }
        }
        crate::compute::zones::check(asked, &body)?;
        let zones: Vec<Value> = body.get("zones").and_then(Value::as_array).cloned().unwrap_or_default();
        let had: Vec<Value> = existing
            .and_then(|old| old.at("/zones"))
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if existing.is_some() && had.iter().any(|zone| !zones.contains(zone)) {
            return Err(unchangeable("zones"));
        }
        show_identity(&mut body, existing, self);
        let sku = match body.get("sku") {
            Some(Value::Object(sku)) => Some(sku.clone()),
            _ => None,
        };
        let properties = object(&mut body, "properties");
        if let Some(member) = properties.keys().find(|member| !MEMBERS.contains(&member.as_str())) {
            return Err(unknown_member(member, "VirtualMachineScaleSetProperties"));
        }
        for member in ["provisioningState", "timeCreated", "uniqueId"] {
            properties.remove(member);
        }
        let old = existing.and_then(Resource::properties);
        for (name, value) in old.into_iter().flatten() {
            default(properties, name, value.clone());
        }
        let old_profile = old
            .and_then(|old| old.get("virtualMachineProfile"))
            .and_then(Value::as_object);
        if let Some(Value::Object(profile)) = properties.get_mut("virtualMachineProfile") {
            for (name, value) in old_profile.into_iter().flatten() {
                default(profile, name, value.clone());
            }
            let old_os = old_profile
                .and_then(|old| old.get("osProfile"))
                .and_then(Value::as_object);
            if let Some(Value::Object(os)) = profile.get_mut("osProfile") {
                for (name, value) in old_os.into_iter().flatten() {
                    default(os, name, value.clone());
                }
            }
        }
        default(
            properties,
            "orchestrationMode",
            old.and_then(|old| old.get("orchestrationMode"))
                .cloned()
                .unwrap_or(json!("Uniform")),
        );
        let mode = word(
            text(properties, "orchestrationMode"),
            &["Uniform", "Flexible"],
            "orchestrationMode",
        )?;
        if old.is_some_and(|old| text(old, "orchestrationMode") != Some(&mode)) {
            return Err(unchangeable("orchestrationMode"));
        }
        properties.insert("orchestrationMode".to_owned(), json!(mode));
        let user_data = self.make_set_profile(asked, properties, &mode, existing)?;
        let domains = properties.get("platformFaultDomainCount").and_then(Value::as_u64);
        if old.is_some_and(|old| {
            domains.is_some() && old.get("platformFaultDomainCount").and_then(Value::as_u64) != domains
        }) {
            return Err(unchangeable("platformFaultDomainCount"));
        }
        let most = match (mode.as_str(), zones.is_empty()) {
            ("Flexible", false) => 1,
            ("Flexible", true) => 3,
            _ => 5,
        };
        if let Some(domains) = domains.filter(|domains| !(1..=most).contains(domains)) {
            return Err(ArmError::parameter(
                "platformFaultDomainCount",
                format!("The specified fault domain count {domains} must fall in the range 1 to {most}."),
            ));
        }
        if mode == "Flexible" && properties.get("singlePlacementGroup") == Some(&json!(true)) {
            return Err(ArmError::parameter(
                "singlePlacementGroup",
                "The value 'True' of parameter 'singlePlacementGroup' is not allowed. Allowed values are: False.",
            ));
        }
        let kept = |name: &str| old.and_then(|old| old.get(name)).cloned();
        if mode == "Flexible" {
            default(
                properties,
                "platformFaultDomainCount",
                kept("platformFaultDomainCount").unwrap_or(json!(1)),
            );
            default(properties, "singlePlacementGroup", json!(false));
        } else {
            default(
                properties,
                "platformFaultDomainCount",
                kept("platformFaultDomainCount").unwrap_or(json!(5)),
            );
            default(properties, "singlePlacementGroup", json!(zones.is_empty()));
            default(properties, "overprovision", json!(true));
            default(properties, "doNotRunExtensionsOnOverprovisionedVMs", json!(false));
            if !properties.contains_key("upgradePolicy") {
                return Err(ArmError::parameter(
                    "upgradePolicy",
                    "Required parameter 'upgradePolicy' is missing (null).",
                ));
            }
        }
        if !zones.is_empty() {
            default(properties, "zoneBalance", json!(false));
        }
        default(
            properties,
            "uniqueId",
            kept("uniqueId").unwrap_or_else(|| json!(self.draw.guid())),
        );
        default(
            properties,
            "timeCreated",
            kept("timeCreated").unwrap_or_else(|| json!(self.now.to_string())),
        );
        let has_profile = properties.contains_key("virtualMachineProfile");
        self.check_sku(asked, &mut body, sku, existing, has_profile)?;
        Ok(Made {
            body,
            user_data,
            ..Made::default()
        })
    }

    /// Checks what instances are made of. Returns the data that they can ask for.
    fn make_set_profile(
        &self,
        asked: &Asked,
        properties: &mut Map<String, Value>,
        mode: &str,
        existing: Option<&Resource>,
    ) -> Result<Option<String>> {
        let Some(Value::Object(profile)) = properties.get_mut("virtualMachineProfile") else {
            if mode == "Uniform" {
                return Err(ArmError::parameter(
                    "virtualMachineProfile",
                    "Required parameter 'virtualMachineProfile' is missing (null).",
                ));
            }
            return Ok(None);
        };
        let user_data = take_base64(profile, "userData")?;
        default(
            profile,
            "timeCreated",
            json!(existing.map_or(self.now, |existing| existing.created).to_string()),
        );
        let storage = object(profile, "storageProfile");
        self.check_image(asked, storage, None)?;
        let os = object(storage, "osDisk");
        default(os, "osType", json!("Linux"));
        default(os, "createOption", json!("FromImage"));
        default(os, "caching", json!("ReadWrite"));
        default(os, "diskSizeGB", json!(30));
        default(object(os, "managedDisk"), "storageAccountType", json!("Premium_LRS"));
        default(storage, "diskControllerType", json!("SCSI"));
        if let Some(Value::Object(os)) = profile.get_mut("osProfile") {
            default(os, "computerNamePrefix", json!(asked.name));
            if let Some(data) = take_base64(os, "customData")? {
                os.insert("customData".to_owned(), json!(data));
            }
            crate::compute::profile::check_profile(os)?;
            default(os, "secrets", json!([]));
            default(os, "allowExtensionOperations", json!(true));
            default(os, "requireGuestProvisionSignal", json!(true));
        } else if mode == "Uniform" {
            return Err(ArmError::parameter(
                "osProfile",
                "Required parameter 'osProfile' is missing (null).",
            ));
        }
        let network = object(profile, "networkProfile");
        if mode == "Flexible"
            && items(network, "networkInterfaceConfigurations").next().is_some()
            && text(network, "networkApiVersion").is_none()
        {
            return Err(ArmError::parameter(
                "networkProfile.networkApiVersion",
                "networkApiVersion must be specified for virtual machine scale sets with orchestration mode Flexible.",
            ));
        }
        if items(network, "networkInterfaceConfigurations").next().is_none() {
            return Err(ArmError::parameter(
                "networkProfile",
                "A scale set with a profile must have at least one network interface configuration.",
            ));
        }
        let alone = items(network, "networkInterfaceConfigurations").count() == 1;
        for interface in items_mut(network, "networkInterfaceConfigurations") {
            let inner = object(interface, "properties");
            if alone {
                default(inner, "primary", json!(true));
            }
            default(inner, "disableTcpStateTracking", json!(false));
            default(inner, "enableAcceleratedNetworking", json!(false));
            default(inner, "enableIPForwarding", json!(false));
            default(inner, "dnsSettings", json!({"dnsServers": []}));
            for configuration in items_mut(inner, "ipConfigurations") {
                let inside = object(configuration, "properties");
                default(inside, "privateIPAddressVersion", json!("IPv4"));
                if reference(inside, "subnet").is_none() {
                    return Err(ArmError::parameter(
                        "subnet",
                        "Subnet reference is required for IP configurations of scale sets.",
                    ));
                }
            }
        }
        Ok(user_data)
    }

    fn check_sku(
        &self,
        asked: &Asked,
        body: &mut Map<String, Value>,
        sku: Option<Map<String, Value>>,
        existing: Option<&Resource>,
        has_profile: bool,
    ) -> Result<()> {
        let Some(mut sku) = sku else {
            if has_profile {
                return Err(ArmError::parameter(
                    "sku",
                    "Required parameter 'sku' is missing (null).",
                ));
            }
            return Ok(());
        };
        let name = text(&sku, "name").unwrap_or_default().to_owned();
        let had = existing
            .and_then(|existing| existing.at("/sku/capacity"))
            .and_then(Value::as_u64)
            .unwrap_or_default();
        let capacity = sku.get("capacity").and_then(Value::as_u64);
        let capacity = capacity.unwrap_or(if existing.is_some() {
            had
        } else {
            u64::from(has_profile)
        });
        if capacity > 1_000 {
            return Err(ArmError::parameter(
                "sku.capacity",
                format!("The value {capacity} of parameter 'sku.capacity' is out of range: at most 1000."),
            ));
        }
        if capacity > 0 && !has_profile && capacity != had {
            return Err(ArmError::parameter(
                "sku.capacity",
                "The capacity of a scale set without a virtual machine profile cannot be set.",
            ));
        }
        if name.is_empty() {
            return Err(ArmError::parameter(
                "sku.name",
                "Required parameter 'sku.name' is missing (null).",
            ));
        }
        let is_spot = body
            .get("properties")
            .and_then(|it| it.pointer("/virtualMachineProfile/priority"));
        let is_spot = is_spot
            .and_then(Value::as_str)
            .is_some_and(|it| it.eq_ignore_ascii_case("Spot"));
        self.check_capacity(
            &asked.place,
            &name,
            capacity.saturating_sub(had),
            None,
            is_spot,
            asked.kind,
        )?;
        default(&mut sku, "tier", json!("Standard"));
        sku.insert("capacity".to_owned(), json!(capacity));
        body.insert("sku".to_owned(), Value::Object(sku));
        Ok(())
    }

    /// Checks that a flexible set that is to be deleted has no members any more.
    pub(crate) fn check_no_machines(&self, set: &Resource) -> Result<()> {
        let is_flexible = set.text("/properties/orchestrationMode") == Some("Flexible");
        if !is_flexible || self.members_of(&set.key()).is_empty() {
            return Ok(());
        }
        Err(ArmError::new(
            409,
            "OperationNotAllowed",
            "Deletion of Virtual Machine Scale Set is not allowed as it contains one or more VMs. Please delete or detach the VM(s) \
             before deleting the Virtual Machine Scale Set.",
        ))
    }

    pub(crate) fn show_scale_set(properties: &mut Map<String, Value>) {
        if let Some(profile) = properties.get_mut("virtualMachineProfile")
            && let Some(Value::Object(os)) = profile.get_mut("osProfile")
        {
            os.remove("customData");
            os.remove("adminPassword");
        }
    }
}
