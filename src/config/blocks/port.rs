//! `port`: a port that a simulator needs.

use std::sync::Arc;

use crate::config::decode::{Reader, words};
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

words! {
    /// A transport protocol.
    Protocol {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
    }
}

/// A port that a simulator needs on its node.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Where it comes from.
    pub source: PortSource,
    /// Its protocol; that of the range where it is not set.
    pub protocol: Option<Protocol>,
    /// The port in the container; that of its kind where it is not set.
    pub container: Option<u16>,
    /// The port in the machine that is reached at it.
    pub guest: Option<u16>,
}

/// Where a port comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum PortSource {
    /// The lowest free one of a range of the node.
    Range(Arc<str>),
    /// This one or none.
    Host(u16),
}

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("port", "A port that the simulator needs on its node. A program sees it as SIMFLEET_PORT_NAME, and where to listen as SIMFLEET_ADDRESS.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::string(
                "range",
                "the range of the node that it comes from: its lowest free port",
            ),
            AttributeSchema::count("host", 1, "the port of the node, given"),
            AttributeSchema::one_of(
                "protocol",
                Protocol::WORDS,
                "its protocol; without it that of the range, and udp for a given port",
            ),
            AttributeSchema::port(
                "container",
                "the port in the container; without it the same number, and PX4's own: 18570 + instance",
            ),
            AttributeSchema::port(
                "guest",
                "the port in a machine under QEMU, which gets a network of its own for that; without it nothing is forwarded",
            ),
        ])
        // Some kinds of simulators have no typed form.
        .rule(|record, found| drop(found.keep(Port::decode(record))))
}

impl Port {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (range, host, protocol) = (
            reader.maybe("range"),
            reader.maybe::<u64>("host"),
            reader.maybe("protocol"),
        );
        let (container, guest) = (reader.maybe("container"), reader.maybe("guest"));
        let source = match (range, host) {
            (Some(Some(range)), Some(None)) => Some(PortSource::Range(range)),
            (Some(None), Some(Some(host))) => match u16::try_from(host) {
                Ok(host) => Some(PortSource::Host(host)),
                Err(_) => {
                    let detail = format!("`host` must be from 1 to 65535, but is {host}.");
                    reader.error(Diagnostic::error("Invalid value", detail), "host");
                    None
                }
            },
            (Some(Some(_)), Some(Some(_))) => {
                let detail = "A port has either `range` or `host`, not both.";
                reader.error(Diagnostic::error("Conflicting attributes", detail), "host");
                None
            }
            (Some(None), Some(None)) => {
                let detail = "A port needs `range`, a port range of its node, or `host`, a given port.";
                reader.error(Diagnostic::error("Missing attribute", detail), "range");
                None
            }
            _ => None,
        };
        let port = || {
            Some(Port {
                source: source?,
                protocol: protocol?,
                container: container?,
                guest: guest?,
            })
        };
        let port = port();
        reader.finish(port)
    }
}
