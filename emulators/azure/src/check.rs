//! What refers to what must be there, and what is referred to must not go.

use crate::kind::Kind;
use crate::message::{ArmError, Result};
use crate::resource::{Resource, State, items, last, text};
use crate::world::{Asked, Made, World};

/// Kinds of reference that the emulator knows no objects of: what they say is believed.
const BELIEVED: [&str; 9] = [
    "/providers/microsoft.managedidentity/",
    "/providers/microsoft.compute/galleries/",
    "/providers/microsoft.compute/images/",
    "/providers/microsoft.compute/snapshots/",
    "/providers/microsoft.compute/proximityplacementgroups/",
    "/providers/microsoft.compute/availabilitysets/",
    "/providers/microsoft.compute/diskencryptionsets/",
    "/providers/microsoft.compute/locations/",
    "/providers/microsoft.network/applicationsecuritygroups/",
];

impl World {
    /// Checks that what a body refers to is there, in the same region and not going.
    pub(crate) fn check_references(&self, asked: &Asked, made: &Made) -> Result<()> {
        for id in crate::references::found(&asked.key(), &made.body) {
            let key = id.to_lowercase();
            if BELIEVED.iter().any(|believed| key.contains(believed))
                || made.together.iter().any(|other| other.key() == key)
            {
                continue;
            }
            let Some(found) = self.holder(&key) else {
                return Err(self.missing(asked, &id));
            };
            if found.location != asked.place.location && asked.kind != Kind::VirtualNetwork {
                return Err(self.missing(asked, &id));
            }
            // What is still being created cannot be used yet, nor what is going.
            if matches!(found.state, State::Creating | State::Deleting) && found.kind.is_network() {
                let (state, did) = match found.state {
                    State::Deleting => ("Deleting", "Delete"),
                    _ => ("Updating", "Put"),
                };
                let message = format!(
                    "Cannot proceed with operation because resource {id} used by resource {} is not in Succeeded state. Resource is in \
                     {state} state and the last operation that updated/is updating the resource is {did}Operation.",
                    asked.id
                );
                return Err(self.try_again("ReferencedResourceNotProvisioned", message));
            }
            if found.state == State::Deleting {
                return Err(ArmError::new(
                    409,
                    "OperationNotAllowed",
                    format!(
                        "The resource {id}, which {} refers to, is marked for deletion.",
                        asked.id
                    ),
                ));
            }
        }
        // What is inside of the object itself, such as a probe of a rule.
        let inside = format!("{}/", asked.key());
        for id in crate::references::all(&made.body) {
            let key = id.to_lowercase();
            if let Some(part) = key.strip_prefix(&inside)
                && !asked.kind.children().is_empty()
                && let Some((list, name)) = part.split_once('/')
                && !asked.kind.children().iter().any(|known| {
                    known.eq_ignore_ascii_case(list)
                        && made
                            .body
                            .get("properties")
                            .and_then(|value| value.as_object())
                            .is_some_and(|properties| {
                                items(properties, known).any(|item| {
                                    text(item, "name").is_some_and(|known| known.eq_ignore_ascii_case(name))
                                })
                            })
                })
            {
                return Err(self.missing(asked, &id));
            }
        }
        Ok(())
    }

    /// 429: the network says what hinders it, and that it will pass.
    pub(crate) fn try_again(&self, code: &str, message: String) -> ArmError {
        ArmError {
            details: vec![(code.to_owned(), message)],
            retry_after: self.pace.retry_after,
            ..ArmError::new(429, "RetryableError", "A retryable error occurred.")
        }
    }

    /// Returns the object that an id names, or inside of which it names a part.
    pub(crate) fn holder(&self, key: &str) -> Option<&Resource> {
        if let Some(found) = self.resources.get(key) {
            return Some(found);
        }
        let steps: Vec<&str> = key.split('/').collect();
        let holder = self.resources.get(&steps.get(..9)?.join("/"))?;
        let (list, name) = (steps.get(9)?, steps.get(10)?);
        let known = holder
            .kind
            .children()
            .iter()
            .find(|known| known.eq_ignore_ascii_case(list))?;
        let mut parts = items(holder.properties()?, known);
        parts
            .any(|part| text(part, "name").is_some_and(|known| known.eq_ignore_ascii_case(name)))
            .then_some(holder)
    }

