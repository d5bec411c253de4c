//! A configuration held against a state: instances, sizes and places are settled once, then every resource is lowered in
//! the order of what reads what. The same session answers, during an apply, what a plan could not know yet.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Key, Object, PathStep, Value};
use simfleet_state::State;

use super::Mode;
use super::order::{self, Reads};
use crate::apply::{Resolve, Resolved};
use crate::config::eval::{Reference, evaluate};
use crate::config::{Check, Config, Declaration, Instance, Instances, Names, ProviderBlock, Record, Resources};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lower::{self, Desired, Layout, Lowering, Objects, Trigger};
use crate::plan::difference::canonical;
use crate::plan::{Action, Change, NAME, ignore};
use crate::providers::Registry;

/// The values of declarations, as far as they are evaluated, by the address of the block.
#[derive(Debug, Default)]
pub(super) struct Values(RefCell<BTreeMap<Address, Value>>);

impl Resources for Values {
    fn value(&self, declaration: &Declaration) -> Option<Value> {
        self.0.borrow().get(&declaration.address).cloned()
    }
}

impl Values {
    pub(super) fn set(&self, address: &Address, value: Value) {
        self.0.borrow_mut().insert(address.clone(), value);
    }

    fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

/// One instance of a declaration.
#[derive(Debug, Clone)]
pub(super) struct One {
    pub(super) address: Address,
    pub(super) instance: Instance,
}

/// See the module.
#[derive(Debug)]
pub struct Session<'a> {
    pub(super) config: &'a Config,
    pub(super) registry: &'a Registry,
    /// The declarations, each after those that it reads.
    pub(super) order: Vec<&'a Declaration>,
    /// The instances of each, by the address of the block.
    pub(super) instances: BTreeMap<Address, Vec<One>>,
    pub(super) layout: Layout,
    values: Values,
    mode: Mode,
}

impl Objects for State {
    fn attributes(&self, address: &Address) -> Option<Attributes> {
        self.resources.get(address).map(|resource| with_id(&resource.object))
    }
}

/// Returns an object's attributes with its id.
pub(super) fn with_id(object: &Object) -> Attributes {
    let mut attributes = object.attributes.clone();
    if attributes.get("id").is_none() {
        attributes.set("id", &*object.id.0);
    }
    attributes
}

impl<'a> Session<'a> {
    /// Settles what has to be known before any resource is lowered.
    ///
    /// # Errors
    /// Cycles, counts that are not known, declarations that do not fit.
    pub(super) fn new(config: &'a Config, registry: &'a Registry, state: &State) -> Result<Self, Diagnostics> {
        let order = in_order(config)?;
        let mut session = Session {
            config,
            registry,
            order,
            instances: BTreeMap::new(),
            layout: Layout::default(),
            values: Values::default(),
            mode: Mode::Apply,
        };
        let mut diagnostics = Diagnostics::new();
        let mut typed = Vec::new();
        for declaration in session.order.clone() {
            diagnostics.0.extend(not_built_yet(declaration));
            let Some(ones) = diagnostics.keep(session.expand(declaration)) else {
                continue;
            };
            let mut values = BTreeMap::new();
            for one in &ones {
                let Some(record) = diagnostics.keep(session.record(declaration, &one.instance)) else {
                    continue;
                };
                if let Some(decoded) = diagnostics.keep(declaration.decode(&record)) {
                    typed.push((one.address.clone(), decoded));
                }
                values.insert(one.address.clone(), placeholder(declaration, &one.address, &record));
            }
            session
                .values
                .set(&declaration.address, gather(declaration, &ones, &values));
            session.instances.insert(declaration.address.clone(), ones);
        }
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        session.layout = Layout::of(&typed, state);
        session.values.clear();
        Ok(session)
    }

    /// What the plan is for.
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    fn expand(&self, declaration: &Declaration) -> Result<Vec<One>, Diagnostics> {
        let names = Names::new(self.config, &self.values);
        let block = &declaration.address;
        let one = |instance: Instance| One {
            address: instance
                .key
                .as_ref()
                .map_or_else(|| block.clone(), |key| block.with_key(key.clone())),
            instance,
        };
        Ok(match declaration.instances(&names.scope(Instance::default()))? {
            Instances::Single => vec![one(Instance::default())],
            Instances::Count(count) => (0..count).map(|index| one(Instance::index(index))).collect(),
            Instances::Each(each) => each
                .into_iter()
                .map(|(key, value)| one(Instance::each(key, value)))
                .collect(),
        })
    }

