//! `variable`: what can be set from outside, and where its value comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hcl_edit::expr::Expression;
use simfleet_provider_api::{Type, Value};

use super::check::Body;
use super::condition::{self, Condition};
use super::eval::{Expr, Reference, evaluate};
use super::load::{Setting, Unset};
use super::nesting;
use super::record::{self, Mode, Record};
use super::schema::{AttributeSchema, BlockSchema};
use super::scope::Constants;
use super::source;
use super::syntax::{self, Attribute};
use super::types::Constraint;
use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile, Span, nearest};

/// A value that can be set from outside.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its type.
    pub constraint: Constraint,
    /// Whether a value of it is given as it is, and not as an expression.
    literal: bool,
    /// What it is where it is not set.
    pub default: Option<Value>,
    /// What it is, for people.
    pub description: Option<String>,
    /// Whether it is never shown.
    pub sensitive: bool,
    /// Whether it may be `null`.
    pub nullable: bool,
    /// What must hold of it.
    pub validations: Vec<Condition>,
    /// Its first line.
    pub span: Span,
    /// What it is. Unknown where what was given is wrong, which was reported.
    pub value: Value,
}

/// What was given for a variable.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// A text: `--var name=text`, or an environment variable; and which.
    Text(String, String),
    /// An expression in a file.
    Expr(Attribute),
    /// A value that was worked out before: from a saved plan.
    Value(Value),
}

/// The schema of a `variable` block.
pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("variable", "A value that can be set from outside.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::expression("type", "its type: string, number, list(string) …"),
            AttributeSchema::expression("default", "what it is where it is not set"),
            AttributeSchema::string("description", "what it is, for people"),
            AttributeSchema::bool("sensitive", "it is never shown").default(false),
            AttributeSchema::bool("nullable", "it may be null").default(true),
        ])
        .any(condition::schema("validation"))
}

/// Whether an expression has a text written out in it. Files are kept in the state and in saved plans as they are. Numbers
/// and truth values are settings; and what is empty stands for nothing.
fn holds_text(syntax: &Expression) -> bool {
    match syntax {
        Expression::Array(items) => items.iter().any(holds_text),
        Expression::Object(fields) => fields.iter().any(|(_, value)| holds_text(value.expr())),
        Expression::Parenthesis(inner) => holds_text(inner.inner()),
        other => record::is_literal(other),
    }
}

impl Variable {
    /// Reads the block; its value is set by [`Variable::set`].
    pub(super) fn read(mut body: Body, constants: &Constants<'_>, diagnostics: &mut Diagnostics) -> Variable {
        let name = body
            .labels
            .first()
            .map_or_else(|| Arc::from(""), |label| Arc::clone(&label.text));
        let ty = body.take_attribute("type");
        let default = body.take_attribute("default");
        let validations = body
            .take_blocks("validation")
            .into_iter()
            .filter_map(Condition::of)
            .collect();
        let record = Record::evaluate(&body, constants, Mode::Plan, diagnostics);
        let truth = |name: &str| record.get(name).and_then(Value::as_bool).unwrap_or_default();
        let constraint = ty
            .as_ref()
            .and_then(|ty| diagnostics.keep(Constraint::read(&ty.expr, constants)));
        let mut variable = Variable {
            literal: match &constraint {
                Some(constraint) => matches!(constraint.ty, Type::String | Type::Number | Type::Bool),
                None => true,
            },
            constraint: constraint.unwrap_or(Constraint::ANY),
            default: None,
            description: record.get("description").and_then(Value::as_str).map(str::to_owned),
            sensitive: truth("sensitive"),
            nullable: truth("nullable"),
            validations,
            span: body.header,
            value: Value::unknown(format!("var.{name}")),
        };
        if let Some(default) = default {
            if variable.sensitive && holds_text(&default.expr.syntax) {
                let detail = format!("The default of the sensitive variable `{name}` stands in the file.");
                diagnostics.push(record::secret_in_file(detail, &variable.span));
            }
            let value = diagnostics.keep(evaluate(&default.expr, constants));
            // An error leaves it unknown, so that it does not count as required.
            let value = value.map(|value| variable.fit(&name, value, Some(default.value_span)));
            let value = value.and_then(|value| diagnostics.keep(value.map_err(Diagnostics::from)));
            variable.default = Some(value.unwrap_or_else(|| variable.value.clone()));
        }
        variable
    }

