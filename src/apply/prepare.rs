//! What is recorded before a walk begins and after it ended: facts that need no call.

use std::collections::BTreeSet;

use simfleet_provider_api::{Address, Attributes, Object, Observed};
use simfleet_state::{Declaration, Event, Outcome as Left, ProviderConfig, Resource, State};

use crate::lower::is_in_use;
use crate::plan::{Action, Change, EndedAllocation, Mode, Plan, PortChange, Reason, drift, marked, same};
use crate::providers::Registry;
use crate::refresh::Observations;

/// Returns what a plan records before anything is changed: the sizes of pools, ports, objects that were found to differ
/// from what was recorded, declarations that changed without a need to touch the object, and members that stay after all.
pub fn prepare(plan: &Plan, state: &State, seen: &Observations, registry: &Registry) -> Vec<Event> {
    let mut events: Vec<Event> = plan
        .pools
        .iter()
        .map(|pool| Event::Scaled {
            address: pool.address.clone(),
            size: pool.after,
            numbered: pool.numbered,
            reason: pool.because.as_str().into(),
        })
        .collect();
    events.extend(plan.ports.iter().map(port_event));
    events.extend(plan.unheld.iter().map(|ended| Event::Unheld {
        address: ended.address.clone(),
    }));
    events.extend(plan.deallocated.iter().filter(|ended| !ended.is_gone).map(deallocated));
    for change in &plan.changes {
        // What an earlier run began with it comes to its end in the walk first.
        if state.intents.contains_key(&change.address) {
            continue;
        }
        let Some(resource) = state.resources.get(&change.address) else {
            continue;
        };
        match seen.get(&change.address) {
            Some(Observed::Present(object)) => events.extend(observed(change, resource, object, registry)),
            // Else it is recorded until it is made again: its place and its ports are.
            Some(Observed::Absent) if plan.mode == Mode::Refresh => events.push(Event::Observed {
                address: change.address.clone(),
                deposed: None,
                outcome: Left::Gone,
            }),
            _ => {}
        }
        if change.action == Action::NoOp {
            events.extend(redeclared(change, resource));
        }
        // Whoever decides on the size meanwhile, also after this run died, sees who goes together with the size.
        let goes =
            change.waits || change.action == Action::Delete && change.deposed.is_none() && change.drain.is_some();
        if resource.cordoned.is_none() && goes {
            let address = change.address.clone();
            events.push(Event::Cordoned { address });
        }
        // A run that died, or that was to remove it, had begun to empty it.
        let stays = change.after.is_some() && change.action != Action::Replace && !change.waits;
        if resource.cordoned.is_some() && stays && plan.mode == Mode::Apply {
            let address = change.address.clone();
            events.push(Event::Uncordoned { address });
        }
    }
    events
}

/// Returns what is recorded when a walk is over: ports whose simulator is gone for good, pools without members, and whose
/// what is gone was.
pub(super) fn conclude(plan: &Plan, state: &State) -> Vec<Event> {
    let stays: BTreeSet<&Address> = plan
        .changes
        .iter()
        .filter(|change| change.after.is_some())
        .map(|change| &change.address)
        .collect();
    let changed: BTreeSet<&Address> = plan
        .changes
        .iter()
        .filter(|change| change.action != Action::NoOp)
        .map(|change| &change.address)
        .collect();
    let mut events = Vec::new();
    for (host, ports) in &state.reservations {
        for (port, reservation) in ports {
            let address = &reservation.address;
            // Who has a port keeps it while it uses it, and until it is made; not one that it left.
            let is_done = !state.intents.contains_key(address);
            let left = state.resources.contains_key(address) || !stays.contains(address);
            if changed.contains(address) && is_done && left && !is_in_use(state, host, *port, address) {
                events.push(Event::Released {
                    address: address.clone(),
                    host: host.clone(),
                    port: *port,
                });
            }
        }
    }
    for pool in plan.pools.iter().filter(|pool| !pool.is_declared) {
        let has_member = state
            .resources
            .keys()
            .chain(state.intents.keys())
            .any(|at| at.is_child_of(&pool.address));
        if !has_member && state.pools.contains_key(&pool.address) {
            let reason = pool.because.as_str().into();
            events.push(Event::Removed {
                address: pool.address.clone(),
                deposed: None,
                reason,
            });
        }
    }
    let is_there = |at: &Address| state.resources.contains_key(at) || state.intents.contains_key(at);
    let gone = plan
        .deallocated
        .iter()
        .filter(|ended| ended.is_gone && !is_there(&ended.address));
    events.extend(gone.map(deallocated));
    events
}

