//! E23: what depends on itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simfleet_provider_api::PathStep;

use super::Config;
use super::eval::Reference;
use super::names;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// Something that can be part of a cycle: its name, and what it refers to.
struct Node {
    name: String,
    edges: Vec<(usize, Span)>,
}

/// Reports each cycle among locals and declarations once, with the line of each of its edges.
pub(super) fn check(config: &Config, diagnostics: &mut Diagnostics) {
    let nodes = nodes(config);
    let mut marks = vec![Mark::New; nodes.len()];
    for start in 0..nodes.len() {
        if marks[start] != Mark::New {
            continue;
        }
        // Depth first without recursion: a chain of locals can be as long as the fleet.
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        marks[start] = Mark::Open;
        while let Some((node, next)) = path.last_mut() {
            let Some((to, _)) = nodes[*node].edges.get(*next) else {
                marks[*node] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            let to = *to;
            match marks[to] {
                Mark::New => {
                    marks[to] = Mark::Open;
                    path.push((to, 0));
                }
                Mark::Open => {
                    let from = path.iter().position(|(node, _)| *node == to).unwrap_or(0);
                    diagnostics.push(report(&nodes, &path[from..]));
                }
                Mark::Done => {}
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Open,
    Done,
}

/// Describes a cycle; each step of the path is a node and the number of edges that were looked at, so the last of these
/// is the edge of the cycle.
fn report(nodes: &[Node], path: &[(usize, usize)]) -> Diagnostic {
    let mut names: Vec<&str> = path.iter().map(|(node, _)| &*nodes[*node].name).collect();
    names.extend(names.first().copied());
    let detail = match path.len() {
        1 => format!("`{}` refers to itself.", names.first().unwrap_or(&"")),
        _ => format!("Each of these needs the next one first: {}.", names.join(" -> ")),
    };
    let mut diagnostic = Diagnostic::error("E23 dependency cycle", detail);
    for (i, (node, next)) in path.iter().enumerate() {
        let Some((to, span)) = next.checked_sub(1).and_then(|edge| nodes[*node].edges.get(edge)) else {
            continue;
        };
        diagnostic = match i {
            0 => diagnostic.at(span.clone()),
            _ => diagnostic.related(span.clone(), format!("{} needs {}", nodes[*node].name, nodes[*to].name)),
        };
    }
    diagnostic
}

/// Returns the cycles among links of which each thing has one at most; each cycle once, its first thing again at the end.
pub(super) fn of_chains<T: Ord + Clone>(links: &[(T, T)]) -> Vec<Vec<T>> {
    let next: BTreeMap<&T, &T> = links.iter().map(|(from, to)| (from, to)).collect();
    let mut done: BTreeSet<&T> = BTreeSet::new();
    let mut cycles = Vec::new();
    for (start, _) in links {
        let mut path: Vec<&T> = Vec::new();
        let mut at = Some(start);
        while let Some(thing) = at.filter(|thing| done.insert(thing)) {
            path.push(thing);
            at = next.get(thing).copied();
        }
        let back = at.and_then(|at| path.iter().position(|thing| *thing == at));
        if let (Some(from), Some(at)) = (back, at) {
            cycles.push(path[from..].iter().copied().chain([at]).cloned().collect());
        }
    }
    cycles
}

fn nodes(config: &Config) -> Vec<Node> {
    let locals: Vec<&Arc<str>> = config.locals.keys().collect();
    let edges = |references: Vec<Reference>| {
        let mut edges = Vec::new();
        for reference in references {
            let to = match (&*reference.root, reference.steps.first()) {
                ("local", Some(PathStep::Name(name))) => locals.binary_search(&name).ok(),
                ("var" | "local" | "count" | "each" | "path" | "workspace" | "self" | "member", _) => None,
                _ => match names::declaration(config, &reference) {
                    Ok((declaration, _)) => Some(locals.len() + declaration.index),
                    Err(_) => None,
                },
            };
            edges.extend(to.map(|to| (to, reference.span)));
        }
        edges
    };
    let of_locals = config.locals.iter().map(|(name, local)| Node {
        name: format!("local.{name}"),
        edges: edges(local.references.clone()),
    });
    let of_declarations = config.declarations.iter().map(|declaration| Node {
        name: declaration.address.to_string(),
        edges: edges(declaration.references()),
    });
    of_locals.chain(of_declarations).collect()
}
