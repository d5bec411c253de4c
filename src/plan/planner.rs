//! From a configuration, a state and observations to a plan. Pure, and the same bytes every time.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simfleet_provider_api::{Address, Attribute, Attributes, ChangeEffect, ObjectId, Observed, Value};
use simfleet_state::{Declaration, Event, Operation, Resource, Snapshot, State};

use super::disruption;
use super::moves::Basis;
use super::session::{Declared, One, Session, postcondition, precondition, scope};
use super::{
    Action, Adoptee, Assessment, Change, Drift, DriftKind, HostFate, Interrupt, NAME, OutputChange, Plan, PoolChange,
    Reason, Selection, Unfinished, assess, dismiss, go_on, make_anew,
};
use crate::builtin;
use crate::config::{Config, Held, Import, Names};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::lower::{Desired, Objects, Trigger, implied_local_node};
use crate::plan::difference::{drift, same};
use crate::providers::Registry;
use crate::refresh::Observations;

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// To bring the fleet to what is declared.
    Apply,
    /// To remove everything.
    Destroy,
    /// To record what is there, and change nothing.
    Refresh,
}

/// All that a plan is made of, beside the state and the observations.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// What is declared.
    pub config: &'a Config,
    /// The providers of this build.
    pub registry: &'a Registry,
    /// What the plan is for.
    pub mode: Mode,
    /// Resources that are made anew, whatever they look like.
    pub replace: &'a BTreeSet<Address>,
    /// What of the fleet the plan is about.
    pub selection: &'a Selection,
}

/// A plan and all that is needed to carry it out.
#[derive(Debug)]
pub struct Planned<'a> {
    /// The plan.
    pub plan: Plan,
    /// The state that it was made from.
    pub snapshot: Snapshot,
    /// What was seen, by the addresses that are recorded.
    pub observations: Observations,
    /// What it was made from instead where something moves or is imported.
    pub basis: Option<Basis>,
    /// Answers what the plan could not know yet.
    pub session: Session<'a>,
    /// What should hold of the fleet, and does not.
    pub warnings: Diagnostics,
}

impl Planned<'_> {
    /// Returns the state that the plan was made from, with what moves at its new address.
    pub fn state(&self) -> &State {
        self.basis.as_ref().map_or(&self.snapshot.state, |basis| &basis.state)
    }

    /// Returns what is to be recorded before anything is done: what moves or is imported, and what was found out.
    pub fn facts(&self, registry: &Registry) -> Vec<Event> {
        let is_meant = |event: &&Event| match event {
            // Of a part of a fleet only that part is imported.
            Event::Adopted { address, .. } => self.plan.imports.contains_key(address),
            _ => true,
        };
        let seen = self.basis.as_ref().map_or(&self.observations, |basis| &basis.seen);
        let events = self.basis.iter().flat_map(|basis| &basis.events);
        let mut facts: Vec<Event> = events.filter(is_meant).cloned().collect();
        facts.extend(crate::apply::prepare(&self.plan, self.state(), seen, registry));
        facts
    }
}

