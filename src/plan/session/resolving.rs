//! What the plan could not know yet, worked out during the walk.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::{Attributes, Value};
use simfleet_state::State;

use super::conditions::{POSTCONDITION, PRECONDITION, precondition};
use super::{Session, scope};
use crate::apply::{Resolve, Resolved};
use crate::config::eval::Reference;
use crate::config::{Check, Config, Need, Output};
use crate::diagnostic::Diagnostics;
use crate::plan::difference::canonical;
use crate::plan::hold::impose;
use crate::plan::moments::Moments;
use crate::plan::{Change, Mode, NAME, ignore};

impl Resolve for Session<'_> {
    fn made(&mut self, change: &Change) {
        let parent = change.address.parent();
        let place = self.places.get(&parent.declaration());
        if let Some(declared) = place.map(|place| &mut self.order[*place]) {
            declared.behind.extend(declared.position(&parent));
        }
    }

    fn resolve(&mut self, change: &Change, state: &State) -> Result<Resolved, String> {
        let place = self.place(change)?;
        let reads = self.order[place].reads.clone();
        let caught_up = self.catch_up(&reads, state).and_then(|()| self.follow_each(place));
        caught_up.map_err(|errors| first(&errors))?;
        let (declared, one) = self.declared_at(place, change)?;
        let names = self.names();
        let lowered = names
            .check_variables(declared.module())
            .and_then(|()| scope(&names, &declared.block, one.instance.clone()))
            .and_then(|scope| {
                precondition(declared, &scope)?;
                declared.declaration.evaluate(&scope)
            })
            .and_then(|record| {
                self.lower(declared, one, &record, &names, state, |lowering| {
                    lowering.resource(&change.address)
                })
            })
            .map_err(|errors| first(&errors))?;
        let desired = lowered.ok_or_else(|| format!("{} is not wanted any more", change.address))?;
        let schema = self.registry.schema(&desired.provider.name, &desired.kind);
        let schema = schema.ok_or_else(|| format!("there is no kind `{}`", desired.kind))?;
        let mut wanted =
            canonical(schema, &desired.attributes).map_err(|(path, problem)| format!("`{path}`: {problem}"))?;
        if let Some(held) = &change.held {
            impose(&mut wanted, held);
        }
        let planned = change.wanted.iter().flat_map(Attributes::iter);
        for (name, value) in planned.filter(|(_, value)| value.is_known()) {
            if &**name == NAME || self.moments == Moments::Keep {
                wanted.set(name.clone(), value.clone());
            }
        }
        // As the plan has it, also of what is made anew: others may have been planned with that.
        if let Some(before) = &change.before {
            ignore(&desired.policy, schema, before, &mut wanted);
        }
        match wanted.to_value().unknown_origin() {
            Some(origin) => Err(format!("{origin} is still not known")),
            None => Ok(Resolved {
                wanted,
                provider: desired.provider,
            }),
        }
    }

    fn check(&mut self, change: &Change, state: &State) -> Result<(), String> {
        let place = self.place(change)?;
        self.catch_up(&[place], state).map_err(|errors| first(&errors))?;
        let (declared, one) = self.declared_at(place, change)?;
        let held = self.holds(declared, one, &self.names(), state);
        held.map(drop).map_err(|errors| first(&errors))
    }

    fn outputs(&mut self, state: &State) -> Result<BTreeMap<Arc<str>, Value>, String> {
        match self.mode {
            Mode::Apply => {}
            Mode::Destroy => return Ok(BTreeMap::new()),
            Mode::Refresh => return Ok(state.outputs.clone()),
        }
        let references: Vec<Reference> = self.config.outputs.values().flat_map(Output::references).collect();
        let needs = self.config.dependencies(&[], &references);
        self.conclude(&needs, state).map_err(|errors| first(&errors))?;
        Session::outputs(self, &state.outputs).map_err(|errors| first(&errors))
    }

    fn warnings(&mut self, state: &State) -> Diagnostics {
        if self.mode != Mode::Apply {
            return Diagnostics::new();
        }
        let needs = |module: &'_ Config| {
            let references: Vec<Reference> = module.checks.iter().flat_map(Check::references).collect();
            self.config.dependencies(&module.path, &references)
        };
        let needs: Vec<Need<'_>> = self.config.modules().into_iter().flat_map(needs).collect();
        match self.conclude(&needs, state) {
            Ok(()) => Session::warnings(self),
            // What cannot be read was told when it failed.
            Err(_) => Diagnostics::new(),
        }
    }
}

fn first(errors: &Diagnostics) -> String {
    match errors.0.first() {
        // The message of a condition is the user's own.
        Some(error) if [PRECONDITION, POSTCONDITION].contains(&&*error.summary) => {
            format!("{}: {}", error.summary, error.detail)
        }
        Some(error) => error.detail.clone(),
        None => "it cannot be evaluated".to_owned(),
    }
}
