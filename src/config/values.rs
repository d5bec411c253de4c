//! The values behind names: locals, the variables and outputs of modules, and which instances modules have.
//!
//! Each is evaluated once, when it is first needed, and before it all that it needs. Not by recursion: a chain of locals
//! can be as long as the fleet, and one through modules too.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use simfleet_provider_api::{Key, ModuleStep, PathStep, Value};

use super::Config;
use super::declaration::Declaration;
use super::eval::{Expr, Reference, evaluate};
use super::meta::Instances;
use super::module::Call;
use super::moment::Moment;
use super::names;
use super::record::Mode;
use super::scope::{Instance, InstanceScope, Resources};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The names of a fleet with the values of its resources. What is evaluated is kept, so make a new one when resources got
/// other values.
pub struct Names<'a> {
    resources: &'a dyn Resources,
    mode: Mode,
    moment: Moment,
    root: Rc<Module<'a>>,
    modules: RefCell<BTreeMap<Vec<ModuleStep>, Rc<Module<'a>>>>,
}

/// One instance of a module, or the fleet itself.
pub(super) struct Module<'a> {
    pub(super) config: &'a Config,
    /// The way to it, with the keys of instances.
    path: Vec<ModuleStep>,
    /// Who calls it, and for which instance.
    caller: Option<(Rc<Module<'a>>, &'a Call, Instance)>,
    values: RefCell<BTreeMap<Name, Result<Value, Diagnostics>>>,
    instances: RefCell<BTreeMap<Arc<str>, Expanded>>,
}

/// Which instances a call has; `None` while that is worked out.
type Expanded = Result<Option<Instances>, Diagnostics>;

/// What has a value in a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Local(Arc<str>),
    Variable(Arc<str>),
    Output(Arc<str>),
}

