//! Type constraints of variables: `list(object({ a = number, b = optional(string, "x") }))`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hcl_edit::expr::{Expression, FuncCall, ObjectKey};
use simfleet_provider_api::ty::Field;
use simfleet_provider_api::{Data, Type, Value, convert};

use super::eval::{Expr, Scope, evaluate};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// A type and the defaults of its optional attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// The type.
    pub ty: Type,
    defaults: Option<Defaults>,
}

/// What lacking attributes are filled with, by their place in the type.
#[derive(Debug, Clone, PartialEq)]
enum Defaults {
    /// Of an object: the defaults of its attributes, and the defaults inside of them.
    Object(BTreeMap<String, Value>, BTreeMap<String, Defaults>),
    /// Of each element of a collection.
    Each(Box<Defaults>),
    /// Of the elements of a tuple.
    Tuple(Vec<Option<Defaults>>),
}

impl Constraint {
    /// Any type.
    pub const ANY: Constraint = Constraint {
        ty: Type::Any,
        defaults: None,
    };

    /// Reads a type as it is written. Defaults of optional attributes are evaluated in `scope`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(expr: &Expr, scope: &dyn Scope) -> Result<Self, Diagnostics> {
        let mut reader = Reader {
            file: expr,
            scope,
            diagnostics: Diagnostics::new(),
        };
        match reader.constraint(&expr.syntax) {
            Some(constraint) if !reader.diagnostics.has_errors() => Ok(constraint),
            _ => Err(reader.diagnostics),
        }
    }

    /// Returns the value as one of this type, lacking optional attributes filled in.
    ///
    /// # Errors
    /// It does not fit; in words.
    pub fn apply(&self, value: &Value) -> Result<Value, String> {
        let filled = match &self.defaults {
            Some(defaults) => defaults.fill(value),
            None => value.clone(),
        };
        convert(&filled, &self.ty).map_err(|error| error.to_string())
    }
}

impl Defaults {
    fn fill(&self, value: &Value) -> Value {
        let filled = match (self, value.data()) {
            (Defaults::Object(defaults, nested), Data::Object(_) | Data::Map(_)) => {
                let mut fields = value.as_fields().cloned().unwrap_or_default();
                for (name, default) in defaults {
                    let field = fields.entry(Arc::from(name.as_str())).or_insert(Value::NULL);
                    if field.is_null() {
                        *field = default.clone();
                    }
                }
                for (name, defaults) in nested {
                    if let Some(field) = fields.get_mut(name.as_str()) {
                        *field = defaults.fill(field);
                    }
                }
                Value::object(fields)
            }
            (Defaults::Each(defaults), Data::Object(_) | Data::Map(_)) => {
                let fields = value.as_fields().into_iter().flatten();
                Value::object(fields.map(|(name, field)| (Arc::clone(name), defaults.fill(field))))
            }
            (Defaults::Each(defaults), Data::Tuple(items) | Data::List(items) | Data::Set(items)) => {
                Value::tuple(items.iter().map(|item| defaults.fill(item)))
            }
            (Defaults::Tuple(defaults), Data::Tuple(items)) => {
                let fill = |(i, item): (usize, &Value)| match defaults.get(i) {
                    Some(Some(defaults)) => defaults.fill(item),
                    _ => item.clone(),
                };
                Value::tuple(items.iter().enumerate().map(fill))
            }
            _ => return value.clone(),
        };
        filled.mark(value.is_sensitive())
    }
}

struct Reader<'a> {
    file: &'a Expr,
    scope: &'a dyn Scope,
    diagnostics: Diagnostics,
}

const KNOWN: &[&str] = &[
    "any", "bool", "number", "string", "list", "set", "map", "tuple", "object",
];