    fn record(&self, declaration: &Declaration, instance: &Instance) -> Result<Record, Diagnostics> {
        let names = Names::new(self.config, &self.values);
        declaration.evaluate(&names.scope(instance.clone()))
    }

    /// Lowers one instance of a declaration: the resources that it expands to.
    pub(super) fn lower(
        &self,
        declaration: &Declaration,
        one: &One,
        objects: &dyn Objects,
    ) -> Result<Vec<Desired>, Diagnostics> {
        let record = self.record(declaration, &one.instance)?;
        let evaluate_for_member = |member: Value| {
            let instance = Instance {
                member: Some(member),
                ..one.instance.clone()
            };
            self.record(declaration, &instance)
        };
        let provider_settings = |block: &ProviderBlock| {
            let names = Names::new(self.config, &self.values);
            block.evaluate(&names.scope(Instance::default()))
        };
        let lowering = Lowering {
            config: self.config,
            registry: self.registry,
            layout: &self.layout,
            objects,
            declaration,
            address: &one.address,
            record: &record,
            for_member: &evaluate_for_member,
            settings: &provider_settings,
            depends_on: self.depends_on(declaration),
            triggers: self.triggers(declaration),
        };
        lowering.resources()
    }

    /// Sets the value that others read of a declaration.
    pub(super) fn publish(&self, declaration: &Declaration, objects: &dyn Objects) -> Result<(), Diagnostics> {
        let ones = self
            .instances
            .get(&declaration.address)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut values = BTreeMap::new();
        for one in ones {
            let record = self.record(declaration, &one.instance)?;
            let value = lower::value(declaration, &one.address, &record, &self.layout, objects)?;
            values.insert(one.address.clone(), value);
        }
        self.values
            .set(&declaration.address, gather(declaration, ones, &values));
        Ok(())
    }

    /// Returns the resources that a declaration reads: one where the reference names it, else the block, which stands for
    /// all. The node that a simulator is placed on is not among them: it is its host.
    fn depends_on(&self, declaration: &Declaration) -> BTreeSet<Address> {
        let placement = declaration
            .body
            .attribute("placement")
            .map(|attribute| &attribute.value_span);
        let is_placement = |reference: &Reference| {
            placement.is_some_and(|span| {
                let range = &reference.span.range;
                span.file == reference.span.file && span.range.start <= range.start && range.end <= span.range.end
            })
        };
        let references = declaration
            .references()
            .into_iter()
            .filter(|reference| !is_placement(reference));
        references.flat_map(|reference| self.read_by(&reference)).collect()
    }

    /// Returns what has a declaration's resources made anew.
    fn triggers(&self, declaration: &Declaration) -> Vec<Trigger> {
        let references = declaration.meta.lifecycle.replace_triggered_by.iter();
        let triggers = references.flat_map(|reference| {
            self.read_by(reference).into_iter().map(|address| {
                let own = address.labels().len() + usize::from(address.key().is_some());
                let attribute = match reference.steps.get(own) {
                    Some(PathStep::Name(name)) if *reference.root == *address.block() => Some(name.clone()),
                    _ => None,
                };
                Trigger { address, attribute }
            })
        });
        triggers.collect()
    }

    fn read_by(&self, reference: &Reference) -> Vec<Address> {
        let read = self.config.dependencies(std::slice::from_ref(reference)).into_iter();
        read.map(|(declaration, _)| {
            let block = &declaration.address;
            let key = match reference.steps.get(block.labels().len()) {
                Some(PathStep::Index(index)) if declaration.meta.count.is_some() => Some(Key::Index(*index)),
                Some(PathStep::Name(name)) if declaration.meta.for_each.is_some() => Some(Key::Name(name.clone())),
                _ => None,
            };
            match key {
                Some(key) if *reference.root == *block.block() => block.with_key(key),
                _ => block.clone(),
            }
        })
        .collect()
    }

