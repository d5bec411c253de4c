//! How changes of a resource are made: the `lifecycle` and `timeouts` of its block, in terms of the resource.

use std::sync::Arc;

use simfleet_provider_api::{Address, Schema};
use simfleet_state::{Drain, HealthCheck, Login, Timeouts};

use crate::config::{Declaration, IgnoreChanges};
use crate::diagnostic::{Diagnostic, Span};

/// How changes of a resource are made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// A replacement is made before the old object goes.
    pub create_before_destroy: bool,
    /// A plan that deletes it is refused.
    pub prevent_destroy: bool,
    /// What is left as it is, whatever is declared and whoever changed it.
    pub ignored: IgnoreChanges,
    /// What has it made anew where it changes.
    pub triggers: Vec<Trigger>,
    /// How long its operations may take.
    pub timeouts: Timeouts,
    /// How it is emptied before it goes, where it is a member of a pool.
    pub drain: Option<Drain>,
    /// Whether it is a member of a pool that waits, and has nothing to do meanwhile.
    pub waits: bool,
    /// How it is told whether it is healthy, where it is a node with a check.
    pub health_check: Option<Box<HealthCheck>>,
    /// How its agent is reached, where it is a machine with one that is logged in to.
    pub agent: Option<Box<Login>>,
}

/// A reference of `replace_triggered_by`.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// The resource; that of a block stands for all its instances.
    pub address: Address,
    /// The attribute; without one, any.
    pub attribute: Option<Arc<str>>,
}

impl Policy {
    /// Returns the policy of a declaration's resources.
    pub(super) fn of(declaration: &Declaration, triggers: Vec<Trigger>, create_before_destroy: bool) -> Self {
        let lifecycle = &declaration.meta.lifecycle;
        Policy {
            create_before_destroy,
            prevent_destroy: lifecycle.prevent_destroy,
            ignored: match &lifecycle.ignore_changes {
                IgnoreChanges::All => IgnoreChanges::All,
                // The template of a pool is all that its members are.
                IgnoreChanges::Only(names) if names.iter().any(|name| &**name == "node") => IgnoreChanges::All,
                IgnoreChanges::Only(names) => {
                    IgnoreChanges::Only(names.iter().map(|name| in_resource(name).into()).collect())
                }
            },
            triggers,
            timeouts: declaration.meta.timeouts,
            drain: None,
            waits: false,
            health_check: None,
            agent: None,
        }
    }

    /// Returns the policy of what a block has beside its resource: what it says of attributes is not about that.
    pub(super) fn of_part(self) -> Self {
        Policy {
            ignored: match self.ignored {
                IgnoreChanges::All => IgnoreChanges::All,
                IgnoreChanges::Only(_) => IgnoreChanges::Only(Vec::new()),
            },
            triggers: Vec::new(),
            ..self
        }
    }

    /// Checks what is ignored against the schema of the resource.
    ///
    /// # Errors
    /// The block has the attribute and the resource has not: it is made of several.
    pub fn check(&self, schema: &Schema, address: &Address, span: Option<&Span>) -> Result<(), Diagnostic> {
        let IgnoreChanges::Only(names) = &self.ignored else {
            return Ok(());
        };
        let Some(unknown) = names.iter().find(|name| schema.attribute(name).is_none()) else {
            return Ok(());
        };
        let detail = format!("Changes of `{unknown}` cannot be ignored alone: it goes into something larger.");
        let known: Vec<&str> = schema
            .attributes
            .iter()
            .filter(|it| it.is_configurable())
            .map(|it| it.name)
            .collect();
        let diagnostic = Diagnostic::error("Cannot be ignored", detail)
            .on(address.clone())
            .at(span.cloned());
        Err(diagnostic.hint(format!("what can be ignored is all, or any of {}", known.join(", "))))
    }

    /// Whether changes of an attribute are ignored.
    pub fn ignores(&self, attribute: &str) -> bool {
        match &self.ignored {
            IgnoreChanges::All => true,
            IgnoreChanges::Only(names) => names.iter().any(|name| &**name == attribute),
        }
    }
}

/// Returns what an attribute or a block of a declaration is called in the resource.
pub fn in_resource(name: &str) -> &str {
    match name {
        "port" => "ports",
        "volume" => "mounts",
        // Another content makes another image.
        "build" => "image",
        "drive" => "drives",
        "console" => "consoles",
        "file" => "files",
        "log_driver" | "log_options" => "log",
        _ => name,
    }
}
