//! Virtual machines: what is checked and filled in when they are put.

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::message::{ArmError, Result};
use crate::resource::{Resource, default, items, object, reference, text};
use crate::world::{Asked, Made, World};

/// What may stand in the properties of a machine.
const MEMBERS: [&str; 28] = [
    "hardwareProfile",
    "storageProfile",
    "osProfile",
    "networkProfile",
    "securityProfile",
    "diagnosticsProfile",
    "availabilitySet",
    "virtualMachineScaleSet",
    "proximityPlacementGroup",
    "priority",
    "evictionPolicy",
    "billingProfile",
    "host",
    "hostGroup",
    "licenseType",
    "extensionsTimeBudget",
    "platformFaultDomain",
    "scheduledEventsProfile",
    "scheduledEventsPolicy",
    "userData",
    "capacityReservation",
    "applicationProfile",
    "additionalCapabilities",
    "resiliencyProfile",
    "provisioningState",
    "instanceView",
    "vmId",
    "timeCreated",
];

impl World {
    pub(crate) fn make_machine(
        &mut self,
        asked: &Asked,
        mut body: Map<String, Value>,
        existing: Option<&Resource>,
    ) -> Result<Made> {
        body.remove("resources");
        body.remove("instanceView");
        crate::compute::zones::check(asked, &body)?;
        let zones = body.get("zones").cloned();
        let old = existing.and_then(Resource::properties);
        if existing.is_some_and(|existing| {
            existing.at("/zones").filter(|value| !value.is_null()) != zones.as_ref().filter(|value| !value.is_null())
        }) {
            return Err(unchangeable("zones"));
        }
        show_identity(&mut body, existing, self);
        let properties = object(&mut body, "properties");
        if let Some(member) = properties.keys().find(|member| !MEMBERS.contains(&member.as_str())) {
            return Err(unknown_member(member, "VirtualMachineProperties"));
        }
        for member in ["provisioningState", "instanceView", "vmId", "timeCreated"] {
            properties.remove(member);
        }
        let user_data = take_base64(properties, "userData")?;
        // What a PUT of an existing machine leaves out stays as it is.
        for (name, value) in old.into_iter().flatten() {
            default(properties, name, value.clone());
        }
        self.check_size(asked, properties, existing)?;
        check_priority(properties, old)?;
        let set = reference(properties, "virtualMachineScaleSet").map(str::to_owned);
        if let Some(set) = &set {
            self.check_member_of(asked, set, zones.as_ref(), existing)?;
        }
        if old.is_some_and(|old| {
            reference(old, "virtualMachineScaleSet").map(str::to_lowercase)
                != set.as_ref().map(|set| set.to_lowercase())
        }) {
            return Err(unchangeable("virtualMachineScaleSet.id"));
        }
        let mut together = Vec::new();
        let custom_data = match properties.get_mut("osProfile") {
            Some(Value::Object(profile)) => {
                let old = old.and_then(|old| old.get("osProfile")).and_then(Value::as_object);
                crate::compute::profile::make_os(profile, old, existing, &asked.name)?
            }
            _ => None,
        };
        if existing.is_none() && !properties.contains_key("osProfile") && attached_os(properties).is_none() {
            return Err(ArmError::parameter(
                "osProfile",
                "Required parameter 'osProfile' is missing (null).",
            ));
        }
        self.make_storage(asked, properties, old, zones.as_ref(), &mut together)?;
        self.make_network(asked, properties, existing, zones.as_ref(), &mut together)?;
        default(properties, "vmId", json!(self.draw.guid()));
        default(properties, "timeCreated", json!(self.now.to_string()));
        let properties = properties.clone();
        self.check_attachments(asked, &properties)?;
        Ok(Made {
            body,
            custom_data,
            user_data,
            together,
        })
    }

    fn check_size(&self, asked: &Asked, properties: &Map<String, Value>, existing: Option<&Resource>) -> Result<()> {
        let size = properties
            .get("hardwareProfile")
            .and_then(|profile| profile.get("vmSize"))
            .and_then(Value::as_str);
        let Some(size) = size else {
            return Err(ArmError::parameter(
                "hardwareProfile",
                "Required parameter 'hardwareProfile' is missing (null).",
            ));
        };
        let is_spot = properties
            .get("priority")
            .and_then(Value::as_str)
            .is_some_and(|it| it.eq_ignore_ascii_case("Spot"));
        let had = existing.and_then(|existing| existing.text("/properties/hardwareProfile/vmSize"));
        if had.is_some_and(|had| had.eq_ignore_ascii_case(size)) {
            return Ok(());
        }
        self.check_capacity(&asked.place, size, 1, had, is_spot, asked.kind)
    }

    /// Checks that disks and interfaces are not those of another machine.
    fn check_attachments(&self, asked: &Asked, properties: &Map<String, Value>) -> Result<()> {
        let storage = properties.get("storageProfile").and_then(Value::as_object);
        for disk in storage.into_iter().flat_map(|storage| items(storage, "dataDisks")) {
            if let Some(id) = reference(disk, "managedDisk")
                && let Some(other) = self.machine_of(&id.to_lowercase())
                && other.key() != asked.key()
            {
                return Err(ArmError::new(
                    409,
                    "AttachDiskWhileBeingDetached",
                    format!(
                        "Cannot attach data disk '{}' to VM '{}' because the disk is attached to VM '{}'.",
                        crate::resource::last(id),
                        asked.name,
                        other.id
                    ),
                ));
            }
        }
        let network = properties.get("networkProfile").and_then(Value::as_object);
        for interface in network
            .into_iter()
            .flat_map(|network| items(network, "networkInterfaces"))
        {
            if let Some(id) = text(interface, "id")
                && let Some(other) = self.machine_of(&id.to_lowercase())
                && other.key() != asked.key()
            {
                return Err(crate::check::nic_in_use(id, &other.id));
            }
        }
        Ok(())
    }

