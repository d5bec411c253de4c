//! Blocks that are no resources, read where they are needed: their secrets are not, for what needs none.

use super::Config;
use super::record::{Mode, Record};
use super::scope::{Instance, NoResources};
use super::values::Names;
use crate::diagnostic::Diagnostics;

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
