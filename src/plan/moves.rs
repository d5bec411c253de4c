//! What a plan is made from when some addresses have changed since the state was written (`moved` blocks), or objects
//! become those of resources ([`adopt`](super::adopt)).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use simfleet_provider_api::{Address, Key, ObjectId};
use simfleet_state::{Entry, Event, HolderId, Operation, Stamp, State};

use crate::config::Config;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::refresh::Observations;

/// A resource, or the record of a pool, that has another address from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The address that is recorded.
    pub from: Address,
    /// The address from now on.
    pub to: Address,
}

/// A state and what was seen of it, as they are once some events are recorded that need no call.
#[derive(Debug, Clone)]
pub struct Basis {
    /// The state after the events.
    pub state: State,
    /// What was seen, by the addresses after them.
    pub seen: Observations,
    /// The events.
    pub events: Vec<Event>,
    /// What moves by them.
    pub moves: Vec<Move>,
    /// The objects that become those of resources by them.
    pub imports: BTreeMap<Address, ObjectId>,
}

impl Basis {
    /// Returns what a plan is made from where something moves; `None` where nothing does.
    ///
    /// # Errors
    /// What is to move has a change that an earlier run began and nobody finished.
    pub fn moved(config: &Config, state: &State, seen: &Observations) -> Result<Option<Self>, Diagnostics> {
        let moves = moves(config, state)?;
        if moves.is_empty() {
            return Ok(None);
        }
        let event = |it: &Move| Event::Moved {
            from: it.from.clone(),
            to: it.to.clone(),
        };
        let mut basis = Basis::of(state, seen);
        for one in moves {
            if let Some(observed) = basis.seen.remove(&one.from) {
                basis.seen.insert(one.to.clone(), observed);
            }
            basis.record(event(&one))?;
            basis.moves.push(one);
        }
        Ok(Some(basis))
    }

    /// Returns what a plan is made from where nothing moves.
    pub(super) fn of(state: &State, seen: &Observations) -> Self {
        Basis {
            state: state.clone(),
            seen: seen.clone(),
            events: Vec::new(),
            moves: Vec::new(),
            imports: BTreeMap::new(),
        }
    }

    /// Has the state be as it is after an event. The serial stays: nothing is recorded yet.
    pub(super) fn record(&mut self, event: Event) -> Result<(), Diagnostics> {
        let serial = self.state.serial;
        let entry = Entry {
            stamp: Stamp {
                serial: serial + 1,
                at: Timestamp::UNIX_EPOCH,
                holder: HolderId("plan".into()),
                epoch: 0,
            },
            events: vec![event],
        };
        let done = self.state.apply(&entry);
        done.map_err(|error| Diagnostic::error("Cannot be recorded", error.to_string()))?;
        self.state.serial = serial;
        self.events.extend(entry.events);
        Ok(())
    }
}

/// Returns what moves: each recorded address along all the blocks that concern it. What is recorded at the end of the way
/// already stays there, and so does what was to move there.
fn moves(config: &Config, state: &State) -> Result<Vec<Move>, Diagnostics> {
    let recorded: BTreeSet<&Address> = state
        .resources
        .keys()
        .chain(state.deposed.keys())
        .chain(state.pools.keys())
        .collect();
    let counted = counted(config, &recorded);
    if counted.is_empty() && config.moved.is_empty() {
        return Ok(Vec::new());
    }
    let mut moves: Vec<Move> = Vec::new();
    let mut taken = BTreeSet::new();
    let mut diagnostics = Diagnostics::new();
    for from in &recorded {
        let to = destination(config, from, &counted);
        if to == **from || recorded.contains(&to) || !taken.insert(to.clone()) {
            continue;
        }
        if let Some(intent) = state.intents.get(from).or_else(|| state.intents.get(&to)) {
            let is_declared = config.moved.iter().any(|moved| moved.apply(from).is_some());
            // Nobody asked for this move, and what goes need not take another address first.
            if !is_declared && matches!(intent.operation, Operation::Delete { .. }) {
                continue;
            }
            let detail = format!(
                "{from} moves to {to}, and what an earlier run began with it ({}) has no end yet.",
                intent.operation.verb()
            );
            let diagnostic = Diagnostic::error("Cannot be moved yet", detail).on(to.clone());
            diagnostics.push(diagnostic.hint(match is_declared {
                true => "take the `moved` block out, apply, and put it back",
                false => "leave `count` as it was, apply, and change it then",
            }));
            continue;
        }
        moves.push(Move {
            from: (*from).clone(),
            to,
        });
    }
    diagnostics.or(moves).map(|(moves, _)| moves)
}

/// Returns where a recorded address leads to.
fn destination(config: &Config, from: &Address, counted: &BTreeMap<Address, Address>) -> Address {
    let mut at = from.clone();
    // The blocks are known to have no circle, so each concerns an address once at most.
    for _ in 0..config.moved.len() {
        match config.moved.iter().find_map(|moved| moved.apply(&at)) {
            Some(next) => at = next,
            None => break,
        }
    }
    match (counted.get(&at.parent()), at.child_name()) {
        (None, _) => at,
        (Some(now), Some(child)) => now.child(child),
        (Some(now), None) => now.clone(),
    }
}

/// Returns the blocks that get a `count` or lose it: what they have now is, or was, instance 0.
fn counted(config: &Config, recorded: &BTreeSet<&Address>) -> BTreeMap<Address, Address> {
    let mut counted = BTreeMap::new();
    for declaration in &config.declarations {
        let (block, first) = (&declaration.address, declaration.address.with_key(Key::Index(0)));
        let has = (recorded.contains(block), recorded.contains(&first));
        match (declaration.meta.count.is_some(), has) {
            (true, (true, false)) => drop(counted.insert(block.clone(), first)),
            (false, (false, true)) if declaration.meta.for_each.is_none() => {
                counted.insert(first, block.clone());
            }
            _ => {}
        }
    }
    counted
}
