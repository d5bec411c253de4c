//! What a declaration comes after: the resources behind names.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use simfleet_provider_api::{Key, PathStep};

use super::declaration::{Declaration, Output};
use super::eval::Reference;
use super::module::Call;
use super::{Config, blocks, names};
use crate::diagnostic::Span;

/// Something that a declaration comes after.
#[derive(Debug, Clone)]
pub struct Need<'c> {
    /// The declaration that is needed.
    pub declaration: &'c Declaration,
    /// The first place that names it.
    pub span: Span,
    /// The one instance that is needed, where the place says which.
    pub key: Option<Key>,
    /// How many of the modules that lead to the one are those that lead to the other: of these, only the same instance
    /// is needed; of modules further in, all.
    pub shared: usize,
}

/// Returns what references of a module lead to, through locals, and through the variables and outputs of modules.
pub(super) fn resources<'c>(root: &'c Config, module: &[Arc<str>], references: &[Reference]) -> Vec<Need<'c>> {
    let mut search = Search::new(root);
    if let Some(module) = root.module(module) {
        search.read(module, references, module.path.len());
    }
    search.run()
}

/// Returns what a declaration comes after for some of its references, what its provider reads, and what has to be there
/// before the modules that lead to it have their instances.
pub(super) fn of<'c>(root: &'c Config, declaration: &Declaration, references: &[Reference]) -> Vec<Need<'c>> {
    let mut search = Search::new(root);
    let path = declaration.address.module_path();
    if let Some(module) = root.module(&path) {
        search.read(module, references, path.len());
        search.after(module, &declaration.meta.depends_on, path.len());
        search.provider(module, declaration);
    }
    for (depth, name) in path.iter().enumerate() {
        let outer = root.module(&path[..depth]);
        if let Some((outer, call)) = outer.and_then(|outer| Some((outer, outer.calls.get(name)?))) {
            search.read(outer, &call.meta.references(), depth);
            search.after(outer, &call.meta.depends_on, depth);
        }
    }
    search.run()
}

/// A search for the resources behind names.
struct Search<'c> {
    root: &'c Config,
    /// Names to look at, the module that they stand in, and how many modules are shared with the start.
    queue: Vec<(&'c Config, Reference, usize)>,
    seen: HashMap<(*const Config, Arc<str>, Arc<str>), usize>,
    resources: HashMap<(*const Declaration, Option<Key>), usize>,
    found: Vec<Need<'c>>,
}

impl<'c> Search<'c> {
    fn new(root: &'c Config) -> Self {
        Search {
            root,
            queue: Vec::new(),
            seen: HashMap::new(),
            resources: HashMap::new(),
            found: Vec::new(),
        }
    }

    fn read(&mut self, module: &'c Config, references: &[Reference], shared: usize) {
        let references = references.iter().rev();
        self.queue
            .extend(references.map(|reference| (module, reference.clone(), shared)));
    }

    /// Takes in all of the modules that `depends_on` names.
    fn after(&mut self, module: &'c Config, depends_on: &[Reference], shared: usize) {
        for reference in depends_on.iter().filter(|reference| &*reference.root == "module") {
            let called = names::call(module, reference).map(|(_, call)| &call.module);
            for inner in called.into_iter().flat_map(Config::modules) {
                for declaration in &inner.declarations {
                    self.find(declaration, None, &reference.span, shared);
                }
            }
        }
    }

    /// Takes in what the settings of a declaration's provider read.
    fn provider(&mut self, module: &'c Config, declaration: &Declaration) {
        let root = self.root;
        let named = declaration.meta.provider.as_ref();
        let block = match named {
            Some(named) => root.provider_in(&module.path, &named.name, named.alias.as_deref()),
            // Which of several it is, the kinds that they offer tell; they are not known here, but for what only one has.
            None => {
                let kind = declaration.address.labels().first().map_or("", |kind| &**kind);
                let may = |name: &str| match (declaration.address.block(), kind) {
                    ("node" | "pool" | "network", _) => true,
                    ("service", _) | ("simulator", "container" | "px4") => name == "docker",
                    _ => false,
                };
                let mut blocks = root.providers.iter().filter(|block| may(&block.name));
                match (blocks.next(), blocks.next()) {
                    (Some(only), None) => root.provider_in(&module.path, &only.name, None),
                    _ => None,
                }
            }
        };
        if let Some(block) = block {
            self.read(root, &block.references(), 0);
        }
    }

