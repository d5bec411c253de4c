//! Conditions with a message of their own: `validation`, `precondition`, `postcondition`.

use simfleet_provider_api::{Data, Type, Value, convert};

use super::check::Body;
use super::eval::{Expr, Reference, Scope, evaluate};
use super::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// Something that must hold.
#[derive(Debug, Clone)]
pub struct Condition {
    /// What must be true.
    pub condition: Expr,
    /// What is told otherwise.
    pub error_message: Expr,
    /// Where the condition is.
    pub span: Span,
}

/// Whether a condition holds, or all of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// It does.
    Yes,
    /// Only the apply will tell.
    NotKnown,
}

/// Returns the schema of a block with a condition.
pub(super) fn schema(name: &'static str) -> BlockSchema {
    BlockSchema::new(name, "Something that must hold.").attributes([
        AttributeSchema::expression("condition", "what must be true").required(),
        AttributeSchema::expression("error_message", "what is told otherwise").required(),
    ])
}

impl Condition {
    /// Takes a condition out of its block; `None` where an attribute lacks, which the check of the block reported.
    pub(super) fn of(mut body: Body) -> Option<Self> {
        let condition = body.take_attribute("condition")?;
        Some(Condition {
            span: condition.value_span,
            condition: condition.expr,
            error_message: body.take_attribute("error_message")?.expr,
        })
    }

    /// Returns the names in it.
    pub fn references(&self) -> Vec<Reference> {
        [self.condition.references(), self.error_message.references()].concat()
    }

    /// Evaluates several; all are looked at.
    ///
    /// # Errors
    /// Each that does not hold, or cannot be evaluated.
    pub fn check_all(conditions: &[Condition], summary: &'static str, scope: &dyn Scope) -> Result<Held, Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        let mut held = Held::Yes;
        for condition in conditions {
            held = held.max(diagnostics.keep(condition.check(summary, scope)).unwrap_or(held));
        }
        diagnostics.or(held).map(|(held, _)| held)
    }

    /// Evaluates it.
    ///
    /// # Errors
    /// It does not hold: `summary`, with its message; or it cannot be evaluated.
    pub fn check(&self, summary: &'static str, scope: &dyn Scope) -> Result<Held, Diagnostics> {
        let value = evaluate(&self.condition, scope)?;
        if value.is_unknown() {
            return Ok(Held::NotKnown);
        }
        match convert(&value, &Type::Bool).as_ref().map(Value::data) {
            Ok(Data::Bool(true)) => Ok(Held::Yes),
            Ok(Data::Bool(false)) => {
                let message = evaluate(&self.error_message, scope)?;
                let detail = match message.as_str() {
                    _ if message.has_sensitive() => "The condition does not hold; its message is sensitive.".to_owned(),
                    Some(text) => text.trim().to_owned(),
                    None => "The condition does not hold; its message is not known yet.".to_owned(),
                };
                Err(Diagnostic::error(summary, detail).at(self.span.clone()).into())
            }
            _ => {
                let detail = "A condition must be true or false.";
                Err(Diagnostic::error("Invalid condition", detail)
                    .at(self.span.clone())
                    .into())
            }
        }
    }
}
