//! `service`: a container that what is simulated needs, such as a broker or a store.

use simfleet_provider_api::Value;

use super::container::{self, Container};
use super::workload::{self, Workload};
use super::{health_check, process};
use crate::config::decode::Reader;
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::Diagnostics;

/// A container that the fleet needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The container.
    pub container: Container,
    /// What it has as everything that runs.
    pub workload: Workload,
    /// The ports of its host that lead to it, as they are declared: a list. Can be unknown.
    pub publish: Option<Value>,
}

pub(super) fn schema() -> BlockSchema {
    container::schema(BlockSchema::new(
        "service",
        "A container that the fleet needs, such as a broker or a store.",
    ))
    .labels(&["name"])
    .attributes(workload::attributes(process::restart().default("unless-stopped")))
    .attributes(super::labels())
    .attributes([AttributeSchema::texts(
        "publish",
        &forms::PUBLISHED,
        "ports of the host that lead to it: \"8080:80\", \"127.0.0.1:53:53/udp\", \"8000-8010:8000-8010\"; of \"80\" the \
         engine chooses the port of the host",
    )])
    .optional(health_check::schema())
    .resource(&[
        ("id", "its identity at its provider"),
        ("name", "its name, by which others in its networks reach it"),
        ("address", "the address of its host, at which its published ports are reached"),
        ("status", "what it does now"),
    ])
}

impl Service {
    /// Returns the typed form of a block; of a node that is a container, too.
    ///
    /// # Errors
    /// What does not go together in it.
    pub fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let container = Container::decode(&mut reader);
        let workload = Workload::decode(&mut reader);
        let publish = reader.maybe("publish");
        let service = || {
            Some(Service {
                container: container?,
                workload: workload?,
                publish: publish?,
            })
        };
        let service = service();
        reader.finish(service)
    }
}
