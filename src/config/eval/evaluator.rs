//! The walk over the syntax tree.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use hcl_edit::expr::{Array, Conditional, Expression, Object, ObjectKey};
use hcl_edit::template::Template;
use simfleet_provider_api::{Data, Type, Value, convert};
use unicode_normalization::{IsNormalized, UnicodeNormalization as _};

use super::Scope;
use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile, Span};

/// An error was found; the diagnostic is with the evaluator.
pub(super) struct Failed;

pub(super) type Evaluated = Result<Value, Failed>;

/// A name that the expression binds itself, and those around it.
pub(super) struct Binding<'a> {
    pub(super) name: &'a str,
    pub(super) value: Value,
    pub(super) outer: Names<'a>,
}

pub(super) type Names<'a> = Option<&'a Binding<'a>>;

pub(super) fn bound<'a>(names: Names<'a>, name: &str) -> Option<&'a Value> {
    let mut names = names;
    while let Some(binding) = names {
        if binding.name == name {
            return Some(&binding.value);
        }
        names = binding.outer;
    }
    None
}

/// What one expression may cost: evaluated nodes, made elements, and bytes of text. Enough for tens of thousands of
/// resources in one `for`; an expression that nests `range` eight deep ends with an error after some 300 MB.
pub(super) const BUDGET: u64 = 10_000_000;

/// The work that is left.
#[derive(Clone)]
pub(super) struct Budget(Rc<Spent>);

struct Spent {
    left: Cell<u64>,
    /// How many UUIDs were made.
    uuids: Cell<u64>,
}

impl Budget {
    pub(super) fn new() -> Self {
        Budget(Rc::new(Spent {
            left: Cell::new(BUDGET),
            uuids: Cell::new(0),
        }))
    }

    /// Takes some of it; false where there is not enough.
    pub(super) fn take(&self, work: u64) -> bool {
        let left = self.0.left.get().checked_sub(work);
        self.0.left.set(left.unwrap_or(0));
        left.is_some()
    }

    /// Returns how many UUIDs the expression made before, and counts one more.
    pub(super) fn next_uuid(&self) -> u64 {
        self.0.uuids.replace(self.0.uuids.get() + 1)
    }
}