    fn missing(&self, asked: &Asked, id: &str) -> ArmError {
        let lower = id.to_lowercase();
        if asked.kind.is_network() {
            return ArmError::bad(
                "InvalidResourceReference",
                format!(
                    "Resource {id} referenced by resource {} was not found. Please make sure that the referenced resource exists, \
                     and that both resources are in the same region.",
                    asked.id
                ),
            );
        }
        if lower.contains("/microsoft.compute/") {
            let steps: Vec<&str> = id.split('/').collect();
            let kind = steps.get(7).copied().unwrap_or_default();
            let group = steps.get(4).copied().unwrap_or_default();
            return ArmError::new(
                404,
                "ResourceNotFound",
                format!(
                    "The Resource 'Microsoft.Compute/{kind}/{}' under resource group '{group}' was not found.",
                    last(id)
                ),
            );
        }
        ArmError::new(
            404,
            "NotFound",
            format!("Resource {id} not found. It is referenced by resource {}.", asked.id),
        )
    }

    /// Checks that nothing uses what is to be deleted.
    pub(crate) fn check_unused(&self, resource: &Resource) -> Result<()> {
        let key = resource.key();
        match resource.kind {
            Kind::VirtualNetwork => {
                for subnet in resource
                    .properties()
                    .into_iter()
                    .flat_map(|properties| items(properties, "subnets"))
                {
                    self.check_subnet_unused(resource, text(subnet, "name").unwrap_or_default())?;
                }
                Ok(())
            }
            Kind::SecurityGroup => match self.references.to(&key).next() {
                Some(by) => Err(ArmError::bad(
                    "InUseNetworkSecurityGroupCannotBeDeleted",
                    format!(
                        "Network security group {} cannot be deleted because it is in use by the following resources: {}. In order \
                         to delete the Network security group, remove the association with the resource(s). To learn how to do \
                         this, see aka.ms/deletensg.",
                        resource.id,
                        self.resources.get(by).map_or(by, |by| &by.id)
                    ),
                )),
                None => Ok(()),
            },
            Kind::PublicIp => {
                let by = self.parts_that_refer(&key, Kind::Interface, "ipConfigurations");
                let frontends = self.parts_that_refer(&key, Kind::LoadBalancer, "frontendIPConfigurations");
                match by.first().or(frontends.first()) {
                    Some(by) => Err(ArmError::bad(
                        "PublicIPAddressCannotBeDeleted",
                        format!(
                            "Public IP address {} can not be deleted since it is still allocated to resource {by}. In order to \
                             delete the public IP, disassociate/detach the Public IP address from the resource.  To learn how \
                             to do this, see aka.ms/deletepublicip.",
                            resource.id
                        ),
                    )),
                    None => Ok(()),
                }
            }
            Kind::Interface => match self.machine_of(&key) {
                Some(machine) => Err(nic_in_use(&resource.id, &machine.id)),
                None => Ok(()),
            },
            Kind::LoadBalancer => self.check_pools_unused(resource),
            Kind::Disk => match self.machine_of(&key) {
                Some(machine) => Err(ArmError::new(
                    409,
                    "OperationNotAllowed",
                    format!("Disk {} is attached to VM {}.", resource.name, machine.id),
                )),
                None => Ok(()),
            },
            Kind::ScaleSet | Kind::Machine | Kind::Instance => Ok(()),
        }
    }

    /// Returns the machine that has a disk or an interface.
    pub(crate) fn machine_of(&self, key: &str) -> Option<&Resource> {
        self.that_refer(key, Kind::Machine).into_iter().next()
    }
}

pub(crate) fn nic_in_use(interface: &str, machine: &str) -> ArmError {
    ArmError::bad(
        "NicInUse",
        format!(
            "Network Interface {interface} is used by existing resource {machine}. In order to delete the network interface, it must \
             be dissociated from the resource. To learn more, see aka.ms/deletenic."
        ),
    )
}
