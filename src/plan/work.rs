//! Everything that is declared or recorded, held against what was seen.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simfleet_provider_api::{Address, Attribute, Attributes, ChangeEffect, ObjectId, Observed, Value};
use simfleet_state::{Declaration, Operation, Resource, State};

use super::hold::impose;
use super::moments::{Kept, Moments};
use super::moves::Basis;
use super::planner::{Mode, Planner};
use super::session::{Declared, One, Session, postcondition, precondition, scope};
use super::{
    Action, Assessment, Change, Drift, DriftKind, HostFate, NAME, OutputChange, Reason, assess, dismiss, go_on,
    make_anew,
};
use crate::builtin;
use crate::config::{Held, Names, published};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lower::{
    Desired, Lowering, Objects, Trigger, adopted_host, implied_local_node, is_adopted, served, set_of_instance,
};
use crate::plan::difference::{drift, same};
use crate::refresh::Observations;

impl<'a> Planner<'a> {
    /// Holds everything that is declared against a state and what was seen.
    pub(super) fn assess<'w>(
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
            hosts: BTreeMap::new(),
            imported: basis.map(|basis| &basis.imports),
            found: Found::default(),
        };
        let session = match self.mode {
            Mode::Apply => {
                let mut session = Session::new(self, state, seen)?;
                work.declared(&mut session)?;
                session.planned(&work.found.changes);
                session
            }
            Mode::Destroy | Mode::Refresh => Session::empty(self.config, self.registry, self.mode),
        };
        Ok((session, work))
    }
}

#[derive(Default)]
pub(super) struct Found {
    pub(super) changes: BTreeMap<Address, Change>,
    drift: Vec<Drift>,
}

