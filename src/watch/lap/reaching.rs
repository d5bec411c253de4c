//! Which nodes and members cannot be reached: they are not taken for lost, and a pool counts them as unhealthy, so that it can
//! grow because of them.

use std::collections::BTreeMap;

use simfleet_provider_api::{Address, Observed};
use simfleet_state::State;

use super::Watch;
use crate::lower::number_of;
use crate::signals::EventName;
use crate::watch::Told;

impl Watch {
    /// Tells of nodes and members that are recorded and cannot be reached, and of those that can be again.
    pub(super) fn tell_unreachable(&mut self, state: &State) {
        let is_machine = |address: &Address| match address.block() {
            "node" => address.child_name().is_none(),
            "pool" => number_of(address).is_some(),
            _ => false,
        };
        let machines = state.resources.keys().filter(|address| is_machine(address));
        let away = machines.filter_map(|address| match self.looks.one(address, state)? {
            Observed::Unreachable { reason } => Some((address.clone(), reason.clone())),
            Observed::Present(_) | Observed::Absent => None,
        });
        let away: BTreeMap<Address, String> = away.collect();
        let back = self.unreachable.iter().filter(|address| !away.contains_key(*address));
        let back: Vec<Address> = back.cloned().collect();
        for address in back {
            self.unreachable.remove(&address);
            match self.looks.one(&address, state) {
                Some(Observed::Present(_)) => self.tell(Told::Reachable { node: address }),
                // It is gone, or given up: no alert waits for it.
                _ => self.alert_of(EventName::NodeReachable, Some(&address), ""),
            }
        }
        for (node, because) in away {
            if self.unreachable.insert(node.clone()) {
                self.tell(Told::Unreachable { node, because });
            }
        }
    }
}
