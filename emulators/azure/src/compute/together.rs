//! What is made together with a machine: its disks, and interfaces where they are only described.

use serde_json::{Map, Value, json};

use crate::compute::machine::unchangeable;
use crate::kind::Kind;
use crate::message::{ArmError, Result};
use crate::resource::{Facts, Power, Resource, State, default, items, items_mut, object, reference, text};
use crate::world::{Asked, World};

impl World {
    pub(crate) fn make_storage(
        &mut self,
        asked: &Asked,
        properties: &mut Map<String, Value>,
        old: Option<&Map<String, Value>>,
        zones: Option<&Value>,
        together: &mut Vec<Resource>,
    ) -> Result<()> {
        let old = old.and_then(|old| old.get("storageProfile")).and_then(Value::as_object);
        let storage = object(properties, "storageProfile");
        for (name, value) in old.into_iter().flatten() {
            if name != "dataDisks" {
                default(storage, name, value.clone());
            }
        }
        default(storage, "diskControllerType", json!("SCSI"));
        default(storage, "dataDisks", json!([]));
        self.check_image(asked, storage, old)?;
        let old_os = old.and_then(|old| old.get("osDisk")).and_then(Value::as_object);
        let os = object(storage, "osDisk");
        for (name, value) in old_os.into_iter().flatten() {
            default(os, name, value.clone());
        }
        let made_os = format!("{}_OsDisk_1_{}", asked.name, self.draw.digits());
        default(os, "osType", json!("Linux"));
        default(os, "createOption", json!("FromImage"));
        default(os, "caching", json!("ReadWrite"));
        default(os, "deleteOption", json!("Detach"));
        default(os, "diskSizeGB", json!(30));
        if old_os.is_some_and(|old| text(os, "name").is_some() && text(old, "name") != text(os, "name")) {
            return Err(unchangeable("osDisk.name"));
        }
        let attached = reference(os, "managedDisk").map(str::to_owned);
        default(
            os,
            "name",
            json!(attached.as_deref().map_or(made_os.as_str(), crate::resource::last)),
        );
        self.make_disk_of(asked, os, 30, zones, together)?;
        let mut luns = std::collections::BTreeSet::new();
        let old_disks: Vec<Map<String, Value>> = old
            .into_iter()
            .flat_map(|old| items(old, "dataDisks").cloned())
            .collect();
        let digits: Vec<String> = items(storage, "dataDisks").map(|_| self.draw.digits()).collect();
        for (index, disk) in items_mut(storage, "dataDisks").enumerate() {
            let Some(lun) = disk.get("lun").and_then(Value::as_u64) else {
                return Err(ArmError::parameter(
                    "dataDisk.lun",
                    "Required parameter 'dataDisk.lun' is missing (null).",
                ));
            };
            if !luns.insert(lun) || lun > 63 {
                return Err(ArmError::parameter(
                    "dataDisk.lun",
                    format!("The value '{lun}' of parameter 'dataDisk.lun' is used twice, or over 63."),
                ));
            }
            let was = old_disks
                .iter()
                .find(|old| old.get("lun").and_then(Value::as_u64) == Some(lun));
            for (name, value) in was.into_iter().flatten() {
                default(disk, name, value.clone());
            }
            let option = text(disk, "createOption").unwrap_or_default().to_owned();
            if option.is_empty() {
                return Err(ArmError::parameter(
                    "dataDisk.createOption",
                    "Required parameter 'dataDisk.createOption' is missing (null).",
                ));
            }
            let attach = option.eq_ignore_ascii_case("Attach");
            if attach && reference(disk, "managedDisk").is_none() {
                return Err(ArmError::parameter(
                    "dataDisk.managedDisk.id",
                    "Required parameter 'dataDisk.managedDisk.id' is missing (null).",
                ));
            }
            let attached = reference(disk, "managedDisk").map(str::to_owned);
            let made = format!("{}_disk{}_{}", asked.name, index + 2, digits[index]);
            default(
                disk,
                "name",
                json!(attached.as_deref().map_or(made.as_str(), crate::resource::last)),
            );
            default(disk, "caching", json!("None"));
            default(disk, "toBeDetached", json!(false));
            default(disk, "deleteOption", json!("Detach"));
            let size = match attached
                .as_deref()
                .and_then(|id| self.resources.get(&id.to_lowercase()))
            {
                Some(there) => there.at("/properties/diskSizeGB").and_then(Value::as_u64).unwrap_or(30),
                None => disk.get("diskSizeGB").and_then(Value::as_u64).unwrap_or_default(),
            };
            if size == 0 && !attach {
                return Err(ArmError::parameter(
                    "dataDisk.diskSizeGB",
                    "Required parameter 'dataDisk.diskSizeGB' is missing (null).",
                ));
            }
            default(disk, "diskSizeGB", json!(size));
            self.make_disk_of(asked, disk, size, zones, together)?;
        }
        Ok(())
    }

