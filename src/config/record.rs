//! A block with its expressions evaluated: values that conform to the schema, defaults filled in, spans kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use hcl_edit::expr::Expression;
use hcl_edit::template::Element;
use simfleet_provider_api::{Attributes, Value};

use super::check::Body;
use super::conform::{Wrong, conform};
use super::eval::{Scope, evaluate};
use super::schema::{AttributeSchema, AttributeType, BlockSchema, Presence};
use super::syntax::{Attribute, Name};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// What happens where a value is not known yet that has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is passed over: the file is only checked, and resources are not known.
    Check,
    /// It is an error.
    Plan,
}

/// One instance of a block: values that conform to its schema.
#[derive(Debug, Clone)]
pub struct Record {
    /// The schema; `None` for an object value that is read as a record.
    schema: Option<Arc<BlockSchema>>,
    labels: Vec<Name>,
    span: Span,
    mode: Mode,
    fields: Vec<Field>,
    blocks: Vec<Record>,
}

/// The value of an attribute.
#[derive(Debug, Clone)]
struct Field {
    /// The attribute.
    name: &'static str,
    /// The value.
    value: Value,
    /// Where it is set; `None` for a default.
    span: Option<Span>,
}

impl Record {
    /// Returns the values of a block as [`evaluate`](Record::evaluate) does, where all of them are sound: what fails is told once.
    pub fn sound(body: &Body, scope: &dyn Scope, mode: Mode, diagnostics: &mut Diagnostics) -> Option<Record> {
        let mut found = Diagnostics::new();
        let record = Record::evaluate(body, scope, mode, &mut found);
        let is_sound = !found.has_errors();
        diagnostics.extend(found);
        is_sound.then_some(record)
    }

    /// Returns the values of a block. Expressions that are not evaluated with the block are left out; those are with
    /// whoever took them.
    ///
    /// An attribute that fails is not known in the record, so that a caller can go on and find more.
    pub fn evaluate(body: &Body, scope: &dyn Scope, mode: Mode, diagnostics: &mut Diagnostics) -> Record {
        let mut fields = Vec::with_capacity(body.attributes.len());
        for schema in &body.schema.attributes {
            let field = match body.attribute(schema.name) {
                Some(_) if matches!(schema.ty, AttributeType::Expression) => continue,
                Some(attribute) => given(attribute, schema, body, scope, diagnostics),
                None => absent(schema),
            };
            fields.extend(field);
        }
        let blocks = body
            .blocks
            .iter()
            .map(|block| Record::evaluate(block, scope, mode, diagnostics));
        let mut record = Record {
            schema: Some(Arc::clone(&body.schema)),
            labels: body.labels.clone(),
            span: body.header.clone(),
            mode,
            blocks: blocks.collect(),
            fields,
        };
        if let Some(derive) = body.schema.derive {
            derive(&mut record, scope, diagnostics);
        }
        record
    }

    /// Adds a value that no attribute sets.
    pub(super) fn add(&mut self, name: &'static str, value: Value) {
        let span = None;
        self.fields.push(Field { name, value, span });
    }

    /// Returns the fields of an object value that conforms to `AttributeType::Object` as a record.
    pub(super) fn of_object(&self, name: &str, schemas: &[AttributeSchema]) -> Option<Record> {
        let field = self.field(name)?;
        let span = field.span.clone().unwrap_or_else(|| self.span.clone());
        let mut fields = Vec::new();
        for schema in schemas {
            if let Some(value) = field.value.get(schema.name).filter(|value| !value.is_null()) {
                let value = value.clone().mark(field.value.is_sensitive());
                fields.push(Field {
                    name: schema.name,
                    value,
                    span: Some(span.clone()),
                });
            }
        }
        Some(Record {
            schema: None,
            labels: Vec::new(),
            span,
            mode: self.mode,
            fields,
            blocks: Vec::new(),
        })
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Returns a value; `None` where it is not set and has no default.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.field(name).map(|field| &field.value)
    }

    /// Returns where an attribute is set.
    pub fn attribute_span(&self, name: &str) -> Option<&Span> {
        self.field(name)?.span.as_ref()
    }

