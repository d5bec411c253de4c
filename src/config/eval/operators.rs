//! Unary and binary operators.

use hcl_edit::expr::{BinaryOp, BinaryOperator, Expression, UnaryOp, UnaryOperator};
use simfleet_provider_api::{Data, Number, Type, Value, convert};

use super::evaluator::{Evaluated, Evaluator, Failed, Names, Truth, unknown};
use crate::diagnostic::Diagnostic;

/// An operand as a number.
enum Operand {
    Number(Number),
    Unknown(Value),
}

impl Evaluator<'_> {
    pub(super) fn unary(&mut self, operation: &UnaryOp, names: Names<'_>) -> Evaluated {
        let value = self.eval(&operation.expr, names)?;
        let sensitive = value.is_sensitive();
        let result = match operation.operator.value() {
            UnaryOperator::Neg => match self.operand(value, &operation.expr)? {
                Operand::Number(number) => number.neg().into(),
                Operand::Unknown(unknown) => unknown,
            },
            UnaryOperator::Not => match self.logical(value, &operation.expr)? {
                Truth::Known(truth) => (!truth).into(),
                Truth::Unknown(unknown) => unknown,
            },
        };
        Ok(result.mark(sensitive))
    }

    pub(super) fn binary(&mut self, operation: &BinaryOp, names: Names<'_>) -> Evaluated {
        let operator = *operation.operator.value();
        match operator {
            BinaryOperator::And => self.short_circuit(operation, names, false),
            BinaryOperator::Or => self.short_circuit(operation, names, true),
            BinaryOperator::Eq | BinaryOperator::NotEq => {
                let (left, right) = self.both(operation, names)?;
                let sensitive = left.has_sensitive() || right.has_sensitive();
                let result = match equal(&left, &right) {
                    Ok(equal) => (equal == (operator == BinaryOperator::Eq)).into(),
                    Err(unknown) => unknown,
                };
                Ok(result.mark(sensitive))
            }
            _ => {
                let (left, right) = self.both(operation, names)?;
                let sensitive = left.is_sensitive() || right.is_sensitive();
                let left = self.operand(left, &operation.lhs_expr);
                let right = self.operand(right, &operation.rhs_expr);
                let result = match (left?, right?) {
                    (Operand::Unknown(unknown), _) | (_, Operand::Unknown(unknown)) => unknown,
                    (Operand::Number(left), Operand::Number(right)) => {
                        self.arithmetic(operation, &left, operator, &right)?
                    }
                };
                Ok(result.mark(sensitive))
            }
        }
    }

    /// Evaluates both sides, so that the errors of both are reported.
    fn both(&mut self, operation: &BinaryOp, names: Names<'_>) -> Result<(Value, Value), Failed> {
        let left = self.eval(&operation.lhs_expr, names);
        let right = self.eval(&operation.rhs_expr, names);
        Ok((left?, right?))
    }

    /// `&&`, which `false` decides, and `||`, which `true` does.
    fn short_circuit(&mut self, operation: &BinaryOp, names: Names<'_>, decisive: bool) -> Evaluated {
        let left = self.eval(&operation.lhs_expr, names)?;
        let left_sensitive = left.is_sensitive();
        let left = self.logical(left, &operation.lhs_expr)?;
        if matches!(left, Truth::Known(truth) if truth == decisive) {
            return Ok(Value::from(decisive).mark(left_sensitive));
        }
        let right = self.eval(&operation.rhs_expr, names)?;
        let sensitive = left_sensitive || right.is_sensitive();
        let result = match (left, self.logical(right, &operation.rhs_expr)?) {
            (_, Truth::Known(truth)) if truth == decisive => decisive.into(),
            (Truth::Unknown(unknown), _) | (_, Truth::Unknown(unknown)) => unknown,
            (Truth::Known(_), Truth::Known(truth)) => truth.into(),
        };
        Ok(result.mark(sensitive))
    }

    fn arithmetic(&mut self, at: &BinaryOp, left: &Number, operator: BinaryOperator, right: &Number) -> Evaluated {
        let result = match operator {
            BinaryOperator::Plus => left.add(right),
            BinaryOperator::Minus => left.sub(right),
            BinaryOperator::Mul => left.mul(right),
            BinaryOperator::Div => left.div(right),
            BinaryOperator::Mod => left.rem(right),
            BinaryOperator::Less => return Ok((left < right).into()),
            BinaryOperator::LessEq => return Ok((left <= right).into()),
            BinaryOperator::Greater => return Ok((left > right).into()),
            BinaryOperator::GreaterEq => return Ok((left >= right).into()),
            // Not with two numbers: see `binary`.
            BinaryOperator::Eq | BinaryOperator::NotEq | BinaryOperator::And | BinaryOperator::Or => {
                return Ok((left == right).into());
            }
        };
        result.map(Value::from).map_err(|error| {
            let summary = match error {
                simfleet_provider_api::NumberError::DivisionByZero => "Division by zero",
                _ => "Invalid arithmetic",
            };
            let detail = match summary {
                "Division by zero" => "The right operand is zero.".to_owned(),
                _ => format!("There is no result: {error}."),
            };
            self.fail(Diagnostic::error(summary, detail).at(self.span(at)))
        })
    }

    fn operand(&mut self, value: Value, at: &Expression) -> Result<Operand, Failed> {
        if let Some(unknown) = unknown(&value) {
            return Ok(Operand::Unknown(unknown));
        }
        let value = self.operand_as(value, &Type::Number, at)?;
        match value.into_data() {
            Data::Number(number) => Ok(Operand::Number(number)),
            _ => Err(self.null_operand(at)),
        }
    }

    fn logical(&mut self, value: Value, at: &Expression) -> Result<Truth, Failed> {
        if let Some(unknown) = unknown(&value) {
            return Ok(Truth::Unknown(unknown));
        }
        match self.operand_as(value, &Type::Bool, at)?.as_bool() {
            Some(truth) => Ok(Truth::Known(truth)),
            None => Err(self.null_operand(at)),
        }
    }

    fn operand_as(&mut self, value: Value, ty: &Type, at: &Expression) -> Evaluated {
        convert(&value, ty).map_err(|error| {
            let diagnostic =
                Diagnostic::error("Invalid operand", format!("Unsuitable value for the operand: {error}."));
            self.fail(diagnostic.at(self.span(at)))
        })
    }

    fn null_operand(&mut self, at: &Expression) -> Failed {
        let diagnostic = Diagnostic::error(
            "Invalid operand",
            "Unsuitable value for the operand: it must not be null.",
        );
        self.fail(diagnostic.at(self.span(at)))
    }
}

