//! The members of a pool as the decision sees them, and what it says of them as the planner takes it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use simfleet_provider_api::{Address, Observed, Value};
use simfleet_state::{Allocation, Operation, State};

use super::looks::Sight;
use super::memory::{MemberMemory, Memory};
use crate::lower::autoscale::seconds;
use crate::lower::{Wanted, number_of, waits};
use crate::scale::{Action, Decision, Member, MemberState, Step};
use crate::status::Health;

/// What is recorded of the members of all pools, by pool and number. One pass over the state.
#[derive(Debug, Default)]
pub struct Recorded {
    pools: BTreeMap<Address, BTreeMap<u64, One>>,
}

/// What is recorded of one member.
#[derive(Debug, Clone, Default)]
struct One {
    address: Option<Address>,
    created: Option<Timestamp>,
    /// Whether it is being made.
    is_begun: bool,
    /// Whether it waits.
    waits: bool,
    /// Whether it is about to go.
    is_leaving: bool,
    is_protected: bool,
    /// Who has simulators on it for themselves.
    allocations: Vec<Allocation>,
    /// How many simulators are recorded on it.
    used: i64,
    /// What of its own runs on it.
    parts: Vec<Address>,
}

/// What tells of members, beside what is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Signs<'a> {
    /// What was last seen of them.
    pub seen: Sight<'a>,
    /// Those that looks at their health found unhealthy.
    pub unhealthy: &'a BTreeSet<Address>,
    /// How loaded they are, by number.
    pub loads: &'a BTreeMap<u64, f64>,
    /// The numbers of those that a run is about to remove.
    pub leaving: &'a BTreeSet<u64>,
}

impl Recorded {
    /// Returns what is recorded of the members of all pools.
    pub fn of(state: &State) -> Self {
        let mut recorded = Recorded::default();
        for (address, resource) in &state.resources {
            if let Some(one) = recorded.member(address) {
                one.created = Some(resource.created);
                one.waits = waits(state, address);
                one.is_leaving |= resource.cordoned.is_some();
                one.is_protected |= resource.declared.prevent_destroy || state.holds.contains_key(address);
            } else if let Some(host) = &resource.declared.hosted_on {
                let is_simulator = address.block() == "simulator";
                let Some(one) = recorded.member(host) else { continue };
                if is_simulator {
                    one.allocations.extend(state.allocations.get(address).cloned());
                    one.used += i64::from(address.child_name().is_none());
                } else {
                    one.parts.push(address.clone());
                }
                one.is_protected |= resource.declared.prevent_destroy;
            }
        }
        for (address, intent) in &state.intents {
            let Some(one) = recorded.member(address) else { continue };
            match &intent.operation {
                Operation::Create { .. } => {
                    one.is_begun = true;
                    one.waits = waits(state, address);
                    one.created.get_or_insert(intent.started);
                }
                Operation::Update { .. } => one.waits = waits(state, address),
                Operation::Delete { .. } => one.is_leaving = true,
            }
        }
        recorded
    }

    fn member(&mut self, address: &Address) -> Option<&mut One> {
        if address.block() != "pool" {
            return None;
        }
        let number = number_of(address)?;
        let one = self
            .pools
            .entry(address.parent())
            .or_default()
            .entry(number)
            .or_default();
        one.address.get_or_insert_with(|| address.clone());
        Some(one)
    }

    /// Returns the addresses of a pool's members that work, by number.
    pub fn members(&self, pool: &Address) -> impl Iterator<Item = (u64, &Address)> {
        let members = self.pools.get(pool).into_iter().flatten();
        let members = members.filter(|(_, one)| !one.waits);
        members.filter_map(|(number, one)| Some((*number, one.address.as_ref()?)))
    }

    /// Returns how many simulators are recorded on a pool.
    pub fn simulators(&self, pool: &Address) -> usize {
        let members = self.pools.get(pool).into_iter().flatten();
        members.map(|(_, one)| usize::try_from(one.used).unwrap_or(0)).sum()
    }

