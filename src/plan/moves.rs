//! What a plan is made from when some addresses have changed since the state was written (`moved` blocks), or objects
//! become those of resources ([`adopt`](super::adopt)).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use simfleet_provider_api::{Address, Key, ModuleStep, ObjectId};
use simfleet_state::{Entry, Event, HolderId, Operation, Stamp, State};

use crate::config::meta::MetaArguments;
use crate::config::{Config, Endpoint, Moved};
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

/// Returns what moves: each recorded address along all the blocks that concern it, and then with those of its module's
/// calls and of its own block that got a `count` or lost it. What is recorded at the end of the way already stays there,
/// and so does what was to move there.
fn moves(config: &Config, state: &State) -> Result<Vec<Move>, Diagnostics> {
    let recorded: BTreeSet<&Address> = state
        .resources
        .keys()
        .chain(state.deposed.keys())
        .chain(state.pools.keys())
        .collect();
    let declared = Declared::of(config).moves(&recorded);
    let mut there = recorded.clone();
    there.extend(declared.values());
    let counted = Counted::of(config, &there);
    let mut moves: Vec<Move> = Vec::new();
    let mut diagnostics = Diagnostics::new();
    for from in recorded {
        let now = declared.get(from).unwrap_or(from);
        let to = counted.destination(now).unwrap_or_else(|| now.clone());
        if to == *from {
            continue;
        }
        if let Some(intent) = state.intents.get(from).or_else(|| state.intents.get(&to)) {
            let is_declared = declared.contains_key(from);
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
        moves.push(Move { from: from.clone(), to });
    }
    diagnostics.or(moves).map(|(moves, _)| moves)
}

/// The `moved` blocks of a fleet and of the modules in it.
struct Declared<'c> {
    /// What is in something comes before that: `module.m.node.a` before `module.m`, `node.a[0]` before `node.a`.
    blocks: Vec<&'c Moved>,
}

impl<'c> Declared<'c> {
    fn of(config: &'c Config) -> Self {
        let modules = config.modules().into_iter();
        let mut blocks: Vec<&Moved> = modules.flat_map(|module| &module.moved).collect();
        blocks.sort_by_key(|block| {
            let depth = block.module.len() + block.from.modules().len();
            let is_resource = matches!(block.from, Endpoint::Resource(_));
            Reverse((depth, is_resource, block.from.key().is_some()))
        });
        Declared { blocks }
    }

    /// Returns where the recorded addresses go that the blocks concern.
    fn moves(&self, recorded: &BTreeSet<&Address>) -> BTreeMap<Address, Address> {
        let mut taken = BTreeSet::new();
        let mut moves = BTreeMap::new();
        if self.blocks.is_empty() {
            return moves;
        }
        for from in recorded {
            let to = self.destination(from);
            if to != **from && !recorded.contains(&to) && taken.insert(to.clone()) {
                moves.insert((*from).clone(), to);
            }
        }
        moves
    }

    /// Returns where a recorded address leads to.
    fn destination(&self, from: &Address) -> Address {
        let mut at = from.clone();
        // A block concerns an address once, also where the way leads back into a module that it came from.
        let mut done: Vec<usize> = Vec::new();
        loop {
            let blocks = self.blocks.iter().enumerate();
            let mut left = blocks.filter(|(place, _)| !done.contains(place));
            let Some((place, next)) = left.find_map(|(place, block)| Some((place, block.apply(&at)?))) else {
                return at;
            };
            done.push(place);
            at = next;
        }
    }
}

/// The blocks, also those of modules, that get a `count` or lose it: what they have now is, or was, instance 0.
struct Counted<'c> {
    config: &'c Config,
    /// What is recorded, and where the `moved` blocks lead.
    there: &'c BTreeSet<&'c Address>,
    /// The instances of modules that something of that is in.
    modules: BTreeSet<&'c [ModuleStep]>,
    /// Whether any block has a `count`.
    has_count: bool,
}

impl<'c> Counted<'c> {
    fn of(config: &'c Config, there: &'c BTreeSet<&'c Address>) -> Self {
        let mut modules = BTreeSet::new();
        let mut last: &[ModuleStep] = &[];
        // What is in one module mostly follows each other.
        for inside in there.iter().map(|address| address.modules()) {
            if inside != last {
                modules.extend((1..=inside.len()).filter_map(|depth| inside.get(..depth)));
                last = inside;
            }
        }
        let has_count = config.modules().into_iter().any(|module| {
            let mut declared = module.declarations.iter();
            declared.any(|it| it.meta.count.is_some()) || module.calls.values().any(|it| it.meta.count.is_some())
        });
        Counted {
            config,
            there,
            modules,
            has_count,
        }
    }

    /// Whether a key can be one of a block that got a `count` or lost it. Of most addresses that is all that is asked.
    fn may_be_other(&self, key: Option<&Key>) -> bool {
        match key {
            None => self.has_count,
            Some(Key::Index(0)) => true,
            Some(_) => false,
        }
    }

    /// Returns the address that something has now; `None` where nothing on the way to it has another key, or where there
    /// is something at that already.
    fn destination(&self, address: &Address) -> Option<Address> {
        let mut keys = address
            .modules()
            .iter()
            .map(|step| step.key.as_ref())
            .chain([address.key()]);
        if !keys.any(|key| self.may_be_other(key)) {
            return None;
        }
        let mut config = self.config;
        let mut modules = address.modules().to_vec();
        for (depth, step) in modules.iter_mut().enumerate() {
            let call = config.calls.get(&step.name)?;
            if let Some(key) = other_key(&call.meta, step.key.as_ref()) {
                step.key = key;
                let mut instance = address.modules().get(..=depth)?.to_vec();
                instance.last_mut()?.clone_from(step);
                if self.modules.contains(&*instance) {
                    return None;
                }
            }
            config = &call.module;
        }
        let labels: Vec<&str> = address.labels().iter().map(|label| &**label).collect();
        let declaration = config.declaration(address.block(), &labels);
        let now = match declaration.and_then(|declared| other_key(&declared.meta, address.key())) {
            Some(key) => self.instance(address, key),
            None => address.clone(),
        };
        let now = now.in_module(&modules);
        (now != *address).then_some(now)
    }

    /// Returns an address with another key; the same where there is something at that, or nothing that the rest belongs to.
    fn instance(&self, address: &Address, key: Option<Key>) -> Address {
        let block = address.declaration();
        let instance = key.map_or_else(|| block.clone(), |key| block.with_key(key));
        match (self.there.contains(&instance), address.child_name()) {
            (false, None) => instance,
            (false, Some(child)) if self.there.contains(&address.parent()) => instance.child(child),
            _ => address.clone(),
        }
    }
}

/// Returns the key in place of that of an instance, where its block got a `count` or lost it.
fn other_key(meta: &MetaArguments, key: Option<&Key>) -> Option<Option<Key>> {
    match (meta.count.is_some(), key) {
        (true, None) => Some(Some(Key::Index(0))),
        (false, Some(Key::Index(0))) if meta.for_each.is_none() => Some(None),
        _ => None,
    }
}
