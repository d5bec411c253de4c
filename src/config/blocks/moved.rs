//! `moved`: something has another address than before.

use std::sync::Arc;

use simfleet_provider_api::{Address, ModuleStep};

use crate::config::check::Body;
use crate::config::endpoint::{self, Endpoint};
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// Something has another address than before: what is recorded under the old one is the same object.
#[derive(Debug, Clone)]
pub struct Moved {
    /// The module that says so, by the names of the blocks that lead to it; both addresses start there.
    pub module: Vec<Arc<str>>,
    /// The address before.
    pub from: Endpoint,
    /// The address now.
    pub to: Endpoint,
    /// Its first line.
    pub span: Span,
    /// Where the address before is written.
    pub from_span: Span,
}

pub(in crate::config) fn schema() -> BlockSchema {
    BlockSchema::new("moved", "Something has another address than before.").attributes([
        AttributeSchema::expression("from", "the address before").required(),
        AttributeSchema::expression("to", "the address now").required(),
    ])
}

impl Moved {
    /// Reads the block; `None` where something is wrong with it, which is reported.
    pub(in crate::config) fn read(mut body: Body, module: &[Arc<str>], diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut side = |name: &str| {
            let attribute = body.take_attribute(name)?;
            let written = endpoint::read(&attribute).and_then(|written| match &written.key {
                None => Ok(written),
                Some(_) => {
                    let detail = format!("A key in `{name}` must be a constant: [0] or [\"name\"].");
                    Err(Diagnostic::error("Invalid address", detail).at(written.span.clone()))
                }
            });
            diagnostics.keep(written.map_err(Diagnostics::from))
        };
        let (from, to) = (side("from"), side("to"));
        let (from, to) = (from?, to?);
        let problem = match (&from.endpoint, &to.endpoint) {
            (from, to) if from == to => Some("Both addresses are the same, so nothing moves.".to_owned()),
            (Endpoint::Module(_), Endpoint::Resource(_)) => {
                Some(format!("`{}` is a module, so `to` must be one too.", from.endpoint))
            }
            (Endpoint::Resource(_), Endpoint::Module(_)) => {
                Some(format!("`{}` is a resource, so `to` must be one too.", from.endpoint))
            }
            (Endpoint::Resource(a), Endpoint::Resource(b)) if kind(a) != kind(b) => Some(format!(
                "`{a}` is a {}, `{b}` a {}; one cannot become the other.",
                kind(a).join("."),
                kind(b).join(".")
            )),
            _ => None,
        };
        if let Some(problem) = problem {
            let diagnostic = Diagnostic::error("Invalid move", problem).at(to.span);
            diagnostics.push(diagnostic);
            return None;
        }
        Some(Moved {
            module: module.to_vec(),
            from: from.endpoint,
            to: to.endpoint,
            span: body.header,
            from_span: from.span,
        })
    }

    /// Returns the address that a recorded resource has now; `None` where this does not concern it. What a resource
    /// expands to moves with it, and what is in a module with the module.
    ///
    /// Without keys on both sides, all instances move and keep their keys; with one, that of the other side stands for
    /// the instance without a key.
    pub fn apply(&self, address: &Address) -> Option<Address> {
        let depth = self.module.len();
        let (base, inner) = address.modules().split_at_checked(depth)?;
        if !base.iter().map(|step| &step.name).eq(&self.module) {
            return None;
        }
        let all = self.from.key().is_none() && self.to.key().is_none();
        let placed = |modules: Vec<ModuleStep>| [base, &modules].concat();
        match (&self.from, &self.to) {
            (Endpoint::Resource(from), Endpoint::Resource(to)) => {
                let same_block = from.block() == address.block() && from.labels() == address.labels();
                if from.modules() != inner || !same_block || !(all || from.key() == address.key()) {
                    return None;
                }
                let mut moved = to.in_module(&placed(to.modules().to_vec()));
                if let (true, Some(key)) = (all, address.key()) {
                    moved = moved.with_key(key.clone());
                }
                Some(match address.child_name() {
                    Some(child) => moved.child(child),
                    None => moved,
                })
            }
            (Endpoint::Module(from), Endpoint::Module(to)) => {
                let (own, deeper) = inner.split_at_checked(from.len())?;
                let (from_last, from_outer) = from.split_last()?;
                let (own_last, own_outer) = own.split_last()?;
                let is_it = from_last.name == own_last.name && (all || from_last.key == own_last.key);
                if from_outer != own_outer || !is_it {
                    return None;
                }
                let mut modules = to.clone();
                if all && let Some(last) = modules.last_mut() {
                    last.key.clone_from(&own_last.key);
                }
                modules.extend_from_slice(deeper);
                Some(address.in_module(&placed(modules)))
            }
            _ => None,
        }
    }
}