impl<'a> Planner<'a> {
    /// Makes a plan.
    ///
    /// # Errors
    /// Everything of the configuration that cannot be planned.
    pub fn plan(&self, snapshot: Snapshot, observations: Observations) -> Result<Planned<'a>, Diagnostics> {
        // To leave out what is not acted on would plan something else than is written.
        if self.mode == Mode::Apply && self.config.unavailable.has_errors() {
            return Err(self.config.unavailable.clone());
        }
        let basis = match self.mode {
            Mode::Apply => self.basis(&snapshot.state, &observations)?,
            Mode::Destroy | Mode::Refresh => None,
        };
        let (state, seen) = match &basis {
            Some(basis) => (&basis.state, &basis.seen),
            None => (&snapshot.state, &observations),
        };
        let (session, mut work) = self.assess(state, seen, basis.as_ref())?;
        match self.mode {
            Mode::Apply => {
                work.undeclared();
                session.check_modules()?;
            }
            Mode::Destroy => work.undeclared(),
            Mode::Refresh => work.as_seen(),
        }
        let outputs = work.outputs(&session)?;
        let warnings = match self.mode {
            Mode::Apply => session.warnings(),
            Mode::Destroy | Mode::Refresh => Diagnostics::new(),
        };
        let (mut changes, drift) = work.finish();
        if self.mode != Mode::Refresh {
            changes.extend(deposed(state));
            changes.sort_by(|a, b| (&a.address, &a.deposed).cmp(&(&b.address, &b.deposed)));
        }
        let unplaced = session.layout.unplaced.clone();
        let (pools, ports) = match self.mode {
            Mode::Apply | Mode::Destroy => (pools(&session, state), session.layout.port_changes(state)),
            Mode::Refresh => Default::default(),
        };
        let mut plan = Plan {
            mode: self.mode,
            is_partial: false,
            lineage: snapshot.lineage.clone().unwrap_or_default(),
            serial: snapshot.state.serial,
            interrupts: interrupts(&changes),
            pools,
            ports,
            moves: basis.as_ref().map(|basis| basis.moves.clone()).unwrap_or_default(),
            imports: basis.as_ref().map(|basis| basis.imports.clone()).unwrap_or_default(),
            unfinished: unfinished(&snapshot),
            changes,
            drift,
            outputs,
            unplaced,
            rolls: Vec::new(),
        };
        self.selection.apply(&mut plan)?;
        plan.rolls = disruption::rolls(&plan.changes, |pool| Some(session.layout.pools.get(pool)?.at_once));
        self.protected(&plan, state).or(())?;
        Ok(Planned {
            plan,
            snapshot,
            observations,
            basis,
            session,
            warnings,
        })
    }

    /// Returns what the plan is made from where something moves or is imported; `None` where nothing does.
    fn basis(&self, state: &State, observations: &Observations) -> Result<Option<Basis>, Diagnostics> {
        let mut basis = Basis::moved(self.config, state, observations)?;
        let adoptees = match &basis {
            Some(basis) => self.adoptees_of(&basis.state, &basis.seen, Some(basis))?,
            None => self.adoptees_of(state, observations, None)?,
        };
        if !adoptees.is_empty() {
            let basis = basis.get_or_insert_with(|| Basis::of(state, observations));
            basis.adopt(&adoptees, observations, self.registry)?;
        }
        Ok(basis)
    }

    /// Returns the objects that `import` blocks have become those of resources, and that are to be looked at for a plan.
    ///
    /// # Errors
    /// Everything of the configuration that cannot be planned.
    pub fn adoptees(&self, state: &State, observations: &Observations) -> Result<Vec<Adoptee>, Diagnostics> {
        match Basis::moved(self.config, state, observations)? {
            Some(basis) => self.adoptees_of(&basis.state, &basis.seen, Some(&basis)),
            None => self.adoptees_of(state, observations, None),
        }
    }

    fn adoptees_of(
        &self,
        state: &State,
        seen: &Observations,
        basis: Option<&Basis>,
    ) -> Result<Vec<Adoptee>, Diagnostics> {
        let is_done = |import: &Import| import.single().is_some_and(|to| state.resources.contains_key(to));
        if self.config.imports.iter().all(is_done) {
            return Ok(Vec::new());
        }
        let (session, work) = self.assess(state, seen, basis)?;
        let mut diagnostics = Diagnostics::new();
        let mut adoptees = Vec::new();
        for import in &self.config.imports {
            let adoptions = diagnostics.keep(import.adoptions(&session.names())).unwrap_or_default();
            // What is recorded already has its object.
            for adoption in adoptions.into_iter().filter(|it| !state.resources.contains_key(&it.to)) {
                let span = Some(adoption.span.clone());
                let adoptee = Adoptee::of(&work.found.changes, state, &adoption.to, &adoption.id, span);
                adoptees.extend(diagnostics.keep(adoptee.map_err(Diagnostics::from)));
            }
        }
        diagnostics.or(adoptees).map(|(adoptees, _)| adoptees)
    }

    /// Returns an object that a command has become that of a resource.
    ///
    /// # Errors
    /// Everything of the configuration that cannot be planned, and why it cannot be imported.
    pub fn adoptee(
        &self,
        state: &State,
        seen: &Observations,
        to: &Address,
        id: &Arc<str>,
    ) -> Result<Adoptee, Diagnostics> {
        if state.resources.contains_key(to) {
            let detail = format!("{to} has an object already.");
            let diagnostic = Diagnostic::error("Managed already", detail).on(to.clone());
            return Err(diagnostic
                .hint(format!("`simfleet state rm {to}` forgets that one"))
                .into());
        }
        let (_, work) = self.assess(state, seen, None)?;
        Ok(Adoptee::of(&work.found.changes, state, to, id, None)?)
    }

    /// Holds everything that is declared against a state and what was seen.
    fn assess<'w>(
        &'w self,
        state: &'w State,
        seen: &'w Observations,
        basis: Option<&'w Basis>,
    ) -> Result<(Session<'a>, Work<'w, 'a>), Diagnostics> {
        let moves = basis.iter().flat_map(|basis| &basis.moves);
        let mut work = Work {
            planner: self,
            state,
            seen,
            names: names(state),
            moved: moves.map(|it| (&it.to, &it.from)).collect(),
            imported: basis.map(|basis| &basis.imports),
            found: Found::default(),
        };
        let session = match self.mode {
            Mode::Apply => {
                let mut session = Session::new(self.config, self.registry, state)?;
                work.declared(&session)?;
                session.planned(&work.found.changes);
                session
            }
            Mode::Destroy | Mode::Refresh => Session::empty(self.config, self.registry, self.mode),
        };
        Ok((session, work))
    }

    /// Refuses to delete what is protected, by the configuration or by what was last applied of it.
    fn protected(&self, plan: &Plan, state: &State) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        for change in plan.changes.iter().filter(|change| change.deposed.is_none()) {
            let recorded = state.resources.get(&change.address);
            let was = recorded.is_some_and(|resource| resource.declared.prevent_destroy);
            let (is_protected, hint) = match change.action {
                Action::Replace => (
                    change.prevent_destroy,
                    "change it otherwise, or take prevent_destroy away",
                ),
                Action::Delete => (
                    was,
                    "declare it with prevent_destroy = false and apply that first, or give it up with a `removed` block",
                ),
                _ => (false, ""),
            };
            if is_protected {
                let reason = change.reasons.first().map(ToString::to_string).unwrap_or_default();
                let verb = if change.action == Action::Replace {
                    "made anew"
                } else {
                    "deleted"
                };
                let detail = format!(
                    "{} would be {verb}, as {reason}; it has prevent_destroy.",
                    change.address
                );
                let diagnostic = Diagnostic::error("Protected from deletion", detail).on(change.address.clone());
                diagnostics.push(diagnostic.at(self.span_of(&change.address)).hint(hint));
            }
        }
        diagnostics
    }

    fn span_of(&self, address: &Address) -> Option<Span> {
        Some(self.config.declaration_of(address)?.span.clone())
    }
}