    /// Returns where each attribute is set, those of the blocks in it by the name of the block.
    pub fn spans(&self) -> BTreeMap<&'static str, Span> {
        let mut spans = BTreeMap::new();
        for block in &self.blocks {
            if let Some(schema) = &block.schema {
                spans.entry(schema.name).or_insert_with(|| block.span.clone());
            }
        }
        for field in &self.fields {
            if let Some(span) = &field.span {
                spans.insert(field.name, span.clone());
            }
        }
        spans
    }

    /// Returns the values as attributes of an object, blocks left out.
    pub fn attributes(&self) -> Attributes {
        self.fields
            .iter()
            .map(|field| (field.name, field.value.clone()))
            .collect()
    }

    /// Returns the blocks of a type.
    pub fn blocks<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r Record> {
        let is_named = move |block: &&Record| block.schema.as_ref().is_some_and(|schema| schema.name == name);
        self.blocks.iter().filter(is_named)
    }

    /// Returns the labels of the block.
    pub fn labels(&self) -> &[Name] {
        &self.labels
    }

    /// Returns the label at an index, as text; empty where there is none, which the schema rules out.
    pub fn label(&self, index: usize) -> Arc<str> {
        self.labels
            .get(index)
            .map_or_else(|| Arc::from(""), |label| Arc::clone(&label.text))
    }

    /// Returns where the block is: its first line.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Returns the schema of the block, where this is one.
    pub fn schema(&self) -> Option<&Arc<BlockSchema>> {
        self.schema.as_ref()
    }

    /// Returns what happens where a value is not known yet that has to be.
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

/// Returns what is told of a secret that stands in the file, where the line that shows it is not: it would be in the log of
/// whatever runs this.
pub(super) fn secret_in_file(detail: String, block: &Span) -> Diagnostic {
    let hint = "take it from the environment: env(\"NAME\"), or from a sensitive variable that is given by --var-file or \
                SIMFLEET_VAR_NAME";
    Diagnostic::error("E22 secret in the file", detail)
        .at(block.clone())
        .hint(hint)
}

/// Whether an expression is a text that is written out.
pub(super) fn is_literal(syntax: &Expression) -> bool {
    let is_text = |element: &Element| matches!(element, Element::Literal(_));
    match syntax {
        Expression::String(text) => !text.is_empty(),
        Expression::StringTemplate(template) => template.iter().all(is_text),
        Expression::HeredocTemplate(heredoc) => heredoc.template.iter().all(is_text),
        Expression::Parenthesis(inner) => is_literal(inner.inner()),
        _ => false,
    }
}

/// Runs the rules of a block and of those in it.
pub(super) fn check(record: &Record, found: &mut Diagnostics) {
    for rule in record.schema.iter().flat_map(|schema| &schema.rules) {
        rule(record, found);
    }
    for block in &record.blocks {
        check(block, found);
    }
}

fn absent(schema: &AttributeSchema) -> Option<Field> {
    match &schema.presence {
        Presence::Default { value, .. } => Some(Field {
            name: schema.name,
            value: value.clone(),
            span: None,
        }),
        Presence::Required | Presence::Needed | Presence::Optional => None,
    }
}

fn given(
    attribute: &Attribute,
    schema: &AttributeSchema,
    body: &Body,
    scope: &dyn Scope,
    diagnostics: &mut Diagnostics,
) -> Option<Field> {
    let span = Some(attribute.value_span.clone());
    let field = |value| {
        Some(Field {
            name: schema.name,
            value,
            span: span.clone(),
        })
    };
    let value = match evaluate(&attribute.expr, scope) {
        Ok(value) => value,
        Err(errors) => {
            diagnostics.extend(errors);
            return field(Value::unknown(schema.name));
        }
    };
    if value.is_null() {
        if matches!(schema.presence, Presence::Required) {
            let detail = format!("`{}` of `{}` must be set, but is null.", schema.name, body.schema.name);
            diagnostics.push(Diagnostic::error("Missing attribute", detail).at(span.clone()));
            return field(Value::unknown(schema.name));
        }
        return absent(schema);
    }
    if schema.sensitive && is_literal(&attribute.expr.syntax) {
        let detail = format!("`{}` is a secret, and here it stands in the file.", schema.name);
        diagnostics.push(secret_in_file(detail, &body.header));
    }
    match conform(&value, &schema.ty) {
        Ok(value) => field(value.mark(schema.sensitive)),
        Err(wrong) => {
            diagnostics.push(invalid(schema.name, &wrong, attribute.value_span.clone()));
            field(Value::unknown(schema.name))
        }
    }
}

/// Returns what is told about a value that does not fit.
pub(super) fn invalid(name: &str, wrong: &Wrong, span: impl Into<Option<Span>>) -> Diagnostic {
    let Wrong { path, problem, hint } = wrong;
    let diagnostic = Diagnostic::error("Invalid value", format!("`{name}{path}` {problem}.")).at(span);
    match hint {
        Some(hint) => diagnostic.hint(hint.clone()),
        None => diagnostic,
    }
}
