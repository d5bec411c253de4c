//! What of a fleet needs what: its blocks, and the edges between them. Pure, and needs no state.

use std::collections::BTreeMap;

use simfleet_provider_api::Address;

use crate::config::{Config, Declaration, Need};
use crate::diagnostic::Span;

/// The blocks of a fleet and what each needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// The blocks, by address.
    pub nodes: Vec<Node>,
    /// The edges, by their ends.
    pub edges: Vec<Edge>,
}

/// One block. One with `count` or `for_each` is one node.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its address.
    pub address: Address,
    /// Whether it has instances: `count` or `for_each`.
    pub is_many: bool,
}

/// That one block needs another.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// What needs the other.
    pub from: Address,
    /// What must be there before it.
    pub to: Address,
    /// Why.
    pub why: Why,
}

/// Why one block needs another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It runs on it: `placement`.
    RunsOn,
    /// It reads it.
    Reads,
    /// `depends_on` says so.
    DependsOn,
}

impl Why {
    /// The words for it in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::RunsOn => "runs_on",
            Why::Reads => "reads",
            Why::DependsOn => "depends_on",
        }
    }
}

impl Graph {
    /// Returns the graph of a fleet.
    pub fn of(config: &Config) -> Self {
        let modules = config.modules();
        let mut nodes: Vec<Node> = modules
            .iter()
            .flat_map(|module| &module.declarations)
            .map(|declaration| Node {
                address: declaration.address.clone(),
                is_many: declaration.meta.count.is_some() || declaration.meta.for_each.is_some(),
            })
            .collect();
        nodes.sort_by(|a, b| a.address.cmp(&b.address));
        let mut edges = BTreeMap::new();
        let mut add = |declaration: &Declaration, needs: Vec<Need<'_>>, why: Why| {
            for need in needs {
                // Of several reasons the strongest is told.
                let ends = (declaration.address.clone(), need.declaration.address.clone());
                let strongest = edges.entry(ends).or_insert(why);
                *strongest = why.min(*strongest);
            }
        };
        for module in &modules {
            for declaration in &module.declarations {
                for reference in declaration.references() {
                    let why = why(declaration, &reference.span);
                    add(declaration, config.dependencies(&module.path, &[reference]), why);
                }
                // What its provider reads, and what its module waits for.
                add(declaration, config.needs(declaration, &[]), Why::DependsOn);
            }
        }
        let edges = edges
            .into_iter()
            .map(|((from, to), why)| Edge { from, to, why })
            .collect();
        Graph { nodes, edges }
    }
}

fn why(declaration: &Declaration, span: &Span) -> Why {
    let placement = declaration.body.attribute("placement");
    let is_within = |outer: &Span| {
        outer.file == span.file && outer.range.start <= span.range.start && span.range.end <= outer.range.end
    };
    if placement.is_some_and(|placement| is_within(&placement.value_span)) {
        return Why::RunsOn;
    }
    match declaration
        .meta
        .depends_on
        .iter()
        .any(|reference| reference.span == *span)
    {
        true => Why::DependsOn,
        false => Why::Reads,
    }
}
