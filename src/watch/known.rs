//! What is recorded, with what follows of it for every lap: worked out once for each state, not once a lap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use simfleet_provider_api::Address;
use simfleet_state::{Snapshot, State};

use super::looks::sides;
use super::members::Recorded;
use super::sources::{Vehicle, vehicles};

/// What is recorded.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) snapshot: Arc<Snapshot>,
    /// The members of pools.
    pub(super) members: Recorded,
    /// The far sides, each with the objects on it.
    pub(super) sides: BTreeMap<String, BTreeSet<Address>>,
    /// The nodes whose health is looked at.
    pub(super) checked: Vec<Address>,
    /// The vehicles on each node and member.
    pub(super) vehicles: BTreeMap<Address, Vec<Vehicle>>,
    /// When holds and allocations end by themselves.
    pub(super) ends: BTreeSet<Timestamp>,
}

fn ends(state: &State) -> BTreeSet<Timestamp> {
    let holds = state.holds.values().filter_map(|hold| hold.until);
    let allocations = state.allocations.values().filter_map(|allocation| allocation.until);
    holds.chain(allocations).collect()
}

impl Known {
    pub(super) fn of(snapshot: Arc<Snapshot>) -> Self {
        let state = &snapshot.state;
        let nodes = state.resources.iter();
        let checked = nodes.filter(|(_, resource)| resource.declared.health_check.is_some());
        Known {
            members: Recorded::of(state),
            sides: sides(state),
            vehicles: vehicles(state),
            ends: ends(state),
            checked: checked.map(|(address, _)| address.clone()).collect(),
            snapshot,
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.snapshot.state
    }
}
