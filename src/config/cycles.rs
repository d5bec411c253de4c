//! E23: what depends on itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem::Discriminant;

use hashbrown::HashMap;
use simfleet_provider_api::PathStep;

use super::Config;
use super::declaration::Declaration;
use super::eval::Reference;
use super::names;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// What can need something: locals and declarations; and for modules their variables, their outputs, and the `module`
/// blocks, which say how many instances there are.
#[derive(Clone, Copy)]
enum Thing<'c> {
    Local(&'c Config, &'c str),
    Variable(&'c Config, &'c str),
    Output(&'c Config, &'c str),
    Call(&'c Config, &'c str),
    Declaration(&'c Declaration),
}

impl<'c> Thing<'c> {
    /// What tells it apart from others: its sort, where it stands, and its name there.
    fn key(&self) -> Key<'c> {
        let (of, name) = match *self {
            Thing::Local(module, name)
            | Thing::Variable(module, name)
            | Thing::Output(module, name)
            | Thing::Call(module, name) => (std::ptr::from_ref(module).cast(), name),
            Thing::Declaration(declaration) => (std::ptr::from_ref(declaration).cast(), ""),
        };
        (std::mem::discriminant(self), of, name)
    }
}

type Key<'c> = (Discriminant<Thing<'c>>, *const (), &'c str);

impl fmt::Display for Thing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (module, sort, name) = match self {
            Thing::Declaration(declaration) => return declaration.address.fmt(f),
            Thing::Local(module, name) => (module, "local", name),
            Thing::Variable(module, name) => (module, "var", name),
            Thing::Output(module, name) => (module, "output", name),
            Thing::Call(module, name) => (module, "module", name),
        };
        for step in &module.path {
            write!(f, "module.{step}.")?;
        }
        write!(f, "{sort}.{name}")
    }
}

