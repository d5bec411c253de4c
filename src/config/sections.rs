//! Blocks that are no resources, read where they are needed: their secrets are not, for what needs none.

use std::path::Path;

use jiff::Timestamp;
use simfleet_provider_api::Value;
use uuid::Uuid;

use super::Config;
use super::check::Body;
use super::eval::{Reference, Scope};
use super::record::{Mode, Record};
use super::scope::{Instance, NoResources};
use super::values::Names;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// Reads the block of a type of the fleet itself; `None` where there is none.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read<T>(
    config: &Config,
    name: &str,
    decode: impl FnOnce(&Record) -> Result<T, Diagnostics>,
) -> Result<Option<T>, Diagnostics> {
    let Some(body) = config.sections.iter().find(|section| section.schema.name == name) else {
        return Ok(None);
    };
    let names = Names::new(config, &NoResources);
    let scope = names.scope(Instance::default());
    let mut diagnostics = Diagnostics::new();
    let record = Record::evaluate(body, &scope, Mode::Plan, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    decode(&record).map(Some)
}

/// Whether a block is one that only `simfleet watch` reads.
pub(super) fn is_read_by_watch(section: &Body) -> bool {
    matches!(section.schema.name, "access" | "serve")
}

/// A scope of which the environment is that of another: who watches a fleet has its tokens, and who applies it need not.
pub(super) struct Elsewhere<'s>(pub(super) &'s dyn Scope);

impl Scope for Elsewhere<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostic> {
        self.0.resolve(reference)
    }

    fn folder(&self) -> &Path {
        self.0.folder()
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.0.environment(name)
    }

    fn is_environment_known(&self) -> bool {
        false
    }

    fn now(&self) -> Option<Timestamp> {
        self.0.now()
    }

    fn planned_at(&self) -> Option<Timestamp> {
        self.0.planned_at()
    }

    fn uuid(&self, at: &Span, nth: u64) -> Option<Uuid> {
        self.0.uuid(at, nth)
    }
}
