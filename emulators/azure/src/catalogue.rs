//! What a subscription can see: regions, sizes, images, resource providers.

use serde_json::{Map, Value, json};

use crate::arm::{nothing_at, value};
use crate::message::{Answer, ArmError, Request, Result};
use crate::resource::{object, text};
use crate::world::{Asked, World};

/// The regions, each with how people call it.
pub(crate) const LOCATIONS: [(&str, &str); 6] = [
    ("eastus", "East US"),
    ("eastus2", "East US 2"),
    ("westeurope", "West Europe"),
    ("westus", "West US"),
    ("westus2", "West US 2"),
    ("northcentralus", "North Central US"),
];

/// Whether a region has availability zones.
pub(crate) fn has_zones(location: &str) -> bool {
    !matches!(location, "westus" | "northcentralus")
}

/// A size of virtual machines: its name, its family, its cores, its memory in MiB.
pub(crate) type Size = (&'static str, &'static str, u64, u64);

/// The sizes.
pub(crate) const SIZES: [Size; 16] = [
    ("Standard_B1s", "standardBSFamily", 1, 1_024),
    ("Standard_B2s", "standardBSFamily", 2, 4_096),
    ("Standard_B2ms", "standardBSFamily", 2, 8_192),
    ("Standard_B4ms", "standardBSFamily", 4, 16_384),
    ("Standard_B8ms", "standardBSFamily", 8, 32_768),
    ("Standard_B16ms", "standardBSFamily", 16, 65_536),
    ("Standard_D2s_v3", "standardDSv3Family", 2, 8_192),
    ("Standard_D4s_v3", "standardDSv3Family", 4, 16_384),
    ("Standard_D2s_v5", "standardDSv5Family", 2, 8_192),
    ("Standard_D4s_v5", "standardDSv5Family", 4, 16_384),
    ("Standard_D8s_v5", "standardDSv5Family", 8, 32_768),
    ("Standard_D16s_v5", "standardDSv5Family", 16, 65_536),
    ("Standard_DS1_v2", "standardDSv2Family", 1, 3_584),
    ("Standard_F4s_v2", "standardFSv2Family", 4, 8_192),
    ("Standard_F8s_v2", "standardFSv2Family", 8, 16_384),
    ("Standard_NC4as_T4_v3", "Standard NCASv3_T4 Family", 4, 28_672),
];

/// Finds a size, in any case.
pub(crate) fn size(name: &str) -> Option<Size> {
    SIZES.into_iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))
}

/// The images: publisher, offer, SKU, and the version that is the latest.
const IMAGES: [(&str, &str, &str, &str); 8] = [
    ("Canonical", "ubuntu-24_04-lts", "server", "24.04.202511050"),
    ("Canonical", "ubuntu-24_04-lts", "server-gen1", "24.04.202511050"),
    ("Canonical", "ubuntu-24_04-lts", "minimal", "24.04.202511050"),
    (
        "Canonical",
        "0001-com-ubuntu-server-jammy",
        "22_04-lts-gen2",
        "22.04.202511040",
    ),
    (
        "Canonical",
        "0001-com-ubuntu-server-jammy",
        "22_04-lts",
        "22.04.202511040",
    ),
    ("Debian", "debian-12", "12", "0.20251112.2294"),
    ("Debian", "debian-12", "12-gen2", "0.20251112.2294"),
    ("microsoft-dsvm", "ubuntu-hpc", "2204", "22.04.2025102201"),
];

/// The resource providers, with their kinds.
const PROVIDERS: [(&str, &[&str]); 5] = [
    (
        "Microsoft.Resources",
        &["resourceGroups", "subscriptions", "deployments"],
    ),
    (
        "Microsoft.Network",
        &[
            "virtualNetworks",
            "networkSecurityGroups",
            "publicIPAddresses",
            "networkInterfaces",
            "loadBalancers",
        ],
    ),
    (
        "Microsoft.Compute",
        &[
            "disks",
            "virtualMachines",
            "virtualMachineScaleSets",
            "virtualMachineScaleSets/virtualMachines",
        ],
    ),
    ("Microsoft.Insights", &["metrics", "metricDefinitions"]),
    ("Microsoft.ManagedIdentity", &["userAssignedIdentities"]),
];

