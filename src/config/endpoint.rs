//! What `moved`, `removed`, `import`, `state mv` and `state rm` name: a resource, one instance of it, or a module with all
//! that is in it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hcl_edit::expr::{Expression, TraversalOperator};
use simfleet_provider_api::address::label_count;
use simfleet_provider_api::{Address, AddressError, Key, ModuleStep};

use super::blocks;
use super::eval::Expr;
use super::syntax::Attribute;
use crate::diagnostic::{Diagnostic, Span};

/// A resource, one instance of it, or a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// A module, or one instance of it: the way to it, outermost first.
    Module(Vec<ModuleStep>),
    /// A resource block, or one instance of it; in files never a child.
    Resource(Address),
}

impl Endpoint {
    /// The modules that lead to it; of a module with itself as the last.
    pub fn modules(&self) -> &[ModuleStep] {
        match self {
            Endpoint::Module(modules) => modules,
            Endpoint::Resource(address) => address.modules(),
        }
    }

    /// The instance that it names, where it names one.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Endpoint::Module(modules) => modules.last()?.key.as_ref(),
            Endpoint::Resource(address) => address.key(),
        }
    }

    /// Whether an address is what this names, one of its instances or children, or in the module.
    pub fn covers(&self, address: &Address) -> bool {
        match self {
            Endpoint::Module(modules) => {
                let own = address.modules().get(..modules.len());
                let (Some((own, own_outer)), Some((last, outer))) =
                    (own.and_then(<[_]>::split_last), modules.split_last())
                else {
                    return false;
                };
                outer == own_outer && last.name == own.name && (last.key.is_none() || last.key == own.key)
            }
            Endpoint::Resource(whole) => {
                address == whole || address.parent() == *whole || address.declaration() == *whole
            }
        }
    }
}

impl FromStr for Endpoint {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        text.parse().map(Endpoint::Resource).or_else(|error| {
            // The way to a module is that to something in it without the end.
            match format!("{text}.value.it").parse::<Address>() {
                Ok(inside) if inside.block() == "value" => Ok(Endpoint::Module(inside.modules().to_vec())),
                _ => Err(error),
            }
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Module(modules) => {
                for (i, step) in modules.iter().enumerate() {
                    let dot = if i == 0 { "" } else { "." };
                    write!(f, "{dot}module.{}", step.name)?;
                    if let Some(key) = &step.key {
                        write!(f, "{key}")?;
                    }
                }
                Ok(())
            }
            Endpoint::Resource(address) => address.fmt(f),
        }
    }
}

/// An endpoint as it is written. The last key can be an expression: `node.a[each.key]`.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// What is named, without a key that is an expression.
    pub(super) endpoint: Endpoint,
    /// The key that is an expression.
    pub(super) key: Option<Expr>,
    /// Where.
    pub(super) span: Span,
}

/// Reads an endpoint.
///
/// # Errors
/// It is no address; says why.
pub(super) fn read(attribute: &Attribute) -> Result<Written, Diagnostic> {
    let name = &*attribute.name.text;
    let invalid = |detail: String| Diagnostic::error("Invalid address", detail).at(attribute.value_span.clone());
    let form = "write it as an address: node.a, simulator.px4.iris[0], module.lab.pool.p";
    let mut reader = Reader::new(&attribute.expr).ok_or_else(|| {
        let diagnostic = invalid(format!("`{name}` must be the address of a resource or module."));
        match attribute.expr.syntax.as_str() {
            Some(text) => diagnostic.hint(format!("write {text} without the quotes")),
            None => diagnostic.hint(form),
        }
    })?;
    let (endpoint, key) = reader.endpoint().map_err(|problem| invalid(problem).hint(form))?;
    let span = attribute.value_span.clone();
    Ok(Written { endpoint, key, span })
}

/// The parts of a traversal, from left to right.
struct Reader<'e> {
    expr: &'e Expr,
    root: &'e str,
    operators: std::slice::Iter<'e, hcl_edit::Decorated<TraversalOperator>>,
}

impl<'e> Reader<'e> {
    fn new(expr: &'e Expr) -> Option<Self> {
        let Expression::Traversal(traversal) = &*expr.syntax else {
            return None;
        };
        Some(Reader {
            expr,
            root: traversal.expr.as_variable()?.as_str(),
            operators: traversal.operators.iter(),
        })
    }