/// What is to be evaluated.
enum Step<'a> {
    /// A value, after all that it needs.
    Enter(Rc<Module<'a>>, Name),
    /// A value, now.
    Leave(Rc<Module<'a>>, Name),
    /// Which instances a call has, after all that this needs.
    EnterInstances(Rc<Module<'a>>, &'a Call),
    /// Which instances a call has, now.
    LeaveInstances(Rc<Module<'a>>, &'a Call),
    /// One output, or all, of each instance that a reference can mean.
    Outputs(Rc<Module<'a>>, &'a Call, Option<Arc<str>>),
}

impl<'a> Names<'a> {
    /// Returns the names of a fleet, for a plan: the instances of modules must be known.
    pub fn new(config: &'a Config, resources: &'a dyn Resources) -> Self {
        Self::with(config, resources, Mode::Plan)
    }

    /// Returns the names of a fleet that is only checked: each module stands for all its instances.
    pub(super) fn unexpanded(config: &'a Config, resources: &'a dyn Resources) -> Self {
        Self::with(config, resources, Mode::Check)
    }

    fn with(config: &'a Config, resources: &'a dyn Resources, mode: Mode) -> Self {
        Names {
            resources,
            mode,
            moment: Moment::default(),
            root: Rc::new(Module::new(config, Vec::new(), None)),
            modules: RefCell::default(),
        }
    }

    /// Has them be evaluated at a moment.
    pub fn at(self, moment: Moment) -> Self {
        Names { moment, ..self }
    }

    pub(super) fn moment(&self) -> &Moment {
        &self.moment
    }

    /// Returns the scope of one instance of a block of the fleet itself; `Instance::default()` for a block without
    /// instances.
    pub fn scope(&self, instance: Instance) -> InstanceScope<'_, 'a> {
        InstanceScope::new(self, Rc::clone(&self.root), instance)
    }

    /// Returns the scope of one instance of a block in an instance of a module; `None` where there is no such instance.
    pub fn scope_in(&self, module: &[ModuleStep], instance: Instance) -> Option<InstanceScope<'_, 'a>> {
        Some(InstanceScope::new(self, self.find(module)?, instance))
    }

    /// Returns the instances of a module, by the names of the blocks that lead to it, in their order.
    ///
    /// # Errors
    /// `count` or `for_each` of one of the blocks cannot be evaluated, or is not known yet.
    pub fn instances_of(&self, module: &[Arc<str>]) -> Result<Vec<Vec<ModuleStep>>, Diagnostics> {
        let mut paths: Vec<Vec<ModuleStep>> = vec![Vec::new()];
        for name in module {
            let mut deeper = Vec::new();
            for path in paths {
                let Some(outer) = self.find(&path) else { continue };
                let Some(call) = outer.config.calls.get(name) else {
                    continue;
                };
                for instance in self.instances(&outer, call)?.unwrap_or_default() {
                    let step = ModuleStep {
                        name: Arc::clone(name),
                        key: instance.key,
                    };
                    deeper.push([&*path, &[step]].concat());
                }
            }
            paths = deeper;
        }
        Ok(paths)
    }

    /// Checks what must hold of the variables of an instance of a module.
    ///
    /// # Errors
    /// All that does not hold, and values that do not fit.
    pub fn check_variables(&self, path: &[ModuleStep]) -> Result<(), Diagnostics> {
        let Some(module) = self.find(path).filter(|module| module.caller.is_some()) else {
            return Ok(());
        };
        let scope = InstanceScope::new(self, Rc::clone(&module), Instance::default());
        let mut diagnostics = Diagnostics::new();
        for (name, variable) in &module.config.variables {
            let value = self.value(&module, Name::Variable(Arc::clone(name)));
            if diagnostics.keep(value).is_some() {
                for validation in &variable.validations {
                    diagnostics.keep(validation.check("Invalid variable", &scope));
                }
            }
        }
        diagnostics.or(()).map(drop)
    }

    /// Checks what must hold of the outputs of an instance of a module.
    ///
    /// # Errors
    /// All that does not hold, and outputs that cannot be evaluated or would show a secret.
    pub fn check_outputs(&self, path: &[ModuleStep]) -> Result<(), Diagnostics> {
        let Some(module) = self.find(path).filter(|module| module.caller.is_some()) else {
            return Ok(());
        };
        let scope = InstanceScope::new(self, Rc::clone(&module), Instance::default());
        let mut diagnostics = Diagnostics::new();
        for (name, output) in &module.config.outputs {
            for condition in &output.preconditions {
                diagnostics.keep(condition.check("Output precondition failed", &scope));
            }
            if let Some(value) = diagnostics.keep(self.value(&module, Name::Output(Arc::clone(name))))
                && value.has_sensitive()
                && !output.sensitive
            {
                diagnostics.push(output.shows_secret(name));
            }
        }
        diagnostics.or(()).map(drop)
    }

    /// Returns the value of a resource, by its declaration, in an instance of its module.
    pub(super) fn resource(&self, module: &Module<'_>, declaration: &Declaration) -> Option<Value> {
        match module.path.is_empty() {
            true => self.resources.value(&declaration.address),
            false => self.resources.value(&declaration.address.in_module(&module.path)),
        }
    }

    /// Returns the value of a local.
    ///
    /// # Errors
    /// All that is wrong with its expression, or with that of one that it needs.
    pub(super) fn local(&self, module: &Rc<Module<'a>>, name: &str) -> Result<Value, Diagnostics> {
        match module.config.locals.get_key_value(name) {
            Some((_, local)) if local.value.is_some() => Ok(local.value.clone().unwrap_or(Value::NULL)),
            Some((name, _)) => self.value(module, Name::Local(Arc::clone(name))),
            None => Err(names::unknown_local(module.config, name).into()),
        }
    }

    /// Returns the value of a local of the fleet itself.
    pub(super) fn root_local(&self, name: &str) -> Result<Value, Diagnostics> {
        self.local(&self.root, name)
    }

    /// Returns the value of a variable.
    pub(super) fn variable(&self, module: &Rc<Module<'a>>, name: &str) -> Result<Value, Diagnostic> {
        let Some((name, variable)) = module.config.variables.get_key_value(name) else {
            return Err(names::unknown_variable(module.config, name));
        };
        if module.caller.is_none() {
            return Ok(variable.value.clone());
        }
        // What is wrong with it is told once, where the module is checked.
        let value = self.value(module, Name::Variable(Arc::clone(name)));
        Ok(value.unwrap_or_else(|_| variable.value.clone()))
    }

    /// Returns what a reference to a module stands for, and how many of its steps that takes.
    pub(super) fn call(&self, module: &Rc<Module<'a>>, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        let (name, call) = names::call(module.config, reference)?;
        let Some(instances) = self.instances(module, call)? else {
            return Ok((Value::unknown(format!("module.{name}")), 1));
        };
        let key = match (call.is_keyed(), reference.steps.get(1)) {
            (false, _) => None,
            (true, Some(PathStep::Index(index))) if call.meta.count.is_some() => Some(Key::Index(*index)),
            (true, Some(PathStep::Name(name))) if call.meta.for_each.is_some() => Some(Key::Name(Arc::clone(name))),
            (true, _) => return Ok((self.all(module, call, &instances)?, 1)),
        };
        let taken = 1 + usize::from(key.is_some());
        let Some(instance) = instances.iter().find(|instance| instance.key == key) else {
            // The evaluator says what is wrong with the key.
            return Ok((self.all(module, call, &instances)?, 1));
        };
        let inner = self.inner(module, call, instance);
        match call
            .output_of(reference)
            .and_then(|output| inner.config.outputs.get_key_value(output))
        {
            Some((output, _)) => Ok((self.value(&inner, Name::Output(Arc::clone(output)))?, taken + 1)),
            None => Ok((self.outputs(&inner)?, taken)),
        }
    }

    fn all(&self, module: &Rc<Module<'a>>, call: &'a Call, instances: &[Instance]) -> Result<Value, Diagnostics> {
        let mut values = Vec::new();
        for instance in instances {
            values.push((instance.key.clone(), self.outputs(&self.inner(module, call, instance))?));
        }
        Ok(match call.meta.count {
            Some(_) => Value::tuple(values.into_iter().map(|(_, value)| value)),
            None => Value::object(values.into_iter().filter_map(|(key, value)| match key {
                Some(Key::Name(name)) => Some((name, value)),
                _ => None,
            })),
        })
    }

    fn outputs(&self, module: &Rc<Module<'a>>) -> Result<Value, Diagnostics> {
        let mut fields = BTreeMap::new();
        for name in module.config.outputs.keys() {
            fields.insert(Arc::clone(name), self.value(module, Name::Output(Arc::clone(name)))?);
        }
        Ok(Value::object(fields))
    }

    fn value(&self, module: &Rc<Module<'a>>, name: Name) -> Result<Value, Diagnostics> {
        self.settle(vec![Step::Enter(Rc::clone(module), name.clone())]);
        let values = module.values.borrow();
        values.get(&name).cloned().unwrap_or_else(|| Ok(module.unknown(&name)))
    }

    /// Returns the instances of a call; `None` where the fleet is only checked and they can be several.
    fn instances(&self, module: &Rc<Module<'a>>, call: &'a Call) -> Result<Option<Vec<Instance>>, Diagnostics> {
        if !call.is_keyed() {
            return Ok(Some(vec![Instance::default()]));
        }
        if self.mode == Mode::Check {
            return Ok(None);
        }
        self.settle(vec![Step::EnterInstances(Rc::clone(module), call)]);
        let instances = module.instances.borrow();
        let instances = instances.get(&call.name).cloned().unwrap_or(Ok(None))?;
        Ok(instances.map(Instance::all))
    }

    /// Returns one instance of a module.
    fn inner(&self, module: &Rc<Module<'a>>, call: &'a Call, instance: &Instance) -> Rc<Module<'a>> {
        let step = ModuleStep {
            name: Arc::clone(&call.name),
            key: instance.key.clone(),
        };
        let path = [&*module.path, &[step]].concat();
        let mut modules = self.modules.borrow_mut();
        let inner = modules.entry(path).or_insert_with_key(|path| {
            let caller = (Rc::clone(module), call, instance.clone());
            Rc::new(Module::new(&call.module, path.clone(), Some(caller)))
        });
        Rc::clone(inner)
    }

    /// Returns an instance of a module by the way to it. Where the fleet is only checked, no step has a key.
    fn find(&self, path: &[ModuleStep]) -> Option<Rc<Module<'a>>> {
        if let Some(found) = self.modules.borrow().get(path) {
            return Some(Rc::clone(found));
        }
        let Some((last, outer)) = path.split_last() else {
            return Some(Rc::clone(&self.root));
        };
        let outer = self.find(outer)?;
        let call = outer.config.calls.get(&last.name)?;
        let instances = match self.mode {
            Mode::Check => vec![Instance::default()],
            Mode::Plan => self.instances(&outer, call).ok()??,
        };
        let instance = instances.iter().find(|instance| instance.key == last.key)?;
        Some(self.inner(&outer, call, instance))
    }

    /// Evaluates what is asked for, and before it what that needs.
    fn settle(&self, mut steps: Vec<Step<'a>>) {
        while let Some(step) = steps.pop() {
            match step {
                Step::Enter(module, name) => {
                    if !module.begin(&name) {
                        continue;
                    }
                    let needed = self.needed(&module, &name);
                    steps.push(Step::Leave(module, name));
                    steps.extend(needed);
                }
                Step::Leave(module, name) => {
                    let value = self.evaluate(&module, &name);
                    module.values.borrow_mut().insert(name, value);
                }
                Step::EnterInstances(module, call) => {
                    if module.instances.borrow().contains_key(&call.name) {
                        continue;
                    }
                    module.instances.borrow_mut().insert(Arc::clone(&call.name), Ok(None));
                    let needed = of_references(&module, &call.meta.references());
                    steps.push(Step::LeaveInstances(module, call));
                    steps.extend(needed);
                }
                Step::LeaveInstances(module, call) => {
                    let scope = InstanceScope::new(self, Rc::clone(&module), Instance::default());
                    let instances = call.meta.instances(&scope, Mode::Plan);
                    module.instances.borrow_mut().insert(Arc::clone(&call.name), instances);
                }
                Step::Outputs(module, call, output) => {
                    let Ok(Some(instances)) = self.instances(&module, call) else {
                        continue;
                    };
                    for instance in &instances {
                        let inner = self.inner(&module, call, instance);
                        let outputs = inner.config.outputs.keys();
                        let wanted = outputs.filter(|name| output.as_ref().is_none_or(|output| output == *name));
                        let enter = |name: &Arc<str>| Step::Enter(Rc::clone(&inner), Name::Output(Arc::clone(name)));
                        steps.extend(wanted.map(enter));
                    }
                }
            }
        }
    }

    /// Returns what a value needs.
    fn needed(&self, module: &Rc<Module<'a>>, name: &Name) -> Vec<Step<'a>> {
        match (name, &module.caller) {
            (Name::Local(name), _) => match module.config.locals.get(name) {
                Some(local) => of_references(module, local.expr.references()),
                None => Vec::new(),
            },
            (Name::Output(name), _) => match module.config.outputs.get(name) {
                Some(output) => of_references(module, output.expr.references()),
                None => Vec::new(),
            },
            (Name::Variable(name), Some((caller, call, _))) => match call.inputs.get(name) {
                Some(input) => of_references(caller, input.expr.references()),
                None => Vec::new(),
            },
            (Name::Variable(_), None) => Vec::new(),
        }
    }

    fn evaluate(&self, module: &Rc<Module<'a>>, name: &Name) -> Result<Value, Diagnostics> {
        let here = |expr: &Expr| {
            let scope = InstanceScope::new(self, Rc::clone(module), Instance::default());
            evaluate(expr, &scope)
        };
        match (name, &module.caller) {
            (Name::Local(name), _) => match module.config.locals.get(name) {
                Some(local) => here(&local.expr),
                None => Err(names::unknown_local(module.config, name).into()),
            },
            (Name::Output(name), _) => match module.config.outputs.get(name) {
                Some(output) => Ok(here(&output.expr)?.mark(output.sensitive)),
                None => Err(Diagnostics::new()),
            },
            (Name::Variable(name), caller) => {
                let Some(variable) = module.config.variables.get(name) else {
                    return Err(names::unknown_variable(module.config, name).into());
                };
                match caller
                    .as_ref()
                    .and_then(|caller| Some((caller, caller.1.inputs.get(name)?)))
                {
                    Some(((caller, _, instance), input)) => {
                        let scope = InstanceScope::new(self, Rc::clone(caller), instance.clone());
                        variable.given_by_module(name, evaluate(&input.expr, &scope)?, input.value_span.clone())
                    }
                    None => Ok(variable.default.clone().unwrap_or_else(|| variable.value.clone())),
                }
            }
        }
    }
}