#[derive(Default)]
struct Found {
    changes: BTreeMap<Address, Change>,
    drift: Vec<Drift>,
}

struct Work<'w, 'a> {
    planner: &'w Planner<'a>,
    state: &'w State,
    seen: &'w Observations,
    /// The names of objects that have another address than when they were made.
    names: BTreeSet<String>,
    /// The recorded addresses of what moves, by the new ones.
    moved: BTreeMap<&'w Address, &'w Address>,
    /// The objects that become those of resources.
    imported: Option<&'w BTreeMap<Address, ObjectId>>,
    found: Found,
}

/// The attributes of resources as a plan expects them to be.
impl Objects for Work<'_, '_> {
    fn attributes(&self, address: &Address) -> Option<Attributes> {
        let change = self.found.changes.get(address)?;
        let mut attributes = change.after.clone()?;
        let stays = match change.action {
            Action::NoOp | Action::Update => true,
            Action::Check => !change.reasons.contains(&Reason::Unfinished { verb: "delete" }),
            _ => false,
        };
        if attributes.get("id").is_none() {
            let id = match self.state.resources.get(address) {
                Some(resource) if stays => Value::string(Arc::clone(&resource.object.id.0)),
                _ => Value::unknown(format!("{address}.id")),
            };
            attributes.set("id", id);
        }
        Some(attributes)
    }
}

