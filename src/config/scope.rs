//! What the names in expressions stand for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use simfleet_provider_api::{Key, PathStep, Value};

use super::Config;
use super::declaration::Declaration;
use super::eval::{Reference, Scope, evaluate};
use super::names::{self, Place};
use super::variables::Variable;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The values of resources, as far as they are evaluated: the planner's.
pub trait Resources {
    /// Returns the value of a declaration: an object with its address as origin; a tuple of them with `count`, an
    /// object of them with `for_each`. `None` where it was not evaluated yet: everything in it is unknown then.
    fn value(&self, declaration: &Declaration) -> Option<Value>;
}

/// No resource has a value: the file is only checked.
#[derive(Debug, Clone, Copy)]
pub struct NoResources;

impl Resources for NoResources {
    fn value(&self, _: &Declaration) -> Option<Value> {
        None
    }
}

/// Which instance of a block is evaluated.
#[derive(Debug, Clone, Default)]
pub struct Instance {
    /// Its key: `count.index` or `each.key`.
    pub key: Option<Key>,
    /// `each.value`.
    pub value: Option<Value>,
    /// `member`: the member of a pool that its `node` block is evaluated for.
    pub member: Option<Value>,
    /// `self`: the resource itself, in a postcondition.
    pub this: Option<Value>,
}

impl Instance {
    /// An instance of a block with `count`.
    pub fn index(index: u64) -> Self {
        Instance {
            key: Some(Key::Index(index)),
            ..Instance::default()
        }
    }

    /// An instance of a block with `for_each`.
    pub fn each(key: impl Into<Arc<str>>, value: Value) -> Self {
        Instance {
            key: Some(Key::Name(key.into())),
            value: Some(value),
            ..Instance::default()
        }
    }
}

/// The names of a fleet with the values of its resources. A local is evaluated once, when it is first needed, so make a
/// new one when resources got other values.
pub struct Names<'a> {
    config: &'a Config,
    resources: &'a dyn Resources,
    locals: RefCell<BTreeMap<Arc<str>, Result<Value, Diagnostics>>>,
}

impl<'a> Names<'a> {
    /// Returns the names of a fleet.
    pub fn new(config: &'a Config, resources: &'a dyn Resources) -> Self {
        Names {
            config,
            resources,
            locals: RefCell::default(),
        }
    }

    /// Returns the scope of one instance of a block; `Instance::default()` for a block without instances.
    pub fn scope(&self, instance: Instance) -> InstanceScope<'_> {
        InstanceScope { names: self, instance }
    }

    /// Returns the value of a local.
    ///
    /// # Errors
    /// All that is wrong with its expression, or with that of one that it needs.
    pub(super) fn local(&self, name: &str) -> Result<Value, Diagnostics> {
        let Some((name, local)) = self.config.locals.get_key_value(name) else {
            return Err(names::unknown_local(self.config, name).into());
        };
        if let Some(value) = &local.value {
            return Ok(value.clone());
        }
        self.evaluate(name);
        let locals = self.locals.borrow();
        locals.get(name).cloned().unwrap_or_else(|| Ok(unknown(name)))
    }

    /// Evaluates a local, and before it all those that it needs. Not by recursion: a chain of locals can be as long as
    /// the fleet.
    fn evaluate(&self, name: &Arc<str>) {
        enum Step<'n> {
            Enter(&'n Arc<str>),
            Leave(&'n Arc<str>),
        }
        let mut steps = vec![Step::Enter(name)];
        while let Some(step) = steps.pop() {
            match step {
                Step::Enter(name) => {
                    let Some(local) = self.config.locals.get(name).filter(|local| local.value.is_none()) else {
                        continue;
                    };
                    if self.locals.borrow().contains_key(name) {
                        continue;
                    }
                    // What needs itself finds this: cycles are reported when the fleet is loaded.
                    self.locals.borrow_mut().insert(Arc::clone(name), Ok(unknown(name)));
                    steps.push(Step::Leave(name));
                    steps.extend(local.locals().map(Step::Enter));
                }
                Step::Leave(name) => {
                    let Some(local) = self.config.locals.get(name) else {
                        continue;
                    };
                    let value = evaluate(&local.expr, &self.scope(Instance::default()));
                    self.locals.borrow_mut().insert(Arc::clone(name), value);
                }
            }
        }
    }
}

fn unknown(local: &str) -> Value {
    Value::unknown(format!("local.{local}"))
}

/// The names as one instance of a block sees them.
pub struct InstanceScope<'a> {
    names: &'a Names<'a>,
    instance: Instance,
}