/// The versions of the interface that a provider tells of.
const VERSIONS: [&str; 4] = ["2025-04-01", "2024-11-01", "2024-07-01", "2023-09-01"];

impl World {
    pub(crate) fn subscriptions(&self) -> Answer {
        let all = self.options.subscriptions.keys().map(|id| self.show_subscription(id));
        Answer::json(
            200,
            json!({"value": all.collect::<Vec<_>>(), "count": {"type": "Total", "value": self.options.subscriptions.len()}}),
        )
    }

    pub(crate) fn subscription(&self, id: &str) -> Result<Answer> {
        Ok(Answer::json(200, self.show_subscription(id)))
    }

    fn show_subscription(&self, id: &str) -> Value {
        let name = self.options.subscriptions.get(id).cloned().unwrap_or_default();
        json!({
            "id": format!("/subscriptions/{id}"), "authorizationSource": "RoleBased", "managedByTenants": [],
            "subscriptionId": id, "tenantId": self.options.tenant, "displayName": name, "state": "Enabled",
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"
            },
        })
    }

    pub(crate) fn tenants(&self) -> Answer {
        let id = &self.options.tenant;
        value(vec![json!({
            "id": format!("/tenants/{id}"), "tenantId": id, "countryCode": "US", "displayName": "Emulated",
            "domains": ["emulated.invalid"], "tenantCategory": "Home", "defaultDomain": "emulated.invalid", "tenantType": "AAD",
        })])
    }

    pub(crate) fn locations(&self, id: &str) -> Answer {
        let show = |(name, called): (&str, &str)| {
            json!({
                "id": format!("/subscriptions/{id}/locations/{name}"), "name": name, "type": "Region", "displayName": called,
                "regionalDisplayName": format!("(Emulated) {called}"),
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended", "geography": "Emulated",
                    "longitude": "0", "latitude": "0", "physicalLocation": "Emulated", "pairedRegion": []},
            })
        };
        value(LOCATIONS.into_iter().map(show).collect())
    }

    pub(crate) fn providers(&self, id: &str) -> Answer {
        value(
            PROVIDERS
                .into_iter()
                .map(|(namespace, _)| self.show_provider(id, namespace))
                .collect(),
        )
    }

    pub(crate) fn provider(&self, id: &str, namespace: &str) -> Result<Answer> {
        Ok(Answer::json(200, self.show_provider(id, known_provider(namespace)?)))
    }

    pub(crate) fn register(&mut self, id: &str, namespace: &str) -> Result<Answer> {
        let namespace = known_provider(namespace)?;
        self.registered.insert(namespace.to_lowercase());
        Ok(Answer::json(200, self.show_provider(id, namespace)))
    }

    fn show_provider(&self, id: &str, namespace: &str) -> Value {
        let kinds = PROVIDERS
            .into_iter()
            .find(|(known, _)| *known == namespace)
            .map_or(&[][..], |(_, kinds)| kinds);
        let registered = self.registered.contains(&namespace.to_lowercase()) || namespace == "Microsoft.Resources";
        let show = |kind: &&str| {
            json!({
                "resourceType": kind, "locations": LOCATIONS.map(|(_, called)| called), "apiVersions": VERSIONS,
                "capabilities": "SupportsTags, SupportsLocation",
            })
        };
        json!({
            "id": format!("/subscriptions/{id}/providers/{namespace}"), "namespace": namespace,
            "registrationState": if registered { "Registered" } else { "NotRegistered" },
            "registrationPolicy": "RegistrationRequired",
            "resourceTypes": kinds.iter().map(show).collect::<Vec<_>>(),
        })
    }

    /// Refuses what is put of a provider that is not registered.
    pub(crate) fn check_registered(&self, asked: &Asked) -> Result<()> {
        let namespace = asked.kind.name().split('/').next().unwrap_or_default();
        if self.registered.contains(&namespace.to_lowercase()) {
            return Ok(());
        }
        Err(ArmError::new(
            409,
            "MissingSubscriptionRegistration",
            format!(
                "The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for how to \
                 register subscriptions."
            ),
        ))
    }

    pub(crate) fn vm_sizes(&self) -> Answer {
        let show = |(name, _, cores, memory): Size| {
            json!({
                "name": name, "numberOfCores": cores, "osDiskSizeInMB": 1_047_552, "resourceDiskSizeInMB": 0,
                "memoryInMB": memory, "maxDataDiskCount": 16,
            })
        };
        value(SIZES.into_iter().map(show).collect())
    }

    pub(crate) fn skus(&self, request: &Request) -> Answer {
        let filter = request.query.get("$filter").map_or("", String::as_str);
        let wanted = filter.split('\'').nth(1).map(str::to_lowercase);
        let mut skus = Vec::new();
        for (location, _) in LOCATIONS {
            if wanted.as_ref().is_some_and(|wanted| wanted != location) {
                continue;
            }
            let zones: &[&str] = if has_zones(location) { &["1", "2", "3"] } else { &[] };
            for (name, family, cores, memory) in SIZES {
                let mut restrictions = Vec::new();
                if self.quotas.is_restricted(location, name) {
                    restrictions.push(json!({
                        "type": "Location", "values": [location], "restrictionInfo": {"locations": [location]},
                        "reasonCode": "NotAvailableForSubscription",
                    }));
                }
                skus.push(json!({
                    "resourceType": "virtualMachines", "name": name, "tier": "Standard", "size": name.trim_start_matches("Standard_"),
                    "family": family, "locations": [location],
                    "locationInfo": [{"location": location, "zones": zones, "zoneDetails": []}],
                    "capabilities": [
                        {"name": "vCPUs", "value": cores.to_string()},
                        {"name": "MemoryGB", "value": (memory / 1_024).to_string()},
                        {"name": "PremiumIO", "value": "True"},
                        {"name": "LowPriorityCapable", "value": "True"},
                        {"name": "HyperVGenerations", "value": "V1,V2"},
                    ],
                    "restrictions": restrictions,
                }));
            }
        }
        value(skus)
    }

    /// Answers below `publishers/…`: what images there are.
    pub(crate) fn images(&self, request: &Request, location: &str, path: &[&str]) -> Result<Answer> {
        let here = format!(
            "/Subscriptions/{}/Providers/Microsoft.Compute/Locations/{location}/Publishers",
            request.step(1)
        );
        let list = |names: Vec<String>, base: &str| {
            let mut names = names;
            names.sort();
            names.dedup();
            let show = |name: String| json!({"location": location, "name": name, "id": format!("{base}/{name}")});
            Ok(Answer::json(200, names.into_iter().map(show).collect()))
        };
        let of = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|step| (*step).to_lowercase()).collect();
            IMAGES.into_iter().filter(move |(publisher, offer, sku, _)| {
                let known = [publisher, offer, sku];
                wanted
                    .iter()
                    .zip(known)
                    .all(|(wanted, known)| *wanted == known.to_lowercase())
            })
        };
        match path {
            [] => list(IMAGES.iter().map(|image| image.0.to_owned()).collect(), &here),
            [publisher, "artifacttypes", "vmimage", "offers"] => {
                list(of(&[publisher]).map(|image| image.1.to_owned()).collect(), &here)
            }
            [publisher, "artifacttypes", "vmimage", "offers", offer, "skus"] => {
                list(of(&[publisher, offer]).map(|image| image.2.to_owned()).collect(), &here)
            }
            [
                publisher,
                "artifacttypes",
                "vmimage",
                "offers",
                offer,
                "skus",
                sku,
                "versions",
            ] => list(
                of(&[publisher, offer, sku]).map(|image| image.3.to_owned()).collect(),
                &here,
            ),
            [
                publisher,
                "artifacttypes",
                "vmimage",
                "offers",
                offer,
                "skus",
                sku,
                "versions",
                version,
            ] => {
                let found = of(&[publisher, offer, sku]).find(|image| *version == "latest" || image.3 == *version);
                let Some((.., known)) = found else {
                    return Err(no_image(publisher, offer, sku, version));
                };
                Ok(Answer::json(
                    200,
                    json!({
                        "location": location, "name": known, "id": format!("{here}/{publisher}/{offer}/{sku}/{known}"),
                        "properties": {
                            "hyperVGeneration": "V2", "architecture": "x64",
                            "osDiskImage": {"operatingSystem": "Linux", "sizeInGb": 30}, "dataDiskImages": [],
                        },
                    }),
                ))
            }
            _ => Err(nothing_at(request)),
        }
    }

    /// Checks the image of a storage profile and fills in its exact version.
    pub(crate) fn check_image(
        &self,
        asked: &Asked,
        storage: &mut Map<String, Value>,
        old: Option<&Map<String, Value>>,
    ) -> Result<()> {
        let os = storage.get("osDisk").and_then(Value::as_object);
        if os
            .and_then(|os| text(os, "createOption"))
            .is_some_and(|option| option.eq_ignore_ascii_case("Attach"))
        {
            return Ok(());
        }
        if !storage.contains_key("imageReference") {
            return Err(ArmError::parameter(
                "imageReference",
                "Required parameter 'imageReference' is missing (null).",
            ));
        }
        let image = object(storage, "imageReference");
        if image.contains_key("id")
            || image.contains_key("sharedGalleryImageId")
            || image.contains_key("communityGalleryImageId")
        {
            return Ok(());
        }
        let part = |name: &str| text(image, name).unwrap_or_default().to_owned();
        let (publisher, offer, sku, version) = (part("publisher"), part("offer"), part("sku"), part("version"));
        if let Some(old) = old.and_then(|old| old.get("imageReference")).and_then(Value::as_object)
            && ["publisher", "offer", "sku", "version"]
                .iter()
                .any(|name| text(old, name) != text(image, name))
            && asked.kind == crate::kind::Kind::Machine
        {
            return Err(crate::compute::machine::unchangeable("imageReference"));
        }
        let found = IMAGES
            .into_iter()
            .find(|(known_publisher, known_offer, known_sku, known)| {
                known_publisher.eq_ignore_ascii_case(&publisher)
                    && known_offer.eq_ignore_ascii_case(&offer)
                    && known_sku.eq_ignore_ascii_case(&sku)
                    && (version == "latest" || *known == version)
            });
        let Some((.., known)) = found else {
            return Err(no_image(&publisher, &offer, &sku, &version));
        };
        image.insert("exactVersion".to_owned(), json!(known));
        Ok(())
    }
}

fn no_image(publisher: &str, offer: &str, sku: &str, version: &str) -> ArmError {
    ArmError {
        target: Some("imageReference".to_owned()),
        ..ArmError::new(
            404,
            "PlatformImageNotFound",
            format!(
                "The platform image '{publisher}:{offer}:{sku}:{version}' is not available. Verify that all fields in the storage \
                 profile are correct. For more details about storage profile information, please refer to \
                 https://aka.ms/storageprofile"
            ),
        )
    }
}

fn known_provider(namespace: &str) -> Result<&'static str> {
    let found = PROVIDERS
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(namespace));
    found.map(|(known, _)| known).ok_or_else(|| {
        ArmError::new(
            404,
            "InvalidResourceNamespace",
            format!("The resource namespace '{namespace}' is invalid."),
        )
    })
}