impl Work<'_, '_> {
    /// Assesses every declared resource, each after those that it reads.
    fn declared(&mut self, session: &Session<'_>) -> Result<(), Diagnostics> {
        if session.layout.needs_local_node {
            self.assess(&implied_local_node())?;
        }
        let mut diagnostics = Diagnostics::new();
        for declared in &session.order {
            let names = session.names();
            let mut values = Vec::with_capacity(declared.ones.len());
            for one in &declared.ones {
                values.extend(diagnostics.keep(self.instance(session, declared, one, &names)));
            }
            if diagnostics.has_errors() {
                // What reads a declaration that failed would only fail for that.
                return Err(diagnostics);
            }
            session.publish(declared, values);
        }
        Ok(())
    }

    /// Assesses the resources of one instance; returns the value that others read of it.
    fn instance(
        &mut self,
        session: &Session<'_>,
        declared: &Declared<'_>,
        one: &One,
        names: &Names<'_>,
    ) -> Result<Value, Diagnostics> {
        let scope = scope(names, &declared.block, one.instance.clone())?;
        let before = precondition(declared, &scope).map_err(|errors| errors.on(&one.address))?;
        let record = declared.declaration.evaluate(&scope)?;
        let mut diagnostics = Diagnostics::new();
        let lowered = session.lower(declared, one, &record, names, &*self)?;
        for desired in &lowered {
            if let Err(error) = self.assess(desired) {
                diagnostics.push(error);
            }
        }
        diagnostics.or(())?;
        let value = session.value(declared, one, &record, &*self)?;
        let after = postcondition(declared, one, value.clone(), names).map_err(|errors| errors.on(&one.address))?;
        if before.max(after) == Held::NotKnown {
            for desired in &lowered {
                let change = self.found.changes.get_mut(&desired.address);
                change.into_iter().for_each(|change| change.is_unproven = true);
            }
        }
        Ok(value)
    }

    fn assess(&mut self, desired: &Desired) -> Result<(), Diagnostic> {
        let provider = self.planner.registry.get(&desired.provider.name);
        let Some((provider, schema)) = provider.and_then(|provider| Some((provider, provider.schema(&desired.kind)?)))
        else {
            let detail = format!("Provider `{}` has no kind `{}`.", desired.provider.name, desired.kind);
            return Err(Diagnostic::error("Kind not available", detail)
                .on(desired.address.clone())
                .at(desired.span.clone()));
        };
        if let Some(problem) = provider.check(&desired.kind, &desired.attributes).into_iter().next() {
            let span = problem
                .path
                .root()
                .and_then(|name| desired.spans.get(name))
                .or(desired.span.as_ref());
            let detail = format!("`{}`: {}.", problem.path, problem.message.trim_end_matches('.'));
            let diagnostic = Diagnostic::error("Invalid value", detail)
                .on(desired.address.clone())
                .at(span.cloned());
            return Err(match problem.hint {
                Some(hint) => diagnostic.hint(hint),
                None => diagnostic,
            });
        }
        let (recorded, observed) = (
            self.state.resources.get(&desired.address),
            self.seen.get(&desired.address),
        );
        let host = desired.hosted_on.as_ref().and_then(|host| self.found.changes.get(host));
        let fate = host.map_or(HostFate::Stays, HostFate::of);
        let mut desired = Cow::Borrowed(desired);
        if recorded.is_none() && self.has_name(&desired) {
            let desired = desired.to_mut();
            let name = format!("{}-{}", desired.address, self.state.serial);
            desired.attributes.set(NAME, name);
        }
        let desired = &*desired;
        refuse_shared_ports(desired)?;
        let Assessment { mut change, drift } = assess(desired, schema, recorded, observed, fate)?;
        let is_kept = matches!(change.action, Action::NoOp | Action::Update);
        if is_kept && recorded.is_some_and(|recorded| is_elsewhere(provider.settings(), recorded, desired)) {
            make_anew(&mut change, Reason::Provider, schema);
        }
        let asked = self.planner.replace.contains(&desired.address);
        if asked && !matches!(change.action, Action::Create | Action::Replace) {
            make_anew(&mut change, Reason::Asked, schema);
        }
        if matches!(change.action, Action::NoOp | Action::Update)
            && let Some(by) = desired
                .policy
                .triggers
                .iter()
                .find_map(|trigger| self.triggered(trigger))
        {
            make_anew(&mut change, Reason::Triggered { by }, schema);
        }
        let intent = self.state.intents.get(&desired.address);
        // What is begun with an object that was replaced already is no matter of the current one.
        let intent = intent.filter(|intent| !matches!(intent.operation, Operation::Delete { deposed: Some(_), .. }));
        if let (Some(intent), Some(begun)) = (intent, self.state.declared_of(&desired.address)) {
            go_on(&mut change, intent, begun, self.is_lost(begun), schema);
        }
        if change.is_made_first() && !desired.spans.contains_key(NAME) {
            // The old object still has the name.
            let name: Value = format!("{}-{}", desired.address, self.state.serial).into();
            for attributes in [&mut change.wanted, &mut change.after].into_iter().flatten() {
                if attributes.get(NAME).is_some() {
                    attributes.set(NAME, name.clone());
                }
            }
        }
        if &*desired.provider.name == builtin::NAME {
            change.after.iter_mut().for_each(builtin::follow);
        }
        change.imported = self
            .imported
            .and_then(|imported| imported.get(&desired.address))
            .cloned();
        change.moved_from = self.moved.get(&desired.address).map(|from| (*from).clone());
        self.found.drift.extend(drift);
        self.found.changes.insert(desired.address.clone(), change);
        Ok(())
    }

