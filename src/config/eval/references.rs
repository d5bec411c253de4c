//! The names in an expression.

use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, ForExpr, ObjectKey, Traversal, TraversalOperator};
use hcl_edit::template::{Directive, Element, Template};
use simfleet_provider_api::PathStep;

use super::Reference;
use crate::diagnostic::{SourceFile, Span};

/// Returns the names that an expression refers to.
pub(super) fn of(expr: &Expression, file: &Arc<SourceFile>) -> Vec<Reference> {
    let mut collector = Collector {
        file,
        bound: Vec::new(),
        found: Vec::new(),
    };
    collector.expression(expr);
    collector.found
}

/// Returns an operator as a step of a reference, if it is a constant one.
pub(super) fn constant_step(operator: &TraversalOperator) -> Option<PathStep> {
    match operator {
        TraversalOperator::GetAttr(name) => Some(PathStep::Name(name.as_str().into())),
        TraversalOperator::LegacyIndex(index) => Some(PathStep::Index(*index.value())),
        TraversalOperator::Index(Expression::String(name)) => Some(PathStep::Name(name.as_str().into())),
        TraversalOperator::Index(Expression::Number(number)) => number.value().as_u64().map(PathStep::Index),
        TraversalOperator::Index(_) | TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => None,
    }
}

struct Collector<'e> {
    file: &'e Arc<SourceFile>,
    bound: Vec<&'e str>,
    found: Vec<Reference>,
}

impl<'e> Collector<'e> {
    fn expression(&mut self, expr: &'e Expression) {
        match expr {
            Expression::Null(_) | Expression::Bool(_) | Expression::Number(_) | Expression::String(_) => {}
            Expression::Array(array) => array.iter().for_each(|item| self.expression(item)),
            Expression::Object(object) => {
                for (key, value) in object {
                    if let ObjectKey::Expression(key) = key {
                        self.expression(key);
                    }
                    self.expression(value.expr());
                }
            }
            Expression::StringTemplate(template) => self.template(template),
            Expression::HeredocTemplate(heredoc) => self.template(&heredoc.template),
            Expression::Parenthesis(parenthesis) => self.expression(parenthesis.inner()),
            Expression::Variable(_) => self.name(expr, None),
            Expression::Conditional(conditional) => {
                self.expression(&conditional.cond_expr);
                self.expression(&conditional.true_expr);
                self.expression(&conditional.false_expr);
            }
            Expression::FuncCall(call) => call.args.iter().for_each(|argument| self.expression(argument)),
            Expression::Traversal(traversal) => {
                self.name(&traversal.expr, Some(traversal));
                for operator in &traversal.operators {
                    if let TraversalOperator::Index(index) = operator.value() {
                        self.expression(index);
                    }
                }
            }
            Expression::UnaryOp(operation) => self.expression(&operation.expr),
            Expression::BinaryOp(operation) => {
                self.expression(&operation.lhs_expr);
                self.expression(&operation.rhs_expr);
            }
            Expression::ForExpr(comprehension) => self.comprehension(comprehension),
        }
    }

    fn comprehension(&mut self, comprehension: &'e ForExpr) {
        let intro = &comprehension.intro;
        self.expression(&intro.collection_expr);
        let outer = self.bound.len();
        self.bound.extend(intro.key_var.as_ref().map(|name| name.as_str()));
        self.bound.push(intro.value_var.as_str());
        if let Some(key) = &comprehension.key_expr {
            self.expression(key);
        }
        self.expression(&comprehension.value_expr);
        if let Some(condition) = &comprehension.cond {
            self.expression(&condition.expr);
        }
        self.bound.truncate(outer);
    }

    fn template(&mut self, template: &'e Template) {
        for element in template {
            match element {
                Element::Literal(_) => {}
                Element::Interpolation(interpolation) => self.expression(&interpolation.expr),
                Element::Directive(directive) => match &**directive {
                    Directive::If(directive) => {
                        self.expression(&directive.if_expr.cond_expr);
                        self.template(&directive.if_expr.template);
                        if let Some(otherwise) = &directive.else_expr {
                            self.template(&otherwise.template);
                        }
                    }
                    Directive::For(directive) => {
                        let intro = &directive.for_expr;
                        self.expression(&intro.collection_expr);
                        let outer = self.bound.len();
                        self.bound.extend(intro.key_var.as_ref().map(|name| name.as_str()));
                        self.bound.push(intro.value_var.as_str());
                        self.template(&intro.template);
                        self.bound.truncate(outer);
                    }
                },
            }
        }
    }

    fn name(&mut self, root: &'e Expression, traversal: Option<&'e Traversal>) {
        let Expression::Variable(name) = root else {
            return self.expression(root);
        };
        if self.bound.contains(&name.as_str()) {
            return;
        }
        let operators = traversal
            .map(|traversal| traversal.operators.as_slice())
            .unwrap_or_default();
        let mut range = root.span().unwrap_or_default();
        let mut steps = Vec::new();
        for operator in operators {
            let Some(step) = constant_step(operator.value()) else {
                break;
            };
            steps.push(step);
            range.end = operator.span().map_or(range.end, |span| span.end);
        }
        self.found.push(Reference {
            root: name.as_str().into(),
            steps: steps.into(),
            span: Span {
                file: Arc::clone(self.file),
                range,
            },
        });
    }
}