    /// Converts a value to the type.
    fn fit(&self, name: &str, value: Value, span: Option<Span>) -> Result<Value, Diagnostic> {
        let value = value.mark(self.sensitive);
        // The line would show the secret.
        let span = span.filter(|_| !value.has_sensitive()).or(Some(self.span.clone()));
        if value.is_null() && !self.nullable {
            let detail = format!("`var.{name}` must not be null.");
            return Err(Diagnostic::error("Invalid variable", detail).at(span));
        }
        match self.constraint.apply(&value) {
            Ok(value) => Ok(value.mark(self.sensitive)),
            Err(problem) => {
                let detail = format!(
                    "The value of `var.{name}` does not fit its type, {}: {problem}.",
                    self.constraint.ty
                );
                Err(Diagnostic::error("Invalid variable", detail).at(span))
            }
        }
    }

    /// Returns the value that a module has, given what its caller sets it to.
    pub(super) fn given_by_module(&self, name: &str, value: Value, span: Span) -> Result<Value, Diagnostics> {
        // `null` for one that must not be null means its default, as in Terraform.
        match &self.default {
            Some(default) if value.is_null() && !self.nullable => Ok(default.clone()),
            _ => Ok(self.fit(name, value, Some(span))?),
        }
    }

    /// Sets the value: what was given, or the default.
    pub(super) fn set(
        &mut self,
        name: &str,
        given: Option<&Given>,
        unset: Unset,
        constants: &Constants<'_>,
        diagnostics: &mut Diagnostics,
    ) {
        let origin = match given {
            Some(Given::Text(_, origin)) => Some(origin),
            _ => None,
        };
        let given = match given {
            None => None,
            Some(given) => match self.given(name, given, constants) {
                Ok(value) => Some(value),
                // The lines of the errors would show the secret.
                Err(_) if self.sensitive => {
                    let detail = format!(
                        "What `var.{name}` is set to is no valid expression. It is sensitive, so it is not shown."
                    );
                    return diagnostics.push(Diagnostic::error("Invalid variable", detail));
                }
                Err(errors) => return diagnostics.extend(errors),
            },
        };
        // `null` for one that must not be null means its default, as in Terraform.
        let given = given.filter(|(value, _)| self.nullable || !value.is_null());
        match (given, &self.default) {
            (Some((value, span)), _) => match self.fit(name, value, span) {
                Ok(value) => self.value = value,
                Err(diagnostic) => diagnostics.push(match origin {
                    Some(origin) => diagnostic.hint(format!("its value comes from {origin}")),
                    None => diagnostic,
                }),
            },
            (None, Some(default)) => self.value = default.clone(),
            (None, None) if unset == Unset::Unknown => {}
            (None, None) => {
                let detail = format!("`var.{name}` has no default and is not set.");
                let hint = format!(
                    "set it with --var {name}=…, with SIMFLEET_VAR_{name} in the environment, or in a *.auto.vars.hcl or --var-file"
                );
                diagnostics.push(
                    Diagnostic::error("Variable not set", detail)
                        .at(self.span.clone())
                        .hint(hint),
                );
            }
        }
    }

    fn given(
        &self,
        name: &str,
        given: &Given,
        constants: &Constants<'_>,
    ) -> Result<(Value, Option<Span>), Diagnostics> {
        match given {
            Given::Value(value) => Ok((value.clone(), None)),
            Given::Expr(attribute) => {
                let value = evaluate(&attribute.expr, constants)?;
                Ok((value, Some(attribute.value_span.clone())))
            }
            Given::Text(text, _) if self.literal => Ok((Value::string(text.as_str()), None)),
            Given::Text(text, origin) => {
                let expr = expression(origin, text).map_err(|diagnostic| {
                    diagnostic.hint(format!(
                        "the type of `var.{name}` is {}; strings stand in double quotes in it",
                        self.constraint.ty
                    ))
                })?;
                Ok((evaluate(&expr, constants)?, None))
            }
        }
    }
}

/// Parses an expression that stands alone.
fn expression(origin: &str, text: &str) -> Result<Expr, Diagnostic> {
    let file = Arc::new(SourceFile {
        path: origin.into(),
        text: text.to_owned(),
    });
    nesting::check(&file)?;
    match text.parse() {
        Ok(syntax) => Ok(Expr::new(syntax, &file)),
        Err(error) => Err(syntax::syntax_error(&file, &error)),
    }
}

/// The prefix of environment variables that set variables.
const ENVIRONMENT: &str = "SIMFLEET_VAR_";

/// What sets variables, besides the environment.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// `--var`: the name and the text.
    Text(String, String),
    /// A file of variables.
    File(Arc<SourceFile>, Undeclared),
    /// A file that cannot be read, which was told.
    Broken,
}

