//! What other providers bring to a node.

use std::ops::RangeInclusive;

use simfleet_provider_api::Value;

use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// The port at which the agent of a node is reached.
pub(in crate::config::blocks) const AGENT_PORT: u64 = 8443;

pub(super) fn attributes() -> impl Iterator<Item = AttributeSchema> {
    let disk = [
        AttributeSchema::size("size", "how much it holds"),
        AttributeSchema::string("type", "its type, in the words of the provider"),
    ];
    let spot = [
        AttributeSchema::number("max_price", 0.0, f64::MAX, "the most that an hour may cost"),
        AttributeSchema::one_of(
            "eviction",
            &["deallocate", "delete"],
            "what happens when it is taken away",
        )
        .default("deallocate"),
    ];
    let stop = [
        AttributeSchema::one_of(
            "method",
            &["acpipowerbutton", "savestate", "poweroff"],
            "how it is stopped",
        )
        .required(),
        AttributeSchema::duration("timeout", "how long that may take").default("60s"),
        AttributeSchema::one_of("then", &["poweroff", "fail"], "what is done where it takes longer")
            .default("poweroff"),
    ];
    let of_machines = [
        AttributeSchema::object("disk", disk, "its disk"),
        AttributeSchema::string("subnet", "the id of the subnet that it is in"),
        AttributeSchema::object("spot", spot, "it is cheap, and can be taken away"),
    ];
    let later = [
        AttributeSchema::string("machine", "a machine that exists, by name, which is adopted"),
        AttributeSchema::one_of("power", &["on", "off"], "whether it is on"),
        AttributeSchema::object("stop", stop, "how it is stopped"),
        AttributeSchema::string("compartment_id", "the compartment of OCI that it is in"),
    ];
    of_machines.into_iter().chain(later.map(AttributeSchema::later))
}

pub(super) fn ssh() -> BlockSchema {
    BlockSchema::new("ssh", "How it is logged in to.").attributes([
        AttributeSchema::string("user", "the user"),
        AttributeSchema::string(
            "host",
            "the host, where that is not the public address of the machine; {private_ip} stands for the one in its subnet",
        ),
        AttributeSchema::port("port", "the port").default(22u64),
        AttributeSchema::string("key", "the file of the private key"),
        AttributeSchema::string(
            "known_hosts",
            "the file of the hosts that are known; without it the first key of a new machine is believed",
        ),
        AttributeSchema::string("public_key", "the public key that the machine is made with"),
    ])
}

pub(super) fn forward() -> BlockSchema {
    BlockSchema::new("forward", "A port of the host that leads to one of it.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::port("host", "the port of the host").required(),
            AttributeSchema::port("guest", "the port of the machine").required(),
            AttributeSchema::one_of("protocol", super::Protocol::WORDS, "the protocol").default("tcp"),
        ])
        .later()
}

pub(super) fn bootstrap() -> BlockSchema {
    BlockSchema::new("bootstrap", "What is done when it boots for the first time.").attributes([
        AttributeSchema::bool("docker", "Docker is installed").default(false),
        AttributeSchema::bool(
            "agent",
            "the simfleet agent is installed, from `agent_url`: it runs processes and machines under QEMU there",
        )
        .default(true),
        AttributeSchema::text(
            "agent_url",
            &forms::URL,
            "where the machine finds the program of simfleet",
        ),
        AttributeSchema::text(
            "agent_sha256",
            &forms::SHA256,
            "the SHA-256 of that program, in hexadecimal",
        ),
        AttributeSchema::strings("packages", "packages of its distribution that are installed"),
        AttributeSchema::strings("prepull", "images that are pulled"),
        AttributeSchema::string("user_data", "cloud-init of its own"),
    ])
}

pub(super) fn deploy() -> BlockSchema {
    BlockSchema::new("deploy", "What is deployed to it.")
        .attributes([
            AttributeSchema::string("compose", "the Compose file").required(),
            AttributeSchema::one_of("when", &["changed", "always"], "when").default("changed"),
            AttributeSchema::duration("timeout", "how long that may take").default("60m"),
            AttributeSchema::bool("rollback", "what was there before comes back where it fails").default(true),
        ])
        .later()
}

/// Ports of a node that are taken for one thing.
struct Taken {
    what: String,
    protocol: String,
    ports: RangeInclusive<u64>,
    span: Span,
}

impl Taken {
    fn of(block: &Record, from: &str, to: &str) -> Option<Self> {
        let port = |name| block.get(name).and_then(Value::as_u64);
        Some(Taken {
            what: format!("`{} {:?}`", block.schema()?.name, &*block.label(0)),
            protocol: block.get("protocol").and_then(Value::as_str)?.to_owned(),
            ports: port(from)?..=port(to)?,
            span: block.span().clone(),
        })
    }

    fn meets(&self, other: &Taken) -> bool {
        let (ours, theirs) = (&self.ports, &other.ports);
        self.protocol == other.protocol && ours.start() <= theirs.end() && theirs.start() <= ours.end()
    }
}

/// Reports a port that is forwarded and taken for something else, and ranges that hold the agent's port. Ranges that
/// overlap each other are told with them.
pub(super) fn shared_ports(node: &Record, found: &mut Diagnostics) {
    let ranges: Vec<_> = node
        .blocks("port_range")
        .filter_map(|range| Taken::of(range, "from", "to"))
        .collect();
    let forwards: Vec<_> = node
        .blocks("forward")
        .filter_map(|forward| Taken::of(forward, "host", "host"))
        .collect();
    for range in &ranges {
        if range.protocol == "tcp" && range.ports.contains(&AGENT_PORT) {
            let detail = format!(
                "{} holds port {AGENT_PORT}, at which the agent of the node listens.",
                range.what
            );
            found.push(Diagnostic::error("E13 ports overlap", detail).at(range.span.clone()));
        }
    }
    for (i, forward) in forwards.iter().enumerate() {
        for other in ranges.iter().chain(&forwards[..i]).filter(|other| other.meets(forward)) {
            let detail = format!(
                "{} and {} share port {}.",
                other.what,
                forward.what,
                forward.ports.start()
            );
            let diagnostic = Diagnostic::error("E13 ports overlap", detail).at(forward.span.clone());
            found.push(diagnostic.related(other.span.clone(), "the other one"));
        }
    }
}