impl Reader<'_> {
    fn fail<T>(&mut self, at: &impl hcl_edit::Span, detail: impl Into<String>, hint: Option<String>) -> Option<T> {
        let span = at.span().map(|range| Span {
            file: Arc::clone(&self.file.file),
            range,
        });
        let diagnostic = Diagnostic::error("Invalid type", detail.into()).at(span);
        self.diagnostics.push(match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        });
        None
    }

    fn constraint(&mut self, expr: &Expression) -> Option<Constraint> {
        let plain = |ty| Some(Constraint { ty, defaults: None });
        match expr {
            Expression::Parenthesis(inner) => self.constraint(inner.inner()),
            Expression::Variable(name) => match name.value().as_str() {
                "any" => plain(Type::Any),
                "bool" => plain(Type::Bool),
                "number" => plain(Type::Number),
                "string" => plain(Type::String),
                name @ ("list" | "set" | "map") => {
                    let hint = format!("write {name}(string), or {name}(any)");
                    self.fail(expr, format!("`{name}` needs the type of its elements."), Some(hint))
                }
                "tuple" => self.fail(
                    expr,
                    "`tuple` needs the types of its elements.",
                    Some("write tuple([string, number])".to_owned()),
                ),
                "object" => self.fail(
                    expr,
                    "`object` needs its attributes.",
                    Some("write object({ name = string })".to_owned()),
                ),
                other => self.unknown(expr, other),
            },
            Expression::FuncCall(call) => self.call(expr, call),
            Expression::String(text) => {
                let hint = format!("write {} without the quotes", text.value());
                self.fail(expr, "A type is no string.", Some(hint))
            }
            _ => self.fail(
                expr,
                "This is no type.",
                Some("write string, number, bool, list(string), object({ a = number }) …".to_owned()),
            ),
        }
    }

    fn unknown(&mut self, at: &Expression, name: &str) -> Option<Constraint> {
        let near = crate::diagnostic::nearest(name, KNOWN.iter().copied());
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        self.fail(at, format!("There is no type `{name}`."), hint)
    }

    fn call(&mut self, expr: &Expression, call: &FuncCall) -> Option<Constraint> {
        let name = call.name.name.as_str().to_owned();
        if !matches!(&*name, "list" | "set" | "map" | "tuple" | "object") {
            if name == "optional" {
                let detail = "`optional` stands around the type of an attribute of an object only.";
                return self.fail(expr, detail, None);
            }
            return self.unknown(expr, &name);
        }
        let arguments: Vec<&Expression> = call.args.iter().collect();
        let [argument] = arguments.as_slice() else {
            return self.fail(expr, format!("`{name}` takes one argument."), None);
        };
        match &*name {
            "tuple" => self.tuple(argument),
            "object" => self.object(argument),
            _ => {
                let of = self.constraint(argument)?;
                let ty = Box::new(of.ty);
                Some(Constraint {
                    ty: match &*name {
                        "list" => Type::List(ty),
                        "set" => Type::Set(ty),
                        _ => Type::Map(ty),
                    },
                    defaults: of.defaults.map(|defaults| Defaults::Each(Box::new(defaults))),
                })
            }
        }
    }

    fn tuple(&mut self, argument: &Expression) -> Option<Constraint> {
        let Expression::Array(array) = argument else {
            return self.fail(
                argument,
                "`tuple` takes a list of types.",
                Some("write tuple([string, number])".to_owned()),
            );
        };
        let items: Vec<_> = array.iter().map(|item| self.constraint(item)).collect();
        let items: Vec<Constraint> = items.into_iter().collect::<Option<_>>()?;
        let defaults = items.iter().any(|item| item.defaults.is_some());
        Some(Constraint {
            defaults: defaults.then(|| Defaults::Tuple(items.iter().map(|item| item.defaults.clone()).collect())),
            ty: Type::Tuple(items.into_iter().map(|item| item.ty).collect()),
        })
    }

    fn object(&mut self, argument: &Expression) -> Option<Constraint> {
        let Expression::Object(object) = argument else {
            return self.fail(
                argument,
                "`object` takes names and types.",
                Some("write object({ name = string })".to_owned()),
            );
        };
        let mut fields = BTreeMap::new();
        let mut defaults = BTreeMap::new();
        let mut nested = BTreeMap::new();
        let mut complete = true;
        for (key, value) in object {
            let name = match key {
                ObjectKey::Ident(name) => name.value().as_str().to_owned(),
                ObjectKey::Expression(Expression::String(name)) => name.value().clone(),
                // A bare name can come as either.
                ObjectKey::Expression(Expression::Variable(name)) => name.value().as_str().to_owned(),
                ObjectKey::Expression(other) => {
                    complete = false;
                    self.fail::<()>(other, "The name of an attribute must be a plain name.", None);
                    continue;
                }
            };
            match self.field(value.expr()) {
                Some((constraint, optional, default)) => {
                    if let Some(inside) = constraint.defaults {
                        nested.insert(name.clone(), inside);
                    }
                    if let Some(default) = default {
                        defaults.insert(name.clone(), default);
                    }
                    let ty = constraint.ty;
                    fields.insert(name, Field { ty, optional });
                }
                None => complete = false,
            }
        }
        let defaults = (!defaults.is_empty() || !nested.is_empty()).then_some(Defaults::Object(defaults, nested));
        let ty = Type::Object(fields);
        complete.then_some(Constraint { ty, defaults })
    }

    /// Returns the type of an attribute, whether it may lack, and its default.
    fn field(&mut self, expr: &Expression) -> Option<(Constraint, bool, Option<Value>)> {
        let Expression::FuncCall(call) = expr else {
            return Some((self.constraint(expr)?, false, None));
        };
        if call.name.name.as_str() != "optional" {
            return Some((self.constraint(expr)?, false, None));
        }
        let arguments: Vec<&Expression> = call.args.iter().collect();
        match arguments.as_slice() {
            [ty] => Some((self.constraint(ty)?, true, None)),
            [ty, default] => {
                let constraint = self.constraint(ty)?;
                let value = Expr::new((*default).clone(), &self.file.file);
                let value = self.diagnostics.keep(evaluate(&value, self.scope))?;
                match constraint.apply(&value) {
                    Ok(value) => Some((constraint, true, Some(value))),
                    Err(problem) => self.fail(*default, format!("The default does not fit its type: {problem}."), None),
                }
            }
            _ => self.fail(expr, "`optional` takes a type and, if wanted, a default.", None),
        }
    }
}