pub(super) struct Evaluator<'a> {
    pub(super) scope: &'a dyn Scope,
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) budget: Budget,
    /// The names that a template file sees, instead of those of the fleet.
    pub(super) variables: Option<&'a Value>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(scope: &'a dyn Scope, file: &'a Arc<SourceFile>) -> Self {
        Evaluator {
            scope,
            file,
            budget: Budget::new(),
            variables: None,
            diagnostics: Vec::new(),
        }
    }

    /// An evaluator of a template file, which sees `variables` and nothing else.
    pub(super) fn of_template(
        scope: &'a dyn Scope,
        file: &'a Arc<SourceFile>,
        variables: &'a Value,
        budget: &Budget,
    ) -> Self {
        Evaluator {
            budget: budget.clone(),
            variables: Some(variables),
            ..Self::new(scope, file)
        }
    }

    pub(super) fn run_template(mut self, template: &Template) -> Result<Value, Vec<Diagnostic>> {
        self.template_file(template).map_err(|Failed| self.diagnostics)
    }

    pub(super) fn run(mut self, expr: &Expression) -> Result<Value, Diagnostics> {
        self.eval(expr, None).map_err(|Failed| Diagnostics(self.diagnostics))
    }

    pub(super) fn eval(&mut self, expr: &Expression, names: Names<'_>) -> Evaluated {
        self.charge(1, expr)?;
        match expr {
            Expression::Null(_) => Ok(Value::NULL),
            Expression::Bool(value) => Ok((*value.value()).into()),
            Expression::Number(number) => self.number(number, expr),
            Expression::String(text) => Ok(normal(text.value().as_str().into())),
            Expression::Array(array) => self.array(array, names),
            Expression::Object(object) => self.object(object, names),
            Expression::StringTemplate(template) => self.string_template(template, names),
            Expression::HeredocTemplate(heredoc) => self.heredoc(heredoc, names),
            Expression::Parenthesis(parenthesis) => self.eval(parenthesis.inner(), names),
            Expression::Variable(_) => self.variable(expr, names),
            Expression::Conditional(conditional) => self.conditional(conditional, names),
            Expression::FuncCall(call) => self.call(call, names),
            Expression::Traversal(traversal) => self.traversal(traversal, names),
            Expression::UnaryOp(operation) => self.unary(operation, names),
            Expression::BinaryOp(operation) => self.binary(operation, names),
            Expression::ForExpr(comprehension) => self.comprehension(comprehension, names),
        }
    }

    /// Reports an error.
    pub(super) fn fail(&mut self, diagnostic: Diagnostic) -> Failed {
        // The same mistake in each round of a `for`, or in a name used twice at one place, is one mistake.
        if !self.diagnostics.contains(&diagnostic) {
            self.diagnostics.push(diagnostic);
        }
        Failed
    }

    pub(super) fn span(&self, of: &impl hcl_edit::Span) -> Option<Span> {
        of.span().map(|range| Span {
            file: Arc::clone(self.file),
            range,
        })
    }

    pub(super) fn charge(&mut self, work: u64, at: &impl hcl_edit::Span) -> Result<(), Failed> {
        if self.budget.take(work) {
            return Ok(());
        }
        let diagnostic = Diagnostic::error(
            "Expression too large",
            "The expression takes more work or makes more values than one expression may.",
        );
        Err(self.fail(diagnostic.at(self.span(at)).hint("split it, or make it produce less")))
    }

    /// Evaluates without reporting errors.
    pub(super) fn attempt(&mut self, expr: &Expression, names: Names<'_>) -> Result<Value, Vec<Diagnostic>> {
        let before = self.diagnostics.len();
        // Not `truncate` after the fact: an error that was reported before must not hide one of these.
        let earlier: Vec<Diagnostic> = self.diagnostics.drain(..before).collect();
        let result = self.eval(expr, names);
        let found = std::mem::replace(&mut self.diagnostics, earlier);
        result.map_err(|Failed| found)
    }

    fn number(&mut self, number: &hcl_edit::Formatted<hcl_edit::Number>, expr: &Expression) -> Evaluated {
        // The parser's own number is a 64-bit float unless it is a whole one; the text has all digits.
        let text = match number.as_repr() {
            Some(text) => text,
            None => &hcl_edit::RawString::from(number.value().to_string()),
        };
        let text: Cow<'_, str> = match text.contains(char::is_whitespace) {
            true => text.chars().filter(|char| !char.is_whitespace()).collect(),
            false => Cow::Borrowed(text),
        };
        match text.parse::<simfleet_provider_api::Number>() {
            Ok(number) => Ok(number.into()),
            Err(error) => {
                let diagnostic = Diagnostic::error("Invalid number literal", format!("Cannot read `{text}`: {error}."));
                Err(self.fail(diagnostic.at(self.span(expr))))
            }
        }
    }

    fn array(&mut self, array: &Array, names: Names<'_>) -> Evaluated {
        let mut items = Vec::with_capacity(array.len());
        let mut failed = false;
        for item in array {
            match self.eval(item, names) {
                Ok(item) => items.push(item),
                Err(Failed) => failed = true,
            }
        }
        if failed { Err(Failed) } else { Ok(Value::tuple(items)) }
    }

    fn object(&mut self, object: &Object, names: Names<'_>) -> Evaluated {
        let mut fields = BTreeMap::new();
        let mut sensitive = false;
        let mut unknown = None;
        let mut failed = false;
        for (key, value) in object {
            let name = self.object_key(key, names);
            let value = self.eval(value.expr(), names);
            match (name, value) {
                (Ok(Key::Known(name, mark)), Ok(value)) => {
                    sensitive |= mark;
                    fields.insert(name, value);
                }
                (Ok(Key::Unknown(key)), Ok(_)) => drop(unknown.get_or_insert(key)),
                _ => failed = true,
            }
        }
        match unknown {
            _ if failed => Err(Failed),
            Some(unknown) => Ok(unknown.mark(sensitive)),
            None => Ok(Value::object(fields).mark(sensitive)),
        }
    }

    fn object_key(&mut self, key: &ObjectKey, names: Names<'_>) -> Result<Key, Failed> {
        let expr = match key {
            ObjectKey::Ident(name) => return Ok(Key::Known(name.as_str().into(), false)),
            ObjectKey::Expression(Expression::Null(_)) => return Ok(Key::Known("null".into(), false)),
            ObjectKey::Expression(expr @ Expression::Traversal(_)) => {
                let diagnostic = Diagnostic::error(
                    "Ambiguous attribute key",
                    "A reference as the name of an attribute could also be meant as text.",
                );
                let hint = "put it in parentheses to use its value, or in quotes for the text";
                return Err(self.fail(diagnostic.at(self.span(expr)).hint(hint)));
            }
            ObjectKey::Expression(expr) => expr,
        };
        let value = self.eval(expr, names)?;
        self.key(value, expr)
    }

    /// Takes a value as the name of an attribute.
    pub(super) fn key(&mut self, value: Value, at: &impl hcl_edit::Span) -> Result<Key, Failed> {
        if let Some(unknown) = unknown(&value) {
            return Ok(Key::Unknown(unknown));
        }
        if value.is_null() {
            let diagnostic = Diagnostic::error("Null value as key", "The name of an attribute must not be null.");
            return Err(self.fail(diagnostic.at(self.span(at))));
        }
        match convert(&value, &Type::String).map(|name| (name.is_sensitive(), name.into_data())) {
            Ok((sensitive, Data::String(name))) => Ok(Key::Known(name, sensitive)),
            _ => {
                let found = simfleet_provider_api::convert::describe(&value);
                let detail = format!("The name of an attribute must be a string, but this is {found}.");
                Err(self.fail(Diagnostic::error("Incorrect key type", detail).at(self.span(at))))
            }
        }
    }

    fn conditional(&mut self, conditional: &Conditional, names: Names<'_>) -> Evaluated {
        let condition = self.eval(&conditional.cond_expr, names)?;
        let sensitive = condition.is_sensitive();
        let truth = match self.truth(condition, &conditional.cond_expr)? {
            Truth::Unknown(unknown) => return Ok(unknown),
            Truth::Known(truth) => truth,
        };
        let (chosen, other) = match truth {
            true => (&conditional.true_expr, &conditional.false_expr),
            false => (&conditional.false_expr, &conditional.true_expr),
        };
        let value = self.eval(chosen, names)?.mark(sensitive);
        // Both results have one type, so what is not chosen counts for that; whether it can be evaluated does not.
        let other_type = match static_type(other) {
            Some(ty) => ty,
            None => match self.attempt(other, names) {
                Ok(value) => Type::of(&value),
                Err(_) => return Ok(value),
            },
        };
        let value_type = match value.data() {
            Data::Null | Data::Unknown(_) | Data::Redacted(_) => return Ok(value),
            _ if other_type == Type::Any => return Ok(value),
            _ => Type::of(&value),
        };
        if value_type == other_type {
            return Ok(value);
        }
        let converted = Type::unify([value_type.clone(), other_type.clone()]).map(|ty| convert(&value, &ty));
        match converted {
            Some(Ok(value)) => Ok(value),
            _ => {
                let (yes, no) = if truth {
                    (value_type, other_type)
                } else {
                    (other_type, value_type)
                };
                let detail = format!(
                    "Both results of a conditional must have one type, but the 'true' result is {yes} and the 'false' \
                     result is {no}."
                );
                let diagnostic = Diagnostic::error("Inconsistent conditional result types", detail);
                Err(self.fail(diagnostic.at(self.span(conditional))))
            }
        }
    }

    /// Takes a value as a condition.
    pub(super) fn truth(&mut self, value: Value, at: &impl hcl_edit::Span) -> Result<Truth, Failed> {
        if let Some(unknown) = unknown(&value) {
            return Ok(Truth::Unknown(unknown));
        }
        let detail = if value.is_null() {
            "The condition is null; it must be true or false.".to_owned()
        } else {
            match convert(&value, &Type::Bool) {
                Ok(truth) => return Ok(Truth::Known(truth.as_bool() == Some(true))),
                Err(error) => format!("The condition must be true or false: {error}."),
            }
        };
        Err(self.fail(Diagnostic::error("Incorrect condition type", detail).at(self.span(at))))
    }
}

