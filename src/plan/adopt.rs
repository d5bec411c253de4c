//! `import`: objects that exist become those of resources.
//!
//! Which object it is, by kind and provider, only a plan tells; what it is like, only its provider. So a fleet with imports
//! is planned once without them, the objects are looked at, and the plan that is shown is made as if they were recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Kind, Object, ObjectId, Observed, Schema};
use simfleet_state::{Event, ProviderConfig, State};

use super::moves::Basis;
use super::planner::Planner;
use super::{Action, Change, NAME, marked, typed};
use crate::apply::declaration;
use crate::config::{Declaration, Import};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::lower::{frame, mounted_at, volume_at};
use crate::providers::Registry;
use crate::refresh::Observations;

/// An object that is to become that of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoptee {
    /// The resource as a plan without the object has it: it is made.
    change: Change,
    /// Its provider.
    provider: ProviderConfig,
    /// The object.
    id: ObjectId,
    /// Where that is written; nowhere where it is asked for by a command.
    span: Option<Span>,
    /// What the resource is made beside: its own objects come with the one that is adopted.
    parts: Vec<Part>,
}

/// A volume of a container's own that is not there yet, as far as a plan knows.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// As a plan without the object has it: it is made.
    change: Change,
    /// Where in the container it is to be.
    target: Arc<str>,
}

impl Adoptee {
    /// Finds the resource among those that are planned without the object.
    ///
    /// # Errors
    /// It is not declared, the object is that of another resource, or the settings of its provider are not known yet.
    pub(super) fn of(
        changes: &BTreeMap<Address, Change>,
        state: &State,
        to: &Address,
        id: &Arc<str>,
        span: Option<Span>,
    ) -> Result<Self, Diagnostic> {
        let id = ObjectId(Arc::clone(id));
        let error = |summary: &'static str, detail: String| {
            Err(Diagnostic::error(summary, detail).on(to.clone()).at(span.clone()))
        };
        let declared = changes
            .get(to)
            .and_then(|change| Some((change, change.provider.as_ref()?)));
        let Some((change, provider)) = declared else {
            let names: Vec<String> = changes.keys().map(ToString::to_string).collect();
            let detail = "It is not declared, or has no place: an object becomes that of a declared resource.";
            return error("Unknown resource", detail.to_owned())
                .map_err(|error| error.nearest(&to.to_string(), names.iter().map(String::as_str)));
        };
        let is_it = |(_, resource): &(&Address, &simfleet_state::Resource)| {
            let declared = &resource.declared;
            resource.object.id == id && declared.kind == change.kind && declared.provider.name == provider.name
        };
        if let Some((owner, _)) = state.resources.iter().find(is_it) {
            let detail = format!("The object `{id}` is that of {owner} already.");
            return error("Managed already", detail)
                .map_err(|error| error.hint(format!("`simfleet state mv {owner} {to}` gives it the other address")));
        }
        if state.intents.contains_key(to) {
            let detail = format!("What an earlier run began with {to} has no end yet.");
            return error("Cannot be imported yet", detail).map_err(|error| error.hint("`simfleet apply` finishes it"));
        }
        if let Some(origin) = provider.settings.to_value().unknown_origin() {
            let detail = format!("The settings of its provider depend on `{origin}`, which is known after apply only.");
            return error("Value not known yet", detail);
        }
        let parts = change.depends_on.iter().filter(|needed| needed.parent() == *to);
        let parts = parts.filter_map(|part| changes.get(part));
        let missing = parts.filter(|part| part.action == Action::Create);
        let parts = missing.filter_map(|part| {
            Some(Part {
                change: part.clone(),
                target: mounted_at(change.wanted.as_ref()?, &part.address)?,
            })
        });
        Ok(Adoptee {
            change: change.clone(),
            provider: provider.clone(),
            id,
            span,
            parts: parts.collect(),
        })
    }

    /// Returns the objects that come with this one, once it was looked at: the volumes that a container has where those of
    /// its own are to be. Without them the container would get new ones, with nothing in them.
    ///
    /// # Errors
    /// One is the object of another resource.
    pub fn parts(&self, seen: &Observations, state: &State) -> Result<Vec<Adoptee>, Diagnostics> {
        let Some(Observed::Present(object)) = seen.get(self.address()) else {
            return Ok(Vec::new());
        };
        let mut diagnostics = Diagnostics::new();
        let mut adoptees = Vec::new();
        for Part { change, target } in &self.parts {
            if let Some(volume) = volume_at(&object.attributes, target) {
                let changes = BTreeMap::from([(change.address.clone(), change.clone())]);
                let adoptee = Adoptee::of(&changes, state, &change.address, &volume, self.span.clone());
                adoptees.extend(diagnostics.keep(adoptee.map_err(Diagnostics::from)));
            }
        }
        diagnostics.or(adoptees).map(|(adoptees, _)| adoptees)
    }

    /// The resource that the object becomes.
    pub fn address(&self) -> &Address {
        &self.change.address
    }

    /// The kind of the object.
    pub fn kind(&self) -> &Kind {
        &self.change.kind
    }

    /// The provider that is asked for the object; its settings are known.
    pub fn provider(&self) -> &ProviderConfig {
        &self.provider
    }

    /// The object.
    pub fn id(&self) -> &ObjectId {
        &self.id
    }

    /// Returns the event that has the object be managed from now on, given what was seen of it.
    ///
    /// # Errors
    /// It is not there, or cannot be reached.
    pub fn adopted(&self, seen: Option<&Observed>, registry: &Registry) -> Result<Event, Diagnostic> {
        let error = |summary: &'static str, detail: String| {
            Err(Diagnostic::error(summary, detail)
                .on(self.address().clone())
                .at(self.span.clone()))
        };
        let object = match seen {
            Some(Observed::Present(object)) => object,
            Some(Observed::Absent) => {
                let detail = format!("There is no {} with the id `{}`.", self.kind(), self.id);
                return error("Nothing to import", detail)
                    .map_err(|error| error.hint("look up the id at the provider; ids are not names"));
            }
            Some(Observed::Unreachable { reason }) => {
                return error("Cannot be imported", format!("{}.", reason.trim_end_matches('.')));
            }
            None => return error("Not looked at", format!("Nobody looked at the object `{}`.", self.id)),
        };
        let schema = registry.schema(&self.provider.name, self.kind());
        Ok(Event::Adopted {
            address: self.address().clone(),
            declared: declaration(&self.change, &inputs(object), &self.provider),
            object: schema.map_or_else(|| object.clone(), |schema| self.kept(object, schema)),
        })
    }

    /// Returns the object as it is recorded: in the types of its schema, with marks on what is sensitive.
    fn kept(&self, object: &Object, schema: &Schema) -> Object {
        let wanted = self.change.wanted.clone().unwrap_or_default();
        Object {
            attributes: marked(schema, &wanted, &typed(schema, &object.attributes)),
            ..object.clone()
        }
    }
}

