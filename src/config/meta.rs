//! The meta-arguments of every resource block, in one place: `count`, `for_each`, `depends_on`, `provider`,
//! `lifecycle`, `timeouts`.

use std::sync::{Arc, LazyLock};

use hcl_edit::expr::{Expression, TraversalOperator};
use simfleet_provider_api::Value;
use simfleet_state::Timeouts;

use super::check::Body;
use super::condition::{self, Condition};
use super::decode::Reader;
use super::eval::{Expr, Reference, Scope};
use super::record::{Mode, Record};
use super::schema::{AttributeSchema, BlockSchema, Nested};
use super::scope::Constants;
use super::syntax::Attribute;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// The attributes that every resource block takes.
pub(super) fn attributes() -> &'static [AttributeSchema] {
    static ATTRIBUTES: LazyLock<Vec<AttributeSchema>> = LazyLock::new(|| {
        vec![
            AttributeSchema::expression("count", "how many instances there are"),
            AttributeSchema::expression("for_each", "a map or set of strings: an instance for each element"),
            AttributeSchema::expression("depends_on", "a list of what must be there before it"),
            AttributeSchema::expression(
                "provider",
                "the provider's configuration: `local`, or `azure.europe` by alias",
            ),
        ]
    });
    &ATTRIBUTES
}

/// The blocks that every resource block takes.
pub(super) fn blocks() -> &'static [Nested] {
    static BLOCKS: LazyLock<Vec<Nested>> = LazyLock::new(|| {
        let lifecycle = BlockSchema::new("lifecycle", "How changes are made.")
            .attributes([
                AttributeSchema::bool(
                    "create_before_destroy",
                    "a replacement is made before the old object goes",
                )
                .default(false),
                AttributeSchema::bool("prevent_destroy", "a plan that deletes it is refused").default(false),
                AttributeSchema::expression(
                    "ignore_changes",
                    "a list of attributes of which changes are ignored, or `all`",
                ),
                AttributeSchema::expression(
                    "replace_triggered_by",
                    "a list of references: a change of one replaces it",
                ),
            ])
            .any(condition::schema("precondition"))
            .any(condition::schema("postcondition"));
        let timeouts = BlockSchema::new("timeouts", "How long its operations may take.").attributes([
            AttributeSchema::duration("create", "how long making it may take"),
            AttributeSchema::duration("update", "how long changing it may take"),
            AttributeSchema::duration("delete", "how long deleting it may take"),
        ]);
        let once = |schema| Nested {
            schema: Arc::new(schema),
            min: 0,
            max: 1,
        };
        vec![once(lifecycle), once(timeouts)]
    });
    &BLOCKS
}

/// The meta-arguments of one declaration.
#[derive(Debug, Clone, Default)]
pub struct MetaArguments {
    /// `count`.
    pub count: Option<Expr>,
    /// `for_each`.
    pub for_each: Option<Expr>,
    /// `depends_on`.
    pub depends_on: Vec<Reference>,
    /// `provider`.
    pub provider: Option<ProviderReference>,
    /// `lifecycle`.
    pub lifecycle: Lifecycle,
    /// `timeouts`.
    pub timeouts: Timeouts,
}

/// The name of a provider's configuration: `local`, `azure.europe`.
#[derive(Debug, Clone)]
pub struct ProviderReference {
    /// The provider.
    pub name: Arc<str>,
    /// The alias, where it is not the one without.
    pub alias: Option<Arc<str>>,
    /// Where.
    pub span: Span,
}

/// How changes of a resource are made.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    /// A replacement is made before the old object goes.
    pub create_before_destroy: bool,
    /// A plan that deletes it is refused.
    pub prevent_destroy: bool,
    /// Whose changes are ignored.
    pub ignore_changes: IgnoreChanges,
    /// A change of one of these replaces it.
    pub replace_triggered_by: Vec<Reference>,
    /// What must hold before it is changed.
    pub preconditions: Vec<Condition>,
    /// What must hold of it afterwards, as `self`.
    pub postconditions: Vec<Condition>,
}

/// The attributes whose changes are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IgnoreChanges {
    /// Those of these names.
    Only(Vec<Arc<str>>),
    /// All of them.
    All,
}

impl Default for IgnoreChanges {
    fn default() -> Self {
        IgnoreChanges::Only(Vec::new())
    }
}