    /// Returns the outputs, by name.
    pub(super) fn outputs(&self) -> Result<BTreeMap<Arc<str>, Value>, Diagnostics> {
        let names = Names::new(self.config, &self.values);
        let scope = names.scope(Instance::default());
        let mut diagnostics = Diagnostics::new();
        let mut outputs = BTreeMap::new();
        for (name, output) in &self.config.outputs {
            for condition in &output.preconditions {
                diagnostics.keep(condition.check("Output precondition failed", &scope));
            }
            let Some(value) = diagnostics.keep(evaluate(&output.expr, &scope)) else {
                continue;
            };
            if value.has_sensitive() && !output.sensitive {
                let detail = format!("Output `{name}` holds a sensitive value, and outputs are shown.");
                let diagnostic = Diagnostic::error("Sensitive output", detail).at(output.span.clone());
                diagnostics.push(diagnostic.hint("add sensitive = true, or use nonsensitive(…) if it is no secret"));
            }
            outputs.insert(name.clone(), value.mark(output.sensitive));
        }
        if diagnostics.has_errors() {
            Err(diagnostics)
        } else {
            Ok(outputs)
        }
    }

    /// Returns a warning for each check that does not hold.
    pub(super) fn warnings(&self) -> Diagnostics {
        let names = Names::new(self.config, &self.values);
        let scope = names.scope(Instance::default());
        let checks = self.config.checks.iter();
        Diagnostics(checks.flat_map(|check| check.warnings(&scope).0).collect())
    }

    /// Returns a session of nothing, for a run that reads no declaration.
    pub(super) fn empty(config: &'a Config, registry: &'a Registry, mode: Mode) -> Self {
        Session {
            config,
            registry,
            order: Vec::new(),
            instances: BTreeMap::new(),
            layout: Layout::default(),
            values: Values::default(),
            mode,
        }
    }

    /// Sets the values of everything that references lead to, directly or not, as the state has them now.
    fn catch_up(&self, references: Vec<Reference>, state: &State) -> Result<(), Diagnostics> {
        self.values.clear();
        let mut needed: BTreeSet<&Address> = BTreeSet::new();
        let mut queue = references;
        while let Some(reference) = queue.pop() {
            for (declaration, _) in self.config.dependencies(&[reference]) {
                if needed.insert(&declaration.address) {
                    queue.extend(declaration.references());
                }
            }
        }
        let needed = self
            .order
            .iter()
            .filter(|declaration| needed.contains(&declaration.address));
        needed
            .into_iter()
            .try_for_each(|declaration| self.publish(declaration, state))
    }
}

impl Resolve for Session<'_> {
    fn resolve(&mut self, change: &Change, state: &State) -> Result<Resolved, String> {
        let block = change.address.declaration();
        let declaration = self
            .order
            .iter()
            .find(|declaration| declaration.address == block)
            .copied();
        let declaration = declaration.ok_or_else(|| format!("{block} is not declared"))?;
        let parent = change.address.parent();
        let ones = self.instances.get(&block).map(Vec::as_slice).unwrap_or_default();
        let one = ones
            .iter()
            .find(|one| one.address == parent)
            .ok_or_else(|| format!("{parent} is not declared"))?;
        self.catch_up(declaration.references(), state)
            .map_err(|errors| first(&errors))?;
        let lowered = self.lower(declaration, one, state).map_err(|errors| first(&errors))?;
        let desired = lowered.into_iter().find(|desired| desired.address == change.address);
        let desired = desired.ok_or_else(|| format!("{} is not wanted any more", change.address))?;
        let schema = self.registry.schema(&desired.provider.name, &desired.kind);
        let schema = schema.ok_or_else(|| format!("there is no kind `{}`", desired.kind))?;
        let mut wanted =
            canonical(schema, &desired.attributes).map_err(|(path, problem)| format!("`{path}`: {problem}"))?;
        let name = change.wanted.as_ref().and_then(|planned| planned.get(NAME));
        if let Some(name) = name.filter(|name| name.is_known()) {
            wanted.set(NAME, name.clone());
        }
        if let (Action::Update | Action::Check, Some(recorded)) = (change.action, state.resources.get(&change.address))
        {
            ignore(&desired.policy, schema, &recorded.object.attributes, &mut wanted);
        }
        match wanted.to_value().unknown_origin() {
            Some(origin) => Err(format!("{origin} is still not known")),
            None => Ok(Resolved {
                wanted,
                provider: desired.provider,
            }),
        }
    }

    fn outputs(&mut self, state: &State) -> Result<BTreeMap<Arc<str>, Value>, String> {
        match self.mode {
            Mode::Apply => {}
            Mode::Destroy => return Ok(BTreeMap::new()),
            Mode::Refresh => return Ok(state.outputs.clone()),
        }
        self.catch_up(
            self.config
                .outputs
                .values()
                .flat_map(|output| output.references())
                .collect(),
            state,
        )
        .map_err(|errors| first(&errors))?;
        Session::outputs(self).map_err(|errors| first(&errors))
    }

    fn warnings(&mut self, state: &State) -> Diagnostics {
        if self.mode != Mode::Apply {
            return Diagnostics::new();
        }
        let references = self.config.checks.iter().flat_map(Check::references).collect();
        match self.catch_up(references, state) {
            Ok(()) => Session::warnings(self),
            // What cannot be read was told when it failed.
            Err(_) => Diagnostics::new(),
        }
    }
}

