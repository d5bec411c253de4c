//! Names, attributes, indexes and splats.

use std::collections::BTreeMap;
use std::sync::Arc;

use hcl_edit::expr::{Expression, Traversal, TraversalOperator};
use hcl_edit::{Decorated, Span as _};
use simfleet_provider_api::convert::describe;
use simfleet_provider_api::{Data, Type, Value, convert};

use super::Reference;
use super::evaluator::{Evaluated, Evaluator, Failed, Names, bound, unknown};
use super::references::constant_step;
use crate::diagnostic::{Diagnostic, Span};

type Fields = BTreeMap<Arc<str>, Value>;

type Operators<'e> = &'e [Decorated<TraversalOperator>];

impl Evaluator<'_> {
    pub(super) fn variable(&mut self, expr: &Expression, names: Names<'_>) -> Evaluated {
        self.root(expr, &[], names).map(|(value, _)| value)
    }

    pub(super) fn traversal(&mut self, traversal: &Traversal, names: Names<'_>) -> Evaluated {
        let (root, taken) = self.root(&traversal.expr, &traversal.operators, names)?;
        let operators = traversal.operators.get(taken..).unwrap_or_default();
        self.steps(root, operators, names)
    }

    /// Returns the value that a traversal starts with, and how many operators it already includes.
    fn root(
        &mut self,
        expr: &Expression,
        operators: Operators<'_>,
        names: Names<'_>,
    ) -> Result<(Value, usize), Failed> {
        let Expression::Variable(name) = expr else {
            return Ok((self.eval(expr, names)?, 0));
        };
        let name = name.value().as_str();
        if let Some(value) = bound(names, name) {
            return Ok((value.clone(), 0));
        }
        if let Some(variables) = self.variables {
            return match variables.get(name) {
                Some(value) => Ok((value.clone().mark(variables.is_sensitive()), 0)),
                None => Err(self.unknown_variable(name, variables, expr)),
            };
        }
        let steps: Arc<[_]> = operators
            .iter()
            .map_while(|operator| constant_step(operator.value()))
            .collect();
        let start = expr.span().unwrap_or_default();
        let end = match steps.len().checked_sub(1).and_then(|last| operators.get(last)?.span()) {
            Some(last) => last.end,
            None => start.end,
        };
        let reference = Reference {
            root: name.into(),
            steps,
            span: Span {
                file: Arc::clone(self.file),
                range: start.start..end.max(start.end),
            },
        };
        match self.scope.resolve(&reference) {
            Ok((value, taken)) => Ok((value, taken.min(reference.steps.len()))),
            Err(diagnostic) => {
                let span = diagnostic.span.clone().unwrap_or(reference.span);
                Err(self.fail(diagnostic.at(span)))
            }
        }
    }

    fn unknown_variable(&mut self, name: &str, variables: &Value, at: &Expression) -> Failed {
        let detail = format!("The variables of this template do not include `{name}`.");
        let known = variables.as_fields().into_iter().flatten().map(|(name, _)| &**name);
        let diagnostic = Diagnostic::error("Unknown template variable", detail).nearest(name, known);
        self.fail(diagnostic.at(self.span(at)))
    }

    /// Takes the steps into a value one by one. Borrows as long as it can, so that one field of a large object costs
    /// no copy of those around it.
    fn steps(&mut self, root: Value, operators: Operators<'_>, names: Names<'_>) -> Evaluated {
        let mut sensitive = root.is_sensitive();
        let mut current = &root;
        for (i, operator) in operators.iter().enumerate() {
            let rest = operators.get(i + 1..).unwrap_or_default();
            if let Some(unknown) = unknown(current) {
                // The indexes still are evaluated, for their errors.
                self.check_indexes(operators.get(i..).unwrap_or_default(), names)?;
                return Ok(unknown.mark(sensitive));
            }
            current = match operator.value() {
                TraversalOperator::GetAttr(name) => {
                    self.attribute(current, name.value().as_str(), sensitive, operator)?
                }
                TraversalOperator::LegacyIndex(index) => {
                    self.index(current, &(*index.value()).into(), sensitive, operator)?
                }
                TraversalOperator::Index(expr) => {
                    let key = self.eval(expr, names)?;
                    sensitive |= key.has_sensitive();
                    if let Some(unknown) = unknown(&key) {
                        self.check_indexes(rest, names)?;
                        return Ok(unknown.mark(sensitive));
                    }
                    self.index(current, &key, sensitive, operator)?
                }
                TraversalOperator::FullSplat(_) => {
                    return Ok(self.splat(current, rest, names)?.mark(sensitive));
                }
                TraversalOperator::AttrSplat(_) => {
                    // Only what stands behind dots goes to each element; an index in brackets is one of the result.
                    let is_dotted = |operator: &&Decorated<TraversalOperator>| {
                        let operator = operator.value();
                        matches!(
                            operator,
                            TraversalOperator::GetAttr(_) | TraversalOperator::LegacyIndex(_)
                        )
                    };
                    let attributes = rest.iter().take_while(is_dotted).count();
                    let (each, then) = rest.split_at(attributes);
                    let value = self.splat(current, each, names)?.mark(sensitive);
                    return self.steps(value, then, names);
                }
            };
            sensitive |= current.is_sensitive();
        }
        Ok(current.clone().mark(sensitive))
    }

    fn check_indexes(&mut self, operators: Operators<'_>, names: Names<'_>) -> Result<(), Failed> {
        for operator in operators {
            if let TraversalOperator::Index(expr) = operator.value() {
                self.eval(expr, names)?;
            }
        }
        Ok(())
    }

    fn attribute<'v>(
        &mut self,
        value: &'v Value,
        name: &str,
        sensitive: bool,
        at: &Decorated<TraversalOperator>,
    ) -> Result<&'v Value, Failed> {
        if let Some(field) = value.get(name) {
            return Ok(field);
        }
        // What a secret is near to is one too.
        let near = |diagnostic: Diagnostic, fields: &Fields| match sensitive {
            true => diagnostic,
            false => diagnostic.nearest(name, fields.keys().map(|name| &**name)),
        };
        let diagnostic = match value.data() {
            Data::Object(object) => {
                let detail = match &object.origin {
                    Some(address) => format!("`{address}` has no attribute `{name}`."),
                    None => format!("This object has no attribute `{name}`."),
                };
                near(Diagnostic::error("Unsupported attribute", detail), &object.fields)
            }
            Data::Map(map) => {
                let detail = format!("This map has no element with the key \"{name}\".");
                near(Diagnostic::error("Missing map element", detail), map)
            }
            Data::Null => Diagnostic::error(
                "Attempt to get attribute from null value",
                format!("This value is null, so it has no attribute `{name}`."),
            ),
            Data::Tuple(_) | Data::List(_) | Data::Set(_) => Diagnostic::error(
                "Unsupported attribute",
                format!(
                    "This is {}, so it has no attribute `{name}`; its elements may.",
                    describe(value)
                ),
            )
            .hint(format!(
                "`[*].{name}` takes it of every element, `[0].{name}` of the first one"
            )),
            _ => Diagnostic::error(
                "Unsupported attribute",
                format!("This is {}, so it has no attribute `{name}`.", describe(value)),
            ),
        };
        Err(self.fail(diagnostic.at(self.span(at.value()))))
    }

    fn index<'v>(
        &mut self,
        value: &'v Value,
        key: &Value,
        sensitive: bool,
        at: &Decorated<TraversalOperator>,
    ) -> Result<&'v Value, Failed> {
        find(value, key, sensitive).map_err(|problem| {
            let (summary, detail) = match problem {
                Problem::OfNull => (
                    "Attempt to index null value",
                    "This value is null, so it has no elements.".into(),
                ),
                Problem::Other(detail) => ("Invalid index", detail),
            };
            let mut diagnostic = Diagnostic::error(summary, detail);
            if let (Some(fields), Some(name), false) = (value.as_fields(), key.as_str(), sensitive) {
                let keys = || fields.keys().map(|name| &**name);
                diagnostic = diagnostic.nearest_or(name, keys(), known_keys(keys()));
            } else if value.as_slice().is_some() && key.as_number().is_some() {
                diagnostic = diagnostic.hint("`length` tells how many elements there are, `one` takes the one or none");
            }
            self.fail(diagnostic.at(self.span(at.value())))
        })
    }

    /// Takes steps into every element of a sequence. `null` is a sequence without elements, and any other value one of
    /// one element.
    fn splat(&mut self, value: &Value, each: Operators<'_>, names: Names<'_>) -> Evaluated {
        let step = |evaluator: &mut Self, items: &[Value]| {
            let mut results = Vec::with_capacity(items.len());
            for item in items {
                if let Some(operator) = each.first() {
                    evaluator.charge(1, operator.value())?;
                }
                results.push(evaluator.steps(item.clone(), each, names)?);
            }
            Ok(results)
        };
        Ok(match value.data() {
            Data::Null => Value::tuple([]),
            Data::Tuple(items) => Value::tuple(step(self, items)?),
            Data::List(items) | Data::Set(items) => Value::list(step(self, items)?),
            _ => Value::tuple(step(self, std::slice::from_ref(value))?),
        })
    }
}

