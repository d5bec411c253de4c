//! What is deleted together with what it was attached to.

use serde_json::Value;

use crate::resource::{Resource, items, reference, text};

/// Returns the ids of what is deleted with a machine (disks, interfaces), or with an interface (public IPs).
pub(crate) fn deleted_with(resource: &Resource) -> Vec<String> {
    let Some(properties) = resource.properties() else {
        return Vec::new();
    };
    let deletes = |option: Option<&Value>| {
        option
            .and_then(Value::as_str)
            .is_some_and(|option| option.eq_ignore_ascii_case("Delete"))
    };
    let mut ids = Vec::new();
    if let Some(storage) = properties.get("storageProfile").and_then(Value::as_object) {
        let os = storage.get("osDisk").and_then(Value::as_object);
        for disk in os.into_iter().chain(items(storage, "dataDisks")) {
            if deletes(disk.get("deleteOption"))
                && let Some(id) = reference(disk, "managedDisk")
            {
                ids.push(id.to_owned());
            }
        }
    }
    if let Some(network) = properties.get("networkProfile").and_then(Value::as_object) {
        for interface in items(network, "networkInterfaces") {
            if deletes(interface.get("properties").and_then(|inner| inner.get("deleteOption")))
                && let Some(id) = text(interface, "id")
            {
                ids.push(id.to_owned());
            }
        }
    }
    for configuration in items(properties, "ipConfigurations") {
        let public = configuration
            .get("properties")
            .and_then(|inner| inner.get("publicIPAddress"));
        if let Some(public) = public.and_then(Value::as_object)
            && deletes(
                public
                    .get("properties")
                    .and_then(|inner| inner.get("deleteOption"))
                    .or(public.get("deleteOption")),
            )
            && let Some(id) = text(public, "id")
        {
            ids.push(id.to_owned());
        }
    }
    ids
}
