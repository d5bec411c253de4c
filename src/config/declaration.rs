//! What a fleet declares: resources with their expressions, and the other top-level blocks.

use std::sync::{Arc, LazyLock};

use simfleet_provider_api::{Address, Key, ModuleStep, PathStep, Value};

use super::blocks::{self, Block};
use super::check::Body;
use super::condition::Condition;
use super::eval::{Expr, Reference, Scope};
use super::meta::{Instances, MetaArguments};
use super::names::Place;
use super::record::{Mode, Record};
use super::schema::{AttributeSchema, BlockSchema};
use super::scope::Constants;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// A resource block: parsed once, evaluated once for each instance.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Its address, without a key, and without those of the modules that lead to it.
    pub address: Address,
    /// Its first line.
    pub span: Span,
    /// `count`, `for_each`, `depends_on`, `provider`, `lifecycle`, `timeouts`.
    pub meta: Arc<MetaArguments>,
    /// The rest.
    pub body: Body,
}

impl Declaration {
    /// Makes a declaration of a block that was checked.
    pub(super) fn new(
        mut body: Body,
        module: &[Arc<str>],
        constants: &Constants<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let labels = body.labels.iter().map(|label| Arc::clone(&label.text));
        Declaration {
            address: Address::new(body.schema.name, labels).in_module(&steps(module)),
            span: body.header.clone(),
            meta: MetaArguments::take(&mut body, constants, diagnostics),
            body,
        }
    }

    /// Returns every name in the block, its meta-arguments included: what it must come after.
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.meta.references();
        self.body
            .expressions(&mut |attribute| references.extend_from_slice(attribute.expr.references()));
        references
    }

    /// Returns the instances.
    ///
    /// # Errors
    /// `count` or `for_each` cannot be evaluated, is not known yet, sensitive, or no number or collection.
    pub fn instances(&self, scope: &dyn Scope) -> Result<Instances, Diagnostics> {
        let instances = self.meta.instances(scope, Mode::Plan)?;
        Ok(instances.unwrap_or(Instances::Single))
    }

    /// Returns the block as values, for one instance.
    ///
    /// # Errors
    /// All expressions that cannot be evaluated and all values that do not fit the schema.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Record, Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        let record = Record::evaluate(&self.body, scope, Mode::Plan, &mut diagnostics);
        match diagnostics.has_errors() {
            true => Err(diagnostics),
            false => Ok(record),
        }
    }

    /// Returns the typed form of an evaluated block.
    ///
    /// # Errors
    /// What the schema cannot say: rules between attributes, and values that are not known but have to be.
    pub fn decode(&self, record: &Record) -> Result<Block, Diagnostics> {
        blocks::decode(&self.body.schema, record)
    }

    /// Returns what stands for the resource where nothing of it is known, and how many of the steps into it that takes:
    /// every attribute and output is unknown. With `count` or `for_each`, even the instances are.
    pub fn placeholder(&self, steps: &[PathStep]) -> (Value, usize) {
        let unknown = |name: &str| Value::unknown(format!("{}.{name}", self.address));
        match steps.first() {
            _ if self.meta.count.is_some() || self.meta.for_each.is_some() => {
                (Value::unknown(self.address.to_string()), 0)
            }
            Some(PathStep::Name(name)) if self.has_part(name) => (unknown(name), 1),
            _ => {
                let fields = self.parts().iter().map(|name| (Arc::clone(name), unknown(name)));
                (Value::object(fields).with_origin(self.address.clone()), 0)
            }
        }
    }

    /// Returns the instance that the steps behind its name say, where they say one.
    pub(super) fn key_of(&self, steps: &[PathStep]) -> Option<Key> {
        match steps.first() {
            Some(PathStep::Index(index)) if self.meta.count.is_some() => Some(Key::Index(*index)),
            Some(PathStep::Name(name)) if self.meta.for_each.is_some() => Some(Key::Name(Arc::clone(name))),
            _ => None,
        }
    }

    /// Returns the names that can be read of it: its attributes, its blocks and its outputs.
    pub fn parts(&self) -> &[Arc<str>] {
        self.body.schema.parts()
    }

    /// Whether something of this name can be read of it.
    pub(super) fn has_part(&self, name: &str) -> bool {
        self.parts().iter().any(|part| **part == *name)
    }

    /// Where its references stand.
    pub(super) fn place(&self) -> Place {
        Place {
            count: self.meta.count.is_some(),
            each: self.meta.for_each.is_some(),
            ..Place::default()
        }
    }
}

