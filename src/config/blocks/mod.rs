//! The blocks of the language, one file each: schema, typed form, and how the one becomes the other.
//!
//! A new block or kind is a file here and a line in [`resources`].

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use simfleet_provider_api::Attribute;

use super::record::Record;
use super::schema::{AttributeSchema, Availability, BlockSchema, Nested};
use crate::diagnostic::Diagnostics;

pub mod checks;
pub mod health_check;
pub mod import;
pub mod moved;
pub mod node;
pub mod placement;
pub mod pool;
pub mod port;
pub mod process;
pub mod removed;
pub mod scale;
pub mod settings;
pub mod simulator;
pub mod value;

pub use checks::Check;
pub use health_check::{HealthCheck, HealthCheckType};
pub use import::{Adoption, Import};
pub use moved::Moved;
pub use node::{Node, PortRange};
pub use placement::Placement;
pub use pool::{Drain, Pool, WaitFor};
pub use port::{Port, PortSource, Protocol};
pub use process::{Log, Process, Ready, Restart};
pub use removed::Removed;
pub use settings::{Backend, Settings};
pub use simulator::{Desired, Kind, Resources, Simulator};
pub use value::StoredValue;

/// A resource block in its typed form.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// `node`.
    Node(Box<Node>),
    /// `pool`.
    Pool(Box<Pool>),
    /// `simulator`.
    Simulator(Box<Simulator>),
    /// `value`.
    Value(StoredValue),
}

/// A resource block as it is registered.
struct Resource {
    schema: Arc<BlockSchema>,
    decode: fn(&Record) -> Result<Block, Diagnostics>,
}

/// Every resource block of this version.
fn resources() -> &'static [Resource] {
    static RESOURCES: LazyLock<Vec<Resource>> = LazyLock::new(|| {
        let boxed = |schema| Arc::new(schema);
        vec![
            Resource {
                schema: boxed(node::schema()),
                decode: |record| Node::decode(record).map(|node| Block::Node(Box::new(node))),
            },
            Resource {
                schema: boxed(pool::schema()),
                decode: |record| Pool::decode(record).map(|pool| Block::Pool(Box::new(pool))),
            },
            Resource {
                schema: boxed(simulator::vehicle::schema()),
                decode: simulator::vehicle::decode,
            },
            Resource {
                schema: boxed(simulator::exec::schema()),
                decode: simulator::exec::decode,
            },
            Resource {
                schema: boxed(value::schema()),
                decode: |record| StoredValue::decode(record).map(Block::Value),
            },
        ]
    });
    &RESOURCES
}

/// Kinds of simulators that are words of the language, and no part of this version.
const LATER_KINDS: &[&str] = &["px4", "container", "qemu", "renode"];

/// Resource blocks that are words of the language, and no part of this version.
const LATER_RESOURCES: &[&str] = &[
    "robot",
    "network",
    "service",
    "program",
    "peripheral",
    "mqtt_broker",
    "metrics",
    "telemetry",
    "webhook",
    "alert",
    "report",
];

/// Other blocks that are words of the language, and no part of this version.
const LATER: &[&str] = &["access", "serve", "limits", "audit", "test", "node_agent", "log"];

/// Returns the schema of a file: every block that may stand in it. `providers` are those of this build, with their
/// settings.
pub fn fleet_schema(providers: &BTreeMap<String, Vec<Attribute>>) -> Arc<BlockSchema> {
    let mut fleet = BlockSchema::new("", "A fleet.")
        .any(settings::schema())
        .any(super::variables::schema())
        .any(super::declaration::output_schema())
        .any(checks::schema())
        .any(moved::schema())
        .any(removed::schema())
        .any(import::schema())
        .any(super::module::schema());
    fleet.blocks.push(any(super::declaration::locals_schema()));
    for (name, settings) in providers {
        fleet = fleet.any(settings::provider_schema(name, settings));
    }
    for name in settings::PROVIDERS
        .iter()
        .filter(|name| !providers.contains_key(**name))
    {
        fleet = fleet.any(settings::provider_later(name));
    }
    fleet
        .blocks
        .extend(resources().iter().map(|resource| any(Arc::clone(&resource.schema))));
    for kind in LATER_KINDS {
        let schema = BlockSchema::later("simulator").kind(*kind).labels(&["kind", "name"]);
        fleet = fleet.any(schema);
    }
    for name in LATER_RESOURCES.iter().chain(LATER) {
        fleet = fleet.any(BlockSchema::later(name));
    }
    Arc::new(fleet)
}

fn any(schema: Arc<BlockSchema>) -> Nested {
    Nested {
        schema,
        min: 0,
        max: usize::MAX,
    }
}

/// Whether a block of this type is a resource that can be referred to; `None` where there is no such block.
pub(super) fn availability(name: &str) -> Option<Availability> {
    if resources().iter().any(|resource| resource.schema.name == name) {
        return Some(Availability::Now);
    }
    LATER_RESOURCES.contains(&name).then_some(Availability::Later)
}

/// Returns the types of blocks that can be referred to.
pub(super) fn referable() -> impl Iterator<Item = &'static str> {
    resources().iter().map(|resource| resource.schema.name)
}

/// Returns the typed form of a record of a resource block.
pub(super) fn decode(schema: &Arc<BlockSchema>, record: &Record) -> Result<Block, Diagnostics> {
    match resources()
        .iter()
        .find(|resource| Arc::ptr_eq(&resource.schema, schema))
    {
        Some(resource) => (resource.decode)(record),
        // Declarations are made of the schemas above only; without diagnostics it counts as not decidable.
        None => Err(Diagnostics::new()),
    }
}

/// Returns `labels` and `tags`, which every resource has.
fn labels() -> [AttributeSchema; 1] {
    [AttributeSchema::string_map(
        "labels",
        "words about it, for people and queries",
    )]
}
