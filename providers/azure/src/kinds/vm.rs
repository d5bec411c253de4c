//! The kind `vm`: a virtual machine with Linux, which one logs in to with an SSH key.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};
use simfleet_provider_api::Presence::{Optional, Required};
use simfleet_provider_api::{
    Attribute, Attributes, Data, Digest, Kind, Path, Problem, ProviderError, Schema, Type, Value, encoding,
};

use super::{COMPUTE_API, flag, number, or_null, property, schema_of, text, texts, tracked};
use crate::arm::{Condition, Request};
use crate::client;
use crate::names::Rule;
use crate::resource::{Call, Resource};
use crate::tags::{self, Tags};
use crate::wanted::{Wanted, folded, folded_reference};

/// A virtual machine.
pub const VM: Kind = Kind::new("vm");

/// How much user data Azure takes, in bytes.
const MOST_USER_DATA: usize = 64 << 10;

pub(super) struct Vm;

#[async_trait]
impl Resource for Vm {
    fn kind(&self) -> Kind {
        VM
    }

    fn make_schema(&self) -> Schema {
        let data_disk = Type::object([
            ("lun", Type::Number, Required),
            ("gib", Type::Number, Required),
            ("type", Type::String, Optional),
        ]);
        let spot = Type::object([
            ("eviction", Type::String, Required),
            ("max_price", Type::Number, Optional),
        ]);
        let mut own = vec![
            text("size", "Its size: `Standard_B4ms`. A change restarts it.").required(),
            text("image", "What it boots: PUBLISHER:OFFER:SKU:VERSION, or the id of an image or of a version in a gallery.")
                .required()
                .replaces(),
            text("nic", "The id of its network interface.").required().replaces(),
            text("admin_user", "Who logs in.").required().replaces(),
            text("ssh_public_key", "The key that logs in.").required().replaces(),
            number("disk_gib", "The size of its disk in GiB; without it the one of the image.")
                .optional_computed()
                .replaces(),
            text("disk_type", "The type of its disk: `Premium_LRS`, `StandardSSD_LRS` …; without it Azure chooses.")
                .optional_computed()
                .replaces(),
            Attribute::new(
                "data_disks",
                Type::Set(Box::new(data_disk)),
                "Empty disks that are made and deleted with it: number, size in GiB and type.",
            )
            .replaces(),
            text("user_data", "What cloud-init runs when it first boots. Azure keeps it for itself; a digest of it is in a tag.")
                .sensitive()
                .replaces(),
            text("zone", "The zone that it is in.").replaces(),
            Attribute::new(
                "spot",
                spot,
                "That it may be taken away: what becomes of it then (deallocate, delete), and the most that it may cost an hour.",
            )
            .replaces(),
            flag("system_identity", "Whether it has an identity of its own.").default(false),
            texts("identities", "The ids of the managed identities that it can act as, in lower case."),
            text("scale_set", "The id of the scale set that it is a member of.").replaces(),
            number("fault_domain", "The fault domain of the scale set that it is in.").replaces(),
        ];
        own.extend(tracked());
        own.extend([
            text("vm_id", "What it calls itself: an id that no other machine has or had.").computed(),
            text("status", "What it does: running, stopped, deallocated …").live(),
        ]);
        schema_of(VM, "A virtual machine with Linux. Its disks go with it.", own)
    }

    fn names(&self) -> Rule {
        Rule {
            longest: 64,
            others: "-",
            is_whole: false,
        }
    }

