//! `network`: a network, its subnets, and what may reach what is in it.

use simfleet_provider_api::{Attributes, Value};

use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// A network. What it has, its provider says.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its attributes, by name. Can be unknown.
    pub attributes: Attributes,
    /// The blocks that are in it, and where: `subnet`, `rule`.
    pub blocks: Vec<(&'static str, Span)>,
}

impl Network {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let blocks = BLOCKS.into_iter().flat_map(|name| {
            let those = record.blocks(name).map(move |block| (name, block.span().clone()));
            those.collect::<Vec<_>>()
        });
        Ok(Network {
            attributes: record.attributes(),
            blocks: blocks.collect(),
        })
    }
}

/// The blocks in it.
const BLOCKS: [&str; 2] = ["subnet", "rule"];

pub(super) fn schema() -> BlockSchema {
    let cidr = |doc| AttributeSchema::text("cidr", &forms::CIDR, doc);
    let subnet = BlockSchema::new("subnet", "A part of it.")
        .labels(&["name"])
        .attributes([cidr("its addresses").required()]);
    let rule = BlockSchema::new("rule", "What may reach what is in it.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::one_of("protocol", &["tcp", "udp", "icmp", "any"], "the protocol").default("tcp"),
            AttributeSchema::texts(
                "ports",
                &forms::PORTS,
                "ports and ranges of them; all where there are none",
            ),
            AttributeSchema::texts("sources", &forms::CIDR, "from where; without any the rule is not made"),
        ])
        .rule(open_to_all);
    BlockSchema::new("network", "A network, and what may reach what is in it.")
        .labels(&["name"])
        .attributes([
            cidr("its addresses"),
            AttributeSchema::one_of("driver", &["bridge", "nat", "hostonly"], "how it is made").default("bridge"),
            AttributeSchema::bool("internal", "nothing in it reaches what is outside").default(false),
        ])
        .attributes(super::labels())
        .any(subnet)
        .any(rule)
        .resource(&[("id", "its identity at its provider"), ("name", "its name")])
}

fn open_to_all(rule: &Record, found: &mut Diagnostics) {
    let sources = rule.get("sources").and_then(Value::as_slice).unwrap_or_default();
    let all = sources.iter().filter_map(Value::as_str);
    for source in all.filter(|source| matches!(*source, "0.0.0.0/0" | "::/0")) {
        let detail = format!(
            "Rule {:?} lets everyone in: {source} is the whole Internet.",
            &*rule.label(0)
        );
        let span = rule.attribute_span("sources").cloned();
        let diagnostic = Diagnostic::warning("W06 open to everyone", detail).at(span);
        found.push(diagnostic.hint("name the networks that need it"));
    }
}
