//! What a plan does to the members of pools, and with what care.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use simfleet_provider_api::{Address, Attributes};
use simfleet_state::WaitFor;

use super::{Action, Change, Plan};
use crate::lower::{ends_by_itself, number_of, served};

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
    /// Those that are replaced, or of which what they run is, in the order in which they go.
    pub members: Vec<Address>,
}

/// Returns the pools of which more members are replaced than may be away at once, by how many may of each.
pub(super) fn rolls(changes: &[Change], at_once: impl Fn(&Address) -> Option<usize>) -> Vec<Roll> {
    let mut replaced: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
    for member in changes.iter().filter_map(away) {
        replaced.entry(member.parent()).or_default().insert(member);
    }
    let roll = |(pool, members): (Address, BTreeSet<Address>)| {
        let at_once = at_once(&pool)?;
        let mut members: Vec<Address> = members.into_iter().collect();
        members.sort_by_key(number_of);
        let roll = Roll { pool, at_once, members };
        (roll.members.len() > at_once).then_some(roll)
    };
    replaced.into_iter().filter_map(roll).collect()
}

/// Returns the member of a pool that is away while a change is made: itself replaced, a process that it runs, or what has it
/// take part in a load balancer.
pub fn away(change: &Change) -> Option<Address> {
    let member = match (&change.hosted_on, served(&change.address)) {
        (_, Some(member)) => Some(member),
        (Some(host), None) if number_of(host).is_some() && change.address.whole().as_ref() == Some(host) => {
            Some(host.clone())
        }
        _ => change.drain.map(|_| change.address.clone()),
    };
    member.filter(|_| change.action == Action::Replace)
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