    /// Whether an object that moved to another address has the name that this one would get.
    fn has_name(&self, desired: &Desired) -> bool {
        let name = desired.attributes.get(NAME).and_then(Value::as_str);
        !desired.spans.contains_key(NAME) && name.is_some_and(|name| self.names.contains(name))
    }

    /// Returns what changes of that which has something else made anew.
    fn triggered(&self, trigger: &Trigger) -> Option<Address> {
        let is_of = |address: &Address| *address == trigger.address || address.declaration() == trigger.address;
        let changes = self.found.changes.range(trigger.address.clone()..);
        let of_block = changes.take_while(|(address, _)| is_of(address) || address.parent() == trigger.address);
        let mut changing = of_block.filter(|(_, change)| match (change.action, &trigger.attribute) {
            // What is made for the first time is no change of it.
            (Action::NoOp | Action::Check | Action::Create, _) => false,
            (Action::Update, Some(name)) => {
                let value = |attributes: &Option<Attributes>| attributes.as_ref().and_then(|it| it.get(name)).cloned();
                let is_known = change.after.as_ref().is_none_or(|after| after.get(name).is_some());
                !is_known || !same(value(&change.before).as_ref(), value(&change.after).as_ref())
            }
            _ => true,
        });
        changing.next().map(|(address, _)| address.clone())
    }

    /// Takes every recorded resource as it is there now.
    fn as_seen(&mut self) {
        for (address, resource) in &self.state.resources {
            let before = Some(resource.object.attributes.clone());
            let seen = match self.seen.get(address) {
                Some(Observed::Present(object)) => Some(object.attributes.clone()),
                Some(Observed::Absent) => None,
                Some(Observed::Unreachable { .. }) | None => before.clone(),
            };
            let mut change = dismiss(address, &resource.declared, before, false, Reason::Gone);
            change.action = Action::NoOp;
            change.reasons.clear();
            change.after = seen;
            self.found.drift.extend(self.drift_of(address));
            self.found.changes.insert(address.clone(), change);
        }
    }