    fn collection(&self) -> &'static str {
        "Microsoft.Compute/virtualMachines"
    }

    fn api(&self) -> &'static str {
        COMPUTE_API
    }

    fn is_conditional(&self) -> bool {
        true
    }

    fn check(&self, desired: &Attributes) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |attribute: &'static str, message: String, hint: Option<&str>| {
            problems.push(Problem {
                path: Path::attribute(attribute),
                message,
                hint: hint.map(str::to_owned),
            });
        };
        if let Some(image) = desired.str("image")
            && image_reference(image).is_none()
        {
            problem(
                "image",
                format!("must be PUBLISHER:OFFER:SKU:VERSION or the id of an image, but is {image:?}"),
                Some("\"Canonical:ubuntu-24_04-lts:server:latest\""),
            );
        }
        if let Some(key) = desired.str("ssh_public_key")
            && !(key.starts_with("ssh-rsa ") || key.starts_with("ssh-ed25519 "))
        {
            problem(
                "ssh_public_key",
                "must be a key that begins with ssh-rsa or ssh-ed25519: Azure takes no other".to_owned(),
                None,
            );
        }
        if let Some(user) = desired.str("admin_user")
            && RESERVED_USERS.contains(&user)
        {
            problem(
                "admin_user",
                format!("must not be {user:?}, which Azure keeps to itself"),
                None,
            );
        }
        if let Some(data) = desired.str("user_data").filter(|data| data.len() > MOST_USER_DATA) {
            let message = format!("has {} bytes; Azure takes {MOST_USER_DATA}", data.len());
            problem("user_data", message, Some("load what is large from elsewhere"));
        }
        let eviction = desired.get("spot").and_then(|spot| spot.get("eviction")?.as_str());
        if let Some(word) = eviction.filter(|word| !["deallocate", "delete"].contains(word)) {
            problem(
                "spot",
                format!("must give `eviction` as deallocate or delete, but gives {word:?}"),
                None,
            );
        }
        let identities = desired
            .get("identities")
            .and_then(Value::as_slice)
            .into_iter()
            .flatten();
        for id in identities.filter_map(Value::as_str).filter(|id| folded(id) != **id) {
            problem(
                "identities",
                format!("has {id:?}, which is not in lower case"),
                Some("lower(…)"),
            );
        }
        problems
    }

    fn tag(&self, wanted: &Wanted, tags: &mut Tags) {
        tags.set(tags::IMAGE, wanted.str("image"));
        let (data, token) = (wanted.get("user_data").as_str(), tags.token());
        if let (Some(data), Some(token)) = (data, token) {
            // Any salt will do that no other machine has.
            let salt: [u8; 16] = std::array::from_fn(|i| token.0.as_bytes().get(i).copied().unwrap_or_default());
            let Digest { salt, sha256, .. } = encoding::digest(&Value::from(data), salt);
            tags.set(tags::USER_DATA, &format!("{salt}:{sha256}"));
        }
    }

    fn restore(&self, tags: &Tags, attributes: &mut Attributes) {
        if let Some((salt, sha256)) = tags.get(tags::USER_DATA).and_then(|tag| tag.split_once(':')) {
            let digest = Digest {
                salt: salt.to_owned(),
                sha256: sha256.to_owned(),
                sealed: None,
            };
            attributes.set("user_data", Value::new(Data::Redacted(Arc::new(digest))).mark(true));
        }
    }

    fn body(&self, wanted: &Wanted) -> Json {
        let user = wanted.str("admin_user");
        let data_disks: Vec<Json> = wanted.items("data_disks").map(sent_disk).collect();
        let spot = wanted.get("spot");
        json!({
            "zones": wanted.get("zone").as_str().map(|zone| [zone]),
            "identity": identity(wanted),
            "properties": {
                "hardwareProfile": { "vmSize": wanted.get("size") },
                "storageProfile": {
                    "imageReference": image_reference(wanted.str("image")),
                    "osDisk": {
                        "createOption": "FromImage",
                        "deleteOption": "Delete",
                        "diskSizeGB": wanted.get("disk_gib"),
                        "managedDisk": disk_type(wanted.get("disk_type")),
                    },
                    "dataDisks": or_null(&data_disks.into()),
                },
                "osProfile": {
                    // A name of a host has no `_` and no `.`; `names` lets none pass.
                    "computerName": wanted.get("name"),
                    "adminUsername": user,
                    "customData": wanted.get("user_data").as_str().map(|data| STANDARD.encode(data)),
                    "linuxConfiguration": {
                        "disablePasswordAuthentication": true,
                        "ssh": { "publicKeys": [{
                            "path": format!("/home/{user}/.ssh/authorized_keys"),
                            "keyData": wanted.get("ssh_public_key"),
                        }] },
                    },
                },
                "networkProfile": { "networkInterfaces": [{
                    "id": wanted.get("nic"),
                    "properties": { "primary": true, "deleteOption": "Detach" },
                }] },
                "priority": spot.as_object().map(|_| "Spot"),
                "evictionPolicy": match spot.get("eviction").and_then(Json::as_str) {
                    Some("delete") => Json::from("Delete"),
                    Some(_) => "Deallocate".into(),
                    None => Json::Null,
                },
                "billingProfile": spot.as_object().map(|spot| json!({
                    // -1 is what it costs without spot.
                    "maxPrice": spot.get("max_price").filter(|price| !price.is_null()).cloned().unwrap_or_else(|| (-1).into()),
                })),
                "virtualMachineScaleSet": wanted.reference("scale_set"),
                "platformFaultDomain": wanted.get("fault_domain"),
            },
        })
    }

    /// Only what has changed is sent: a size that is sent as it is has been known to be refused while the machine is moved.
    fn change(&self, current: &Json, wanted: &Wanted) -> Call {
        let mut body = Map::new();
        if property(current, "hardwareProfile").get("vmSize") != Some(wanted.get("size")) {
            let properties = json!({ "hardwareProfile": { "vmSize": wanted.get("size") } });
            body.insert("properties".to_owned(), properties);
        }
        let mut identity = identity(wanted);
        if identity.is_null() && current.get("identity").is_some() {
            identity = json!({ "type": "None" });
        }
        if let Json::Object(identity) = &mut identity {
            // One that is to go is named, with nothing.
            let known = current
                .pointer("/identity/userAssignedIdentities")
                .and_then(Json::as_object);
            let kept: Vec<String> = wanted
                .items("identities")
                .filter_map(Json::as_str)
                .map(folded)
                .collect();
            let gone = known
                .into_iter()
                .flatten()
                .map(|(id, _)| id)
                .filter(|id| !kept.contains(&folded(id)));
            if identity
                .get("type")
                .is_some_and(|kind| kind.as_str().is_some_and(|kind| kind.contains("User")))
            {
                let all = identity.entry("userAssignedIdentities").or_insert_with(|| json!({}));
                gone.for_each(|id| all[id] = Json::Null);
            }
        }
        if !identity.is_null() {
            body.insert("identity".to_owned(), identity);
        }
        Call::Patch(Json::Object(body), Condition::None)
    }

    fn attributes(&self, seen: &Json) -> Json {
        let storage = property(seen, "storageProfile");
        let disk = storage.get("osDisk").unwrap_or(&Json::Null);
        let user = property(seen, "osProfile");
        let data_disks = storage.get("dataDisks").and_then(Json::as_array).into_iter().flatten();
        let data_disks: Vec<Json> = data_disks.map(shown_disk).collect();
        let nics = property(seen, "networkProfile").get("networkInterfaces");
        let identities = seen
            .pointer("/identity/userAssignedIdentities")
            .and_then(Json::as_object);
        let identities: Vec<String> = identities.into_iter().flatten().map(|(id, _)| folded(id)).collect();
        let identity = seen
            .pointer("/identity/type")
            .and_then(Json::as_str)
            .unwrap_or_default();
        json!({
            "size": property(seen, "hardwareProfile").get("vmSize"),
            "image": image(storage.get("imageReference"), Tags::of(seen).get(tags::IMAGE)),
            "nic": folded_reference(nics.and_then(|nics| nics.get(0))),
            "admin_user": user.get("adminUsername"),
            "ssh_public_key": user.pointer("/linuxConfiguration/ssh/publicKeys/0/keyData"),
            "disk_gib": disk.get("diskSizeGB"),
            "disk_type": disk.pointer("/managedDisk/storageAccountType"),
            "data_disks": or_null(&data_disks.into()),
            "zone": seen.pointer("/zones/0"),
            "spot": spot(seen),
            "system_identity": identity.contains("SystemAssigned"),
            "identities": or_null(&identities.into()),
            "scale_set": folded_reference(Some(property(seen, "virtualMachineScaleSet"))),
            "fault_domain": property(seen, "platformFaultDomain"),
            "vm_id": property(seen, "vmId"),
            "status": status(seen),
        })
    }

    /// What a machine does is shown with the look at one only.
    async fn request(&self, id: &str, call: Call) -> Result<Request, ProviderError> {
        let is_look = matches!(call, Call::Get);
        let mut request = client::machine(self, id, call).await?;
        if is_look {
            request.target.push_str("&$expand=instanceView");
        }
        Ok(request)
    }
}