/// Returns what the names in expressions of a module need.
fn of_references<'a>(module: &Rc<Module<'a>>, references: &[Reference]) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    for reference in references {
        let Some(PathStep::Name(name)) = reference.steps.first() else {
            continue;
        };
        let enter = |name: Name| Step::Enter(Rc::clone(module), name);
        match &*reference.root {
            "local" => steps.push(enter(Name::Local(Arc::clone(name)))),
            "var" if module.caller.is_some() => steps.push(enter(Name::Variable(Arc::clone(name)))),
            "module" => {
                if let Some(call) = module.config.calls.get(name) {
                    let output = call.output_of(reference).cloned();
                    steps.push(Step::Outputs(Rc::clone(module), call, output));
                    // On top: which outputs there are is known once the instances are.
                    steps.push(Step::EnterInstances(Rc::clone(module), call));
                }
            }
            _ => {}
        }
    }
    steps
}

impl<'a> Module<'a> {
    fn new(config: &'a Config, path: Vec<ModuleStep>, caller: Option<(Rc<Module<'a>>, &'a Call, Instance)>) -> Self {
        Module {
            config,
            path,
            caller,
            values: RefCell::default(),
            instances: RefCell::default(),
        }
    }

    /// Which instance it is, in words that no other one has.
    pub(super) fn place(&self) -> String {
        self.path.iter().map(|step| format!("{step:?}.")).collect()
    }

    /// Whether a value is still to be evaluated. From now on it is not: what needs itself finds that it is unknown, and
    /// cycles are reported when the fleet is loaded.
    fn begin(&self, name: &Name) -> bool {
        let is_known = match name {
            Name::Local(name) => self.config.locals.get(name).is_some_and(|local| local.value.is_some()),
            Name::Variable(_) | Name::Output(_) => false,
        };
        if is_known || self.values.borrow().contains_key(name) {
            return false;
        }
        self.values.borrow_mut().insert(name.clone(), Ok(self.unknown(name)));
        true
    }

    fn unknown(&self, name: &Name) -> Value {
        Value::unknown(match name {
            Name::Local(name) => format!("local.{name}"),
            Name::Variable(name) => format!("var.{name}"),
            Name::Output(name) => match self.path.last() {
                Some(step) => format!("module.{}.{name}", step.name),
                None => format!("output.{name}"),
            },
        })
    }
}