/// Returns what is given for each variable, and whether that is all: a file that cannot be read could have set more.
/// What comes later wins: the environment, then the origins in their order, as in Terraform.
pub(super) fn given(
    variables: &BTreeMap<Arc<str>, Variable>,
    environment: &BTreeMap<String, String>,
    origins: &[Origin],
    diagnostics: &mut Diagnostics,
) -> (BTreeMap<Arc<str>, Given>, bool) {
    let mut all = BTreeMap::new();
    let mut is_complete = true;
    for (name, text) in environment {
        if let Some(name) = name.strip_prefix(ENVIRONMENT)
            && variables.contains_key(name)
        {
            all.insert(
                Arc::from(name),
                Given::Text(text.clone(), format!("{ENVIRONMENT}{name}")),
            );
        }
    }
    for origin in origins {
        match origin {
            Origin::Broken => is_complete = false,
            Origin::File(file, undeclared) => match syntax::parse(file) {
                Ok(body) => of_file(body, variables, *undeclared, &mut all, diagnostics),
                Err(diagnostic) => {
                    is_complete = false;
                    diagnostics.push(
                        match file.path.extension().is_some_and(|extension| extension == "json") {
                            true => {
                                diagnostic.hint("a file of variables is HCL, not JSON: a line NAME = VALUE for each")
                            }
                            false => diagnostic,
                        },
                    );
                }
            },
            Origin::Text(name, text) if variables.contains_key(name.as_str()) => {
                let given = Given::Text(text.clone(), format!("--var {name}"));
                all.insert(Arc::from(name.as_str()), given);
            }
            Origin::Text(name, _) => {
                let detail = format!("--var sets `{name}`, but the fleet has no such variable.");
                let diagnostic = Diagnostic::error("Undeclared variable", detail);
                diagnostics.push(diagnostic.nearest(name, variables.keys().map(|name| &**name)));
            }
        }
    }
    (all, is_complete)
}

/// Returns the names of the variables that settings set.
///
/// # Errors
/// A file cannot be read.
pub(super) fn names(settings: &[Setting]) -> Result<BTreeSet<Arc<str>>, Diagnostics> {
    let mut names = BTreeSet::new();
    for setting in settings {
        match setting {
            Setting::Text(name, _) => {
                names.insert(Arc::from(name.as_str()));
            }
            Setting::File(path) => {
                let body = syntax::parse(&source::read_file(path)?)?;
                names.extend(body.attributes.into_iter().map(|attribute| attribute.name.text));
            }
        }
    }
    Ok(names)
}

/// What is told of a variable in a file that the fleet does not declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undeclared {
    /// A warning.
    Warn,
    /// Nothing: the file may be for another fleet in the same folder.
    Ignore,
}

fn of_file(
    body: syntax::Body,
    variables: &BTreeMap<Arc<str>, Variable>,
    undeclared: Undeclared,
    all: &mut BTreeMap<Arc<str>, Given>,
    diagnostics: &mut Diagnostics,
) {
    for block in body.blocks {
        let detail = format!(
            "`{}` is a block; a file of variables has only names with values.",
            block.name.text
        );
        diagnostics.push(Diagnostic::error("Not a variable", detail).at(block.header));
    }
    for attribute in body.attributes {
        let name = Arc::clone(&attribute.name.text);
        if variables.contains_key(&name) {
            all.insert(name, Given::Expr(attribute));
        } else if undeclared == Undeclared::Warn {
            let detail = format!("The fleet has no variable `{name}`, so its value is not used.");
            let diagnostic = Diagnostic::warning("Undeclared variable", detail).at(attribute.name.span);
            diagnostics.push(match nearest(&name, variables.keys().map(|name| &**name)) {
                Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
                None => diagnostic,
            });
        }
    }
}

/// Checks the validations of all variables, once all have their values.
pub(super) fn validate(
    variables: &BTreeMap<Arc<str>, Variable>,
    constants: &Constants<'_>,
    diagnostics: &mut Diagnostics,
) {
    for (name, variable) in variables {
        let own = |reference: &Reference| {
            let step = simfleet_provider_api::PathStep::Name(Arc::clone(name));
            &*reference.root == "var" && reference.steps.first() == Some(&step)
        };
        for validation in &variable.validations {
            if !validation.references().iter().any(own) {
                let detail = format!("A validation of `var.{name}` must use its value, `var.{name}`.");
                diagnostics.push(Diagnostic::error("Invalid condition", detail).at(validation.span.clone()));
            } else if let Err(errors) = validation.check("Invalid variable", constants) {
                diagnostics.extend(errors);
            }
        }
    }
}
