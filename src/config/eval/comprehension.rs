//! `for` expressions.

use std::collections::BTreeMap;
use std::sync::Arc;

use hcl_edit::expr::{Expression, ForExpr};
use simfleet_provider_api::convert::describe;
use simfleet_provider_api::{Data, Value};

use super::evaluator::{Binding, Evaluated, Evaluator, Failed, Key, Names, Truth, unknown};
use crate::diagnostic::Diagnostic;

/// What a `for` goes over: pairs of key and value.
pub(super) enum Items {
    Unknown(Value),
    Known(Vec<(Value, Value)>),
}

/// What the rounds of a `for` have made so far.
#[derive(Default)]
struct Made {
    items: Vec<Value>,
    fields: BTreeMap<Arc<str>, Value>,
    groups: BTreeMap<Arc<str>, Vec<Value>>,
    /// A key or a condition was sensitive, so that which elements there are is a secret.
    sensitive: bool,
    /// A key or a condition was not known, so that nobody knows which elements there are.
    unknown: Option<Value>,
}

impl Evaluator<'_> {
    pub(super) fn comprehension(&mut self, comprehension: &ForExpr, names: Names<'_>) -> Evaluated {
        let intro = &comprehension.intro;
        let collection = self.eval(&intro.collection_expr, names)?;
        let sensitive = collection.is_sensitive();
        let items = match self.items(&collection, &intro.collection_expr)? {
            Items::Unknown(unknown) => return Ok(unknown.mark(sensitive)),
            Items::Known(items) => items,
        };
        let mut made = Made::default();
        for (key, value) in items {
            // The first round that fails is enough: the others would say the same.
            let outer;
            let mut names = names;
            if let Some(name) = &intro.key_var {
                outer = Binding {
                    name: name.as_str(),
                    value: key,
                    outer: names,
                };
                names = Some(&outer);
            }
            let binding = Binding {
                name: intro.value_var.as_str(),
                value,
                outer: names,
            };
            self.round(comprehension, Some(&binding), &mut made)?;
        }
        let sensitive = sensitive || made.sensitive;
        let result = match made.unknown {
            Some(unknown) => unknown,
            None if comprehension.key_expr.is_none() => Value::tuple(made.items),
            None if comprehension.grouping => {
                Value::object(made.groups.into_iter().map(|(key, items)| (key, Value::tuple(items))))
            }
            None => Value::object(made.fields),
        };
        Ok(result.mark(sensitive))
    }

    fn round(&mut self, comprehension: &ForExpr, names: Names<'_>, made: &mut Made) -> Result<(), Failed> {
        if let Some(condition) = &comprehension.cond {
            let value = self.eval(&condition.expr, names)?;
            made.sensitive |= value.is_sensitive();
            match self.truth(value, &condition.expr)? {
                Truth::Known(true) => {}
                Truth::Known(false) => return Ok(()),
                Truth::Unknown(unknown) => {
                    made.unknown.get_or_insert(unknown);
                }
            }
        }
        let Some(key_expr) = &comprehension.key_expr else {
            made.items.push(self.eval(&comprehension.value_expr, names)?);
            return Ok(());
        };
        let key = self.eval(key_expr, names);
        let value = self.eval(&comprehension.value_expr, names);
        match self.key(key?, key_expr)? {
            Key::Unknown(unknown) => {
                value?;
                {
                    made.unknown.get_or_insert(unknown);
                };
            }
            Key::Known(key, sensitive) => {
                made.sensitive |= sensitive;
                let value = value?;
                if comprehension.grouping {
                    made.groups.entry(key).or_default().push(value);
                } else if made.fields.insert(Arc::clone(&key), value).is_some() {
                    return Err(self.duplicate_key(&key, sensitive, key_expr));
                }
            }
        }
        Ok(())
    }

    fn duplicate_key(&mut self, key: &str, sensitive: bool, at: &Expression) -> Failed {
        let detail = match sensitive {
            true => "Two elements have the same key.".to_owned(),
            false => format!("Two elements have the same key {key:?}."),
        };
        let diagnostic = Diagnostic::error("Duplicate object key", detail)
            .hint("`...` after the value expression gathers the values of a key in a list");
        self.fail(diagnostic.at(self.span(at)))
    }

    /// Returns what a `for` goes over.
    pub(super) fn items(&mut self, collection: &Value, at: &Expression) -> Result<Items, Failed> {
        if let Some(unknown) = unknown(collection) {
            return Ok(Items::Unknown(unknown));
        }
        let items = match collection.data() {
            Data::Tuple(items) | Data::List(items) => {
                let pair = |(i, item): (usize, &Value)| (Value::from(i as u64), item.clone());
                items.iter().enumerate().map(pair).collect()
            }
            Data::Set(items) => items.iter().map(|item| (item.clone(), item.clone())).collect(),
            Data::Object(_) | Data::Map(_) => {
                let fields = collection.as_fields().into_iter().flatten();
                fields
                    .map(|(name, value)| (Value::string(Arc::clone(name)), value.clone()))
                    .collect()
            }
            Data::Null => {
                let diagnostic = Diagnostic::error("Iteration over null value", "A null value has no elements.");
                return Err(self.fail(diagnostic.at(self.span(at))));
            }
            _ => {
                let detail = format!(
                    "A `for` goes over a list, tuple, set, map or object, but this is {}.",
                    describe(collection)
                );
                return Err(self.fail(Diagnostic::error("Iteration over non-iterable value", detail).at(self.span(at))));
            }
        };
        Ok(Items::Known(items))
    }
}