    fn endpoint(&mut self) -> Result<(Endpoint, Option<Expr>), String> {
        let mut modules: Vec<ModuleStep> = Vec::new();
        let mut block: Arc<str> = self.root.into();
        while &*block == "module" {
            let name = self.name()?.ok_or("`module` needs a name behind it.")?;
            let (key, dynamic) = self.key()?;
            modules.push(ModuleStep { name, key });
            match self.name()? {
                Some(next) if dynamic.is_none() => block = next,
                Some(_) => return Err("The key of a module must be a constant here.".to_owned()),
                None => return self.end(Endpoint::Module(modules), dynamic),
            }
        }
        if !blocks::is_resource(&block) {
            return Err(format!("There is no resource block `{block}`."));
        }
        let mut labels = Vec::new();
        for _ in 0..label_count(&block) {
            labels.push(
                self.name()?
                    .ok_or_else(|| format!("`{block}` needs its name behind it."))?,
            );
        }
        let mut address = Address::new(block, labels).in_module(&modules);
        let (key, dynamic) = self.key()?;
        if let Some(key) = key {
            address = address.with_key(key);
        }
        self.end(Endpoint::Resource(address), dynamic)
    }

    fn end(&mut self, endpoint: Endpoint, key: Option<Expr>) -> Result<(Endpoint, Option<Expr>), String> {
        match self.operators.next() {
            None => Ok((endpoint, key)),
            Some(_) => Err(format!("There is more behind the address `{endpoint}`.")),
        }
    }

    fn name(&mut self) -> Result<Option<Arc<str>>, String> {
        match self.operators.as_slice().first().map(|operator| operator.value()) {
            Some(TraversalOperator::GetAttr(name)) => {
                self.operators.next();
                Ok(Some(name.as_str().into()))
            }
            Some(_) => Err("A name should stand where a key is.".to_owned()),
            None => Ok(None),
        }
    }

    /// Returns the key that stands here, a constant or an expression.
    fn key(&mut self) -> Result<(Option<Key>, Option<Expr>), String> {
        let Some(operator) = self.operators.as_slice().first() else {
            return Ok((None, None));
        };
        let key = match operator.value() {
            TraversalOperator::GetAttr(_) => return Ok((None, None)),
            TraversalOperator::LegacyIndex(index) => (Some(Key::Index(*index.value())), None),
            TraversalOperator::Index(Expression::String(name)) => (Some(Key::Name(name.as_str().into())), None),
            TraversalOperator::Index(Expression::Number(number)) => match number.value().as_u64() {
                Some(index) => (Some(Key::Index(index)), None),
                None => return Err("An index must be a whole number.".to_owned()),
            },
            TraversalOperator::Index(key) => (None, Some(Expr::new(key.clone(), &self.expr.file))),
            TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                return Err("`[*]` stands for several instances; an address names one, or the block.".to_owned());
            }
        };
        self.operators.next();
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_read_as_it_is_written() {
        for text in [
            "module.m",
            "module.m[2]",
            "module.m[\"a.b\"].module.k",
            "module.m.value.v",
            "node.a[0]",
            "pool.p/m1",
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), text);
            let is_module = matches!(endpoint, Endpoint::Module(_));
            assert_eq!(is_module, text.parse::<Address>().is_err(), "{text}");
        }
        for text in [
            "",
            "module",
            "module.",
            "module.m.",
            "module.m.module",
            "module.m.node",
            "module.m.simulator",
            "module.m.simulator.px4",
            "module.m[x]",
            "module.m/x",
            "value",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_module_covers_what_is_in_it() {
        for (text, address, expected) in [
            ("module.m", "module.m.node.a", true),
            ("module.m", "module.m[1].module.k.pool.p/m1", true),
            ("module.m[1]", "module.m[1].node.a", true),
            ("module.m[1]", "module.m.node.a", false),
            ("module.m.module.k", "module.m.module.k[0].node.a", true),
            ("module.m.module.k", "module.m[0].module.k.node.a", false),
            ("module.m.module.k", "module.m.node.k", false),
            ("module.m", "module.mm.node.a", false),
            ("module.m", "node.m", false),
            ("node.a", "node.a[0]/nic", true),
            ("node.a", "module.m.node.a", false),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            let address: Address = address.parse().expect("an address");
            assert_eq!(endpoint.covers(&address), expected, "{text}: {address}");
        }
    }
}