/// Some of the names that Azure refuses for who logs in.
const RESERVED_USERS: [&str; 8] = [
    "root",
    "admin",
    "administrator",
    "user",
    "guest",
    "test",
    "sys",
    "backup",
];

/// Returns an image in the words of the API.
fn image_reference(image: &str) -> Option<Json> {
    if image.starts_with('/') {
        return Some(json!({ "id": image }));
    }
    let parts: Vec<&str> = image.split(':').collect();
    match parts[..] {
        [publisher, offer, sku, version] if !parts.contains(&"") => Some(json!({
            "publisher": publisher, "offer": offer, "sku": sku, "version": version,
        })),
        _ => None,
    }
}

/// Returns the image of a machine, in the letters that it was asked for in where it is the same.
fn image(reference: Option<&Json>, asked: Option<&str>) -> Json {
    let text = |name: &str| reference.and_then(|reference| reference.get(name)?.as_str());
    let image = match (
        text("id"),
        text("publisher"),
        text("offer"),
        text("sku"),
        text("version"),
    ) {
        (Some(id), ..) => id.to_owned(),
        (None, Some(publisher), Some(offer), Some(sku), Some(version)) => {
            format!("{publisher}:{offer}:{sku}:{version}")
        }
        _ => return Json::Null,
    };
    match asked {
        Some(asked) if asked.eq_ignore_ascii_case(&image) => asked.into(),
        _ => image.into(),
    }
}