impl MetaArguments {
    /// Takes the meta-arguments out of a body. Most blocks have none, and share these.
    pub(super) fn take(
        body: &mut Body,
        constants: &Constants<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Arc<MetaArguments> {
        static NONE: LazyLock<Arc<MetaArguments>> = LazyLock::new(Arc::default);
        let parts = |body: &Body| body.attributes.len() + body.blocks.len();
        let before = parts(body);
        let count = body.take_attribute("count");
        let for_each = body.take_attribute("for_each");
        check_instances(count.as_ref(), for_each.as_ref(), diagnostics);
        let provider = body.take_attribute("provider");
        let mut meta = MetaArguments {
            count: count.map(|attribute| attribute.expr),
            for_each: for_each.map(|attribute| attribute.expr),
            depends_on: list(body.take_attribute("depends_on"), diagnostics),
            provider: provider.and_then(|provider| diagnostics.keep(provider_reference(&provider))),
            ..MetaArguments::default()
        };
        for lifecycle in body.take_blocks("lifecycle") {
            meta.lifecycle = Lifecycle::take(lifecycle, body, constants, diagnostics);
        }
        for block in body.take_blocks("timeouts") {
            let record = Record::evaluate(&block, constants, Mode::Plan, diagnostics);
            meta.timeouts = diagnostics.keep(timeouts(&record)).unwrap_or_default();
        }
        match parts(body) == before {
            true => Arc::clone(&NONE),
            false => Arc::new(meta),
        }
    }

    /// Returns the instances. `None` where they are not known and the file is only checked.
    ///
    /// # Errors
    /// They are not known when the plan is made, sensitive, or no count and no collection.
    pub(super) fn instances(&self, scope: &dyn Scope, mode: Mode) -> Result<Option<Instances>, Diagnostics> {
        super::instances::instances(self, scope, mode)
    }

    /// Returns all names in them.
    pub(super) fn references(&self) -> Vec<Reference> {
        let expressions = self.count.iter().chain(&self.for_each);
        let mut references: Vec<_> = expressions.flat_map(Expr::references).cloned().collect();
        references.extend(self.inner_references());
        references.extend(self.lifecycle.postconditions.iter().flat_map(Condition::references));
        references
    }

    /// Returns the names in what is evaluated for each instance, but those of postconditions: only these can name `self`.
    pub(super) fn inner_references(&self) -> Vec<Reference> {
        let mut references = self.depends_on.clone();
        references.extend(self.lifecycle.replace_triggered_by.iter().cloned());
        references.extend(self.lifecycle.preconditions.iter().flat_map(Condition::references));
        references
    }
}

/// Reports a block that has both `count` and `for_each`.
pub(super) fn check_instances(count: Option<&Attribute>, for_each: Option<&Attribute>, diagnostics: &mut Diagnostics) {
    if let (Some(count), Some(each)) = (count, for_each) {
        let detail = "A block has either `count` or `for_each`, not both.";
        diagnostics.push(
            Diagnostic::error("Conflicting attributes", detail)
                .at(each.name.span.clone())
                .related(count.name.span.clone(), "the other one"),
        );
    }
}

impl Lifecycle {
    fn take(mut block: Body, outer: &Body, constants: &Constants<'_>, diagnostics: &mut Diagnostics) -> Lifecycle {
        let mut conditions = |name: &str| -> Vec<Condition> {
            let taken = block.take_blocks(name).into_iter();
            taken.filter_map(Condition::of).collect()
        };
        let (preconditions, postconditions) = (conditions("precondition"), conditions("postcondition"));
        let ignored = block.take_attribute("ignore_changes");
        let ignore_changes = ignored.and_then(|ignored| diagnostics.keep(ignore_changes(&ignored, outer)));
        let replace_triggered_by = list(block.take_attribute("replace_triggered_by"), diagnostics);
        let record = Record::evaluate(&block, constants, Mode::Plan, diagnostics);
        let truth = |name: &str| record.get(name).and_then(Value::as_bool).unwrap_or_default();
        Lifecycle {
            create_before_destroy: truth("create_before_destroy"),
            prevent_destroy: truth("prevent_destroy"),
            ignore_changes: ignore_changes.unwrap_or_default(),
            replace_triggered_by,
            preconditions,
            postconditions,
        }
    }
}

/// Reads how long operations may take.
fn timeouts(record: &Record) -> Result<Timeouts, Diagnostics> {
    let mut reader = Reader::new(record);
    let (create, update, delete) = (reader.maybe("create"), reader.maybe("update"), reader.maybe("delete"));
    let timeouts = || {
        Some(Timeouts {
            create: create?,
            update: update?,
            delete: delete?,
        })
    };
    let timeouts = timeouts();
    reader.finish(timeouts)
}

/// Reads a list of references: `[service.influxdb, node.a]`.
pub(super) fn list(attribute: Option<Attribute>, diagnostics: &mut Diagnostics) -> Vec<Reference> {
    let Some(attribute) = attribute else {
        return Vec::new();
    };
    let mut references = Vec::new();
    match items(&attribute) {
        Some(items) => {
            for expr in items {
                match reference(&expr) {
                    Some(reference) => references.push(reference),
                    None => diagnostics.push(not_a_reference(&attribute, &expr)),
                }
            }
        }
        None => {
            let detail = format!("`{}` must be a list of references.", attribute.name.text);
            diagnostics.push(
                Diagnostic::error("Invalid value", detail)
                    .at(attribute.value_span.clone())
                    .hint(format!("write {} = [node.a, pool.b]", attribute.name.text)),
            );
        }
    }
    references
}

fn not_a_reference(attribute: &Attribute, expr: &Expr) -> Diagnostic {
    use hcl_edit::Span as _;
    let span = expr.syntax.span().map(|range| Span {
        file: Arc::clone(&expr.file),
        range,
    });
    let detail = format!("`{}` takes references only.", attribute.name.text);
    let diagnostic = Diagnostic::error("Invalid value", detail).at(span);
    match expr.syntax.as_str() {
        Some(text) if text.contains('.') => diagnostic.hint(format!("write {text} without the quotes")),
        _ => diagnostic,
    }
}

/// Returns the elements of a list that is written as one.
fn items(attribute: &Attribute) -> Option<Vec<Expr>> {
    let items = attribute.expr.syntax.as_array()?.iter();
    Some(
        items
            .map(|item| Expr::new(item.clone(), &attribute.expr.file))
            .collect(),
    )
}

/// Returns the reference that an expression consists of, where it is nothing else.
pub(super) fn reference(expr: &Expr) -> Option<Reference> {
    let whole = match &*expr.syntax {
        Expression::Variable(_) => 0,
        Expression::Traversal(traversal) if traversal.expr.is_variable() => traversal.operators.len(),
        _ => return None,
    };
    let first = expr.references().first();
    first.filter(|reference| reference.steps.len() == whole).cloned()
}

pub(super) fn provider_reference(attribute: &Attribute) -> Result<ProviderReference, Diagnostics> {
    let wrong = |hint: String| {
        let detail = "`provider` must name a provider's configuration.";
        Diagnostics::from(
            Diagnostic::error("Invalid value", detail)
                .at(attribute.value_span.clone())
                .hint(hint),
        )
    };
    let span = attribute.value_span.clone();
    match &*attribute.expr.syntax {
        Expression::Variable(name) => Ok(ProviderReference {
            name: name.value().as_str().into(),
            alias: None,
            span,
        }),
        Expression::Traversal(traversal) => {
            let name = traversal.expr.as_variable().map(|name| name.as_str());
            match (name, traversal.operators.as_slice()) {
                (Some(name), [operator]) => match operator.value() {
                    TraversalOperator::GetAttr(alias) => Ok(ProviderReference {
                        name: name.into(),
                        alias: Some(alias.value().as_str().into()),
                        span,
                    }),
                    _ => Err(wrong(
                        "write `azure`, or `azure.europe` for the alias europe".to_owned(),
                    )),
                },
                _ => Err(wrong(
                    "write `azure`, or `azure.europe` for the alias europe".to_owned(),
                )),
            }
        }
        Expression::String(text) => Err(wrong(format!("write {} without the quotes", text.value()))),
        _ => Err(wrong(
            "write `azure`, or `azure.europe` for the alias europe".to_owned(),
        )),
    }
}

fn ignore_changes(attribute: &Attribute, body: &Body) -> Result<IgnoreChanges, Diagnostics> {
    let name = |expr: &Expr| match &*expr.syntax {
        Expression::Variable(name) => Some(Arc::from(name.value().as_str())),
        Expression::String(text) => Some(Arc::from(text.value().as_str())),
        _ => None,
    };
    if name(&attribute.expr).as_deref() == Some("all") {
        return Ok(IgnoreChanges::All);
    }
    let names: Option<Vec<Arc<str>>> = items(attribute).and_then(|items| items.iter().map(name).collect());
    let Some(names) = names else {
        let diagnostic = Diagnostic::error(
            "Invalid value",
            "`ignore_changes` must be a list of attributes, or `all`.",
        );
        let diagnostic = diagnostic.at(attribute.value_span.clone());
        return Err(diagnostic.hint("write ignore_changes = [labels, tags]").into());
    };
    let known = || {
        let attributes = body.schema.attributes.iter().map(|attribute| attribute.name);
        attributes.chain(body.schema.blocks.iter().map(|nested| nested.schema.name))
    };
    let mut diagnostics = Diagnostics::new();
    for name in &names {
        if !known().any(|known| known == &**name) {
            let detail = format!("`{}` has no attribute `{name}` to ignore.", body.schema.name);
            let diagnostic = Diagnostic::error("Unknown attribute", detail).at(attribute.value_span.clone());
            let others = format!("`simfleet schema {}` shows those that it has", body.schema.name);
            diagnostics.push(diagnostic.nearest_or(name, known(), others));
        }
    }
    match diagnostics.has_errors() {
        true => Err(diagnostics),
        false => Ok(IgnoreChanges::Only(names)),
    }
}

/// The instances of a declaration.
#[derive(Debug, Clone, PartialEq)]
pub enum Instances {
    /// One, without a key.
    Single,
    /// So many, by index.
    Count(u64),
    /// One for each key, with the value that it stands for.
    Each(std::collections::BTreeMap<Arc<str>, Value>),
}

impl Instances {
    /// How many there are.
    pub fn len(&self) -> u64 {
        match self {
            Instances::Single => 1,
            Instances::Count(count) => *count,
            Instances::Each(each) => each.len() as u64,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