    /// Lets go of what is recorded and not declared any more.
    fn undeclared(&mut self) {
        let reason = match self.planner.mode {
            Mode::Apply => Reason::NotDeclared,
            Mode::Destroy | Mode::Refresh => Reason::Destroy,
        };
        let modules = self.planner.config.modules();
        // Hosts sort after what runs on them as often as before, so what happens to hosts is settled first.
        let gone: BTreeSet<&Address> = self
            .state
            .resources
            .keys()
            .chain(self.state.intents.keys())
            .filter(|address| !self.found.changes.contains_key(*address))
            .collect();
        for address in gone {
            let recorded = self.state.resources.get(address);
            let Some(declared) = recorded
                .map(|resource| &resource.declared)
                .or_else(|| self.state.declared_of(address))
            else {
                continue;
            };
            let (before, is_seen) = match (self.seen.get(address), recorded) {
                (Some(Observed::Present(object)), _) => (Some(object.attributes.clone()), true),
                (_, Some(resource)) => (Some(resource.object.attributes.clone()), false),
                (_, None) => (None, self.is_host_seen(declared)),
            };
            let lost = !is_seen && self.does_host_go(declared);
            let mut removed = modules.iter().flat_map(|module| &module.removed);
            let removed = removed.find(|removed| removed.covers(address));
            let change = match removed {
                Some(removed) => dismiss(address, declared, before, lost || !removed.destroy, Reason::Removed),
                None => dismiss(address, declared, before, lost, reason.clone()),
            };
            if let Some(drift) = self.drift_of(address) {
                self.found.drift.push(drift);
            }
            self.found.changes.insert(address.clone(), change);
        }
    }

    /// Whether what an earlier run began on a node can only go with that node.
    fn is_lost(&self, begun: &Declaration) -> bool {
        !self.is_host_seen(begun) && self.does_host_go(begun)
    }

    /// Whether the node of something answers now.
    fn is_host_seen(&self, declared: &Declaration) -> bool {
        let host = declared.hosted_on.as_ref();
        host.is_some_and(|host| matches!(self.seen.get(host), Some(Observed::Present(_))))
    }

    /// Whether the node of something is deleted, made anew, or gone already: a run that was stopped can have removed the
    /// node, and not yet what went with it. A node that nothing is planned for yet is not declared any more.
    fn does_host_go(&self, declared: &Declaration) -> bool {
        let Some(host) = &declared.hosted_on else { return false };
        let change = self.found.changes.get(host);
        change.is_none_or(|change| matches!(change.action, Action::Replace | Action::Delete | Action::Forget))
    }

    fn drift_of(&self, address: &Address) -> Option<Drift> {
        let resource = self.state.resources.get(address)?;
        let schema = self
            .planner
            .registry
            .schema(&resource.declared.provider.name, &resource.declared.kind)?;
        let what = match self.seen.get(address)? {
            Observed::Absent => DriftKind::Gone,
            Observed::Unreachable { reason } => DriftKind::Unreachable { reason: reason.clone() },
            Observed::Present(object) => {
                let changed = drift(schema, &resource.object.attributes, &object.attributes);
                (!changed.is_empty()).then_some(DriftKind::Changed(changed))?
            }
        };
        Some(Drift {
            address: address.clone(),
            kind: resource.declared.kind.clone(),
            what,
        })
    }

    fn outputs(&self, session: &Session<'_>) -> Result<BTreeMap<String, OutputChange>, Diagnostics> {
        let after = match self.planner.mode {
            Mode::Apply => session.outputs()?,
            Mode::Destroy => BTreeMap::new(),
            Mode::Refresh => self.state.outputs.clone(),
        };
        let before = &self.state.outputs;
        let names: BTreeSet<&Arc<str>> = before.keys().chain(after.keys()).collect();
        let change = |name: &Arc<str>| {
            let (before, after) = (before.get(name).cloned(), after.get(name).cloned());
            let sensitive = before.iter().chain(&after).any(Value::is_sensitive);
            OutputChange {
                before,
                after,
                sensitive,
            }
        };
        Ok(names.into_iter().map(|name| (name.to_string(), change(name))).collect())
    }

    fn finish(mut self) -> (Vec<Change>, Vec<Drift>) {
        self.found.drift.sort_by(|a, b| a.address.cmp(&b.address));
        (self.found.changes.into_values().collect(), self.found.drift)
    }
}

/// Returns a change for each object that was replaced and is still to go.
fn deposed(state: &State) -> impl Iterator<Item = Change> {
    state.deposed.iter().flat_map(|(address, objects)| {
        objects.iter().map(move |(key, resource)| {
            let before = Some(resource.object.attributes.clone());
            Change {
                deposed: Some(key.clone()),
                // It was emptied before its replacement was made.
                drain: None,
                ..dismiss(address, &resource.declared, before, false, Reason::Deposed)
            }
        })
    })
}

