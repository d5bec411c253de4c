//! What a plan tells beside the changes of what is declared: what earlier runs left, whom changes stop, sizes of pools.

use jiff::Timestamp;
use simfleet_provider_api::Address;
use simfleet_state::{Snapshot, State};

use super::session::Session;
use super::{Action, Change, Interrupt, Mode, PoolChange, Reason, STATE, STOPPED_BECAUSE, Unfinished, dismiss};

/// Returns a change for each object that was replaced and is still to go.
pub(super) fn deposed(state: &State) -> impl Iterator<Item = Change> {
    state.deposed.iter().flat_map(|(address, objects)| {
        objects.iter().map(move |(key, resource)| {
            let before = Some(resource.object.attributes.clone());
            Change {
                deposed: Some(key.clone()),
                // It was emptied before its replacement was made.
                drain: None,
                waits: false,
                ..dismiss(address, &resource.declared, before, false, Reason::Deposed)
            }
        })
    })
}

/// Returns the simulators that changes stop.
pub(super) fn interrupts(changes: &[Change], state: &State, at: Timestamp) -> Vec<Interrupt> {
    let stops = |change: &&Change| matches!(change.action, Action::Replace | Action::Delete | Action::Forget);
    let is_simulator = |address: &Address| address.block() == "simulator" && address.child_name().is_none();
    let simulators = changes.iter().filter(|change| is_simulator(&change.address));
    let interrupt = |change: &Change| Interrupt {
        address: change.address.clone(),
        action: change.action,
        allocation: state
            .allocations
            .get(&change.address)
            .filter(|it| it.lasts(at))
            .cloned(),
    };
    simulators
        .filter(stops)
        .filter(|change| runs(change))
        .map(interrupt)
        .collect()
}

/// Whether something runs that can be interrupted: it was not stopped, by whomever.
fn runs(change: &Change) -> bool {
    let Some(seen) = &change.before else { return true };
    seen.str(STATE) != Some("stopped") && seen.str(STOPPED_BECAUSE).is_none()
}

/// Returns the pools whose recorded size changes.
pub(super) fn pools(session: &Session<'_>, state: &State) -> Vec<PoolChange> {
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
pub(super) fn unfinished(snapshot: &Snapshot) -> Vec<Unfinished> {
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