fn deallocated(ended: &EndedAllocation) -> Event {
    let (address, since) = (ended.address.clone(), ended.since);
    Event::Deallocated { address, since }
}

fn port_event(change: &PortChange) -> Event {
    match change.clone() {
        PortChange::Reserve {
            address,
            name,
            host,
            port,
        } => Event::Reserved {
            address,
            name,
            host,
            port,
        },
        PortChange::Release { address, host, port } => Event::Released { address, host, port },
    }
}

/// Records an object that is not as it was recorded. What the far side changes at any time is no reason to.
fn observed(change: &Change, resource: &Resource, object: &Object, registry: &Registry) -> Option<Event> {
    let schema = registry.schema(&resource.declared.provider.name, &resource.declared.kind)?;
    let recorded = &resource.object;
    if recorded.version == object.version && drift(schema, &recorded.attributes, &object.attributes).is_empty() {
        return None;
    }
    let attributes = marked(schema, &resource.declared.inputs, &object.attributes);
    let object = Object {
        attributes,
        ..object.clone()
    };
    Some(Event::Observed {
        address: change.address.clone(),
        deposed: None,
        outcome: Left::Object(object),
    })
}

/// Records a declaration that differs while the object is as it should be.
fn redeclared(change: &Change, resource: &Resource) -> Option<Event> {
    let (wanted, provider) = (change.wanted.as_ref()?, change.provider.as_ref()?);
    if !wanted.is_known() || !provider.settings.is_known() {
        return None;
    }
    // What cannot be reached was not given what is wanted now.
    let is_unreachable = |reason: &Reason| matches!(reason, Reason::Unreachable { .. });
    let wanted = match change.reasons.iter().any(is_unreachable) {
        true => &resource.declared.inputs,
        false => wanted,
    };
    let declared = declaration(change, wanted, provider);
    let before = &resource.declared;
    let unchanged = declared.provider.name == before.provider.name
        && same_attributes(&declared.provider.settings, &before.provider.settings)
        && declared.schema_version == before.schema_version
        && declared.depends_on == before.depends_on
        && declared.hosted_on == before.hosted_on
        && declared.prevent_destroy == before.prevent_destroy
        && declared.create_before_destroy == before.create_before_destroy
        && declared.drain == before.drain
        && declared.health_check == before.health_check
        && declared.agent == before.agent
        && declared.timeouts == before.timeouts
        && same_attributes(&declared.inputs, &before.inputs);
    (!unchanged).then(|| Event::Redeclared {
        address: change.address.clone(),
        declared,
    })
}

fn same_attributes(a: &Attributes, b: &Attributes) -> bool {
    same(Some(&a.to_value()), Some(&b.to_value()))
}

/// Returns what the state keeps of a change that is carried out.
pub(crate) fn declaration(change: &Change, wanted: &Attributes, provider: &ProviderConfig) -> Declaration {
    Declaration {
        kind: change.kind.clone(),
        provider: provider.clone(),
        schema_version: change.schema_version,
        inputs: wanted.clone(),
        depends_on: change.depends_on.clone(),
        hosted_on: change.hosted_on.clone(),
        prevent_destroy: change.prevent_destroy,
        create_before_destroy: change.create_before_destroy,
        drain: change.drain,
        health_check: change.health_check.clone(),
        agent: change.agent.clone(),
        timeouts: change.timeouts,
    }
}
