//! A configuration held against a state: instances, sizes and places are settled once, then every resource is lowered in
//! the order of what reads what. The same session answers, during an apply, what a plan could not know yet.
//!
//! After the plan the values of resources are those of the plan. A resource that the walk makes falls behind, and is
//! evaluated again, from the state, when something that reads its block is resolved. So each is evaluated once more at
//! most, however many others read it.

mod conditions;
mod following;
mod lowering;
mod resolving;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use jiff::Timestamp;
use simfleet_provider_api::{Address, Attributes, ModuleStep, Object, PathStep, Value};
use simfleet_state::State;

pub(super) use self::conditions::{postcondition, precondition};
use super::Mode;
use super::moments::{Moments, kept_output};
use super::order::{self, Ordered};
use super::planner::{Planner, Signals};
use super::values::Values;
use crate::config::blocks::alert::check_alerts;
use crate::config::eval::evaluate;
use crate::config::{Block, Config, Declaration, Instance, InstanceScope, Moment, Names, Need, ProviderBlock, Record};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lower::{self, Layout, Objects, Trigger};
use crate::plan::{Action, Change};
use crate::providers::Registry;
use crate::refresh::Observations;

/// One instance of a declaration.
#[derive(Debug, Clone)]
pub(super) struct One {
    pub(super) address: Address,
    pub(super) instance: Instance,
}

/// A declaration with its instances, in one instance of its module.
#[derive(Debug)]
pub(super) struct Declared<'a> {
    pub(super) declaration: &'a Declaration,
    /// The address of the block, the keys of modules in it.
    pub(super) block: Address,
    /// Sorted by address.
    pub(super) ones: Vec<One>,
    /// Whether something of an `each.value` was not known yet when they were counted.
    is_late: bool,
    /// The declarations that it reads, by their place in the session's order.
    reads: Vec<usize>,
    /// The resources that each instance comes after.
    depends_on: BTreeSet<Address>,
    /// What has each instance made anew.
    triggers: Vec<Trigger>,
    /// Whether a replacement is made before the old object goes: it says so, or something that reads it does.
    create_before_destroy: bool,
    /// The instances whose value is not as it stays: those that were made since it was set, and those that nothing makes
    /// but that read what is made.
    behind: BTreeSet<usize>,
}

impl Declared<'_> {
    /// The instance of the module that it is in.
    fn module(&self) -> &[ModuleStep] {
        self.block.modules()
    }

    fn position(&self, address: &Address) -> Option<usize> {
        self.ones.binary_search_by(|one| one.address.cmp(address)).ok()
    }
}