/// The name of an attribute, and whether it is sensitive.
pub(super) enum Key {
    Known(Arc<str>, bool),
    Unknown(Value),
}

pub(super) enum Truth {
    Known(bool),
    Unknown(Value),
}

/// Returns the value that comes out of any operation on this one, if it is not known. A redacted value is one that
/// nobody knows any more.
pub(super) fn unknown(value: &Value) -> Option<Value> {
    match value.data() {
        Data::Unknown(_) => Some(value.clone()),
        Data::Redacted(_) => Some(Value::unknown("a secret that is not stored").mark(true)),
        _ => None,
    }
}

/// The type of an expression, where it shows without evaluation.
fn static_type(expr: &Expression) -> Option<Type> {
    use hcl_edit::expr::{BinaryOperator as Op, UnaryOperator};
    Some(match expr {
        Expression::Null(_) => Type::Any,
        Expression::Bool(_) => Type::Bool,
        Expression::Number(_) => Type::Number,
        Expression::String(_) | Expression::HeredocTemplate(_) => Type::String,
        Expression::StringTemplate(template) if template.len() > 1 => Type::String,
        Expression::Parenthesis(parenthesis) => return static_type(parenthesis.inner()),
        Expression::UnaryOp(operation) => match operation.operator.value() {
            UnaryOperator::Neg => Type::Number,
            UnaryOperator::Not => Type::Bool,
        },
        Expression::BinaryOp(operation) => match operation.operator.value() {
            Op::Plus | Op::Minus | Op::Mul | Op::Div | Op::Mod => Type::Number,
            _ => Type::Bool,
        },
        _ => return None,
    })
}

/// Makes a diagnostic of a syntax error of the parser.
pub(super) fn syntax_error(error: &hcl_edit::parser::Error, file: &Arc<SourceFile>) -> Diagnostic {
    let location = error.location();
    let start = location.offset().min(file.text.len());
    let next = file.text.get(start..).and_then(|rest| rest.chars().next());
    let end = next.map_or(start, |char| start + char.len_utf8());
    Diagnostic::error("Invalid expression", format!("{}.", error.message())).at(Span {
        file: Arc::clone(file),
        range: start..end,
    })
}

/// Returns a text in the composed form of Unicode: texts that look the same are equal, whoever wrote them.
pub(super) fn normal(text: Cow<'_, str>) -> Value {
    match unicode_normalization::is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Value::string(text.into_owned()),
        _ => Value::string(text.nfc().collect::<String>()),
    }
}
