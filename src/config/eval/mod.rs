//! The evaluator of expressions, over hcl-edit's syntax tree.
//!
//! Unknown and sensitive travel through every operator, template, `for`, splat and function, per attribute.
//!
//! - `evaluator`: the walk; `operators`, `traversal`, `template`, `comprehension`, `call`: what it meets on its way
//! - [`functions`]: Terraform's functions, one file a family
//! - `references`: the names in an expression; [`render`]: a value as `console` prints it

use std::path::Path;
use std::sync::Arc;

use hcl_edit::expr::{Expression, Traversal};
use hcl_edit::visit_mut::{VisitMut, visit_traversal_mut};
use jiff::Timestamp;
use simfleet_provider_api::{PathStep, Value};
use uuid::Uuid;

use crate::config::nesting;
use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile, Span};

mod call;
mod comprehension;
mod evaluator;
pub mod functions;
mod operators;
mod references;
pub mod render;
mod template;
mod traversal;

pub use render::{console, render};

/// An expression and the file that it stands in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Expr {
    /// The syntax tree, its spans in bytes of `file`.
    pub syntax: Arc<Expression>,
    /// The file.
    pub file: Arc<SourceFile>,
    /// The names in it.
    references: Arc<[Reference]>,
}

impl Expr {
    /// Makes an expression of a part of a file.
    pub fn new(mut syntax: Expression, file: &Arc<SourceFile>) -> Self {
        Shrink.visit_expr_mut(&mut syntax);
        Expr {
            references: references::of(&syntax, file).into(),
            syntax: Arc::new(syntax),
            file: Arc::clone(file),
        }
    }

    /// Returns the names that it refers to, in the order in which they stand there, without those that it binds itself
    /// (`for`).
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Reads an expression that stands alone: a line of `console`, a value of `--var`. `name` stands for the file in
    /// messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostic> {
        let file = Arc::new(SourceFile {
            path: name.into(),
            text: text.to_owned(),
        });
        nesting::check(&file)?;
        match text.parse() {
            Ok(syntax) => Ok(Expr::new(syntax, &file)),
            Err(error) => Err(evaluator::syntax_error(&error, &file)),
        }
    }
}

/// Gives back the room that the parser took for more steps than there are: half of what an expression takes.
struct Shrink;

impl VisitMut for Shrink {
    fn visit_traversal_mut(&mut self, traversal: &mut Traversal) {
        traversal.operators.shrink_to_fit();
        visit_traversal_mut(self, traversal);
    }
}

/// A name that an expression refers to: a root and the constant steps behind it, as far as they are constant:
/// `simulator`, `["vehicle", "quad", 0, "ports", "gcs"]`. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The first name: `var`, `local`, `pool`, `each` …
    pub root: Arc<str>,
    /// The attributes and indexes behind it that are constants.
    pub steps: Arc<[PathStep]>,
    /// Where.
    pub span: Span,
}

/// What the names in an expression stand for, and what functions need of the world.
pub trait Scope {
    /// Returns the value that a reference starts with, and how many of its steps that value already includes; the
    /// evaluator takes the others. So `simulator.vehicle.quad[0].ports` can be answered with the value of
    /// `simulator.vehicle.quad` and 2. Where a step into a sensitive value was taken, the result is marked.
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostic>;

    /// The folder that relative paths of file functions start from: `path.module`.
    fn folder(&self) -> &Path;

    /// Returns an environment variable, for `env()`.
    fn environment(&self, name: &str) -> Option<String>;

    /// Whether a variable of the environment that is not set is a mistake; it is not known where a fleet is only checked,
    /// perhaps elsewhere than where it is applied.
    fn is_environment_known(&self) -> bool {
        true
    }

    /// The time that `timestamp()` returns. `None`, as in a plan, makes it unknown: what is planned would be something
    /// else when it is applied.
    fn now(&self) -> Option<Timestamp> {
        None
    }

    /// The time that `plantimestamp()` returns: when the plan was made.
    fn planned_at(&self) -> Option<Timestamp> {
        self.now()
    }

    /// The UUID that a call of `uuid()` returns; `nth` tells the calls of one evaluation apart. Unknown where the time is.
    fn uuid(&self, _at: &Span, _nth: u64) -> Option<Uuid> {
        self.now().map(|_| Uuid::new_v4())
    }
}

/// Returns the value of an expression. All errors of the expression are reported, not only the first.
pub fn evaluate(expr: &Expr, scope: &dyn Scope) -> Result<Value, Diagnostics> {
    evaluator::Evaluator::new(scope, &expr.file).run(&expr.syntax)
}
