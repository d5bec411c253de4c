//! `moved`, `removed` and `import` against each other and against what is declared.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::Address;

use super::endpoint::Endpoint;
use super::{Adoption, Config, Moved, cycles, declaration};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// Reports what cannot be meant.
pub(super) fn check(config: &Config, diagnostics: &mut Diagnostics) {
    check_moved(config, diagnostics);
    check_removed(config, diagnostics);
    check_imports(config, diagnostics);
}

fn check_moved(config: &Config, diagnostics: &mut Diagnostics) {
    let mut from: BTreeMap<Endpoint, &Moved> = BTreeMap::new();
    let mut to: BTreeMap<Endpoint, &Moved> = BTreeMap::new();
    for moved in config.modules().into_iter().flat_map(|module| &module.moved) {
        if moved.from.key().is_none()
            && moved.to.key().is_none()
            && let Some(declared) = declared(config, &whole(&moved.module, &moved.from))
        {
            let detail = format!("`{}` is still declared, so it has not moved.", moved.from);
            let diagnostic = Diagnostic::error("Moved object still exists", detail).at(moved.from_span.clone());
            let hint = format!("rename the block to `{}`, or take this one out", moved.to);
            diagnostics.push(diagnostic.related(declared, "it is here").hint(hint));
        }
        if let Some(first) = from.insert(whole(&moved.module, &moved.from), moved) {
            let detail = format!("`{}` moves to `{}` and to `{}`.", moved.from, first.to, moved.to);
            diagnostics.push(ambiguous(detail, moved, first));
        }
        if let Some(first) = to.insert(whole(&moved.module, &moved.to), moved) {
            let detail = format!("`{}` and `{}` both move to `{}`.", first.from, moved.from, moved.to);
            diagnostics.push(ambiguous(detail, moved, first));
        }
    }
    // Each from leads to one to at most, so a cycle is a chain that comes back.
    let edges: Vec<(Endpoint, Endpoint)> = from
        .iter()
        .map(|(from, moved)| (from.clone(), whole(&moved.module, &moved.to)))
        .collect();
    for cycle in cycles::of_chains(&edges) {
        let names: Vec<String> = cycle.iter().map(ToString::to_string).collect();
        let detail = format!("These moves go in a circle: {}.", names.join(" -> "));
        let span = cycle
            .first()
            .and_then(|from_| from.get(from_))
            .map(|moved| moved.span.clone());
        let diagnostic = Diagnostic::error("E23 dependency cycle", detail).at(span);
        diagnostics.push(diagnostic.hint("take one of these `moved` blocks out"));
    }
}

fn ambiguous(detail: String, second: &Moved, first: &Moved) -> Diagnostic {
    Diagnostic::error("Ambiguous move", detail)
        .at(second.span.clone())
        .related(first.span.clone(), "the other one")
}

fn check_removed(config: &Config, diagnostics: &mut Diagnostics) {
    let mut seen: BTreeMap<Endpoint, &Span> = BTreeMap::new();
    for removed in config.modules().into_iter().flat_map(|module| &module.removed) {
        let from = whole(&removed.module, &removed.from);
        if let Some(declared) = declared(config, &from) {
            let detail = format!("`{}` is still declared, so it is not removed.", removed.from);
            let diagnostic = Diagnostic::error("Removed object still exists", detail).at(removed.from_span.clone());
            diagnostics.push(
                diagnostic
                    .related(declared, "it is here")
                    .hint("take one of the two out"),
            );
        }
        if let Some(first) = seen.insert(from, &removed.span) {
            let detail = format!("`{}` is removed twice.", removed.from);
            let diagnostic = Diagnostic::error("Duplicate declaration", detail).at(removed.span.clone());
            diagnostics.push(
                diagnostic
                    .related(first.clone(), "the first one")
                    .hint("take one of the two out"),
            );
        }
    }
}

fn check_imports(config: &Config, diagnostics: &mut Diagnostics) {
    for import in &config.imports {
        let block = Endpoint::Resource(import.to.declaration());
        if declared(config, &block).is_none() {
            let detail = format!("`{}` is not declared in this fleet.", import.to.declaration());
            let known: Vec<String> = config
                .declarations
                .iter()
                .map(|known| known.address.to_string())
                .collect();
            let diagnostic = Diagnostic::error("Unknown reference", detail).at(import.to_span.clone());
            let near =
                crate::diagnostic::nearest(&import.to.declaration().to_string(), known.iter().map(String::as_str));
            diagnostics.push(match near {
                Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
                None => diagnostic.hint("declare the resource that the object becomes"),
            });
        }
    }
}

/// Reports resources that two objects become.
pub(super) fn adopted_twice(adoptions: &[Adoption]) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let mut seen: BTreeMap<&Address, &Adoption> = BTreeMap::new();
    for adoption in adoptions {
        if let Some(first) = seen.insert(&adoption.to, adoption) {
            let detail = format!("`{}` is imported twice.", adoption.to);
            let diagnostic = Diagnostic::error("Duplicate declaration", detail).at(adoption.span.clone());
            diagnostics.push(
                diagnostic
                    .related(first.span.clone(), "the first one")
                    .hint("take one of the two out"),
            );
        }
    }
    diagnostics
}

/// Returns an endpoint as the root module would write it, without keys on the way to the module that says so.
fn whole(module: &[Arc<str>], endpoint: &Endpoint) -> Endpoint {
    let modules = [&*declaration::steps(module), endpoint.modules()].concat();
    match endpoint {
        Endpoint::Module(_) => Endpoint::Module(modules),
        Endpoint::Resource(address) => Endpoint::Resource(address.in_module(&modules)),
    }
}

/// Returns where the block of an endpoint is declared.
fn declared(config: &Config, endpoint: &Endpoint) -> Option<Span> {
    let names: Vec<Arc<str>> = endpoint.modules().iter().map(|step| Arc::clone(&step.name)).collect();
    match endpoint {
        Endpoint::Resource(wanted) => {
            let labels: Vec<&str> = wanted.labels().iter().map(|label| &**label).collect();
            let declaration = config.module(&names)?.declaration(wanted.block(), &labels)?;
            Some(declaration.span.clone())
        }
        Endpoint::Module(_) => {
            let (last, outer) = names.split_last()?;
            Some(config.module(outer)?.calls.get(last)?.span.clone())
        }
    }
}