    fn find(&mut self, declaration: &'c Declaration, key: Option<Key>, span: &Span, shared: usize) {
        match self.resources.get(&(std::ptr::from_ref(declaration), key.clone())) {
            Some(at) => {
                let need = &mut self.found[*at];
                need.shared = need.shared.min(shared);
            }
            None => {
                self.resources.insert((declaration, key.clone()), self.found.len());
                self.found.push(Need {
                    declaration,
                    span: span.clone(),
                    key,
                    shared,
                });
            }
        }
    }

    /// Whether something is still to be looked at, for what it shares with the start.
    fn is_new(&mut self, module: &'c Config, root: &Arc<str>, name: &Arc<str>, shared: usize) -> bool {
        let key = (std::ptr::from_ref(module), Arc::clone(root), Arc::clone(name));
        match self.seen.get_mut(&key) {
            Some(before) if *before <= shared => false,
            Some(before) => {
                *before = shared;
                true
            }
            None => {
                self.seen.insert(key, shared);
                true
            }
        }
    }

    fn run(mut self) -> Vec<Need<'c>> {
        while let Some((module, reference, shared)) = self.queue.pop() {
            let Some(PathStep::Name(name)) = reference.steps.first() else {
                continue;
            };
            match &*reference.root {
                "local" => {
                    if let Some(local) = module.locals.get(name)
                        && self.is_new(module, &reference.root, name, shared)
                    {
                        self.read(module, local.expr.references(), shared);
                    }
                }
                "var" => {
                    if let Some((last, outer)) = module.path.split_last()
                        && self.is_new(module, &reference.root, name, shared)
                        && let Some(outer) = self.root.module(outer)
                        && let Some(input) = outer.calls.get(last).and_then(|call| call.inputs.get(name))
                    {
                        let shared = shared.min(outer.path.len());
                        self.read(outer, input.expr.references(), shared);
                    }
                }
                "module" => {
                    if let Some(call) = module.calls.get(name) {
                        self.call(module, call, &reference, shared);
                    }
                }
                _ if blocks::is_resource(&reference.root) => {
                    if let Ok((declaration, labels)) = names::declaration(module, &reference) {
                        let key = declaration.key_of(&reference.steps[labels..]);
                        self.find(declaration, key, &reference.span, shared);
                    }
                }
                _ => {}
            }
        }
        self.found
    }

    fn call(&mut self, module: &'c Config, call: &'c Call, reference: &Reference, shared: usize) {
        if self.is_new(module, &reference.root, &call.name, shared) {
            self.read(module, &call.meta.references(), shared);
        }
        let outputs: Vec<(&Arc<str>, &Output)> = match call.output_of(reference) {
            Some(output) => call.module.outputs.get_key_value(output).into_iter().collect(),
            None => call.module.outputs.iter().collect(),
        };
        for (name, output) in outputs {
            if self.is_new(&call.module, &"output".into(), name, shared) {
                self.read(&call.module, &output.references(), shared);
                self.after(&call.module, &output.depends_on, shared);
            }
        }
    }
}

/// Returns the locals whose values depend on resources, directly or through others.
pub(super) fn dynamic_locals(config: &Config) -> HashSet<Arc<str>> {
    let mut users: HashMap<&Arc<str>, Vec<&Arc<str>>> = HashMap::new();
    let mut queue: Vec<&Arc<str>> = Vec::new();
    for (name, local) in &config.locals {
        for used in local.locals() {
            users.entry(used).or_default().push(name);
        }
        let is_dynamic = |reference: &Reference| &*reference.root == "module" || blocks::is_resource(&reference.root);
        if local.expr.references().iter().any(is_dynamic) {
            queue.push(name);
        }
    }
    let mut dynamic = HashSet::new();
    while let Some(name) = queue.pop() {
        if dynamic.insert(Arc::clone(name)) {
            queue.extend(users.get(name).into_iter().flatten());
        }
    }
    dynamic
}
