//! E23: what depends on itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    let mut graph = Graph::default();
    for module in config.modules() {
        graph.name_all(module);
    }
    for module in config.modules() {
        graph.connect_all(config, module);
    }
    graph.nodes
}

/// What can need something: locals and declarations; and for modules their variables, their outputs, and the `module`
/// blocks, which say how many instances there are.
#[derive(Default)]
struct Graph {
    nodes: Vec<Node>,
    index: HashMap<String, usize>,
}

impl Graph {
    fn name_all(&mut self, module: &Config) {
        let mut add = |name: String| {
            self.index.insert(name.clone(), self.nodes.len());
            let edges = Vec::new();
            self.nodes.push(Node { name, edges });
        };
        let inside = |name: String| within(&module.path, &name);
        module
            .locals
            .keys()
            .for_each(|name| add(inside(format!("local.{name}"))));
        module
            .declarations
            .iter()
            .for_each(|declaration| add(declaration.address.to_string()));
        module
            .calls
            .keys()
            .for_each(|name| add(inside(format!("module.{name}"))));
        if !module.path.is_empty() {
            module
                .variables
                .keys()
                .for_each(|name| add(inside(format!("var.{name}"))));
            module
                .outputs
                .keys()
                .for_each(|name| add(inside(format!("output.{name}"))));
        }
    }

    fn connect_all(&mut self, root: &Config, module: &Config) {
        let inside = |name: String| within(&module.path, &name);
        for (name, local) in &module.locals {
            self.connect(inside(format!("local.{name}")), module, &local.references);
        }
        let called = module.path.split_last();
        for declaration in &module.declarations {
            let from = declaration.address.to_string();
            self.connect(from.clone(), module, &declaration.references());
            self.connect_after(from.clone(), module, &declaration.meta.depends_on);
            if let Some((last, outer)) = called {
                self.edge(&from, within(outer, &format!("module.{last}")), &declaration.span);
            }
        }
        for (name, call) in &module.calls {
            let from = inside(format!("module.{name}"));
            self.connect(from.clone(), module, &call.meta.references());
            self.connect_after(from.clone(), module, &call.meta.depends_on);
            if let Some((last, outer)) = called {
                self.edge(&from, within(outer, &format!("module.{last}")), &call.span);
            }
        }
        let Some((last, outer)) = called else { return };
        for (name, output) in &module.outputs {
            self.connect(inside(format!("output.{name}")), module, &output.references());
        }
        let outer = root.module(outer);
        let Some((outer, call)) = outer.and_then(|outer| Some((outer, outer.calls.get(last)?))) else {
            return;
        };
        for (name, input) in &call.inputs {
            self.connect(
                inside(format!("var.{name}")),
                outer,
                &super::eval::references(&input.expr),
            );
        }
    }

    fn edge(&mut self, from: &str, to: String, span: &Span) {
        if let (Some(from), Some(to)) = (self.index.get(from), self.index.get(&to)) {
            self.nodes[*from].edges.push((*to, span.clone()));
        }
    }

    /// Adds an edge to everything that references of a module name.
    fn connect(&mut self, from: String, module: &Config, references: &[Reference]) {
        for reference in references {
            let Some(PathStep::Name(name)) = reference.steps.first() else {
                continue;
            };
            let inside = |name: String| within(&module.path, &name);
            match &*reference.root {
                root @ ("local" | "var") => self.edge(&from, inside(format!("{root}.{name}")), &reference.span),
                "count" | "each" | "path" | "workspace" | "self" | "member" => {}
                "module" => {
                    let Ok((name, call)) = names::call(module, reference) else {
                        continue;
                    };
                    self.edge(&from, inside(format!("module.{name}")), &reference.span);
                    let outputs = call.module.outputs.keys();
                    let wanted = call.output_of(reference);
                    for output in outputs.filter(|output| wanted.is_none_or(|wanted| wanted == *output)) {
                        let to = within(&call.module.path, &format!("output.{output}"));
                        self.edge(&from, to, &reference.span);
                    }
                }
                _ => {
                    if let Ok((declaration, _)) = names::declaration(module, reference) {
                        self.edge(&from, declaration.address.to_string(), &reference.span);
                    }
                }
            }
        }
    }

    /// Adds an edge to all that is in the modules that `depends_on` names.
    fn connect_after(&mut self, from: String, module: &Config, depends_on: &[Reference]) {
        for reference in depends_on.iter().filter(|reference| &*reference.root == "module") {
            let Ok((_, call)) = names::call(module, reference) else {
                continue;
            };
            for declaration in call.module.modules().into_iter().flat_map(|inner| &inner.declarations) {
                self.edge(&from, declaration.address.to_string(), &reference.span);
            }
        }
    }
}

/// Returns the name of something in a module.
fn within(module: &[Arc<str>], name: &str) -> String {
    let mut whole = String::new();
    for step in module {
        whole.push_str("module.");
        whole.push_str(step);
        whole.push('.');
    }
    whole.push_str(name);
    whole
}
