//! The blocks of the language, one file each: schema, typed form, and how the one becomes the other.
//!
//! A new block or kind is a file here and a line in [`resources`] or [`sections`]. One that this version only checks has no
//! typed form: its schema says what may stand in it, and its rules what must hold between that.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use simfleet_provider_api::Attribute;

use super::record::Record;
use super::schema::{AttributeSchema, BlockSchema, Nested};
use crate::diagnostic::Diagnostics;

pub mod access;
pub mod alert;
mod audit;
pub mod build;
pub mod checks;
pub mod container;
pub mod health_check;
pub mod import;
mod limits;
mod load_balancer;
mod log;
mod metrics;
pub mod moved;
mod mqtt_broker;
pub mod network;
pub mod node;
mod node_agent;
mod peripheral;
pub mod placement;
pub mod pool;
pub mod port;
pub mod process;
pub mod program;
mod provider;
pub mod removed;
mod report;
mod robot;
pub mod scale;
pub mod serve;
pub mod service;
pub mod settings;
pub mod simulator;
mod telemetry;
mod test;
pub mod value;
mod webhook;
pub mod workload;

pub use alert::Alert;
pub(super) use audit::read as audit;
pub use build::Build;
pub use checks::Check;
pub use container::{Container, Volume};
pub use health_check::{HealthCheck, HealthCheckType};
pub use import::{Adoption, Import};
pub use limits::{Limit, Limits};
pub(super) use limits::{read as limits, without_effect};
pub use load_balancer::{AzureBalancer, Nginx};
pub(super) use log::read as log;
pub use metrics::{Metrics, MetricsType};
pub use moved::Moved;
pub use network::Network;
pub use node::{Node, PortRange};
pub use placement::Placement;
pub(in crate::config) use pool::IMPORT;
pub use pool::{Adopts, Drain, Pool, WaitFor, Warm};
pub use port::{Port, PortSource, Protocol};
pub use process::{Log, Process, Ready, Restart};
pub use program::Program;
pub use removed::Removed;
pub use serve::{Certificate, Rates, Serve};
pub use service::Service;
pub use settings::{Backend, Settings};
pub use simulator::{Desired, Kind, Simulator};
pub use value::StoredValue;
pub use webhook::{Retry, Webhook, WebhookFormat};
pub use workload::{Resources, Workload};

/// A resource block in its typed form.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// `node`.
    Node(Box<Node>),
    /// `pool`.
    Pool(Box<Pool>),
    /// `simulator`.
    Simulator(Box<Simulator>),
    /// `network`.
    Network(Network),
    /// `service`.
    Service(Box<Service>),
    /// `program`.
    Program(Program),
    /// `metrics`.
    Metrics(Metrics),
    /// `alert`.
    Alert(Box<Alert>),
    /// `webhook`.
    Webhook(Box<Webhook>),
    /// `value`.
    Value(StoredValue),
}

/// A resource block as it is registered.
struct Resource {
    schema: Arc<BlockSchema>,
    decode: fn(&Record) -> Result<Block, Diagnostics>,
}

impl Resource {
    /// One that this version only checks, so that nothing ever asks for its typed form.
    fn checked(schema: BlockSchema) -> Self {
        Resource {
            schema: Arc::new(schema),
            decode: |_| Err(Diagnostics::new()),
        }
    }
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
            Resource {
                schema: boxed(simulator::container::schema()),
                decode: simulator::container::decode,
            },
            Resource {
                schema: boxed(simulator::px4::schema()),
                decode: simulator::px4::decode,
            },
            Resource {
                schema: boxed(network::schema()),
                decode: |record| Network::decode(record).map(Block::Network),
            },
            Resource {
                schema: boxed(service::schema()),
                decode: |record| Service::decode(record).map(|service| Block::Service(Box::new(service))),
            },
            Resource {
                schema: boxed(simulator::qemu::schema()),
                decode: simulator::qemu::decode,
            },
            Resource {
                schema: boxed(program::schema()),
                decode: |record| Program::decode(record).map(Block::Program),
            },
            Resource {
                schema: boxed(metrics::schema()),
                decode: |record| Metrics::decode(record).map(Block::Metrics),
            },
            Resource::checked(simulator::renode::schema()),
            Resource::checked(robot::schema()),
            Resource::checked(peripheral::schema()),
            Resource::checked(mqtt_broker::schema()),
            Resource::checked(telemetry::schema()),
            Resource {
                schema: boxed(webhook::schema()),
                decode: |record| Webhook::decode(record).map(|webhook| Block::Webhook(Box::new(webhook))),
            },
            Resource {
                schema: boxed(alert::schema()),
                decode: |record| Alert::decode(record).map(|alert| Block::Alert(Box::new(alert))),
            },
            Resource::checked(report::schema()),
        ]
    });
    &RESOURCES
}

/// Returns the schemas of the blocks that are no resources, and of which most are only checked by this version.
fn sections() -> [BlockSchema; 4] {
    [access::schema(), serve::schema(), test::schema(), node_agent::schema()]
}

/// Returns the schema of a file: every block that may stand in it. `providers` are those of this build, with their
/// settings.
pub fn fleet_schema(providers: &BTreeMap<String, Vec<Attribute>>) -> Arc<BlockSchema> {
    let mut fleet = BlockSchema::new("", "A fleet.")
        .any(settings::schema())
        .any(super::variables::schema())
        .any(super::declaration::output_schema())
        .any(checks::schema())
        .any(audit::schema())
        .any(limits::schema())
        .any(log::schema())
        .any(moved::schema())
        .any(removed::schema())
        .any(import::schema())
        .any(super::module::schema());
    fleet.blocks.push(any(super::declaration::locals_schema()));
    for (name, settings) in providers {
        fleet = fleet.any(settings::provider_schema(name, settings));
    }
    for (name, settings) in provider::settings() {
        if !providers.contains_key(name) {
            fleet = fleet.any(settings::provider_later(name, settings));
        }
    }
    fleet
        .blocks
        .extend(resources().iter().map(|resource| any(Arc::clone(&resource.schema))));
    Arc::new(sections().into_iter().fold(fleet, BlockSchema::any))
}

fn any(schema: Arc<BlockSchema>) -> Nested {
    Nested {
        schema,
        min: 0,
        max: usize::MAX,
    }
}

/// Whether a block of this type is a resource, which can be referred to.
pub(super) fn is_resource(name: &str) -> bool {
    resources().iter().any(|resource| resource.schema.name == name)
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

/// Returns how a server that is talked to over TLS is believed, and how it believes simfleet.
fn tls() -> AttributeSchema {
    AttributeSchema::object(
        "tls",
        [
            AttributeSchema::string(
                "ca",
                "the file of those who vouch for the server; the system's without it",
            ),
            AttributeSchema::string("cert", "the file of simfleet's own certificate"),
            AttributeSchema::string("key", "the file of its key"),
        ],
        "the certificates",
    )
}

/// Returns `labels`, which nearly every resource has.
fn labels() -> [AttributeSchema; 1] {
    [AttributeSchema::string_map(
        "labels",
        "words about it, for people and queries",
    )]
}
