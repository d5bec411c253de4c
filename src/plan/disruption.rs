//! What a plan does to the members of pools, and with what care.

use std::collections::BTreeMap;
use std::time::Duration;

use simfleet_provider_api::{Address, Attributes};
use simfleet_state::WaitFor;

use super::{Action, Change, Plan};
use crate::lower::{ends_by_itself, number_of};

/// A member of a pool that is emptied before it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emptied<'p> {
    /// The member.
    pub address: &'p Address,
    /// For how long it waits at most.
    pub timeout: Duration,
    /// What it waits for: simulators that end by themselves.
    pub waits_for: Vec<&'p Address>,
}

/// A pool whose members are replaced in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    /// The pool.
    pub pool: Address,
    /// How many members may be away at once.
    pub at_once: usize,
    /// Those that are replaced, in the order in which they go.
    pub members: Vec<Address>,
}

/// Returns the pools of which more members are replaced than may be away at once, by how many may of each.
pub(super) fn rolls(changes: &[Change], at_once: impl Fn(&Address) -> Option<usize>) -> Vec<Roll> {
    let mut replaced: BTreeMap<Address, Vec<Address>> = BTreeMap::new();
    let members = changes.iter().filter(|change| change.drain.is_some());
    for change in members.filter(|change| change.action == Action::Replace) {
        let members = replaced.entry(change.address.parent()).or_default();
        members.push(change.address.clone());
    }
    let roll = |(pool, members): (Address, Vec<Address>)| {
        let at_once = at_once(&pool)?;
        let mut roll = Roll { pool, at_once, members };
        roll.members.sort_by_key(number_of);
        (roll.members.len() > at_once).then_some(roll)
    };
    replaced.into_iter().filter_map(roll).collect()
}

impl Plan {
    /// Returns the members that go and that wait for what runs on them to end.
    pub fn emptied(&self) -> Vec<Emptied<'_>> {
        let mut jobs: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
        for change in &self.changes {
            if let (Some(host), Some(before)) = (&change.was_hosted_on, &change.before)
                && ends_by_itself(&change.address, before)
                && !has_ended(before)
            {
                jobs.entry(host).or_default().push(&change.address);
            }
        }
        let going = self.changes.iter().filter(|change| goes(change));
        going
            .filter_map(|change| {
                let drain = change.drain.filter(|drain| drain.wait_for == WaitFor::Simulators)?;
                Some(Emptied {
                    address: &change.address,
                    timeout: drain.timeout,
                    waits_for: jobs.remove(&change.address)?,
                })
            })
            .collect()
    }
}

/// Whether an object is removed.
fn goes(change: &Change) -> bool {
    matches!(change.action, Action::Delete | Action::Replace)
}

/// Whether a simulator has come to its end.
pub fn has_ended(attributes: &Attributes) -> bool {
    matches!(attributes.str("status"), Some("exited" | "stopped"))
}