    /// Returns the members of a pool as the decision sees them, and notes what is new of them.
    pub fn observe(&self, pool: &Address, signs: &Signs<'_>, memory: &mut Memory, now: Timestamp) -> Vec<Member> {
        let Signs {
            seen,
            unhealthy,
            loads,
            leaving,
        } = *signs;
        let none = BTreeMap::new();
        let recorded = self.pools.get(pool).unwrap_or(&none);
        memory.members.retain(|number, _| recorded.contains_key(number));
        let mut boots = Vec::new();
        let observe = |(number, one): (&u64, &One)| {
            let remembered = memory.members.entry(*number).or_default();
            let looked = one.address.as_ref().and_then(|address| seen.get(address));
            let healthy = !one.is_begun
                && is_healthy(looked.as_deref())
                && one.address.as_ref().is_none_or(|address| !unhealthy.contains(address))
                && one.parts.iter().all(|part| is_healthy(seen.get(part).as_deref()));
            // One that is gone is made anew by the same lap.
            let is_gone = is_gone(looked.as_deref()) || one.parts.iter().any(|part| is_gone(seen.get(part).as_deref()));
            if healthy {
                if let (None, Some(begun)) = (remembered.ready, remembered.pending) {
                    boots.push(now.duration_since(begun).as_secs_f64());
                }
                remembered.ready.get_or_insert(now);
            } else if one.is_begun || is_gone {
                remembered.ready = None;
            }
            match remembered.ready {
                Some(_) => remembered.pending = None,
                // The look that shows that it is gone comes later than it was made.
                None => {
                    _ = remembered
                        .pending
                        .get_or_insert(if is_gone { now } else { one.created.unwrap_or(now) })
                }
            }
            match healthy || remembered.ready.is_none() {
                true => remembered.unhealthy = None,
                false => _ = remembered.unhealthy.get_or_insert(now),
            }
            // What it was before it waited does not matter when it is back.
            if one.waits {
                *remembered = MemberMemory::default();
            }
            match one.used {
                0 => _ = remembered.idle.get_or_insert(now),
                _ => remembered.idle = None,
            }
            let is_leaving = one.is_leaving || leaving.contains(number);
            let state = match (is_leaving, remembered.ready) {
                // One that is made to wait is none that could be back: it is not healthy before it is made.
                _ if one.waits => MemberState::Stopped,
                (true, _) => MemberState::Draining,
                (false, None) => MemberState::Pending,
                (false, Some(_)) if one.allocations.iter().any(|it| it.lasts(now)) => MemberState::Allocated,
                (false, Some(_)) => MemberState::Ready,
            };
            Member {
                id: number.to_string(),
                state,
                // What is on its way is not ill.
                healthy: match state {
                    MemberState::Pending => true,
                    MemberState::Stopped => !one.is_begun && matches!(looked.as_deref(), Some(Observed::Present(_))),
                    _ => healthy,
                },
                unhealthy_since: remembered.unhealthy.map(seconds),
                protected: one.is_protected || is_protected(looked.as_deref()),
                created: remembered.pending.or(one.created).map_or(0.0, seconds),
                ready_at: remembered.ready.map_or(f64::NEG_INFINITY, seconds),
                idle_since: remembered.idle.map_or(0.0, seconds),
                load: loads.get(number).copied().unwrap_or(0.0),
                drifted: false,
                used: one.used,
            }
        };
        let observed = recorded.iter().map(observe).collect();
        boots.into_iter().for_each(|seconds| memory.booted(seconds));
        observed
    }
}

fn is_gone(seen: Option<&Observed>) -> bool {
    matches!(seen, Some(Observed::Absent))
}

/// Whether its provider keeps a member from being removed.
fn is_protected(seen: Option<&Observed>) -> bool {
    let Some(Observed::Present(object)) = seen else {
        return false;
    };
    object.attributes.get("protected").and_then(Value::as_bool) == Some(true)
}

fn is_healthy(seen: Option<&Observed>) -> bool {
    matches!(seen, Some(Observed::Present(object)) if Health::told(&object.attributes).is_good())
}

/// Returns what a decision makes of a pool: who stays, who goes first, and how many there are then.
pub fn wanted(members: &[Member], decision: &Decision, because: String) -> Wanted {
    let number = |id: &str| id.parse::<u64>().ok();
    let of = |steps: &[Step]| -> BTreeSet<u64> {
        let acted = decision.actions.iter().filter(|Action(step, _)| steps.contains(step));
        acted.filter_map(|Action(_, id)| number(id)).collect()
    };
    let (stay, go) = (of(&[Step::Undrain]), of(&[Step::Drain, Step::Cancel]));
    let resumed = of(&[Step::Resume]);
    let leaves = |member: &&Member| {
        let number = number(&member.id).unwrap_or_default();
        go.contains(&number) || (member.state == MemberState::Draining && !stay.contains(&number))
    };
    let works = members.iter().filter(|member| member.state != MemberState::Stopped);
    let leaving: BTreeSet<u64> = members
        .iter()
        .filter(leaves)
        .filter_map(|member| number(&member.id))
        .collect();
    let made = decision
        .actions
        .iter()
        .filter(|Action(step, _)| *step == Step::Create)
        .count();
    // Who is ill, or never came up, is not kept for later.
    let can_wait = |member: &&Member| member.healthy && member.state != MemberState::Pending && !member.drifted;
    let kept = works.clone().filter(leaves).filter(can_wait);
    let kept = kept.filter_map(|member| number(&member.id)).collect();
    Wanted {
        members: (works.count() - leaving.len() + made + resumed.len()) as u64,
        leaving,
        kept,
        resumed,
        because,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::watch::looks::Looks;

    /// Who a run is about to remove is on the way out for the decision too, before that is recorded: else it would be counted
    /// again, and the run stopped for another.
    #[test]
    fn who_a_run_removes_is_leaving() {
        let pool: Address = "pool.web".parse().expect("an address");
        let member = json!({
            "declared": { "kind": "node", "provider": { "name": "fake", "settings": { "value": {} } }, "schema_version": 1, "inputs": { "value": {} } },
            "object": { "id": "i", "attributes": { "value": {} } },
            "created": "2026-01-01T00:00:00Z",
            "serial": 1,
        });
        let mut state = State::default();
        for name in ["m1", "m2"] {
            let resource = serde_json::from_value(member.clone()).expect("a resource");
            state.resources.insert(pool.child(name), resource);
        }
        let (looks, unhealthy, loads) = (Looks::default(), BTreeSet::new(), BTreeMap::new());
        let states = |leaving: &BTreeSet<u64>| -> Vec<MemberState> {
            let signs = Signs {
                seen: looks.sight(&state),
                unhealthy: &unhealthy,
                loads: &loads,
                leaving,
            };
            let members = Recorded::of(&state).observe(&pool, &signs, &mut Memory::default(), Timestamp::UNIX_EPOCH);
            members.into_iter().map(|member| member.state).collect()
        };
        assert_eq!(states(&BTreeSet::new()), [MemberState::Ready, MemberState::Ready]);
        assert_eq!(
            states(&BTreeSet::from([2])),
            [MemberState::Ready, MemberState::Draining]
        );
    }
}
