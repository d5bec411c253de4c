//! The graph of a fleet for Graphviz, for Mermaid and for programs. An arrow goes from what needs to what is needed.

use serde_json::{Value as Json, json};
use simfleet_provider_api::Address;

use crate::graph::{Graph, Node, Why};

/// Returns the graph in the language of Graphviz.
pub fn dot(graph: &Graph) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""));
    let name = |address: &Address| quoted(&address.to_string());
    let mut text = "digraph fleet {\n  rankdir = \"RL\";\n  node [shape = \"box\"];\n".to_owned();
    for node in &graph.nodes {
        let label = quoted(&label(node));
        text.push_str(&format!("  {} [label = {label}];\n", name(&node.address)));
    }
    for edge in &graph.edges {
        let style = match edge.why {
            Why::RunsOn => " [style = \"bold\", label = \"runs on\"]",
            Why::Reads => "",
            Why::DependsOn => " [style = \"dashed\"]",
        };
        text.push_str(&format!("  {} -> {}{style};\n", name(&edge.from), name(&edge.to)));
    }
    text + "}\n"
}

/// Returns the graph in the language of Mermaid.
pub fn mermaid(graph: &Graph) -> String {
    // Names of nodes must be plain words there, so they are numbered.
    let number = |address: &Address| graph.nodes.iter().position(|node| node.address == *address);
    let mut text = "graph LR\n".to_owned();
    for (i, node) in graph.nodes.iter().enumerate() {
        let label = label(node).replace('"', "#quot;");
        text.push_str(&format!("  n{i}[\"{label}\"]\n"));
    }
    for edge in &graph.edges {
        let (Some(from), Some(to)) = (number(&edge.from), number(&edge.to)) else {
            continue;
        };
        let arrow = match edge.why {
            Why::RunsOn => "== runs on ==>",
            Why::Reads => "-->",
            Why::DependsOn => "-.->",
        };
        text.push_str(&format!("  n{from} {arrow} n{to}\n"));
    }
    text
}

/// Returns the graph for programs: `nodes [{address, many}]`, `edges [{from, to, why}]` with `why` one of `runs_on`,
/// `reads`, `depends_on`.
pub fn json(graph: &Graph) -> Json {
    let node = |node: &Node| json!({"address": node.address, "many": node.is_many});
    json!({
        "format_version": super::FORMAT_VERSION,
        "nodes": graph.nodes.iter().map(node).collect::<Vec<_>>(),
        "edges": graph
            .edges
            .iter()
            .map(|edge| json!({"from": edge.from, "to": edge.to, "why": edge.why.as_str()}))
            .collect::<Vec<_>>(),
    })
}

fn label(node: &Node) -> String {
    match node.is_many {
        true => format!("{} […]", node.address),
        false => node.address.to_string(),
    }
}