/// Something that can be part of a cycle, and what it refers to.
struct Node<'c> {
    thing: Thing<'c>,
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
fn report(nodes: &[Node<'_>], path: &[(usize, usize)]) -> Diagnostic {
    let mut names: Vec<String> = path.iter().map(|(node, _)| nodes[*node].thing.to_string()).collect();
    names.extend(names.first().cloned());
    let (detail, hint) = match path.len() {
        1 => (
            format!("`{}` refers to itself.", names[0]),
            "write the value out, or put it into a local that both use",
        ),
        _ => (
            format!("Each of these needs the next one first: {}.", names.join(" -> ")),
            "take one of these references out, so that there is a first one; what two of them need can be a local",
        ),
    };
    let mut diagnostic = Diagnostic::error("E23 dependency cycle", detail).hint(hint);
    for (i, (node, next)) in path.iter().enumerate() {
        let Some((to, span)) = next.checked_sub(1).and_then(|edge| nodes[*node].edges.get(edge)) else {
            continue;
        };
        diagnostic = match i {
            0 => diagnostic.at(span.clone()),
            _ => diagnostic.related(
                span.clone(),
                format!("{} needs {}", nodes[*node].thing, nodes[*to].thing),
            ),
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

fn nodes(config: &Config) -> Vec<Node<'_>> {
    let mut graph = Graph::default();
    for module in config.modules() {
        graph.add_all(module);
    }
    for module in config.modules() {
        graph.connect_all(config, module);
    }
    graph.nodes
}

#[derive(Default)]
struct Graph<'c> {
    nodes: Vec<Node<'c>>,
    /// The place of each thing among the nodes.
    places: HashMap<Key<'c>, usize>,
}

impl<'c> Graph<'c> {
    fn add_all(&mut self, module: &'c Config) {
        let mut add = |thing: Thing<'c>| {
            self.places.insert(thing.key(), self.nodes.len());
            let edges = Vec::new();
            self.nodes.push(Node { thing, edges });
        };
        module.locals.keys().for_each(|name| add(Thing::Local(module, name)));
        module.declarations.iter().for_each(|it| add(Thing::Declaration(it)));
        module.calls.keys().for_each(|name| add(Thing::Call(module, name)));
        if !module.path.is_empty() {
            module
                .variables
                .keys()
                .for_each(|name| add(Thing::Variable(module, name)));
            module.outputs.keys().for_each(|name| add(Thing::Output(module, name)));
        }
    }

    fn connect_all(&mut self, root: &'c Config, module: &'c Config) {
        for (name, local) in &module.locals {
            self.connect(Thing::Local(module, name), module, local.expr.references());
        }
        let called = module.path.split_last();
        let called = called.and_then(|(last, outer)| {
            let outer = root.module(outer)?;
            Some((outer, outer.calls.get_key_value(last)?))
        });
        for declaration in &module.declarations {
            let from = Thing::Declaration(declaration);
            self.connect(from, module, &declaration.references());
            self.connect_after(from, module, &declaration.meta.depends_on);
            if let Some((outer, (last, _))) = called {
                self.edge(from, Thing::Call(outer, last), &declaration.span);
            }
        }
        for (name, call) in &module.calls {
            let from = Thing::Call(module, name);
            self.connect(from, module, &call.meta.references());
            self.connect_after(from, module, &call.meta.depends_on);
            if let Some((outer, (last, _))) = called {
                self.edge(from, Thing::Call(outer, last), &call.span);
            }
        }
        let Some((outer, (_, call))) = called else { return };
        for (name, output) in &module.outputs {
            self.connect(Thing::Output(module, name), module, &output.references());
        }
        for (name, input) in &call.inputs {
            self.connect(Thing::Variable(module, name), outer, input.expr.references());
        }
    }

    fn edge(&mut self, from: Thing<'c>, to: Thing<'c>, span: &Span) {
        if let (Some(from), Some(to)) = (self.places.get(&from.key()), self.places.get(&to.key())) {
            self.nodes[*from].edges.push((*to, span.clone()));
        }
    }

    /// Adds an edge to everything that references of a module name.
    fn connect(&mut self, from: Thing<'c>, module: &'c Config, references: &[Reference]) {
        for reference in references {
            let Some(PathStep::Name(name)) = reference.steps.first() else {
                continue;
            };
            match &*reference.root {
                "local" => {
                    if let Some((name, _)) = module.locals.get_key_value(name) {
                        self.edge(from, Thing::Local(module, name), &reference.span);
                    }
                }
                "var" => {
                    if let Some((name, _)) = module.variables.get_key_value(name) {
                        self.edge(from, Thing::Variable(module, name), &reference.span);
                    }
                }
                "count" | "each" | "path" | "workspace" | "self" | "member" => {}
                "module" => {
                    let Ok((name, call)) = names::call(module, reference) else {
                        continue;
                    };
                    self.edge(from, Thing::Call(module, name), &reference.span);
                    let outputs = call.module.outputs.keys();
                    let wanted = call.output_of(reference);
                    for output in outputs.filter(|output| wanted.is_none_or(|wanted| wanted == *output)) {
                        self.edge(from, Thing::Output(&call.module, output), &reference.span);
                    }
                }
                _ => {
                    if let Ok((declaration, _)) = names::declaration(module, reference) {
                        self.edge(from, Thing::Declaration(declaration), &reference.span);
                    }
                }
            }
        }
    }

    /// Adds an edge to all that is in the modules that `depends_on` names.
    fn connect_after(&mut self, from: Thing<'c>, module: &'c Config, depends_on: &[Reference]) {
        for reference in depends_on.iter().filter(|reference| &*reference.root == "module") {
            let Ok((_, call)) = names::call(module, reference) else {
                continue;
            };
            for declaration in call.module.modules().into_iter().flat_map(|inner| &inner.declarations) {
                self.edge(from, Thing::Declaration(declaration), &reference.span);
            }
        }
    }
}