/// See the module.
#[derive(Debug)]
pub struct Session<'a> {
    pub(super) config: &'a Config,
    pub(super) registry: &'a Registry,
    /// The declarations, each after those that it reads.
    pub(super) order: Vec<Declared<'a>>,
    /// The place of each in the order, by the address of the block.
    places: HashMap<Address, usize>,
    /// The places of each declaration, by its address: those of the instances of its module, which are sorted.
    groups: HashMap<&'a Address, Range<usize>>,
    pub(super) layout: Layout,
    /// Where signals come from and go to.
    pub(super) signals: Signals,
    values: Values,
    mode: Mode,
    /// When what is declared was evaluated for the plan.
    planned: Moment,
    /// When it is evaluated: from the time that the plan is carried out, also then.
    moment: Moment,
    moments: Moments,
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
    pub(super) fn new(planner: &Planner<'a>, state: &State, seen: &Observations) -> Result<Self, Diagnostics> {
        let config = planner.config;
        let mut session = Session {
            planned: planner.moment(),
            moment: planner.moment(),
            moments: planner.moments,
            ..Session::empty(config, planner.registry, Mode::Apply)
        };
        let mut diagnostics = Diagnostics::new();
        let mut typed = Vec::new();
        for ordered in order::in_order(config)? {
            let from = session.order.len();
            let declared = session.declared(&ordered, &mut typed, &mut diagnostics);
            for declared in declared {
                session.places.insert(declared.block.clone(), session.order.len());
                session.order.push(declared);
            }
            session
                .groups
                .insert(&ordered.declaration.address, from..session.order.len());
        }
        if let Err(diagnostic) = lower::check_count(&config.limits, &typed) {
            diagnostics.push(diagnostic);
        }
        diagnostics.extend(check_alerts(&typed));
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        session.spread_create_before_destroy();
        session.layout = Layout::of(&typed, state, planner.decided(seen));
        for (address, block) in typed {
            match block {
                Block::Metrics(metrics) => _ = session.signals.metrics.insert(address, metrics),
                Block::Alert(alert) => _ = session.signals.alerts.insert(address, *alert),
                Block::Webhook(webhook) => _ = session.signals.webhooks.insert(address, *webhook),
                _ => {}
            }
        }
        session.values.clear();
        Ok(session)
    }

    /// Has everything be made before the old object goes that something reads of which that is true: the old object of the
    /// reader, which needs the old one, stays until its own replacement is there.
    fn spread_create_before_destroy(&mut self) {
        for place in (0..self.order.len()).rev() {
            if self.order[place].create_before_destroy {
                for read in self.order[place].reads.clone() {
                    self.order[read].create_before_destroy = true;
                }
            }
        }
    }

    /// Returns a declaration in each instance of its module, and sets their values as far as they are known before any
    /// resource is lowered. What is typed is added to `typed`.
    fn declared(
        &self,
        ordered: &Ordered<'a>,
        typed: &mut Vec<(Address, Block)>,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Declared<'a>> {
        let declaration = ordered.declaration;
        let names = self.names();
        let path = declaration.address.module_path();
        let modules = diagnostics.keep(names.instances_of(&path)).unwrap_or_default();
        let mut all = Vec::new();
        for module in modules {
            let block = declaration.address.in_module(&module);
            // Nothing is known of one that fails, not even how many there are.
            let Some(ones) = diagnostics.keep(expand(declaration, &block, &names)) else {
                continue;
            };
            let mut values = Vec::with_capacity(ones.len());
            for one in &ones {
                let record = scope(&names, &block, one.instance.clone()).and_then(|scope| declaration.evaluate(&scope));
                let Some(record) = diagnostics.keep(record) else {
                    values.push(Value::unknown(one.address.to_string()));
                    continue;
                };
                if let Some(mut decoded) = diagnostics.keep(declaration.decode(&record)) {
                    if let Block::Pool(pool) = &mut decoded {
                        let settings = |block: &ProviderBlock| block.evaluate(&names.scope(Instance::default()));
                        let of = (declaration, &record);
                        let priced = lower::price(pool, self.config, self.registry, of, &settings);
                        diagnostics.keep(priced);
                    }
                    typed.push((one.address.clone(), decoded));
                }
                values.push(placeholder(declaration, &one.address, &record));
            }
            let declared = Declared {
                is_late: is_late(&ones),
                declaration,
                reads: self.reads(&ordered.needs, &module),
                depends_on: self.depends_on(ordered, &module),
                triggers: self.triggers(declaration, &module),
                create_before_destroy: declaration.meta.lifecycle.create_before_destroy,
                behind: BTreeSet::new(),
                block,
                ones,
            };
            self.values.set(&declared, values);
            all.push(declared);
        }
        all
    }

    /// Returns the places of what is needed of a declaration, in the instances of its module that can be meant.
    fn group(&self, need: &Need<'_>, module: &[ModuleStep]) -> Range<usize> {
        let group = self.groups.get(&need.declaration.address).cloned().unwrap_or_default();
        let (shared, all) = (&module[..need.shared.min(module.len())], &self.order[group.clone()]);
        let of = |declared: &Declared<'_>| declared.module()[..shared.len()].cmp(shared);
        let from = all.partition_point(|declared| of(declared).is_lt());
        let to = all.partition_point(|declared| of(declared).is_le());
        group.start + from..group.start + to
    }

    fn reads(&self, needs: &[Need<'_>], module: &[ModuleStep]) -> Vec<usize> {
        needs.iter().flat_map(|need| self.group(need, module)).collect()
    }

    /// Returns the resources that a declaration comes after: one where a reference names it, else the block, which stands
    /// for all.
    fn depends_on(&self, ordered: &Ordered<'_>, module: &[ModuleStep]) -> BTreeSet<Address> {
        let declaration = ordered.declaration;
        let beside = order::beside_placement(declaration).map(|beside| self.config.needs(declaration, &beside));
        let needs = beside.as_ref().unwrap_or(&ordered.needs);
        needs.iter().flat_map(|need| self.addresses(need, module)).collect()
    }

    fn addresses(&self, need: &Need<'_>, module: &[ModuleStep]) -> Vec<Address> {
        let blocks = self.order[self.group(need, module)]
            .iter()
            .map(|declared| &declared.block);
        let with_key = |block: &Address| match &need.key {
            Some(key) => block.with_key(key.clone()),
            None => block.clone(),
        };
        blocks.map(with_key).collect()
    }

    /// Returns what has a declaration's resources made anew.
    fn triggers(&self, declaration: &Declaration, module: &[ModuleStep]) -> Vec<Trigger> {
        let path: Vec<Arc<str>> = module.iter().map(|step| step.name.clone()).collect();
        let mut triggers = Vec::new();
        for reference in &declaration.meta.lifecycle.replace_triggered_by {
            for need in self.config.dependencies(&path, std::slice::from_ref(reference)) {
                let own = need.declaration.address.labels().len() + usize::from(need.key.is_some());
                let attribute = match reference.steps.get(own) {
                    Some(PathStep::Name(name)) if *reference.root == *need.declaration.address.block() => {
                        Some(name.clone())
                    }
                    _ => None,
                };
                let trigger = |address| Trigger {
                    address,
                    attribute: attribute.clone(),
                };
                triggers.extend(self.addresses(&need, module).into_iter().map(trigger));
            }
        }
        triggers
    }

    /// Returns when the schedule of a simulator next has the plan be another.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.layout.next_change
    }

    /// What the plan is for.
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns a session of nothing, for a run that reads no declaration.
    pub(super) fn empty(config: &'a Config, registry: &'a Registry, mode: Mode) -> Self {
        Session {
            config,
            registry,
            order: Vec::new(),
            places: HashMap::new(),
            groups: HashMap::new(),
            layout: Layout::default(),
            signals: Signals::default(),
            values: Values::default(),
            mode,
            planned: Moment::default(),
            moment: Moment::default(),
            moments: Moments::default(),
        }
    }

    /// Has what depends on when the plan is carried out be known from now on.
    pub fn carried_out_at(&mut self, moment: Moment) {
        self.moment = moment;
    }

    /// Returns the names as the values are now: to be made anew once others are set.
    pub(super) fn names(&self) -> Names<'_> {
        Names::new(self.config, &self.values).at(self.moment)
    }

    /// Returns the names as the plan saw them: without what depends on when it is carried out.
    fn names_of_plan(&self) -> Names<'_> {
        Names::new(self.config, &self.values).at(self.planned)
    }

    /// Returns the value that others read of one instance: what was made is as it is recorded, not as it would be made now.
    fn value_as_made(
        &self,
        declared: &Declared<'_>,
        one: &One,
        names: (&Names<'_>, &Names<'_>),
        objects: &dyn Objects,
    ) -> Result<Value, Diagnostics> {
        let (of_plan, now) = names;
        let value = |names: &Names<'_>| {
            let scope = scope(names, &declared.block, one.instance.clone())?;
            self.value(declared, one, &declared.declaration.evaluate(&scope)?, objects)
        };
        let made = value(of_plan)?;
        match made.is_known() || self.moment == self.planned {
            true => Ok(made),
            false => value(now),
        }
    }

    /// Returns the value that others read of one instance.
    pub(super) fn value(
        &self,
        declared: &Declared<'_>,
        one: &One,
        record: &Record,
        objects: &dyn Objects,
    ) -> Result<Value, Diagnostics> {
        lower::value(declared.declaration, &one.address, record, &self.layout, objects)
    }

    /// Sets the values that others read of a declaration, one for each instance.
    pub(super) fn publish(&self, declared: &Declared<'_>, values: Vec<Value>) {
        self.values.set(declared, values);
    }

    /// Takes in what becomes of each resource, once all are planned.
    pub(super) fn planned(&mut self, changes: &BTreeMap<Address, Change>) {
        let made: BTreeSet<Address> = changes
            .values()
            .filter(|change| change.action != Action::NoOp)
            .map(|change| change.address.parent())
            .collect();
        for declared in &mut self.order {
            let all: &Declared<'_> = declared;
            let is_behind = |(_, one): &(usize, &One)| !self.values.is_known(all, one) && !made.contains(&one.address);
            let ones = all.ones.iter().enumerate();
            declared.behind = ones.filter(is_behind).map(|(index, _)| index).collect();
        }
    }

    /// Returns the outputs, by name, given those that are recorded.
    pub(super) fn outputs(
        &self,
        recorded: &BTreeMap<Arc<str>, Value>,
    ) -> Result<BTreeMap<Arc<str>, Value>, Diagnostics> {
        let (names, names_of_plan) = (self.names(), self.names_of_plan());
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
            let value = match self.moments {
                Moments::Renew => value,
                Moments::Keep => evaluate(&output.expr, &names_of_plan.scope(Instance::default()))
                    .ok()
                    .and_then(|planned| kept_output(name, &planned, recorded))
                    .unwrap_or(value),
            };
            if value.has_sensitive() && !output.sensitive {
                diagnostics.push(output.shows_secret(name));
            }
            outputs.insert(name.clone(), value.mark(output.sensitive));
        }
        if diagnostics.has_errors() {
            Err(diagnostics)
        } else {
            Ok(outputs)
        }
    }

    /// Checks what must hold of the variables and outputs of modules.
    pub(super) fn check_modules(&self) -> Result<(), Diagnostics> {
        let names = self.names();
        let mut diagnostics = Diagnostics::new();
        for module in self.config.modules() {
            for path in diagnostics.keep(names.instances_of(&module.path)).unwrap_or_default() {
                diagnostics.keep(names.check_variables(&path));
                diagnostics.keep(names.check_outputs(&path));
            }
        }
        diagnostics.or(()).map(drop)
    }

    /// Returns a warning for each check that does not hold.
    pub(super) fn warnings(&self) -> Diagnostics {
        let names = self.names();
        let mut warnings = Diagnostics::new();
        for module in self
            .config
            .modules()
            .into_iter()
            .filter(|module| !module.checks.is_empty())
        {
            // What is wrong with the modules was told.
            for path in names.instances_of(&module.path).unwrap_or_default() {
                let Some(scope) = names.scope_in(&path, Instance::default()) else {
                    continue;
                };
                let checks = module.checks.iter();
                checks.for_each(|check| warnings.extend(check.warnings(&scope)));
            }
        }
        warnings
    }
}