/// Compares two values: values of different types are different, and so is a list from a tuple. Where that depends on
/// something that is not known, that is returned.
pub(super) fn equal(a: &Value, b: &Value) -> Result<bool, Value> {
    if let Some(unknown) = unknown(a).or_else(|| unknown(b)) {
        return Err(unknown);
    }
    match (a.data(), b.data()) {
        (Data::Tuple(a), Data::Tuple(b)) | (Data::List(a), Data::List(b)) | (Data::Set(a), Data::Set(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            all_equal(a.iter().zip(b.iter()))
        }
        (Data::Object(a), Data::Object(b)) => same_fields(&a.fields, &b.fields),
        (Data::Map(a), Data::Map(b)) => same_fields(a, b),
        (a, b) => Ok(a == b),
    }
}

fn same_fields(
    a: &std::collections::BTreeMap<std::sync::Arc<str>, Value>,
    b: &std::collections::BTreeMap<std::sync::Arc<str>, Value>,
) -> Result<bool, Value> {
    if !a.keys().eq(b.keys()) {
        return Ok(false);
    }
    all_equal(a.values().zip(b.values()))
}

/// One pair that differs decides, whatever the unknown ones turn out to be.
fn all_equal<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Result<bool, Value> {
    let mut undecided = None;
    for (a, b) in pairs {
        match equal(a, b) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(unknown) => drop(undecided.get_or_insert(unknown)),
        }
    }
    match undecided {
        Some(unknown) => Err(unknown),
        None => Ok(true),
    }
}
