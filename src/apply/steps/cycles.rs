//! Orders that contradict one another: the weakest of them are left out.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, EdgeReference, NodeIndex};
use petgraph::visit::{EdgeFiltered, EdgeRef};

/// Why one step comes before another, the strongest reason first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bond {
    /// The later one cannot be done otherwise.
    Needed,
    /// What is asked to remove it is not there before. What it waits for can need it.
    Reached,
    /// It was so when the later one was made. What was recorded at different times can contradict itself and the
    /// configuration.
    Recorded,
    /// The other stops needing what this one removes: it should not be without it meanwhile.
    Courtesy,
    /// What an earlier run replaced was made after the other one. It goes late, so that the other one often cannot wait.
    LeftOver,
    /// A member of a pool is back before the next one goes.
    Turn,
    /// What runs on a member is back before the next one goes.
    Refilled,
}

/// The bonds that can be left out.
const WEAK: [Bond; 6] = [
    Bond::Reached,
    Bond::Recorded,
    Bond::Courtesy,
    Bond::LeftOver,
    Bond::Turn,
    Bond::Refilled,
];

/// Leaves out each weak bond that is in a cycle with others which are as strong: a cycle that a weaker one closes costs
/// that one alone.
///
/// A gate, a node without a step, is in a cycle as soon as one of those behind it is: what waited at it holds back the
/// others at a gate of their own.
pub fn break_cycles<S>(graph: &mut DiGraph<Option<S>, Bond>) {
    if toposort(&*graph, None).is_ok() {
        return;
    }
    for weak in WEAK {
        let component = components(graph, weak);
        // New gates are in none.
        let cycle = |node: NodeIndex| component.get(node.index());
        let is_within = |from: NodeIndex, to: NodeIndex| cycle(from) == cycle(to);
        let left_out: Vec<(NodeIndex, NodeIndex)> = graph
            .edge_references()
            .filter(|edge| *edge.weight() == weak && is_within(edge.source(), edge.target()))
            .map(|edge| (edge.source(), edge.target()))
            .collect();
        graph.retain_edges(|graph, edge| {
            let ends = graph.edge_endpoints(edge);
            graph[edge] != weak || !ends.is_some_and(|(from, to)| is_within(from, to))
        });
        hold_back_others(graph, &left_out, weak, is_within);
    }
}

/// Gives each gate that bonds to it were left out of a second one, of what is behind it and not in its cycle. Second gates
/// wait as the first ones do: gates alone are in no cycle, as they follow what is needed.
fn hold_back_others<S>(
    graph: &mut DiGraph<Option<S>, Bond>,
    left_out: &[(NodeIndex, NodeIndex)],
    weak: Bond,
    is_within: impl Fn(NodeIndex, NodeIndex) -> bool,
) {
    let gates: BTreeSet<NodeIndex> = left_out.iter().map(|(_, to)| *to).collect();
    let gates = gates.into_iter().filter(|gate| graph[*gate].is_none());
    let gates: Vec<NodeIndex> = gates.collect();
    let mut second = BTreeMap::new();
    for gate in gates {
        let behind = graph.edges(gate).filter(|edge| *edge.weight() <= weak);
        let others = behind.filter(|edge| !is_within(gate, edge.target()));
        let others: Vec<(NodeIndex, Bond)> = others.map(|edge| (edge.target(), *edge.weight())).collect();
        let own = graph.add_node(None);
        for (other, bond) in others {
            graph.add_edge(own, other, bond);
        }
        second.insert(gate, own);
    }
    for (from, to) in left_out {
        let Some(to) = second.get(to) else { continue };
        for from in second.get(from).into_iter().chain([from]) {
            graph.add_edge(*from, *to, weak);
        }
    }
}

/// Returns the number of the cycle of each node, by bonds that are at least as strong.
fn components<S>(graph: &DiGraph<Option<S>, Bond>, weakest: Bond) -> Vec<usize> {
    let strong = EdgeFiltered::from_fn(graph, |edge: EdgeReference<'_, Bond>| *edge.weight() <= weakest);
    let mut component = vec![0; graph.node_count()];
    for (number, nodes) in kosaraju_scc(&strong).into_iter().enumerate() {
        for node in nodes {
            component[node.index()] = number;
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use petgraph::algo::has_path_connecting;

    use super::*;

    type Graph = DiGraph<Option<&'static str>, Bond>;

    fn step(graph: &mut Graph, name: &'static str) -> NodeIndex {
        graph.add_node(Some(name))
    }

    fn comes_first(graph: &Graph, one: NodeIndex, other: NodeIndex) -> bool {
        has_path_connecting(graph, one, other, None)
    }

    #[test]
    fn a_weaker_bond_is_not_left_out_for_a_cycle_that_ends_elsewhere() {
        let mut graph = Graph::new();
        let [first, second, reader] = ["first", "second", "reader"].map(|name| step(&mut graph, name));
        // Members go in turn. The reader would be changed before the first goes, and needs the second.
        graph.add_edge(first, second, Bond::Turn);
        graph.add_edge(second, reader, Bond::Needed);
        graph.add_edge(reader, first, Bond::Recorded);
        // That it is so would be a cycle of its own.
        graph.add_edge(first, reader, Bond::Reached);
        break_cycles(&mut graph);
        assert!(comes_first(&graph, first, second));
        assert!(comes_first(&graph, second, reader) && !comes_first(&graph, reader, first));
    }

    #[test]
    fn of_several_behind_a_gate_only_those_in_the_cycle_do_not_wait() {
        let mut graph = Graph::new();
        let [reader, bound, other, also] = ["reader", "bound", "other", "also"].map(|name| step(&mut graph, name));
        let gate = graph.add_node(None);
        for behind in [bound, other] {
            graph.add_edge(gate, behind, Bond::Needed);
        }
        for waits in [reader, also] {
            graph.add_edge(waits, gate, Bond::Courtesy);
        }
        graph.add_edge(bound, reader, Bond::Needed);
        break_cycles(&mut graph);
        assert!(toposort(&graph, None).is_ok());
        assert!(comes_first(&graph, bound, reader) && !comes_first(&graph, reader, bound));
        assert!(comes_first(&graph, reader, other), "it is in no cycle");
        assert!(comes_first(&graph, also, bound) && comes_first(&graph, also, other));
    }

    #[test]
    fn who_waits_at_one_gate_after_another_still_waits_for_what_is_in_no_cycle() {
        let mut graph = Graph::new();
        let [reader, bound, other] = ["reader", "bound", "other"].map(|name| step(&mut graph, name));
        let gates = [(); 3].map(|()| graph.add_node(None));
        graph.add_edge(reader, gates[0], Bond::Courtesy);
        graph.add_edge(gates[0], gates[1], Bond::Courtesy);
        graph.add_edge(gates[1], gates[2], Bond::Courtesy);
        for behind in [bound, other] {
            graph.add_edge(gates[2], behind, Bond::Courtesy);
        }
        graph.add_edge(bound, reader, Bond::Needed);
        break_cycles(&mut graph);
        assert!(toposort(&graph, None).is_ok());
        assert!(comes_first(&graph, reader, other) && comes_first(&graph, bound, reader));
    }

    #[test]
    fn what_contradicts_nothing_stays_as_it_is() {
        let mut graph = Graph::new();
        let [one, other] = ["one", "other"].map(|name| step(&mut graph, name));
        graph.add_edge(one, other, Bond::Refilled);
        break_cycles(&mut graph);
        assert_eq!((graph.node_count(), graph.edge_count()), (2, 1));
    }
}