/// Refuses that two processes of one simulator are to have the same ports for a while.
fn refuse_shared_ports(desired: &Desired) -> Result<(), Diagnostic> {
    let ports = desired.attributes.get("ports").and_then(Value::as_fields);
    if !desired.policy.create_before_destroy || desired.hosted_on.is_none() || ports.is_none_or(BTreeMap::is_empty) {
        return Ok(());
    }
    let detail = "It has ports, which a new process cannot have before the old one is gone.";
    let diagnostic = Diagnostic::error("Cannot be created before it is destroyed", detail).on(desired.address.clone());
    let hint = "take create_before_destroy out of it, and of what reads it";
    Err(diagnostic.at(desired.span.clone()).hint(hint))
}

/// Whether the provider of a resource is another place from now on, so that its object cannot become what is wanted. As
/// long as a setting is not known, it is taken for what it was: the next plan tells.
fn is_elsewhere(settings: &[Attribute], recorded: &Resource, desired: &Desired) -> bool {
    let places = settings
        .iter()
        .filter(|setting| setting.change == ChangeEffect::Replace);
    let (before, after) = (&recorded.declared.provider.settings, &desired.provider.settings);
    let mut pairs = places.map(|place| (before.get(place.name), after.get(place.name)));
    pairs.any(|(before, after)| !after.is_some_and(Value::is_unknown) && !same(before, after))
}

/// Returns the names of objects that are not those of their addresses.
fn names(state: &State) -> BTreeSet<String> {
    let named = state.resources.iter().filter_map(|(address, resource)| {
        let name = resource.declared.inputs.get(NAME)?.as_str()?;
        (name != address.to_string()).then(|| name.to_owned())
    });
    named.collect()
}

/// Returns the simulators that changes stop.
fn interrupts(changes: &[Change]) -> Vec<Interrupt> {
    let stops = |change: &&Change| matches!(change.action, Action::Replace | Action::Delete | Action::Forget);
    let simulators = changes.iter().filter(|change| change.was_hosted_on.is_some());
    let interrupt = |change: &Change| Interrupt {
        address: change.address.clone(),
        action: change.action,
    };
    simulators.filter(stops).map(interrupt).collect()
}

/// Returns the pools whose recorded size changes.
fn pools(session: &Session<'_>, state: &State) -> Vec<PoolChange> {
    let mut changes: Vec<PoolChange> = Vec::new();
    for (address, pool) in &session.layout.pools {
        let recorded = state.pools.get(address);
        let after = pool.members.len() as u64;
        let before = recorded.map(|pool| pool.size);
        if before != Some(after) {
            let (address, because) = (address.clone(), pool.because.clone());
            changes.push(PoolChange {
                address,
                before,
                after,
                is_declared: true,
                numbered: pool.numbered,
                because,
            });
        }
    }
    for (address, recorded) in &state.pools {
        if !session.layout.pools.contains_key(address) {
            changes.push(PoolChange {
                address: address.clone(),
                before: Some(recorded.size),
                after: 0,
                is_declared: false,
                numbered: recorded.numbered,
                because: match session.mode() {
                    Mode::Apply | Mode::Refresh => Reason::NotDeclared.to_string(),
                    Mode::Destroy => Reason::Destroy.to_string(),
                },
            });
        }
    }
    changes.sort_by(|a, b| a.address.cmp(&b.address));
    changes
}

/// Returns the changes that earlier runs began and that have no end yet.
fn unfinished(snapshot: &Snapshot) -> Vec<Unfinished> {
    let describe = |(address, intent): (&Address, &simfleet_state::Intent)| {
        let lease = snapshot.leases.iter().find(|lease| lease.holder.id == intent.holder);
        Unfinished {
            address: address.clone(),
            action: intent.operation.verb(),
            token: intent.token.clone(),
            by: lease.map_or_else(|| "a run that is gone".to_owned(), |lease| lease.holder.to_string()),
            live: lease.is_some_and(|lease| !lease.is_over(&simfleet_state::System)),
        }
    };
    snapshot.state.intents.iter().map(describe).collect()
}