    /// Makes the disk that a profile describes, unless it is there.
    fn make_disk_of(
        &mut self,
        asked: &Asked,
        profile: &mut Map<String, Value>,
        size: u64,
        zones: Option<&Value>,
        together: &mut Vec<Resource>,
    ) -> Result<()> {
        let size = profile.get("diskSizeGB").and_then(Value::as_u64).unwrap_or(size);
        let name = text(profile, "name").unwrap_or_default().to_owned();
        let managed = object(profile, "managedDisk");
        if let Some(there) = text(managed, "id").and_then(|id| self.resources.get(&id.to_lowercase())) {
            let sku = there.text("/sku/name").unwrap_or("Premium_LRS").to_owned();
            default(managed, "storageAccountType", json!(sku));
            return Ok(());
        }
        if text(managed, "id").is_some() {
            // Which is missing is told with the other references.
            return Ok(());
        }
        default(managed, "storageAccountType", json!("Premium_LRS"));
        let sku = crate::network::word(
            text(managed, "storageAccountType"),
            &crate::compute::disk::SKUS,
            "storageAccountType",
        );
        let sku = sku.map_err(|error| ArmError::parameter("managedDisk.storageAccountType", error.message))?;
        let disk = self.disk_of_machine(asked, &name, size, &sku, zones);
        managed.insert("storageAccountType".to_owned(), json!(sku));
        managed.insert("id".to_owned(), json!(disk.id));
        together.push(disk);
        Ok(())
    }

    pub(crate) fn make_network(
        &mut self,
        asked: &Asked,
        properties: &mut Map<String, Value>,
        existing: Option<&Resource>,
        zones: Option<&Value>,
        together: &mut Vec<Resource>,
    ) -> Result<()> {
        let profile = object(properties, "networkProfile");
        let described: Vec<Map<String, Value>> = items(profile, "networkInterfaceConfigurations").cloned().collect();
        if existing.is_some() {
            profile.remove("networkInterfaceConfigurations");
        } else if !described.is_empty() {
            if text(profile, "networkApiVersion").is_none() {
                return Err(ArmError::parameter(
                    "networkProfile.networkApiVersion",
                    "Required parameter 'networkProfile.networkApiVersion' is missing (null).",
                ));
            }
            let mut made = Vec::new();
            for description in &described {
                made.push(self.make_described(asked, description, zones, together)?);
            }
            profile.remove("networkInterfaceConfigurations");
            profile.remove("networkApiVersion");
            profile.insert("networkInterfaces".to_owned(), Value::Array(made));
        }
        if items(profile, "networkInterfaces").next().is_none() {
            return Err(ArmError::parameter(
                "networkProfile",
                "Virtual machine must have at least one network interface.",
            ));
        }
        let alone = items(profile, "networkInterfaces").count() == 1;
        for interface in items_mut(profile, "networkInterfaces") {
            // With one interface that says nothing, Azure answers with its id alone.
            if !alone || interface.contains_key("properties") {
                default(object(interface, "properties"), "deleteOption", json!("Detach"));
            }
        }
        Ok(())
    }