pub(super) struct Work<'w, 'a> {
    planner: &'w Planner<'a>,
    state: &'w State,
    seen: &'w Observations,
    /// The names of objects that have another address than when they were made.
    names: BTreeSet<String>,
    /// The recorded addresses of what moves, by the new ones.
    moved: BTreeMap<&'w Address, &'w Address>,
    /// The hosts that exist and that are nodes, by where they are.
    hosts: BTreeMap<String, Address>,
    /// The objects that become those of resources.
    imported: Option<&'w BTreeMap<Address, ObjectId>>,
    pub(super) found: Found,
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
    fn declared(&mut self, session: &mut Session<'_>) -> Result<(), Diagnostics> {
        if session.layout.needs_local_node {
            self.assess(&implied_local_node())?;
        }
        for group in session.groups()? {
            self.assess(&group)?;
        }
        let mut diagnostics = Diagnostics::new();
        for place in 0..session.order.len() {
            session.follow_each(place)?;
            let declared = &session.order[place];
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
        let mut lowered = Vec::new();
        for stage in Lowering::STAGES {
            let resources = session.lower(declared, one, &record, names, &*self, stage)?;
            self.assess_all(&resources)?;
            lowered.extend(resources);
        }
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

    fn assess_all(&mut self, all: &[Desired]) -> Result<(), Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        for desired in all {
            if let Err(error) = self.assess(desired) {
                diagnostics.push(error);
            }
        }
        diagnostics.or(()).map(drop)
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
        let holding = self.planner.holding(self.state);
        let held = holding.lasting(&desired.address, schema);
        if let Some(held) = held {
            impose(&mut desired.to_mut().attributes, held);
        }
        let kept = match (self.planner.moments, recorded) {
            (Moments::Keep, Some(recorded)) if !desired.attributes.is_known() => {
                Kept::of(&mut desired.to_mut().attributes, &recorded.declared.inputs)
            }
            _ => Kept::default(),
        };
        let desired = &*desired;
        refuse_shared_ports(desired)?;
        self.refuse_same_host(desired)?;
        let Assessment { mut change, drift } = assess(desired, schema, recorded, observed, fate)?;
        change.held = held.cloned();
        holding.explain(&mut change);
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
        kept.renew_secrets(&mut change);
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

    /// Refuses that one host is two nodes: what is placed on one would not count on the other.
    fn refuse_same_host(&mut self, desired: &Desired) -> Result<(), Diagnostic> {
        let Some(host) = adopted_host(desired) else {
            return Ok(());
        };
        let Some(first) = self.hosts.insert(host.to_owned(), desired.address.clone()) else {
            return Ok(());
        };
        let detail =
            format!("It and {first} are the same host, {host}: what is placed on one would not count on the other.");
        let diagnostic = Diagnostic::error("Same host twice", detail).on(desired.address.clone());
        let span = desired.spans.get("runtime").or(desired.span.as_ref()).cloned();
        Err(diagnostic.at(span).hint(match desired.address.child_name() {
            Some(_) => "each member is a host of its own: runtime = \"ssh://user@host-${member.number}\"",
            None => "have one node for it, or give each instance a host of its own",
        }))
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
    pub(super) fn as_seen(&mut self) {
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
    pub(super) fn undeclared(&mut self) {
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
            // A host that exists is left alone.
            let lost = (!is_seen && self.does_host_go(declared))
                || is_adopted(declared, before.as_ref())
                || self.is_left(address, declared);
            let mut removed = modules.iter().flat_map(|module| &module.removed);
            let removed = removed.find(|removed| removed.covers(address));
            let mut change = match removed {
                Some(removed) => dismiss(address, declared, before, lost || !removed.destroy, Reason::Removed),
                None => {
                    let unhealthy = self.out_of_service(address).map(|member| Reason::Unhealthy { member });
                    dismiss(address, declared, before, lost, unhealthy.unwrap_or(reason.clone()))
                }
            };
            change.timeouts = self.planner.config.timeouts_of(address, Some(declared));
            if let Some(drift) = self.drift_of(address) {
                self.found.drift.push(drift);
            }
            self.found.changes.insert(address.clone(), change);
        }
    }

    /// Returns the member that takes no part in its load balancer any more although both stay.
    fn out_of_service(&self, server: &Address) -> Option<Address> {
        let stays = |address: &Address| self.found.changes.get(address).is_some_and(|it| it.after.is_some());
        served(server).filter(|member| stays(member) && server.whole().as_ref().is_some_and(stays))
    }

    /// Whether what an earlier run began on a node can only go with that node.
    fn is_lost(&self, begun: &Declaration) -> bool {
        !self.is_host_seen(begun) && self.does_host_go(begun)
    }

    /// Whether something is an instance of a set that was adopted, and is not ours any more: it stays with it.
    fn is_left(&self, address: &Address, declared: &Declaration) -> bool {
        let stays = |set: &Address| self.found.changes.get(set).is_some_and(|it| it.after.is_some());
        set_of_instance(address, declared).is_some_and(|set| !stays(&set))
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
        let host = self.state.resources.get(host);
        if host.is_some_and(|host| is_adopted(&host.declared, None))
            && change.is_none_or(|it| it.action != Action::Replace)
        {
            // It is only forgotten: what is on it does not go by itself.
            return false;
        }
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

    pub(super) fn outputs(&self, session: &Session<'_>) -> Result<BTreeMap<String, OutputChange>, Diagnostics> {
        let after = match self.planner.mode {
            Mode::Apply => session.outputs(&self.state.outputs)?,
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

    pub(super) fn finish(mut self) -> (Vec<Change>, Vec<Drift>) {
        self.found.drift.sort_by(|a, b| a.address.cmp(&b.address));
        (self.found.changes.into_values().collect(), self.found.drift)
    }
}

/// Refuses that two processes or containers of one simulator or service are to have the same ports for a while.
fn refuse_shared_ports(desired: &Desired) -> Result<(), Diagnostic> {
    let ports = desired.attributes.get("ports").and_then(Value::as_fields);
    let publish = desired.attributes.get("publish").and_then(Value::as_slice);
    // Where none is given the engine chooses the port.
    let is_given = |port: &Value| {
        let ports = port.as_str().and_then(published::parse);
        ports.is_some_and(|ports| ports.iter().any(|port| port.host.is_some()))
    };
    let has_ports = desired.hosted_on.is_some() && ports.is_some_and(|ports| !ports.is_empty())
        || publish.is_some_and(|publish| publish.iter().any(is_given));
    if !desired.policy.create_before_destroy || !has_ports {
        return Ok(());
    }
    let detail = "It has ports, which its replacement cannot have before the old one is gone.";
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
