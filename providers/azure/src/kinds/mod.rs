//! The kinds, one a file.

mod backend;
mod instance;
mod load_balancer;
mod network;
mod nic;
mod public_ip;
mod resource_group;
mod scale_set;
mod security_group;
mod subnet;
mod uniform_set;
mod vm;

use std::sync::LazyLock;

use serde_json::Value as Json;
use simfleet_provider_api::{Attribute, Attributes, Kind, Path, Problem, ProviderError, Schema, Type};

use crate::resource::Resource;
use crate::tags;

pub use backend::BACKEND;
pub use instance::INSTANCE;
pub(crate) use instance::listed as listed_instances;
pub use load_balancer::LOAD_BALANCER;
pub use network::NETWORK;
pub use nic::NIC;
pub use public_ip::PUBLIC_IP;
pub use resource_group::RESOURCE_GROUP;
pub use scale_set::SCALE_SET;
pub use security_group::SECURITY_GROUP;
pub use subnet::SUBNET;
pub use uniform_set::UNIFORM_SET;
pub use vm::VM;

/// The version of the API of Microsoft.Network.
const NETWORK_API: &str = "2024-05-01";
/// The version of the API of Microsoft.Compute: the one that the models of `client.rs` are of.
const COMPUTE_API: &str = "2024-07-01";

/// All kinds, those first that others need.
static RESOURCES: [&dyn Resource; 12] = [
    &resource_group::ResourceGroup,
    &network::Network,
    &security_group::SecurityGroup,
    &subnet::Subnet,
    &public_ip::PublicIp,
    &load_balancer::LoadBalancer,
    &nic::Nic,
    &scale_set::ScaleSet,
    &vm::Vm,
    &uniform_set::UniformSet,
    &instance::Instance,
    &backend::Backend,
];

/// Returns the schemas of all kinds.
pub(crate) fn schemas() -> &'static [Schema] {
    static SCHEMAS: LazyLock<Vec<Schema>> =
        LazyLock::new(|| RESOURCES.iter().map(|resource| resource.make_schema()).collect());
    &SCHEMAS
}

/// Returns the schema of a kind.
pub(crate) fn schema(kind: &Kind) -> Result<&'static Schema, ProviderError> {
    schemas()
        .iter()
        .find(|schema| schema.kind == *kind)
        .ok_or_else(|| no_kind(kind))
}

/// Returns a kind by its name.
pub(crate) fn resource(kind: &Kind) -> Result<&'static dyn Resource, ProviderError> {
    let found = RESOURCES.iter().find(|resource| resource.kind() == *kind);
    found.copied().ok_or_else(|| no_kind(kind))
}

fn no_kind(kind: &Kind) -> ProviderError {
    ProviderError::Broken {
        message: format!("the provider `azure` has no kind `{kind}`"),
    }
}

/// Checks wanted attributes beyond their types; what is not known yet is passed over.
pub(crate) fn check(kind: &Kind, desired: &Attributes) -> Vec<Problem> {
    let Ok(resource) = resource(kind) else {
        return Vec::new();
    };
    let mut problems = desired
        .str("name")
        .map(|name| resource.names().check(name))
        .unwrap_or_default();
    if let Some(location) = desired.str("location")
        && !is_region(location)
    {
        problems.push(Problem {
            path: Path::attribute("location"),
            message: format!("must be a region in its short form, but is {location:?}"),
            hint: Some("\"eastus\", not \"East US\"".to_owned()),
        });
    }
    let declared = desired
        .get("tags")
        .and_then(|tags| tags.as_fields())
        .into_iter()
        .flatten();
    for (name, text) in declared {
        let message = match (&**name, text.as_str()) {
            (name, _) if !tags::is_declared(name) => format!("has {name:?}: tags that begin so are simfleet's own"),
            (name, _) if name.chars().any(|c| "<>%&\\?/".contains(c)) => {
                format!("has {name:?}: a name of a tag has none of < > % & \\ ? /")
            }
            (name, _) if name.is_empty() || name.chars().count() > 512 => {
                format!("has {name:?}: a name of a tag has 1 to 512 characters")
            }
            (name, Some(text)) if text.chars().count() > 256 => {
                format!("has more than 256 characters in {name:?}")
            }
            _ => continue,
        };
        problems.push(Problem {
            path: Path::attribute("tags"),
            message,
            hint: None,
        });
    }
    problems.extend(resource.check(desired));
    problems
}

/// Whether a region is written as Azure answers it.
pub(crate) fn is_region(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// Returns a schema: what all kinds have, and what one has of its own.
fn schema_of(kind: Kind, doc: &'static str, own: Vec<Attribute>) -> Schema {
    let mut attributes = vec![text("name", "Its name in the fleet.").required().replaces()];
    attributes.extend(own);
    attributes.extend([
        text("id", "Its id in Azure, in lower case.").computed(),
        text(
            "azure_name",
            "Its name in Azure, in lower case: that in the fleet and the start of a token.",
        )
        .computed(),
    ]);
    Schema {
        kind,
        version: 1,
        doc,
        attributes,
    }
}

/// Returns the schema of what is named by something else: its set, or the interface that takes part.
fn schema_without_name(kind: Kind, doc: &'static str, own: Vec<Attribute>) -> Schema {
    let mut schema = schema_of(kind, doc, own);
    schema.attributes.retain(|attribute| attribute.name != "name");
    schema
}

/// Returns the attributes of what has a region and tags.
fn tracked() -> [Attribute; 2] {
    [
        text("location", "The region; without it the one of the provider.")
            .optional_computed()
            .replaces(),
        Attribute::new("tags", Type::map(Type::String), "Its tags, beside simfleet's own."),
    ]
}

fn text(name: &'static str, doc: &'static str) -> Attribute {
    Attribute::new(name, Type::String, doc)
}

fn number(name: &'static str, doc: &'static str) -> Attribute {
    Attribute::new(name, Type::Number, doc)
}

fn flag(name: &'static str, doc: &'static str) -> Attribute {
    Attribute::new(name, Type::Bool, doc)
}

fn texts(name: &'static str, doc: &'static str) -> Attribute {
    Attribute::new(name, Type::Set(Box::new(Type::String)), doc)
}

/// Returns a field of the `properties` of an object.
fn property<'j>(seen: &'j Json, name: &str) -> &'j Json {
    seen.pointer("/properties")
        .and_then(|properties| properties.get(name))
        .unwrap_or(&Json::Null)
}

/// Returns the elements of a field that is an array.
fn items<'j>(seen: &'j Json, name: &str) -> impl Iterator<Item = &'j Json> {
    property(seen, name).as_array().into_iter().flatten()
}

/// Returns a list; `null` where it is empty or no list.
fn or_null(list: &Json) -> Json {
    match list.as_array() {
        Some(items) if !items.is_empty() => list.clone(),
        _ => Json::Null,
    }
}

/// Returns what is wrong with a range of addresses.
fn check_cidr(desired: &Attributes) -> Option<Problem> {
    let cidr = desired.str("cidr")?;
    let is_range = cidr.split_once('/').is_some_and(|(address, bits)| {
        let address = address.parse::<std::net::Ipv4Addr>().map(u32::from);
        let bits = bits.parse::<u32>().ok().filter(|bits| (2..=29).contains(bits));
        matches!((address, bits), (Ok(address), Some(bits)) if address << bits == 0)
    });
    (!is_range).then(|| Problem {
        path: Path::attribute("cidr"),
        message: format!("must be a range of IPv4 addresses with 2 to 29 bits, but is {cidr:?}"),
        hint: Some("\"10.0.0.0/16\"; the bits after the prefix are 0".to_owned()),
    })
}
