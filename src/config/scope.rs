//! What the names in expressions stand for.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use simfleet_provider_api::{Address, Key, PathStep, Value};
use uuid::Uuid;

use super::eval::{Reference, Scope};
use super::load::Unset;
use super::meta::Instances;
use super::names::{self, Place};
use super::values::{Module, Names};
use super::variables::Variable;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// The values of resources, as far as they are evaluated: the planner's.
pub trait Resources {
    /// Returns the value of a declaration by the address of its block, the keys of modules in it: an object with its
    /// address as origin; a tuple of them with `count`, an object of them with `for_each`. `None` where it was not
    /// evaluated yet: everything in it is unknown then.
    fn value(&self, block: &Address) -> Option<Value>;
}

/// No resource has a value: the file is only checked.
#[derive(Debug, Clone, Copy)]
pub struct NoResources;

impl Resources for NoResources {
    fn value(&self, _: &Address) -> Option<Value> {
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

    /// Returns the instances of a block, sorted.
    pub fn all(instances: Instances) -> Vec<Self> {
        match instances {
            Instances::Single => vec![Instance::default()],
            Instances::Count(count) => (0..count).map(Instance::index).collect(),
            Instances::Each(each) => each
                .into_iter()
                .map(|(key, value)| Instance::each(key, value))
                .collect(),
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

/// The names as one instance of a block sees them.
pub struct InstanceScope<'n, 'a> {
    names: &'n Names<'a>,
    module: Rc<Module<'a>>,
    instance: Instance,
}

impl<'n, 'a> InstanceScope<'n, 'a> {
    pub(super) fn new(names: &'n Names<'a>, module: Rc<Module<'a>>, instance: Instance) -> Self {
        InstanceScope {
            names,
            module,
            instance,
        }
    }

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
        let (declaration, labels) = names::resource(self.module.config, reference)?;
        if let Some(value) = self.names.resource(&self.module, declaration) {
            return Ok((value, labels));
        }
        let (value, taken) = declaration.placeholder(&reference.steps[labels..]);
        Ok((value, labels + taken))
    }
}

impl Scope for InstanceScope<'_, '_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostic> {
        let config = self.module.config;
        let first = match reference.steps.first() {
            Some(PathStep::Name(name)) => Some(&**name),
            _ => None,
        };
        match (&*reference.root, first) {
            ("var", Some(name)) => self.names.variable(&self.module, name).map(|value| (value, 1)),
            ("local", Some(name)) => match self.names.local(&self.module, name) {
                Ok(value) => Ok((value, 1)),
                Err(errors) => Err(first_of(errors, || format!("`local.{name}` cannot be evaluated."))),
            },
            ("module", Some(name)) => names::check(config, reference, &Place::anywhere()).and_then(|()| {
                let value = self.names.call(&self.module, reference);
                value.map_err(|errors| first_of(errors, || format!("`module.{name}` cannot be evaluated.")))
            }),
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
            _ if names::is_every_robot(reference) => Ok((Value::unknown("robot[\"*\"]"), 1)),
            ("workspace", Some(name)) => Err(names::unknown_part(reference, name)),
            ("var" | "local" | "module" | "path" | "workspace", None) => Err(names::incomplete(reference)),
            _ => self.resource(reference),
        }
        .map_err(|diagnostic| match diagnostic.span {
            Some(_) => diagnostic,
            None => diagnostic.at(reference.span.clone()),
        })
    }

    fn folder(&self) -> &Path {
        &self.module.config.folder
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.module.config.environment.get(name).cloned()
    }

    fn is_environment_known(&self) -> bool {
        self.module.config.unset == Unset::Error
    }

    fn now(&self) -> Option<Timestamp> {
        Some(self.names.moment().applied?.at)
    }

    fn planned_at(&self) -> Option<Timestamp> {
        self.names.moment().planned_at
    }

    fn uuid(&self, at: &Span, nth: u64) -> Option<Uuid> {
        let applied = self.names.moment().applied?;
        let of = match (&self.instance.key, &self.instance.member) {
            (None, None) => self.module.place(),
            (key, member) => format!("{} {key:?} {member:?}", self.module.place()),
        };
        Some(applied.uuid(at, nth, &of))
    }
}

fn first_of(errors: Diagnostics, otherwise: impl FnOnce() -> String) -> Diagnostic {
    let first = errors.0.into_iter().next();
    first.unwrap_or_else(|| Diagnostic::error("Invalid expression", otherwise()))
}

/// A scope in which only variables, if any, have names: for what must be known before anything else is.
pub struct Constants<'a> {
    /// The folder of the fleet.
    pub folder: &'a Path,
    /// The environment.
    pub environment: &'a BTreeMap<String, String>,
    /// What becomes of a variable of the environment that is not set.
    pub unset: Unset,
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

    fn is_environment_known(&self) -> bool {
        self.unset == Unset::Error
    }
}