/// What is said and would be ignored is refused: a resource that was to be protected must not be deleted all the same.
fn not_built_yet(declaration: &Declaration) -> Option<Diagnostic> {
    let lifecycle = &declaration.meta.lifecycle;
    let word = match lifecycle.create_before_destroy {
        true => "create_before_destroy",
        false if !lifecycle.preconditions.is_empty() => "precondition",
        false if !lifecycle.postconditions.is_empty() => "postcondition",
        false => return None,
    };
    let detail = format!("`{word}` is a word of the language, but this version does not act on it.");
    let diagnostic = Diagnostic::error("Not available yet", detail).on(declaration.address.clone());
    Some(diagnostic.at(declaration.span.clone()).hint("take it out"))
}

/// Returns what stands for one instance before it is lowered: what is declared is known, what it will have is not.
fn placeholder(declaration: &Declaration, address: &Address, record: &Record) -> Value {
    let outputs = declaration.body.schema.outputs;
    let field = |name: &'static str| {
        let is_output = outputs.iter().any(|(output, _)| *output == name);
        let value = match record.get(name) {
            Some(declared) => declared.clone(),
            None if is_output => Value::unknown(format!("{address}.{name}")),
            None => Value::NULL,
        };
        (name, value)
    };
    Value::object(declaration.parts().into_iter().map(field)).with_origin(address.clone())
}

fn first(errors: &Diagnostics) -> String {
    errors
        .0
        .first()
        .map_or_else(|| "it cannot be evaluated".to_owned(), |error| error.detail.clone())
}

/// Returns the value of a declaration: that of its one instance, a tuple by index, an object by key.
fn gather(declaration: &Declaration, ones: &[One], values: &BTreeMap<Address, Value>) -> Value {
    let values = ones
        .iter()
        .filter_map(|one| Some((one, values.get(&one.address)?.clone())));
    if declaration.meta.count.is_some() {
        return Value::tuple(values.map(|(_, value)| value));
    }
    if declaration.meta.for_each.is_some() {
        return Value::object(values.filter_map(|(one, value)| match &one.instance.key {
            Some(Key::Name(name)) => Some((name.clone(), value)),
            _ => None,
        }));
    }
    values.map(|(_, value)| value).next().unwrap_or(Value::NULL)
}

/// Returns the declarations, each after those that it reads.
fn in_order(config: &Config) -> Result<Vec<&Declaration>, Diagnostics> {
    let declarations: Vec<&Declaration> = config.declarations.iter().collect();
    let index: BTreeMap<&Address, usize> = declarations
        .iter()
        .enumerate()
        .map(|(index, declaration)| (&declaration.address, index))
        .collect();
    let mut reads = Vec::new();
    for (reader, declaration) in declarations.iter().enumerate() {
        for (read, span) in config.dependencies(&declaration.references()) {
            if let Some(read) = index.get(&read.address) {
                reads.push(Reads {
                    reader,
                    read: *read,
                    span,
                });
            }
        }
    }
    let names: Vec<String> = declarations
        .iter()
        .map(|declaration| declaration.address.to_string())
        .collect();
    Ok(order::order(&names, &reads)?
        .into_iter()
        .map(|index| declarations[index])
        .collect())
}
