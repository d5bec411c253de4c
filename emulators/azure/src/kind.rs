//! The kinds of object that are emulated, and what is particular to each in a line.

use crate::message::{ArmError, Result};

/// A kind of object inside a resource group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A virtual network with its subnets.
    VirtualNetwork,
    /// A network security group with its rules.
    SecurityGroup,
    /// A public IP address.
    PublicIp,
    /// A network interface.
    Interface,
    /// A load balancer with its frontends, pools, probes and rules.
    LoadBalancer,
    /// A managed disk.
    Disk,
    /// A virtual machine.
    Machine,
    /// A scale set, flexible or uniform.
    ScaleSet,
    /// An instance of a uniform scale set.
    Instance,
}

/// The kinds that have a path of their own below a resource group.
const KINDS: [Kind; 8] = [
    Kind::VirtualNetwork,
    Kind::SecurityGroup,
    Kind::PublicIp,
    Kind::Interface,
    Kind::LoadBalancer,
    Kind::Disk,
    Kind::Machine,
    Kind::ScaleSet,
];

impl Kind {
    /// Finds a kind by its namespace and type, in any case.
    pub fn find(namespace: &str, kind: &str) -> Option<Kind> {
        let wanted = format!("{namespace}/{kind}");
        KINDS.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(&wanted))
    }

    /// Returns the type as ARM writes it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::VirtualNetwork => "Microsoft.Network/virtualNetworks",
            Kind::SecurityGroup => "Microsoft.Network/networkSecurityGroups",
            Kind::PublicIp => "Microsoft.Network/publicIPAddresses",
            Kind::Interface => "Microsoft.Network/networkInterfaces",
            Kind::LoadBalancer => "Microsoft.Network/loadBalancers",
            Kind::Disk => "Microsoft.Compute/disks",
            Kind::Machine => "Microsoft.Compute/virtualMachines",
            Kind::ScaleSet => "Microsoft.Compute/virtualMachineScaleSets",
            Kind::Instance => "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
        }
    }

    /// Whether it is of `Microsoft.Network`.
    pub fn is_network(self) -> bool {
        self.name().starts_with("Microsoft.Network")
    }

    /// Returns the lists inside of its properties whose members have ids: the path segment is the name of the list.
    pub fn children(self) -> &'static [&'static str] {
        match self {
            Kind::VirtualNetwork => &["subnets", "virtualNetworkPeerings"],
            Kind::SecurityGroup => &["securityRules", "defaultSecurityRules"],
            Kind::Interface => &["ipConfigurations"],
            Kind::LoadBalancer => &[
                "frontendIPConfigurations",
                "backendAddressPools",
                "loadBalancingRules",
                "probes",
                "inboundNatRules",
                "outboundRules",
                "inboundNatPools",
            ],
            _ => &[],
        }
    }

    /// Returns which of [`Kind::children`] can be put and deleted alone.
    pub fn puttable(self) -> &'static [&'static str] {
        match self {
            Kind::VirtualNetwork => &["subnets"],
            Kind::SecurityGroup => &["securityRules"],
            Kind::LoadBalancer => &["backendAddressPools"],
            _ => &[],
        }
    }

    /// Returns what may stand beside `properties` in a body.
    fn members(self) -> &'static [&'static str] {
        match self {
            Kind::VirtualNetwork | Kind::Interface => &["extendedLocation"],
            Kind::SecurityGroup => &[],
            Kind::PublicIp => &["sku", "zones", "extendedLocation"],
            Kind::LoadBalancer => &["sku", "extendedLocation"],
            Kind::Disk => &["sku", "zones", "extendedLocation", "managedBy", "managedByExtended"],
            Kind::Machine => &[
                "zones",
                "identity",
                "plan",
                "placement",
                "extendedLocation",
                "resources",
                "instanceView",
                "managedBy",
            ],
            Kind::ScaleSet => &["sku", "zones", "identity", "plan", "placement", "extendedLocation"],
            Kind::Instance => &["sku", "zones", "plan", "identity", "instanceId", "resources"],
        }
    }

    /// Checks that a body has no member that the kind does not know.
    pub fn check_members(self, body: &serde_json::Map<String, serde_json::Value>) -> Result<()> {
        const ALL: [&str; 9] = [
            "id",
            "name",
            "type",
            "location",
            "tags",
            "properties",
            "etag",
            "kind",
            "systemData",
        ];
        for member in body.keys() {
            if !ALL.contains(&member.as_str()) && !self.members().contains(&member.as_str()) {
                let what = if self.is_network() {
                    "ResourceDefinition"
                } else {
                    self.name()
                };
                return Err(ArmError::bad(
                    "InvalidRequestContent",
                    format!(
                        "The request content was invalid and could not be deserialized: 'Could not find member '{member}' \
                         on object of type '{what}'. Path '{member}', line 1, position 1.'."
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Checks a name by the rules of Azure for this kind.
    pub fn check_name(self, name: &str) -> Result<()> {
        let longest = match self {
            Kind::VirtualNetwork | Kind::Machine | Kind::ScaleSet => 64,
            _ => 80,
        };
        let starts = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        let ends = name
            .chars()
            .last()
            .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.len() <= longest && starts && ends && name.chars().all(inside) {
            return Ok(());
        }
        if self.is_network() {
            return Err(ArmError::bad(
                "InvalidResourceName",
                format!(
                    "Resource name {name} is invalid. The name can be up to {longest} characters long. It must begin with a \
                     word character, and it must end with a word character or with '_'. The name may contain word \
                     characters or '.', '-', '_'."
                ),
            ));
        }
        Err(ArmError::parameter(
            if self == Kind::Disk { "disk.name" } else { "vmName" },
            format!(
                "The name '{name}' is not valid: The entity name must begin with a letter or number, end with a letter, number \
                 or underscore, and may contain only letters, numbers, underscores, periods, or hyphens, at most {longest}."
            ),
        ))
    }
}

/// Checks the name of a resource group.
pub fn check_group_name(name: &str) -> Result<()> {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '(' | ')');
    if name.len() <= 90 && !name.ends_with('.') && name.chars().all(inside) {
        return Ok(());
    }
    Err(ArmError::bad(
        "InvalidResourceGroup",
        format!(
            "The provided resource group name '{name}' has these invalid characters or length: it can only include \
             alphanumeric, underscore, parentheses, hyphen and period (except at end), at most 90."
        ),
    ))
}