/// What was declared of an object until now: nothing. Its name is not made of the address, so it stays.
fn inputs(object: &Object) -> Attributes {
    let name = object.attributes.get(NAME).filter(|name| name.as_str().is_some());
    name.map(|name| (Arc::from(NAME), name.clone())).into_iter().collect()
}

impl Basis {
    /// Has a plan be made as if objects were recorded that only now become those of resources.
    ///
    /// # Errors
    /// Each that cannot.
    pub(super) fn adopt(
        &mut self,
        adoptees: &[Adoptee],
        seen: &Observations,
        registry: &Registry,
    ) -> Result<(), Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        let mut whole = Vec::with_capacity(adoptees.len());
        for adoptee in adoptees {
            let parts = diagnostics.keep(adoptee.parts(seen, &self.state)).unwrap_or_default();
            whole.extend(parts);
            whole.push(adoptee.clone());
        }
        for adoptee in &whole {
            let address = adoptee.address();
            let event = match adoptee.adopted(seen.get(address), registry) {
                Ok(event) => event,
                Err(error) => {
                    diagnostics.push(error);
                    continue;
                }
            };
            if let Event::Adopted { object, .. } = &event {
                self.seen.insert(address.clone(), Observed::Present(object.clone()));
            }
            diagnostics.keep(self.record(event));
            self.imports.insert(address.clone(), adoptee.id.clone());
        }
        diagnostics.or(()).map(drop)
    }
}

impl Planner<'_> {
    /// Returns what the plan is made from where something moves or is imported; `None` where nothing does.
    pub(super) fn basis(&self, state: &State, observations: &Observations) -> Result<Option<Basis>, Diagnostics> {
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
        if self.config.imports.is_empty() && !self.adopts(state) {
            return Ok(Vec::new());
        }
        match Basis::moved(self.config, state, observations)? {
            Some(basis) => self.adoptees_of(&basis.state, &basis.seen, Some(&basis)),
            None => self.adoptees_of(state, observations, None),
        }
    }

    /// Whether a pool may have a set to adopt that is not recorded yet.
    fn adopts(&self, state: &State) -> bool {
        let is_done = |pool: &Declaration| {
            let is_one = pool.meta.count.is_none() && pool.meta.for_each.is_none() && pool.address.modules().is_empty();
            is_one && state.resources.contains_key(&frame(&pool.address))
        };
        !self.config.adopting().all(is_done)
    }

    fn adoptees_of(
        &self,
        state: &State,
        seen: &Observations,
        basis: Option<&Basis>,
    ) -> Result<Vec<Adoptee>, Diagnostics> {
        let is_done = |import: &Import| import.single().is_some_and(|to| state.resources.contains_key(to));
        if self.config.imports.iter().all(is_done) && !self.adopts(state) {
            return Ok(Vec::new());
        }
        let (session, work) = self.assess(state, seen, basis)?;
        let mut diagnostics = Diagnostics::new();
        let mut adoptees = Vec::new();
        let mut sets: BTreeMap<Arc<str>, &Address> = BTreeMap::new();
        for (pool, members) in &session.layout.pools {
            let Some(adopts) = &members.declared.import else {
                continue;
            };
            let span = self.config.declaration_of(pool).map(|declared| declared.span.clone());
            if let Some(first) = sets.insert(Arc::clone(adopts.id()), pool) {
                let detail = format!("It and {first} adopt the same set, `{}`.", adopts.id());
                let diagnostic = Diagnostic::error("Adopted twice", detail)
                    .on(pool.clone())
                    .at(span.clone());
                diagnostics.push(diagnostic.hint("have one pool of it"));
                continue;
            }
            let frame = frame(pool);
            if !state.resources.contains_key(&frame) {
                let adoptee = Adoptee::of(&work.found.changes, state, &frame, adopts.id(), span);
                adoptees.extend(diagnostics.keep(adoptee.map_err(Diagnostics::from)));
            }
        }
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
}