impl InstanceScope<'_> {
    /// Returns one of the values that depend on the instance. They are unknown where there is no instance, as when a
    /// file is only checked.
    fn of_instance(&self, reference: &Reference) -> Result<(Value, usize), Diagnostic> {
        let root = &*reference.root;
        let Some(PathStep::Name(name)) = reference.steps.first() else {
            return Err(names::incomplete(reference));
        };
        let value = match (root, &**name, &self.instance.key) {
            ("count", "index", Some(Key::Index(index))) => Value::from(*index),
            ("each", "key", Some(Key::Name(key))) => Value::string(Arc::clone(key)),
            ("each", "value", Some(_)) => self.instance.value.clone().unwrap_or(Value::NULL),
            ("count", "index", _) | ("each", "key" | "value", _) => Value::unknown(format!("{root}.{name}")),
            _ => return Err(names::unknown_part(reference, name)),
        };
        Ok((value, 1))
    }

    fn resource(&self, reference: &Reference) -> Result<(Value, usize), Diagnostic> {
        let config = self.names.config;
        let (declaration, labels) = names::declaration(config, reference)?;
        let value = self.names.resources.value(declaration);
        Ok((value.unwrap_or_else(|| declaration.placeholder()), labels))
    }
}

impl Scope for InstanceScope<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostic> {
        let config = self.names.config;
        let first = match reference.steps.first() {
            Some(PathStep::Name(name)) => Some(&**name),
            _ => None,
        };
        match (&*reference.root, first) {
            ("var", Some(name)) => match config.variables.get(name) {
                Some(variable) => Ok((variable.value.clone(), 1)),
                None => Err(names::unknown_variable(config, name)),
            },
            ("local", Some(name)) => match self.names.local(name) {
                Ok(value) => Ok((value, 1)),
                Err(errors) => Err(errors.0.into_iter().next().unwrap_or_else(|| {
                    Diagnostic::error("Invalid local", format!("`local.{name}` cannot be evaluated."))
                })),
            },
            ("path", Some(name)) => names::path(config, name)
                .map(|value| (value, 1))
                .ok_or_else(|| names::unknown_part(reference, name)),
            ("workspace", Some("name")) => Ok((Value::string(Arc::clone(&config.workspace)), 1)),
            ("self", _) => match &self.instance.this {
                Some(this) => Ok((this.clone(), 0)),
                None => Ok((Value::unknown("self"), 0)),
            },
            ("member", _) => match &self.instance.member {
                Some(member) => Ok((member.clone(), 0)),
                None => Ok((Value::unknown("member"), 0)),
            },
            ("count" | "each", _) => self.of_instance(reference),
            _ => match names::check(config, reference, &Place::anywhere()) {
                Err(diagnostic) => Err(diagnostic),
                Ok(()) => self.resource(reference),
            },
        }
        .map_err(|diagnostic| match diagnostic.span {
            Some(_) => diagnostic,
            None => diagnostic.at(reference.span.clone()),
        })
    }

    fn folder(&self) -> &Path {
        &self.names.config.folder
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.names.config.environment.get(name).cloned()
    }

    fn planned_at(&self) -> Option<Timestamp> {
        self.names.config.planned_at
    }
}

/// A scope in which only variables, if any, have names: for what must be known before anything else is.
pub struct Constants<'a> {
    /// The folder of the fleet.
    pub folder: &'a Path,
    /// The environment.
    pub environment: &'a BTreeMap<String, String>,
    /// The variables that are seen.
    pub variables: Option<&'a BTreeMap<Arc<str>, Variable>>,
}

impl Scope for Constants<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostic> {
        let first = match reference.steps.first() {
            Some(PathStep::Name(name)) => Some(&**name),
            _ => None,
        };
        let at = reference.span.clone();
        match (&*reference.root, first, self.variables) {
            ("var", Some(name), Some(variables)) => match variables.get(name) {
                Some(variable) => Ok((variable.value.clone(), 1)),
                None => {
                    let detail = format!("`var.{name}` is not declared in this fleet.");
                    let near = crate::diagnostic::nearest(name, variables.keys().map(|name| &**name));
                    let diagnostic = Diagnostic::error("Unknown reference", detail).at(at);
                    Err(match near {
                        Some(near) => diagnostic.hint(format!("did you mean `var.{near}`?")),
                        None => diagnostic,
                    })
                }
            },
            (root, _, variables) => {
                let only = match variables {
                    Some(_) => "only variables can be used here",
                    None => "this must be known before anything else, so no names can be used here",
                };
                let detail = format!("`{root}` cannot be used here: {only}.");
                let diagnostic = Diagnostic::error("Constant required", detail).at(at);
                Err(match (reference.steps.is_empty(), variables) {
                    (true, None) => diagnostic.hint(format!("a string stands in double quotes: {root:?}")),
                    _ => diagnostic,
                })
            }
        }
    }

    fn folder(&self) -> &Path {
        self.folder
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }
}
