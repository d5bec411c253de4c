//! `precondition` and `postcondition`: what must hold before an instance is made or changed, and of it afterwards.

use simfleet_provider_api::Value;

use super::{Declared, One, Session, scope};
use crate::config::{Condition, Held, Instance, InstanceScope, Names};
use crate::diagnostic::Diagnostics;
use crate::lower::Objects;

pub(super) const PRECONDITION: &str = "Precondition failed";
pub(super) const POSTCONDITION: &str = "Postcondition failed";

/// Checks what must hold before an instance is made or changed.
pub(in crate::plan) fn precondition(
    declared: &Declared<'_>,
    scope: &InstanceScope<'_, '_>,
) -> Result<Held, Diagnostics> {
    let conditions = &declared.declaration.meta.lifecycle.preconditions;
    Condition::check_all(conditions, PRECONDITION, scope)
}

/// Checks what must hold of an instance as it is or will be: `self`.
pub(in crate::plan) fn postcondition(
    declared: &Declared<'_>,
    one: &One,
    value: Value,
    names: &Names<'_>,
) -> Result<Held, Diagnostics> {
    let conditions = &declared.declaration.meta.lifecycle.postconditions;
    if conditions.is_empty() {
        return Ok(Held::Yes);
    }
    let instance = Instance {
        this: Some(value),
        ..one.instance.clone()
    };
    let scope = scope(names, &declared.block, instance)?;
    Condition::check_all(conditions, POSTCONDITION, &scope)
}

impl Session<'_> {
    /// Tells whether the conditions of one instance hold, before and after it is made.
    ///
    /// # Errors
    /// Those that do not, and those that cannot be evaluated.
    pub(super) fn holds(
        &self,
        declared: &Declared<'_>,
        one: &One,
        names: &Names<'_>,
        objects: &dyn Objects,
    ) -> Result<Held, Diagnostics> {
        let scope = scope(names, &declared.block, one.instance.clone())?;
        let before = precondition(declared, &scope)?;
        let value = self.value_as_made(declared, one, (&self.names_of_plan(), names), objects)?;
        Ok(before.max(postcondition(declared, one, value, names)?))
    }
}
