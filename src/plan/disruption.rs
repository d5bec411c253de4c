//! What a plan does to the members of pools, and with what care.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use simfleet_provider_api::{Address, Attributes};
use simfleet_state::WaitFor;

use super::{Action, Change, Plan, Reason};
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
    /// Those that are not there now, and are back before any goes: new ones, and what a run that died took out.
    pub after: Vec<Address>,
}

/// Returns the pools of which more members are replaced than may be away at once, by how many may of each.
pub(super) fn rolls(changes: &[Change], at_once: impl Fn(&Address) -> Option<usize>) -> Vec<Roll> {
    let mut replaced: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
    for member in changes.iter().filter_map(away) {
        replaced.entry(member.parent()).or_default().insert(member);
    }
    let missing: BTreeSet<Address> = changes
        .iter()
        .filter(|it| is_missing(it))
        .filter_map(member_of)
        .collect();
    let roll = |(pool, members): (Address, BTreeSet<Address>)| {
        let at_once = at_once(&pool)?;
        let of_pool = missing.iter().filter(|member| member.is_child_of(&pool));
        let after: Vec<Address> = of_pool.filter(|member| !members.contains(*member)).cloned().collect();
        let mut members: Vec<Address> = members.into_iter().collect();
        // Who is not there cannot be taken away: the others wait for it.
        members.sort_by_key(|member| (!missing.contains(member), number_of(member)));
        let is_roll = members.len() > at_once || !after.is_empty();
        is_roll.then_some(Roll {
            pool,
            at_once,
            members,
            after,
        })
    };
    replaced.into_iter().filter_map(roll).collect()
}

/// Returns the member of a pool that is away while a change is made: itself replaced, a process that it runs, or what has it
/// take part in a load balancer.
pub fn away(change: &Change) -> Option<Address> {
    member_of(change).filter(|_| change.action == Action::Replace)
}

/// Returns the member of a pool that a change is about: it, a process that it runs, or what has it take part in a load
/// balancer.
pub fn member_of(change: &Change) -> Option<Address> {
    if let Some(member) = served(&change.address) {
        return Some(member);
    }
    let host = change.hosted_on.as_ref();
    let own_host = host.filter(|host| number_of(host).is_some() && change.address.whole().as_ref() == Some(*host));
    own_host.or(change.drain.map(|_| &change.address)).cloned()
}

/// Whether a member is not there, or not all of it, before a change is made. One that is new counts by what it runs, and by
/// its part in a load balancer: without either nobody misses it.
fn is_missing(change: &Change) -> bool {
    let is_member = change.drain.is_some() && served(&change.address).is_none();
    match change.action {
        Action::Create | Action::Check => !is_member || change.before.is_some(),
        Action::Replace => change
            .reasons
            .iter()
            .any(|reason| matches!(reason, Reason::Unfinished { .. })),
        _ => false,
    }
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