/// Returns the block of a resource, and the kind where it has one.
fn kind(address: &Address) -> Vec<&str> {
    let kinds = address.labels().len().saturating_sub(1);
    let labels = address.labels().iter().take(kinds).map(|label| &**label);
    std::iter::once(address.block()).chain(labels).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load_text;

    fn moved(from: &str, to: &str) -> Moved {
        let text = format!("moved {{\n  from = {from}\n  to = {to}\n}}\nvalue \"b\" {{}}");
        let (config, _) = load_text(&text).unwrap_or_else(|errors| panic!("{from} -> {to}: {errors:?}"));
        config.moved.into_iter().next().expect("there is one")
    }

    #[test]
    fn an_address_moves_with_all_that_is_below_it() {
        for (from, to, address, expected) in [
            ("node.a", "node.b", "node.a", Some("node.b")),
            ("node.a", "node.b", "node.a/nic", Some("node.b/nic")),
            ("node.a", "node.b", "node.a[\"x\"]", Some("node.b[\"x\"]")),
            ("node.a", "node.b", "node.aa", None),
            ("node.a", "node.b[0]", "node.a", Some("node.b[0]")),
            ("node.a", "node.b[0]", "node.a[1]", None),
            ("node.a[0]", "node.a[\"x\"]", "node.a[0]", Some("node.a[\"x\"]")),
            ("node.a[0]", "node.a[\"x\"]", "node.a[1]", None),
            ("node.a[2]", "node.b", "node.a[2]/nic", Some("node.b/nic")),
            ("node.a", "module.m.node.a", "node.a[1]", Some("module.m.node.a[1]")),
            ("module.m[0].node.a", "node.a", "module.m[0].node.a", Some("node.a")),
            ("module.m[0].node.a", "node.a", "module.m[1].node.a", None),
            (
                "module.m",
                "module.n",
                "module.m[\"k\"].node.a[3]",
                Some("module.n[\"k\"].node.a[3]"),
            ),
            (
                "module.m",
                "module.n[\"k\"]",
                "module.m.pool.p/m1",
                Some("module.n[\"k\"].pool.p/m1"),
            ),
            (
                "module.m",
                "module.n",
                "module.m.module.i.node.a",
                Some("module.n.module.i.node.a"),
            ),
            ("module.m", "module.n", "node.a", None),
            ("pool.p", "pool.q", "pool.p/m7", Some("pool.q/m7")),
        ] {
            let address: Address = address.parse().expect("an address");
            let now = moved(from, to).apply(&address).map(|address| address.to_string());
            assert_eq!(now.as_deref(), expected, "{address}: {from} -> {to}");
        }
    }

    #[test]
    fn a_move_in_a_module_is_one_in_each_of_its_instances() {
        let mut moved = moved("value.a", "value.b");
        moved.module = vec!["m".into()];
        let now = |address: &str| {
            moved
                .apply(&address.parse().expect("an address"))
                .map(|a| a.to_string())
        };
        assert_eq!(now("module.m[3].value.a[0]").as_deref(), Some("module.m[3].value.b[0]"));
        assert_eq!(now("value.a"), None);
        assert_eq!(now("module.n.value.a"), None);
    }
}