/// Returns what stands for one instance before it is lowered: what is declared is known, what it will have is not.
fn placeholder(declaration: &Declaration, address: &Address, record: &Record) -> Value {
    let outputs = declaration.body.schema.outputs;
    let field = |name: &Arc<str>| {
        let is_output = outputs.iter().any(|(output, _)| *output == &**name);
        let value = match record.get(name) {
            Some(declared) => declared.clone(),
            // A block can become an object of its own, as a subnet of a network does.
            None if is_output || record.blocks(name).next().is_some() => Value::unknown(format!("{address}.{name}")),
            None => Value::NULL,
        };
        (Arc::clone(name), value)
    };
    Value::object(declaration.parts().iter().map(field)).with_origin(address.clone())
}

fn expand(declaration: &Declaration, block: &Address, names: &Names<'_>) -> Result<Vec<One>, Diagnostics> {
    let one = |instance: Instance| One {
        address: instance
            .key
            .as_ref()
            .map_or_else(|| block.clone(), |key| block.with_key(key.clone())),
        instance,
    };
    let instances = declaration.instances(&scope(names, block, Instance::default())?)?;
    Ok(Instance::all(instances).into_iter().map(one).collect())
}

/// Whether something of an `each.value` is not known.
fn is_late(ones: &[One]) -> bool {
    let mut values = ones.iter().filter_map(|one| one.instance.value.as_ref());
    values.any(|value| !value.is_known())
}

/// Returns the names as one instance of a block sees them.
pub(super) fn scope<'n, 'a>(
    names: &'n Names<'a>,
    block: &Address,
    instance: Instance,
) -> Result<InstanceScope<'n, 'a>, Diagnostics> {
    names.scope_in(block.modules(), instance).ok_or_else(|| {
        let detail = "The instances of its modules are others now than when the plan was made.";
        Diagnostic::error("Value not known yet", detail)
            .on(block.clone())
            .into()
    })
}
