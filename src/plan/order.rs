//! The order in which declarations are planned: each after those that it reads.

use hashbrown::HashMap;
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

use crate::config::eval::Reference;
use crate::config::{Config, Declaration, Need};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// One declaration reads another.
#[derive(Debug, Clone)]
pub struct Reads {
    /// The index of the declaration that reads.
    pub reader: usize,
    /// The index of the one that is read.
    pub read: usize,
    /// Where.
    pub span: Span,
}

/// Returns the indexes of `names` such that each comes after all that it reads; otherwise in the order given.
///
/// # Errors
/// `E23` for each cycle, with the edges that close it, each with its line.
pub fn order(names: &[String], reads: &[Reads]) -> Result<Vec<usize>, Diagnostics> {
    let mut graph = DiGraph::<(), usize>::new();
    // A toposort walks from the last node back, so the order given is kept by adding in reverse.
    let nodes: Vec<NodeIndex> = (0..names.len()).map(|_| graph.add_node(())).collect();
    let node = |index: usize| nodes[names.len() - 1 - index];
    let index = |node: NodeIndex| names.len() - 1 - node.index();
    for (edge, Reads { reader, read, .. }) in reads.iter().enumerate() {
        graph.update_edge(node(*read), node(*reader), edge);
    }
    if let Ok(sorted) = toposort(&graph, None) {
        return Ok(sorted.into_iter().map(index).collect());
    }
    let mut diagnostics = Diagnostics::new();
    for cycle in tarjan_scc(&graph) {
        let members: Vec<usize> = cycle.iter().map(|node| index(*node)).collect();
        let mut edges: Vec<&Reads> = graph
            .edge_weights()
            .map(|edge| &reads[*edge])
            .filter(|edge| members.contains(&edge.reader) && members.contains(&edge.read))
            .filter(|edge| members.len() > 1 || edge.reader == edge.read)
            .collect();
        edges.sort_by_key(|edge| (edge.reader, edge.read));
        let Some(first) = edges.first() else { continue };
        let list: Vec<_> = edges
            .iter()
            .map(|edge| format!("`{}` reads `{}`", names[edge.reader], names[edge.read]))
            .collect();
        let mut diagnostic = Diagnostic::error("E23 dependency cycle", format!("{}.", list.join(", ")))
            .at(first.span.clone())
            .hint("take one of these references out, so that there is a first resource to make");
        for edge in &edges[1..] {
            diagnostic = diagnostic.related(
                edge.span.clone(),
                format!("`{}` reads `{}` here", names[edge.reader], names[edge.read]),
            );
        }
        diagnostics.push(diagnostic);
    }
    Err(diagnostics)
}

/// A declaration of the fleet or of a module, and what it reads.
pub(super) struct Ordered<'c> {
    pub(super) declaration: &'c Declaration,
    pub(super) needs: Vec<Need<'c>>,
}

/// Returns the declarations, each after those that it reads.
pub(super) fn in_order(config: &Config) -> Result<Vec<Ordered<'_>>, Diagnostics> {
    let modules = config.modules().into_iter();
    let declarations: Vec<&Declaration> = modules.flat_map(|module| &module.declarations).collect();
    let index: HashMap<*const Declaration, usize> =
        declarations.iter().map(|it| std::ptr::from_ref(*it)).zip(0..).collect();
    let mut reads = Vec::new();
    let mut ordered = Vec::with_capacity(declarations.len());
    for (reader, declaration) in declarations.iter().enumerate() {
        let needs = config.needs(declaration, &declaration.references());
        for need in &needs {
            if let Some(read) = index.get(&std::ptr::from_ref(need.declaration)) {
                let (read, span) = (*read, need.span.clone());
                reads.push(Reads { reader, read, span });
            }
        }
        ordered.push(Some(Ordered { declaration, needs }));
    }
    let names: Vec<String> = declarations
        .iter()
        .map(|declaration| declaration.address.to_string())
        .collect();
    let order = order(&names, &reads)?;
    Ok(order.into_iter().filter_map(|index| ordered[index].take()).collect())
}

/// Returns what a declaration refers to beside where it is placed, where it says that: the node that a simulator runs on is
/// its host, and nothing that it depends on.
pub(super) fn beside_placement(declaration: &Declaration) -> Option<Vec<Reference>> {
    let placement = &declaration.body.attribute("placement")?.value_span;
    let is_placement = |reference: &Reference| {
        let range = &reference.span.range;
        let is_inside = placement.range.start <= range.start && range.end <= placement.range.end;
        is_inside && placement.file == reference.span.file
    };
    let references = declaration.references().into_iter();
    Some(references.filter(|reference| !is_placement(reference)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::diagnostic::SourceFile;

    fn reads(reader: usize, read: usize) -> Reads {
        let file = Arc::new(SourceFile {
            path: "a.hcl".into(),
            text: "a\nb\nc\n".into(),
        });
        Reads {
            reader,
            read,
            span: Span {
                file,
                range: reader * 2..reader * 2 + 1,
            },
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_read_comes_first_and_the_rest_stays_in_order() {
        let names = names(&["node.a", "node.b", "node.c"]);
        assert_eq!(order(&names, &[]).expect("no cycle"), [0, 1, 2]);
        assert_eq!(order(&names, &[reads(0, 2)]).expect("no cycle"), [1, 2, 0]);
    }

    #[test]
    fn a_cycle_is_shown_edge_by_edge() {
        let names = names(&["node.a", "node.b", "node.c"]);
        let Diagnostics(found) = order(&names, &[reads(0, 1), reads(1, 0), reads(2, 0)]).expect_err("a cycle");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].detail, "`node.a` reads `node.b`, `node.b` reads `node.a`.");
        assert_eq!(found[0].related.len(), 1);
        let Diagnostics(found) = order(&names, &[reads(1, 1)]).expect_err("a cycle");
        assert_eq!(found[0].detail, "`node.b` reads `node.b`.");
    }
}