fn disk_type(ty: &Json) -> Json {
    match ty.as_str() {
        Some(ty) => json!({ "storageAccountType": ty }),
        None => Json::Null,
    }
}

fn sent_disk(disk: &Json) -> Json {
    json!({
        "lun": disk.get("lun"),
        "createOption": "Empty",
        "deleteOption": "Delete",
        "diskSizeGB": disk.get("gib"),
        "managedDisk": disk_type(disk.get("type").unwrap_or(&Json::Null)),
    })
}

fn shown_disk(disk: &Json) -> Json {
    json!({
        "lun": disk.get("lun"),
        "gib": disk.get("diskSizeGB"),
        "type": disk.pointer("/managedDisk/storageAccountType"),
    })
}

fn identity(wanted: &Wanted) -> Json {
    let is_own = wanted.get("system_identity").as_bool().unwrap_or_default();
    let users: Map<String, Json> = wanted
        .items("identities")
        .filter_map(|id| Some((id.as_str()?.to_owned(), json!({}))))
        .collect();
    match (is_own, users.is_empty()) {
        (false, true) => Json::Null,
        (true, true) => json!({ "type": "SystemAssigned" }),
        (false, false) => json!({ "type": "UserAssigned", "userAssignedIdentities": users }),
        (true, false) => json!({ "type": "SystemAssigned, UserAssigned", "userAssignedIdentities": users }),
    }
}

fn spot(seen: &Json) -> Json {
    if property(seen, "priority").as_str() != Some("Spot") {
        return Json::Null;
    }
    let price = property(seen, "billingProfile").get("maxPrice");
    let price = price.filter(|price| price.as_f64().is_some_and(|price| price >= 0.0));
    let eviction = property(seen, "evictionPolicy").as_str().unwrap_or("Deallocate");
    json!({ "eviction": eviction.to_ascii_lowercase(), "max_price": price })
}

/// Returns what a machine does: `PowerState/running` is `running`.
pub(super) fn status(seen: &Json) -> Json {
    let statuses = property(seen, "instanceView").get("statuses").and_then(Json::as_array);
    let codes = statuses
        .into_iter()
        .flatten()
        .filter_map(|status| status.get("code")?.as_str());
    let power = codes.filter_map(|code| code.strip_prefix("PowerState/")).next();
    power.map_or(Json::Null, Json::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_keeps_the_letters_that_it_was_asked_for_in() {
        let reference = image_reference("canonical:Ubuntu-24_04-lts:server:latest").expect("it is one");
        for (case, asked, expected) in [
            ("no tag", None, "canonical:Ubuntu-24_04-lts:server:latest"),
            (
                "other letters",
                Some("Canonical:ubuntu-24_04-lts:server:latest"),
                "Canonical:ubuntu-24_04-lts:server:latest",
            ),
            (
                "another image",
                Some("Canonical:ubuntu-22_04-lts:server:latest"),
                "canonical:Ubuntu-24_04-lts:server:latest",
            ),
        ] {
            assert_eq!(image(Some(&reference), asked), expected, "{case}");
        }
        assert_eq!(image_reference("ubuntu"), None);
        assert_eq!(image_reference("a::b:c"), None);
    }
}