/// Returns the way to a module, without keys.
pub(super) fn steps(module: &[Arc<str>]) -> Vec<ModuleStep> {
    let step = |name: &Arc<str>| ModuleStep {
        name: Arc::clone(name),
        key: None,
    };
    module.iter().map(step).collect()
}

/// A value with a name, for use in other expressions.
#[derive(Debug, Clone)]
pub struct Local {
    /// Its expression.
    pub expr: Expr,
    /// Where its name is set.
    pub span: Span,
    /// Its value, where that depends on no resource.
    pub value: Option<Value>,
}

impl Local {
    /// Returns the other locals that it names.
    pub(super) fn locals(&self) -> impl Iterator<Item = &Arc<str>> {
        let references = self.expr.references().iter();
        let locals = references.filter(|reference| &*reference.root == "local");
        locals.filter_map(|reference| match reference.steps.first() {
            Some(PathStep::Name(name)) => Some(name),
            _ => None,
        })
    }
}

/// A value that the fleet hands out.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its expression.
    pub expr: Expr,
    /// Its first line.
    pub span: Span,
    /// What it is, for people.
    pub description: Option<String>,
    /// Whether it is never shown.
    pub sensitive: bool,
    /// What must be there before it.
    pub depends_on: Vec<Reference>,
    /// What must hold before it is handed out.
    pub preconditions: Vec<Condition>,
}

impl Output {
    /// Returns every name in it.
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.expr.references().to_vec();
        references.extend(self.depends_on.iter().cloned());
        references.extend(self.preconditions.iter().flat_map(Condition::references));
        references
    }
}

impl Output {
    /// Returns what is told where it holds a secret and does not say so.
    pub(crate) fn shows_secret(&self, name: &str) -> Diagnostic {
        let detail = format!("Output `{name}` holds a sensitive value, and outputs are shown.");
        let diagnostic = Diagnostic::error("Sensitive output", detail).at(self.span.clone());
        diagnostic.hint("add sensitive = true, or use nonsensitive(…) if it is no secret")
    }
}

/// The schema of an `output` block.
pub(super) fn output_schema() -> BlockSchema {
    BlockSchema::new("output", "A value that the fleet hands out: `simfleet output`.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::expression("value", "what is handed out").required(),
            AttributeSchema::string("description", "what it is, for people"),
            AttributeSchema::bool("sensitive", "it is never shown").default(false),
            AttributeSchema::expression("depends_on", "a list of what must be there before it"),
        ])
        .any(super::condition::schema("precondition"))
}

/// The schema of a `locals` block: any names.
pub(super) fn locals_schema() -> Arc<BlockSchema> {
    static SCHEMA: LazyLock<Arc<BlockSchema>> = LazyLock::new(|| {
        Arc::new(BlockSchema::new("locals", "Values with a name, for use in other expressions.").open())
    });
    Arc::clone(&SCHEMA)
}

/// A configuration of a provider.
#[derive(Debug, Clone)]
pub struct ProviderBlock {
    /// The provider.
    pub name: Arc<str>,
    /// Its name, where it is not the one without.
    pub alias: Option<Arc<str>>,
    /// Its first line.
    pub span: Span,
    /// Its settings.
    pub body: Body,
}

impl ProviderBlock {
    /// Returns every name in it.
    pub fn references(&self) -> Vec<Reference> {
        let mut references = Vec::new();
        self.body
            .expressions(&mut |attribute| references.extend_from_slice(attribute.expr.references()));
        references
    }

    /// Returns its settings; unknown where they read what only the apply will tell.
    ///
    /// # Errors
    /// All expressions that cannot be evaluated and all values that do not fit.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Record, Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        let record = Record::evaluate(&self.body, scope, Mode::Plan, &mut diagnostics);
        match diagnostics.has_errors() {
            true => Err(diagnostics),
            false => Ok(record),
        }
    }
}