    fn check_member_of(
        &self,
        asked: &Asked,
        set: &str,
        zones: Option<&Value>,
        existing: Option<&Resource>,
    ) -> Result<()> {
        let Some(set) = self
            .resources
            .get(&set.to_lowercase())
            .filter(|set| set.kind == Kind::ScaleSet)
        else {
            // That it is missing is told with the other references.
            return Ok(());
        };
        if set.text("/properties/orchestrationMode") != Some("Flexible") {
            return Err(ArmError::bad(
                "BadRequest",
                format!(
                    "Virtual Machine '{}' cannot be added to scale set '{}': its orchestration mode is not Flexible.",
                    asked.name, set.name
                ),
            ));
        }
        if existing.is_none() && set.state == crate::resource::State::Deleting {
            return Err(ArmError::new(
                409,
                "OperationNotAllowed",
                format!("The scale set '{}' is being deleted.", set.name),
            ));
        }
        let offered: Vec<&str> = set
            .at("/zones")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let wanted: Vec<&str> = zones
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if wanted.iter().any(|zone| !offered.contains(zone)) || (wanted.is_empty() && !offered.is_empty()) {
            return Err(ArmError::bad(
                "BadRequest",
                format!(
                    "The availability zone(s) [{}] of virtual machine '{}' are not among those of its scale set '{}': [{}].",
                    wanted.join(","),
                    asked.name,
                    set.name,
                    offered.join(",")
                ),
            ));
        }
        Ok(())
    }

    pub(crate) fn show_machine(properties: &mut Map<String, Value>) {
        // Only the first boot sees it.
        if let Some(Value::Object(profile)) = properties.get_mut("osProfile") {
            profile.remove("customData");
            profile.remove("adminPassword");
        }
    }
}

/// Returns the id of a system disk that is attached, and not made of an image.
pub(crate) fn attached_os(properties: &Map<String, Value>) -> Option<&str> {
    let os = properties.get("storageProfile")?.get("osDisk")?.as_object()?;
    text(os, "createOption").filter(|option| option.eq_ignore_ascii_case("Attach"))?;
    reference(os, "managedDisk")
}

fn check_priority(properties: &mut Map<String, Value>, old: Option<&Map<String, Value>>) -> Result<()> {
    let priority = text(properties, "priority").map(str::to_owned);
    let spot = priority
        .as_deref()
        .is_some_and(|priority| priority.eq_ignore_ascii_case("Spot") || priority.eq_ignore_ascii_case("Low"));
    if let Some(priority) = &priority
        && !["Regular", "Spot", "Low"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(priority))
    {
        return Err(ArmError::parameter(
            "priority",
            format!("The value '{priority}' of parameter 'priority' is invalid."),
        ));
    }
    if !spot && properties.contains_key("evictionPolicy") {
        return Err(ArmError::parameter(
            "evictionPolicy",
            "Eviction policy can be set only on Azure Spot Virtual Machines.",
        ));
    }
    if let Some(old) = old
        && text(old, "priority").unwrap_or("Regular").eq_ignore_ascii_case("Spot") != spot
    {
        return Err(unchangeable("priority"));
    }
    if spot {
        default(properties, "evictionPolicy", json!("Deallocate"));
        default(properties, "billingProfile", json!({"maxPrice": -1}));
    }
    Ok(())
}

/// Fills in what Azure knows of an identity.
pub(crate) fn show_identity(body: &mut Map<String, Value>, existing: Option<&Resource>, world: &mut World) {
    let old = existing
        .and_then(|existing| existing.text("/identity/principalId"))
        .map(str::to_owned);
    let tenant = world.options.tenant.clone();
    if let Some(Value::Object(identity)) = body.get_mut("identity") {
        if text(identity, "type").is_some_and(|kind| kind.contains("SystemAssigned")) {
            let principal = old.unwrap_or_else(|| world.draw.guid());
            identity.insert("principalId".to_owned(), json!(principal));
            identity.insert("tenantId".to_owned(), json!(tenant));
        }
        if let Some(Value::Object(users)) = identity.get_mut("userAssignedIdentities") {
            for value in users.values_mut() {
                if value.get("principalId").is_none() {
                    *value = json!({"principalId": world.draw.guid(), "clientId": world.draw.guid()});
                }
            }
        }
    }
}

/// Takes a text in base 64 out of properties.
pub(crate) fn take_base64(properties: &mut Map<String, Value>, name: &str) -> Result<Option<String>> {
    use base64::Engine;
    let Some(Value::String(data)) = properties.remove(name) else {
        return Ok(None);
    };
    if base64::engine::general_purpose::STANDARD.decode(&data).is_err() {
        return Err(ArmError::parameter(
            name,
            format!("Parameter '{name}' must be Base64 encoded. Please make sure that the content is a Base64 string."),
        ));
    }
    if data.len() > 87_380 {
        return Err(ArmError::parameter(
            name,
            format!("The '{name}' property exceeds the maximum of 65535 bytes."),
        ));
    }
    Ok(Some(data))
}

/// 409: Azure does not change this.
pub(crate) fn unchangeable(property: &str) -> ArmError {
    ArmError {
        target: Some(property.to_owned()),
        ..ArmError::new(
            409,
            "PropertyChangeNotAllowed",
            format!("Changing property '{property}' is not allowed."),
        )
    }
}

/// 400: there is no such member.
pub(crate) fn unknown_member(member: &str, of: &str) -> ArmError {
    ArmError::bad(
        "BadRequest",
        format!(
            "Could not find member '{member}' on object of type '{of}'. Path 'properties.{member}', line 1, position 1."
        ),
    )
}
