//! The order of an apply: every change as one or two steps, with an edge from each step to those that must wait for it.

use std::collections::BTreeMap;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use simfleet_provider_api::Address;

use super::Verb;
use crate::plan::{Action, Change, Plan};

/// One step: the change that it belongs to, and what is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The index of the change in the plan.
    pub change: usize,
    /// What is done.
    pub verb: Verb,
}

/// The steps of a plan. An edge means "must happen before".
#[derive(Debug)]
pub struct Steps {
    graph: DiGraph<Step, ()>,
    waiting_for: Vec<usize>,
}

/// The first and the last step of a change: different ones for a replacement only.
#[derive(Clone, Copy)]
struct Ends {
    removal: Option<NodeIndex>,
    making: Option<NodeIndex>,
}

impl Steps {
    /// Lays out the steps of a plan. The graph has no cycle: the planner refuses a configuration with one, and a
    /// recorded cycle cannot come about without one.
    pub fn of(plan: &Plan) -> Self {
        let mut graph = DiGraph::new();
        let mut ends: BTreeMap<&Address, Ends> = BTreeMap::new();
        for (index, change) in plan.changes.iter().enumerate() {
            let mut add = |verb| Some(graph.add_node(Step { change: index, verb }));
            let (removal, making) = match change.action {
                Action::NoOp => continue,
                Action::Create => (None, add(Verb::Create)),
                Action::Update => (None, add(Verb::Update)),
                Action::Check => (None, add(Verb::Check)),
                Action::Replace => (add(Verb::Delete), add(Verb::Create)),
                Action::Delete => (add(Verb::Delete), None),
                Action::Forget => (add(Verb::Forget), None),
            };
            if let (Some(removal), Some(making)) = (removal, making) {
                graph.add_edge(removal, making, ());
            }
            ends.insert(&change.address, Ends { removal, making });
        }
        for change in &plan.changes {
            let Some(own) = ends.get(&change.address) else { continue };
            order_making(&mut graph, *own, change, &ends);
            order_removal(&mut graph, *own, change, &ends);
        }
        let waiting_for = graph
            .node_indices()
            .map(|node| graph.neighbors_directed(node, Direction::Incoming).count())
            .collect();
        Steps { graph, waiting_for }
    }

    /// Returns the steps that wait for nothing, in the order of the plan.
    pub fn first(&self) -> Vec<NodeIndex> {
        self.graph
            .node_indices()
            .filter(|node| self.waiting_for[node.index()] == 0)
            .collect()
    }

    /// Returns every step, in the order of the plan.
    pub fn all(&self) -> Vec<NodeIndex> {
        self.graph.node_indices().collect()
    }

    /// Returns the step of a node.
    pub fn step(&self, node: NodeIndex) -> Step {
        self.graph[node]
    }

    /// Notes that a step is done; returns those that now wait for nothing more.
    pub fn finish(&mut self, node: NodeIndex) -> Vec<NodeIndex> {
        let mut free = Vec::new();
        for next in self.graph.neighbors(node) {
            self.waiting_for[next.index()] -= 1;
            if self.waiting_for[next.index()] == 0 {
                free.push(next);
            }
        }
        free
    }

    /// Returns all steps that wait for this one, directly or not.
    pub fn dependants(&self, node: NodeIndex) -> Vec<NodeIndex> {
        let mut found = Vec::new();
        let mut walk = petgraph::visit::Dfs::new(&self.graph, node);
        while let Some(next) = walk.next(&self.graph) {
            if next != node {
                found.push(next);
            }
        }
        found.sort();
        found
    }
}

/// What is made comes after what it needs is made.
fn order_making(graph: &mut DiGraph<Step, ()>, own: Ends, change: &Change, ends: &BTreeMap<&Address, Ends>) {
    let Some(making) = own.making else { return };
    for needed in change.depends_on.iter().chain(&change.hosted_on) {
        if let Some(Ends {
            making: Some(needed), ..
        }) = ends.get(needed)
        {
            graph.update_edge(*needed, making, ());
        }
    }
}

/// What is removed goes before what it needed goes; what only stops needing it is changed before. What runs on a node
/// that is being revived goes once that node can be asked to remove it.
fn order_removal(graph: &mut DiGraph<Step, ()>, own: Ends, change: &Change, ends: &BTreeMap<&Address, Ends>) {
    let host = change.was_hosted_on.as_ref().and_then(|host| ends.get(host));
    if let (
        Some(removal),
        Some(Ends {
            removal: None,
            making: Some(revived),
        }),
    ) = (own.removal, host)
    {
        graph.update_edge(*revived, removal, ());
    }
    for needed in change.depended_on.iter().chain(&change.was_hosted_on) {
        let Some(Ends {
            removal: Some(needed_removal),
            ..
        }) = ends.get(needed)
        else {
            continue;
        };
        match own {
            // What is forgotten went with its host: it is dropped when the host is known to be gone.
            Ends {
                removal: Some(removal), ..
            } if change.action == Action::Forget => {
                graph.update_edge(*needed_removal, removal, ());
            }
            Ends {
                removal: Some(removal), ..
            } => {
                graph.update_edge(removal, *needed_removal, ());
            }
            Ends {
                removal: None,
                making: Some(making),
            } if !change.depends_on.contains(needed) => {
                graph.update_edge(making, *needed_removal, ());
            }
            Ends { .. } => {}
        }
    }
}
