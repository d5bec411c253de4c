//! `node`: one machine, and what the members of a pool are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::Value;

use super::health_check;
use super::port::Protocol;
use super::process::{self, Process};
use crate::config::decode::Reader;
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

mod later;

pub(super) use later::AGENT_PORT;

/// One machine, or the template of a pool's members.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    /// Processors; a fraction is a share of one.
    pub cpus: Option<f64>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// How many simulators it takes.
    pub max_simulators: Option<u64>,
    /// Words about it: a map of strings. Can be unknown.
    pub labels: Option<Value>,
    /// What the provider is told to remember: a map of strings. Can be unknown.
    pub tags: Option<Value>,
    /// The port ranges that it publishes, by name.
    pub port_ranges: BTreeMap<Arc<str>, PortRange>,
    /// What it runs itself, by name.
    pub processes: BTreeMap<Arc<str>, Process>,
}

/// A range of ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// Its protocol.
    pub protocol: Protocol,
    /// The first port.
    pub from: u16,
    /// The last port.
    pub to: u16,
}

impl PortRange {
    /// How many ports it has.
    pub fn width(&self) -> u64 {
        u64::from(self.to) + 1 - u64::from(self.from)
    }
}

pub(super) fn schema() -> BlockSchema {
    template("A machine.").labels(&["name"]).resource(&[
        ("id", "its identity at its provider"),
        ("name", "its name"),
        ("address", "the address at which it is reached"),
        ("public_ip", "its public address"),
        ("private_ip", "its private address"),
        ("runtime", "how processes on it are reached"),
        ("status", "what it does now"),
    ])
}

/// Returns what a node and a pool's `node` block share.
pub(super) fn template(doc: &'static str) -> BlockSchema {
    BlockSchema::new("node", doc)
        .attributes([
            AttributeSchema::number("cpus", 0.001, f64::MAX, "processors that its load is a percentage of"),
            AttributeSchema::new("memory", AttributeType::Size, "memory that its load is a percentage of"),
            AttributeSchema::count("max_simulators", 0, "how many simulators it takes"),
            AttributeSchema::string("size", "the size of the machine, in the words of its provider"),
            AttributeSchema::string(
                "image",
                "what it boots, in the words of its provider; of provider `docker`, the image that it is a container of",
            ),
            AttributeSchema::text(
                "runtime",
                &forms::RUNTIME,
                "the Docker engine or the agent of a host that exists, which is adopted and never deleted",
            ),
        ])
        .attributes(super::labels())
        .attributes([AttributeSchema::string_map(
            "tags",
            "what the provider is told to remember of it",
        )])
        .attributes(of_container())
        .attributes(later::attributes())
        .any(port_range_schema())
        .any(process::schema())
        .optional(health_check::schema())
        .optional(later::ssh())
        .any(later::forward())
        .optional(later::bootstrap())
        .optional(later::deploy())
        .rule(later::shared_ports)
}

/// Returns what a node has where its provider makes containers; no other takes it.
fn of_container() -> [AttributeSchema; 8] {
    [
        AttributeSchema::strings("command", "what a container runs, where that is not the image's own"),
        AttributeSchema::strings(
            "entrypoint",
            "the program of a container, where that is not the image's own",
        ),
        AttributeSchema::string_map("env", "environment variables of a container"),
        AttributeSchema::strings("networks", "the ids of the networks that it is in"),
        AttributeSchema::texts(
            "publish",
            &forms::PUBLISHED,
            "ports of the host that lead to a container: \"8080:80\"; of \"80\" the engine chooses the port of the host",
        ),
        AttributeSchema::string("user", "as whom a container runs"),
        AttributeSchema::one_of(
            "restart",
            process::Restart::WORDS,
            "what is done when a container ends by itself; unless-stopped without it",
        ),
        AttributeSchema::duration("stop_grace", "how long a container has to end before it is killed"),
    ]
}

fn port_range_schema() -> BlockSchema {
    BlockSchema::new("port_range", "Ports that simulators on it get.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::one_of("protocol", Protocol::WORDS, "their protocol").default("udp"),
            AttributeSchema::port("from", "the first port").required(),
            AttributeSchema::port("to", "the last port").required(),
        ])
}

impl Node {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (cpus, memory) = (reader.maybe("cpus"), reader.maybe("memory"));
        let max_simulators = reader.maybe::<u64>("max_simulators");
        let (labels, tags) = (reader.maybe("labels"), reader.maybe("tags"));
        let port_ranges = reader.named("port_range", PortRange::decode);
        let processes = reader.named("process", Process::decode);
        if let Some(ranges) = &port_ranges {
            check_overlap(&mut reader, ranges);
            if let Some(Some(max)) = max_simulators {
                check_width(&mut reader, max, ranges);
            }
        }
        let node = || {
            Some(Node {
                cpus: cpus?,
                memory: memory?,
                max_simulators: max_simulators?,
                labels: labels?,
                tags: tags?,
                port_ranges: port_ranges?,
                processes: processes?,
            })
        };
        let node = node();
        reader.finish(node)
    }
}

fn check_width(reader: &mut Reader<'_>, max: u64, ranges: &BTreeMap<Arc<str>, PortRange>) {
    for (name, range) in ranges {
        let width = range.width();
        if max > width {
            let detail = format!(
                "`max_simulators` is {max}, but `port_range {name:?}` has {width} ports ({} to {}), one for each.",
                range.from, range.to
            );
            let needed = u64::from(range.from) + max - 1;
            let hint = match u16::try_from(needed) {
                Ok(to) => format!("have the range go on to {to}, or lower `max_simulators` to {width}"),
                Err(_) => format!("lower `max_simulators` to {width}"),
            };
            let diagnostic = Diagnostic::error("E12 more simulators than ports", detail);
            reader.error(diagnostic.hint(hint), "max_simulators");
        }
    }
}

fn check_overlap(reader: &mut Reader<'_>, ranges: &BTreeMap<Arc<str>, PortRange>) {
    let all: Vec<_> = ranges.iter().collect();
    for (i, (name, range)) in all.iter().enumerate() {
        for (other, more) in &all[i + 1..] {
            if range.protocol == more.protocol && range.from <= more.to && more.from <= range.to {
                let detail = format!(
                    "`port_range {name:?}` ({} to {}) and `port_range {other:?}` ({} to {}) share ports.",
                    range.from, range.to, more.from, more.to
                );
                let spans: Vec<_> = reader
                    .record()
                    .blocks("port_range")
                    .filter(|block| *block.label(0) == ***other)
                    .collect();
                let diagnostic = Diagnostic::error("E13 ports overlap", detail);
                let span = spans.first().map(|block| block.span().clone());
                reader.push(diagnostic.at(span));
            }
        }
    }
}

impl PortRange {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let protocol = reader.take("protocol");
        let (from, to) = (reader.take::<u16>("from"), reader.take::<u16>("to"));
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            let detail = format!("The range is empty: `from` is {from}, and `to` is {to}.");
            reader.error(Diagnostic::error("Invalid value", detail), "to");
        }
        let range = || {
            Some(PortRange {
                protocol: protocol?,
                from: from?,
                to: to?,
            })
        };
        let range = range();
        reader.finish(range)
    }
}