enum Problem {
    OfNull,
    Other(String),
}

/// Says which keys there are; only some of many.
fn known_keys<'k>(keys: impl Iterator<Item = &'k str>) -> String {
    const SHOWN: usize = 5;
    let mut keys: Vec<&str> = keys.take(SHOWN + 1).collect();
    if keys.len() > SHOWN {
        keys.truncate(SHOWN);
        keys.push("…");
    }
    match keys.is_empty() {
        true => "it has no elements; `lookup` gives another value for a key that is not there".to_owned(),
        false => format!(
            "its keys: {}; `lookup` gives another value for one that is not there",
            keys.join(", ")
        ),
    }
}

/// Returns the element of a value at a key. Of a secret, nothing is shown.
fn find<'v>(value: &'v Value, key: &Value, sensitive: bool) -> Result<&'v Value, Problem> {
    let problem = |text: &str| Err(Problem::Other(text.to_owned()));
    if value.is_null() {
        return Err(Problem::OfNull);
    }
    if key.is_null() {
        return problem("A null value cannot be used as an index.");
    }
    let shown = |text: &str| match sensitive {
        true => "The given key is not one of the keys of this collection.".to_owned(),
        false => format!("This collection has no element with the key {text:?}."),
    };
    match value.data() {
        Data::Tuple(items) | Data::List(items) => {
            let Some(number) = convert(key, &Type::Number)
                .ok()
                .and_then(|key| key.as_number().cloned())
            else {
                return problem("The index of a sequence must be a number.");
            };
            if number.is_negative() {
                return problem("A negative number is not a valid index for a sequence.");
            }
            if !number.is_integer() {
                return problem("The index of a sequence must be a whole number.");
            }
            let index = number.as_u64().and_then(|index| usize::try_from(index).ok());
            index.and_then(|index| items.get(index)).ok_or_else(|| {
                let number = if sensitive {
                    "that".to_owned()
                } else {
                    number.to_string()
                };
                Problem::Other(match items.len() {
                    0 => "This sequence is empty, so it has no elements.".to_owned(),
                    length => {
                        format!("This sequence has no element at index {number}: its {length} elements start at 0.")
                    }
                })
            })
        }
        Data::Object(object) => match convert(key, &Type::String) {
            Ok(key) => {
                let name = key.as_str().unwrap_or_default();
                object.fields.get(name).ok_or_else(|| Problem::Other(shown(name)))
            }
            Err(_) => problem("The index of an object must be a string."),
        },
        Data::Map(map) => match convert(key, &Type::String) {
            Ok(key) => {
                let name = key.as_str().unwrap_or_default();
                map.get(name).ok_or_else(|| Problem::Other(shown(name)))
            }
            Err(_) => problem("The index of a map must be a string."),
        },
        Data::Set(_) => problem(
            "The elements of a set have no index, only their value; `tolist` makes a list of it, in the order of the \
             values.",
        ),
        _ => Err(Problem::Other(format!(
            "This is {}, so it has no elements.",
            describe(value)
        ))),
    }
}
