//! Managed disks.

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::message::{ArmError, Result};
use crate::network::word;
use crate::resource::{Facts, Power, Resource, default, object, text};
use crate::world::{Asked, Made, World};

/// The kinds of managed disk.
pub(crate) const SKUS: [&str; 7] = [
    "Standard_LRS",
    "Premium_LRS",
    "StandardSSD_LRS",
    "UltraSSD_LRS",
    "Premium_ZRS",
    "StandardSSD_ZRS",
    "PremiumV2_LRS",
];

impl World {
    pub(crate) fn make_disk(
        &self,
        asked: &Asked,
        mut body: Map<String, Value>,
        existing: Option<&Resource>,
    ) -> Result<Made> {
        crate::compute::zones::check(asked, &body)?;
        body.remove("managedBy");
        let sku = object(&mut body, "sku");
        default(sku, "name", json!("Standard_LRS"));
        let name = word(text(sku, "name"), &SKUS, "sku.name")
            .map_err(|error| ArmError::parameter("sku.name", error.message))?;
        let tier = if name.starts_with("Premium") {
            "Premium"
        } else {
            "Standard"
        };
        sku.insert("name".to_owned(), json!(name));
        sku.insert("tier".to_owned(), json!(tier));
        let properties = object(&mut body, "properties");
        let creation = properties.get("creationData").and_then(Value::as_object);
        let option = creation
            .and_then(|creation| text(creation, "createOption"))
            .unwrap_or_default()
            .to_owned();
        if option.is_empty() {
            return Err(ArmError::parameter(
                "creationData",
                "Required parameter 'creationData' is missing (null).",
            ));
        }
        let size = properties.get("diskSizeGB").and_then(Value::as_u64);
        let had = existing
            .and_then(|existing| existing.at("/properties/diskSizeGB"))
            .and_then(Value::as_u64);
        let Some(size) = size.or(had) else {
            return Err(ArmError::parameter(
                "diskSizeGB",
                "Required parameter 'diskSizeGB' is missing (null).",
            ));
        };
        if !(1..=32_767).contains(&size) {
            return Err(ArmError::parameter(
                "disk.diskSizeGb",
                format!(
                    "The value '{size}' of parameter 'disk.diskSizeGb' is out of range. The value must be between '1' and '32767', inclusive."
                ),
            ));
        }
        if had.is_some_and(|had| size < had) {
            return Err(ArmError::bad(
                "OperationNotAllowed",
                format!(
                    "Disk {} cannot be made smaller: reducing its size may lose data.",
                    asked.name
                ),
            ));
        }
        fill(properties, size, &name, &self.now.to_string(), &asked.id);
        Ok(Made {
            body,
            ..Made::default()
        })
    }

    /// Shows whether the disk is attached. Returns the id of the machine that has it.
    pub(crate) fn show_disk(&self, resource: &Resource, properties: &mut Map<String, Value>) -> Option<String> {
        let machine = self.machine_of(&resource.key());
        let state = match machine {
            Some(machine) if machine.power == Power::Deallocated => "Reserved",
            Some(_) => "Attached",
            None => "Unattached",
        };
        properties.insert("diskState".to_owned(), json!(state));
        machine.map(|machine| machine.id.clone())
    }
}

/// Fills in what Azure does about a disk.
pub(crate) fn fill(properties: &mut Map<String, Value>, size: u64, sku: &str, now: &str, id: &str) {
    let unique = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, id.to_lowercase().as_bytes());
    for member in ["provisioningState", "diskState", "managedBy"] {
        properties.remove(member);
    }
    let (iops, megabytes) = if sku.starts_with("Premium") {
        (500, 100)
    } else {
        (500, 60)
    };
    for (name, value) in [
        ("diskSizeGB", json!(size)),
        ("diskIOPSReadWrite", json!(iops)),
        ("diskMBpsReadWrite", json!(megabytes)),
        ("encryption", json!({"type": "EncryptionAtRestWithPlatformKey"})),
        ("networkAccessPolicy", json!("AllowAll")),
        ("publicNetworkAccess", json!("Enabled")),
        ("timeCreated", json!(now)),
        ("uniqueId", json!(unique.to_string())),
    ] {
        default(properties, name, value);
    }
    properties.insert("diskSizeBytes".to_owned(), json!(size * 1_073_741_824));
}

impl World {
    /// Makes a disk together with a machine.
    pub(crate) fn disk_of_machine(
        &mut self,
        asked: &Asked,
        name: &str,
        size: u64,
        sku: &str,
        zones: Option<&Value>,
    ) -> Resource {
        let group = asked.id.split("/providers/").next().unwrap_or_default();
        let id = format!("{group}/providers/Microsoft.Compute/disks/{name}");
        let mut body = Map::new();
        body.insert(
            "sku".to_owned(),
            json!({"name": sku, "tier": if sku.starts_with("Premium") { "Premium" } else { "Standard" }}),
        );
        if let Some(zones) = zones.filter(|zones| !zones.is_null()) {
            body.insert("zones".to_owned(), zones.clone());
        }
        let properties = object(&mut body, "properties");
        properties.insert("creationData".to_owned(), json!({"createOption": "FromImage"}));
        fill(properties, size, sku, &self.now.to_string(), &id);
        Resource {
            id,
            kind: Kind::Disk,
            name: name.to_owned(),
            location: asked.place.location.clone(),
            body,
            state: crate::resource::State::Creating,
            failure: None,
            version: 1,
            created: self.now,
            guid: self.draw.guid(),
            power: Power::Starting,
            custom_data: None,
            user_data: None,
            facts: Facts::default(),
        }
    }
}
