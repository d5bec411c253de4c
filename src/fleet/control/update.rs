//! The update that an order by hand comes to: one attribute of one simulator.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::{Attributes, Value};
use simfleet_state::{Snapshot, State};

use super::look::Reached;
use crate::apply::{Resolve, Resolved};
use crate::control::{Change, Control, able};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{self, Plan, STATE, dismiss};
use crate::providers::Registry;

/// Returns what has to happen to a simulator, and the update of it where one is needed.
pub(super) fn decide(
    control: &Control,
    one: &Reached,
    registry: &Registry,
) -> Result<(Change, Option<plan::Change>), Diagnostic> {
    able(&one.address, control.verb(), control.ability(), &one.abilities())?;
    let change = control.change(&one.address, &one.object.attributes)?;
    let Some(state) = change.state else {
        return Ok((change, None));
    };
    let wanted = wanted(one, state)?;
    let declared = &one.resource.declared;
    let problem = registry
        .get(&one.config.name)
        .and_then(|provider| provider.check(&one.kind, &wanted).into_iter().next());
    if let Some(problem) = problem {
        let detail = format!("`{}`: {}.", problem.path, problem.message.trim_end_matches('.'));
        return Err(Diagnostic::error("Cannot be done", detail).on(one.address.clone()));
    }
    let mut after = one.object.attributes.clone();
    after.set(STATE, state);
    let update = plan::Change {
        action: plan::Action::Update,
        reasons: Vec::new(),
        after: Some(after),
        wanted: Some(wanted),
        provider: Some(one.config.clone()),
        depends_on: declared.depends_on.clone(),
        hosted_on: declared.hosted_on.clone(),
        ..dismiss(
            &one.address,
            declared,
            Some(one.object.attributes.clone()),
            false,
            plan::Reason::Asked,
        )
    };
    Ok((change, Some(update)))
}

/// Returns what was last wanted of a simulator, but for its `state`. Of secrets the state has digests; what was just seen
/// has them, where its provider tells.
fn wanted(one: &Reached, state: &'static str) -> Result<Attributes, Diagnostic> {
    let mut wanted = one.resource.declared.inputs.clone();
    wanted.set(STATE, state);
    let secret: Vec<Arc<str>> = wanted
        .iter()
        .filter(|(_, value)| value.has_redacted())
        .map(|(name, _)| name.clone())
        .collect();
    for name in secret {
        match one.object.attributes.get(&name).filter(|seen| !seen.has_redacted()) {
            Some(seen) => wanted.set(name, seen.clone()),
            None => {
                let detail = format!("It has secrets in `{name}`, which only its configuration has.");
                let diagnostic = Diagnostic::error("A secret has to be given again", detail).on(one.address.clone());
                return Err(diagnostic.hint("change `state` in its block, and apply"));
            }
        }
    }
    Ok(wanted)
}

/// Returns the plan of updates that were asked for one by one.
pub(super) fn by_hand(changes: Vec<plan::Change>, snapshot: &Snapshot) -> Plan {
    Plan {
        mode: plan::Mode::Apply,
        is_partial: true,
        lineage: snapshot.lineage.clone().unwrap_or_default(),
        serial: snapshot.state.serial,
        changes,
        drift: Vec::new(),
        outputs: BTreeMap::new(),
        interrupts: Vec::new(),
        unfinished: Vec::new(),
        unplaced: Vec::new(),
        moves: Vec::new(),
        imports: BTreeMap::new(),
        pools: Vec::new(),
        ports: Vec::new(),
        rolls: Vec::new(),
        unheld: Vec::new(),
        deallocated: Vec::new(),
        costs: Default::default(),
    }
}

/// Answers the walk of a plan in which everything is known.
pub(super) struct Known;

impl Resolve for Known {
    fn made(&mut self, _change: &plan::Change) {}

    fn resolve(&mut self, change: &plan::Change, _state: &State) -> Result<Resolved, String> {
        Err(format!("what {} is to be is not known", change.address))
    }

    fn check(&mut self, _change: &plan::Change, _state: &State) -> Result<(), String> {
        Ok(())
    }

    fn outputs(&mut self, state: &State) -> Result<BTreeMap<Arc<str>, Value>, String> {
        Ok(state.outputs.clone())
    }

    fn warnings(&mut self, _state: &State) -> Diagnostics {
        Diagnostics::new()
    }
}
