//! `check`: what should hold of the fleet. Unlike a condition of a resource, one that does not hold stops nothing.

use std::sync::Arc;

use crate::config::check::Body;
use crate::config::condition::{self, Condition};
use crate::config::eval::{Reference, Scope};
use crate::config::schema::BlockSchema;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, Span};

/// What should hold of the fleet.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its name.
    pub name: Arc<str>,
    /// What should hold.
    pub asserts: Vec<Condition>,
    /// Its first line.
    pub span: Span,
}

pub(in crate::config) fn schema() -> BlockSchema {
    BlockSchema::new(
        "check",
        "What should hold of the fleet; where it does not, that is a warning.",
    )
    .labels(&["name"])
    .nested(condition::schema("assert"), 1, usize::MAX)
}

impl Check {
    /// Reads the block.
    pub(in crate::config) fn read(mut body: Body) -> Self {
        Check {
            name: body
                .labels
                .first()
                .map_or_else(|| Arc::from(""), |label| Arc::clone(&label.text)),
            asserts: body
                .take_blocks("assert")
                .into_iter()
                .filter_map(Condition::of)
                .collect(),
            span: body.header,
        }
    }

    /// Returns every name in it.
    pub fn references(&self) -> Vec<Reference> {
        self.asserts.iter().flat_map(Condition::references).collect()
    }

    /// Returns a warning for each assert that does not hold or cannot be evaluated. One that only the apply can tell says
    /// nothing: it is looked at again after it.
    pub fn warnings(&self, scope: &dyn Scope) -> Diagnostics {
        let mut warnings = Diagnostics::new();
        for assert in &self.asserts {
            let Err(found) = assert.check("Check failed", scope) else {
                continue;
            };
            for diagnostic in found.0 {
                let detail = format!("check \"{}\": {}", self.name, diagnostic.detail);
                warnings.push(Diagnostic {
                    severity: Severity::Warning,
                    detail,
                    ..diagnostic
                });
            }
        }
        warnings
    }
}