    /// Makes an interface of its description, with a public IP where it has one. Returns the reference to it.
    fn make_described(
        &mut self,
        asked: &Asked,
        description: &Map<String, Value>,
        zones: Option<&Value>,
        together: &mut Vec<Resource>,
    ) -> Result<Value> {
        let group = asked.id.split("/providers/").next().unwrap_or_default().to_owned();
        let tail = self.draw.digits();
        let tail = tail.get(..8).unwrap_or_default();
        let given = text(description, "name").unwrap_or("nic");
        let name = format!("{given}-{tail}");
        let inner = description
            .get("properties")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let mut interface = Map::new();
        let properties = object(&mut interface, "properties");
        for member in [
            "enableAcceleratedNetworking",
            "enableIPForwarding",
            "networkSecurityGroup",
            "dnsSettings",
        ] {
            if let Some(value) = inner.get(member) {
                properties.insert(member.to_owned(), value.clone());
            }
        }
        let mut configurations = Vec::new();
        for configuration in items(&inner, "ipConfigurations") {
            let mut configuration = configuration.clone();
            let inside = object(&mut configuration, "properties");
            if let Some(Value::Object(public)) = inside.remove("publicIPAddressConfiguration") {
                let called = format!("{}-{tail}", text(&public, "name").unwrap_or("pip"));
                let mut body = Map::new();
                body.insert("sku".to_owned(), json!({"name": "Standard"}));
                if let Some(zones) = zones.filter(|zones| !zones.is_null()) {
                    body.insert("zones".to_owned(), zones.clone());
                }
                body.insert("properties".to_owned(), json!({"publicIPAllocationMethod": "Static"}));
                let place = self.as_other(asked, &group, Kind::PublicIp, &called);
                let made = self.make_public_ip(&place, body, None)?;
                let delete = public
                    .get("properties")
                    .and_then(|inner| inner.get("deleteOption"))
                    .cloned();
                let delete = delete.unwrap_or(json!("Detach"));
                inside.insert(
                    "publicIPAddress".to_owned(),
                    json!({"id": place.id, "properties": {"deleteOption": delete}}),
                );
                together.push(self.made_with(&place, made.body));
            }
            configurations.push(Value::Object(configuration));
        }
        properties.insert("ipConfigurations".to_owned(), Value::Array(configurations));
        let place = self.as_other(asked, &group, Kind::Interface, &name);
        let made = self.make_interface(&place, interface, None)?;
        let made = self.made_with(&place, made.body);
        let id = made.id.clone();
        let mut with = crate::world::Made::default();
        with.body.clone_from(&made.body);
        with.together.clone_from(together);
        self.check_references(&place, &with)?;
        // Addresses are given out by what is kept: it must not wait for the machine.
        self.keep(made);
        let primary = inner.get("primary").cloned().unwrap_or(json!(true));
        let delete = inner.get("deleteOption").cloned().unwrap_or(json!("Detach"));
        Ok(json!({"id": id, "properties": {"primary": primary, "deleteOption": delete}}))
    }

    fn as_other<'a>(&self, asked: &Asked<'a>, group: &str, kind: Kind, name: &str) -> Asked<'a> {
        Asked {
            kind,
            name: name.to_owned(),
            id: format!("{group}/providers/{}/{name}", kind.name()),
            ..asked.clone()
        }
    }

    fn made_with(&mut self, asked: &Asked, body: Map<String, Value>) -> Resource {
        Resource {
            id: asked.id.clone(),
            kind: asked.kind,
            name: asked.name.clone(),
            location: asked.place.location.clone(),
            body,
            state: State::Succeeded,
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
