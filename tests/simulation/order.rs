//! Whether the calls of a run came in the order that its plan demands, by the cloud's own log.
//!
//! What is made comes after all that it needs has ended; what is removed goes before what it needed begins to go; what is
//! replaced goes before its replacement comes, or after everything that needs it has changed over.

use std::collections::{BTreeMap, BTreeSet};

use simfleet::plan::{Action, Change, Plan};
use simfleet_provider_api::{Address, ObjectId};
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::cloud::{Cause, Effect, Entry as Logged};
use simfleet_state::{Entry, Event, Operation};

/// Demands that the calls of a run came in order. `history` and `log` are everything until now; `from` is where the run began in the log.
///
/// # Errors
/// Which call came too early.
pub fn check(plan: &Plan, history: &[Entry], log: &[Logged], from: usize) -> Result<(), String> {
    let calls = Calls::of(plan, history, &Log::of(log, from));
    for change in plan.changes.iter().filter(|change| change.deposed.is_none()) {
        calls.making_waits(change)?;
        calls.removal_waits(change)?;
    }
    for change in plan.changes.iter().filter(|change| change.deposed.is_some()) {
        let key = key_of(change);
        calls.late_removal_waits(change, key.clone())?;
        calls.left_over_goes_first(change, key)?;
    }
    Ok(())
}

/// Tells what a plan changes, and what that needs and needed.
pub fn told(plan: &Plan) -> String {
    let names = |addresses: &mut dyn Iterator<Item = &Address>| {
        addresses.map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let mut text = String::new();
    for change in &plan.changes {
        let needs = names(&mut change.depends_on.iter().chain(&change.hosted_on));
        let needed = names(&mut change.depended_on.iter().chain(&change.was_hosted_on));
        let first = if change.is_made_first() { ", made first" } else { "" };
        let (verb, address) = (change.action.as_str(), &change.address);
        text += &format!("{verb} {address}{first}: needs {needs}; needed {needed}\n");
    }
    text
}

/// The name of the object that a change removes, where an earlier run replaced it.
fn key_of(change: &Change) -> Option<String> {
    change.deposed.as_ref().map(|key| key.0.to_string())
}

/// What one intent of the run did: when its first call came, and when it had its effect, both by the number of the entry.
#[derive(Debug, Clone, Default)]
struct Intent {
    began: Option<u64>,
    ended: Option<u64>,
    /// Whether the journal says that it did what it should.
    is_done: bool,
    /// The object that was deleted, where it was not the current one.
    deposed: Option<String>,
}

type Edges<'p> = BTreeMap<&'p Address, Vec<&'p Address>>;

struct Calls<'p> {
    changes: BTreeMap<&'p Address, &'p Change>,
    /// The changes that remove what earlier runs replaced.
    left_over: Vec<&'p Change>,
    /// What each needs from now on, and what it needed.
    needs: Edges<'p>,
    needed: Edges<'p>,
    makings: BTreeMap<&'p Address, Vec<Intent>>,
    removals: BTreeMap<&'p Address, Vec<Intent>>,
}

impl<'p> Calls<'p> {
    fn of(plan: &'p Plan, history: &[Entry], log: &Log<'_>) -> Self {
        let current = plan.changes.iter().filter(|change| change.deposed.is_none());
        let changes: BTreeMap<&Address, &Change> = current.map(|change| (&change.address, change)).collect();
        // A block stands for its instances, a pool for its members; a node that something runs on is one resource.
        let mut under: BTreeMap<Address, Vec<&'p Address>> = BTreeMap::new();
        for address in changes.keys() {
            let names = BTreeSet::from([(*address).clone(), address.parent(), address.declaration()]);
            names
                .into_iter()
                .for_each(|name| under.entry(name).or_default().push(address));
        }
        let edges = |needed: fn(&'p Change) -> (&'p [Address], Option<&'p Address>)| -> Edges<'p> {
            let edges_of = |change: &'p Change| {
                let (blocks, host) = needed(change);
                let blocks = blocks.iter().filter_map(|name| under.get(name)).flatten().copied();
                blocks.chain(host.filter(|host| changes.contains_key(host))).collect()
            };
            changes
                .iter()
                .map(|(address, change)| (*address, edges_of(change)))
                .collect()
        };
        let mut calls = Calls {
            needs: edges(|change| (&change.depends_on, change.hosted_on.as_ref())),
            needed: edges(|change| (&change.depended_on, change.was_hosted_on.as_ref())),
            changes,
            left_over: plan.changes.iter().filter(|change| change.deposed.is_some()).collect(),
            makings: BTreeMap::new(),
            removals: BTreeMap::new(),
        };
        let addresses: BTreeSet<&Address> = plan.changes.iter().map(|change| &change.address).collect();
        let run = history.iter().filter(|entry| entry.stamp.serial > plan.serial);
        let events: Vec<&Event> = run.flat_map(|entry| &entry.events).collect();
        for event in &events {
            let Event::Started {
                address,
                token,
                operation,
            } = event
            else {
                continue;
            };
            let Some(address) = addresses.get(address) else {
                continue;
            };
            let is_done = events
                .iter()
                .any(|event| matches!(event, Event::Succeeded { token: of, .. } if of == token));
            match operation {
                Operation::Create { .. } | Operation::Update { .. } => {
                    let (began, ended) = log.of_token(&token.0);
                    let deposed = None;
                    let intent = Intent {
                        began,
                        ended,
                        is_done,
                        deposed,
                    };
                    calls.makings.entry(address).or_default().push(intent);
                }
                Operation::Delete { prior, deposed } => {
                    let (began, ended) = log.of_deletion(prior);
                    let deposed = deposed.as_ref().map(|key| key.0.to_string());
                    let intent = Intent {
                        began,
                        ended,
                        is_done,
                        deposed,
                    };
                    calls.removals.entry(address).or_default().push(intent);
                }
            }
        }
        calls
    }

    fn makings(&self, address: &Address) -> &[Intent] {
        self.makings.get(address).map_or(&[], |intents| intents)
    }

    fn removals(&self, address: &Address) -> impl Iterator<Item = &Intent> {
        self.removals.get(address).into_iter().flatten()
    }

    fn needed(&self, change: &'p Change) -> impl Iterator<Item = &'p Address> {
        self.needs[&change.address].iter().copied()
    }

    fn was_needed(&self, change: &'p Change) -> impl Iterator<Item = &'p Address> {
        self.needed[&change.address].iter().copied()
    }

    /// Whether an intent deletes what an earlier run replaced.
    fn is_left_over(&self, address: &Address, intent: &Intent) -> bool {
        let mut left_over = self.left_over.iter();
        left_over.any(|change| change.address == *address && key_of(change) == intent.deposed)
    }

    /// All that a change leads to along an edge, without itself.
    fn reached<I: Iterator<Item = &'p Address>>(
        &self,
        from: &'p Address,
        next: impl Fn(&'p Change) -> I,
    ) -> BTreeSet<&'p Address> {
        let mut found = BTreeSet::new();
        let mut open = vec![from];
        while let Some(address) = open.pop() {
            // Of some there is only what earlier runs replaced.
            for next in self.changes.get(address).into_iter().flat_map(|change| next(change)) {
                if next != from && found.insert(next) {
                    open.push(next);
                }
            }
        }
        found
    }

    /// Whether two are in a circle of what is needed and what was, and of what is dropped once its node is gone: what was
    /// recorded at different times can contradict itself and the configuration, and then what only should be in an order is
    /// not.
    fn contradict(&self, one: &'p Address, other: &'p Address) -> bool {
        let lost = |host: &'p Change| {
            let dropped = self
                .changes
                .values()
                .filter(|change| self.is_lost_with(change, &host.address));
            dropped.map(|change| &change.address)
        };
        let either = |change: &'p Change| self.needed(change).chain(self.was_needed(change)).chain(lost(change));
        self.reached(one, either).contains(other) && self.reached(other, either).contains(one)
    }

    /// Whether its old object cannot wait for all that needs it to change over.
    fn cannot_wait(&self, address: &'p Address) -> bool {
        let mut others = self.changes.values();
        others.any(|other| {
            self.is_lost_with(other, address) || (other.address != *address && self.is_free(other, address))
        })
    }

    /// Whether something need not go after what needed it or stops needing it: what is recorded contradicts that, or the
    /// other can only be made, or be removed, once it is gone.
    fn is_free(&self, other: &'p Change, gone: &'p Address) -> bool {
        let is_held_by_lost = |lost: &'p Change| {
            let needed = self.reached(&lost.address, |change| self.was_needed(change));
            self.is_lost_with(lost, gone) && needed.contains(&other.address)
        };
        let host = other.was_hosted_on.as_ref().and_then(|host| self.changes.get(host));
        let is_revived_after =
            |host: &&&Change| matches!(host.action, Action::Create | Action::Check) && self.comes_after(host, gone);
        self.contradict(&other.address, gone)
            || self.comes_after(other, gone)
            || host.filter(is_revived_after).is_some()
            || self.changes.values().any(|lost| is_held_by_lost(lost))
    }

    /// Whether something is dropped once the node that it ran on is known to be gone.
    fn is_lost_with(&self, change: &Change, host: &Address) -> bool {
        change.is_lost_with_host() && change.was_hosted_on.as_ref() == Some(host)
    }

    /// Whether a change can only be made once something is gone: it needs what is made anew, and that goes before, or goes with
    /// a node that goes before.
    fn comes_after(&self, change: &'p Change, gone: &'p Address) -> bool {
        let needs = self.reached(&change.address, |change| self.needed(change));
        let mut needed = self.reached(gone, |change| self.was_needed(change));
        needed.insert(gone);
        let is_anew = |change: &Change| change.action == Action::Replace && !change.is_made_first();
        let is_lost = |change: &Change| {
            let host = change.was_hosted_on.as_ref();
            change.action == Action::Replace
                && change.is_lost_with_host()
                && host.is_some_and(|host| needed.contains(host))
        };
        needs.iter().any(|address| {
            let change = self.changes[*address];
            is_lost(change) || needed.contains(address) && is_anew(change)
        })
    }

    /// What is made comes after all that it needs, directly or not.
    fn making_waits(&self, change: &'p Change) -> Result<(), String> {
        let address = &change.address;
        let Some(began) = self.makings(address).iter().filter_map(|intent| intent.began).min() else {
            return Ok(());
        };
        if change.action == Action::Replace && !change.is_made_first() {
            for removal in self.removals(address).filter(|intent| intent.deposed.is_none()) {
                removal.ended_before(began, || format!("{address} comes before its old object is gone"))?;
            }
        }
        for needed in self.reached(address, |change| self.needed(change)) {
            for making in self.makings(needed) {
                making.ended_before(began, || format!("{address} comes before {needed}, which it needs"))?;
            }
        }
        Ok(())
    }

    /// What is removed goes after what needed it, and after what stops needing it.
    fn removal_waits(&self, change: &'p Change) -> Result<(), String> {
        let address = &change.address;
        let Some(began) = self.removals(address).filter_map(|intent| intent.began).min() else {
            return Ok(());
        };
        for other in self.changes.values().filter(|other| other.address != *address) {
            let is_gone = |change: &Change| matches!(change.action, Action::Delete | Action::Replace);
            let through = |change: &'p Change| self.was_needed(change).filter(|at| is_gone(self.changes[at]));
            if !is_gone(other) || !self.reached(&other.address, through).contains(address) {
                continue;
            }
            for removal in self
                .removals(&other.address)
                .filter(|intent| !self.is_left_over(&other.address, intent))
            {
                let told = || format!("{address} goes before {}, which needed it", other.address);
                // What need not go before something need not go before what that needed either.
                let bound = |change: &'p Change| through(change).filter(|at| !self.is_free(change, at));
                let is_bound = || self.reached(&other.address, bound).contains(address);
                if let Err(early) = removal.ended_before(began, told)
                    && is_bound()
                {
                    return Err(early);
                }
            }
        }
        for other in self.changes.values().filter(|other| other.action == Action::Update) {
            let stops = self.was_needed(other).any(|at| at == address) && !self.needed(other).any(|at| at == address);
            for making in self.makings(&other.address).iter().filter(|_| stops) {
                let told = || format!("{address} goes before {}, which stops needing it", other.address);
                if !self.is_free(other, address) {
                    making.ended_before(began, told)?;
                }
            }
        }
        match change.is_made_first() {
            true => self.late_removal_waits(change, None),
            false => Ok(()),
        }
    }

    /// What an earlier run replaced goes before what it needed begins to go, unless that must be gone before all is done that
    /// this waits for.
    fn left_over_goes_first(&self, change: &'p Change, key: Option<String>) -> Result<(), String> {
        let address = &change.address;
        let named = |at: &Address| {
            let names = [at.clone(), at.parent(), at.declaration()];
            names.iter().any(|name| change.depended_on.contains(name)) || change.was_hosted_on.as_ref() == Some(at)
        };
        for gone in self
            .changes
            .values()
            .filter(|gone| gone.address != *address && named(&gone.address))
        {
            let of_run = self
                .removals(&gone.address)
                .filter(|intent| !self.is_left_over(&gone.address, intent));
            let Some(began) = of_run.filter_map(|intent| intent.began).min() else {
                continue;
            };
            let mut awaited = self.changes.values().filter(|other| {
                let either = |change: &'p Change| self.needed(change).chain(self.was_needed(change));
                other.address == *address || self.reached(&other.address, either).contains(address)
            });
            if awaited.any(|other| other.address == gone.address || self.is_free(other, &gone.address)) {
                continue;
            }
            for removal in self.removals(address).filter(|intent| intent.deposed == key) {
                let told = || {
                    format!(
                        "{} goes before what was left over of {address}, which needed it",
                        gone.address
                    )
                };
                removal.ended_before(began, told)?;
            }
        }
        Ok(())
    }

    /// An object that was replaced goes once the new one is there and all that needs it has changed over. `key` is that of
    /// an object that an earlier run replaced.
    fn late_removal_waits(&self, change: &'p Change, key: Option<String>) -> Result<(), String> {
        let address = &change.address;
        let is_it = |intent: &&Intent| key.is_none() || intent.deposed == key;
        let Some(began) = self
            .removals(address)
            .filter(is_it)
            .filter_map(|intent| intent.began)
            .min()
        else {
            return Ok(());
        };
        for making in self.makings(address) {
            making.ended_before(began, || format!("{address} goes before its replacement is there"))?;
        }
        if self.cannot_wait(address) {
            return Ok(());
        }
        for other in self.changes.values().filter(|other| other.address != *address) {
            let needs = self.reached(&other.address, |change| self.needed(change));
            if !needs.contains(address) {
                continue;
            }
            for making in self.makings(&other.address) {
                let told = || {
                    format!(
                        "{address} goes before {}, which needs it, has changed over",
                        other.address
                    )
                };
                making.ended_before(began, told)?;
            }
        }
        Ok(())
    }
}

impl Intent {
    /// Demands that it had ended when another one began.
    fn ended_before(&self, began: u64, told: impl Fn() -> String) -> Result<(), String> {
        // What was so already when it was asked for has no effect.
        let is_ended = self.ended.map_or(self.is_done, |ended| ended < began);
        let is_begun = self.began.is_none_or(|own| own < began);
        match is_ended && is_begun {
            true => Ok(()),
            false => Err(format!("{}: entry {began} of the log against {self:?}", told())),
        }
    }
}

/// The log, by tokens and by objects.
struct Log<'l> {
    entries: &'l [Logged],
    /// Where the run began.
    from: usize,
    /// The token, or the name, of each operation that was accepted.
    operations: BTreeMap<&'l str, (Option<&'l str>, Option<&'l str>)>,
    /// The name of each object, as it was made.
    names: BTreeMap<&'l str, &'l str>,
}

impl<'l> Log<'l> {
    fn of(entries: &'l [Logged], from: usize) -> Self {
        let mut log = Log {
            entries,
            from,
            operations: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        for entry in entries {
            let (token, name) = log.who(entry);
            for effect in &entry.effects {
                match (effect, name) {
                    (Effect::Accepted(operation), _) => drop(log.operations.insert(operation, (token, name))),
                    (Effect::Made(id), Some(name)) => drop(log.names.insert(id, name)),
                    _ => {}
                }
            }
        }
        log
    }

    /// The token and the name of what an entry is about.
    fn who(&self, entry: &'l Logged) -> (Option<&'l str>, Option<&'l str>) {
        match &entry.cause {
            Cause::Called { token, name, .. } => (token.as_deref(), name.as_deref()),
            Cause::Finished { operation } => self.operations.get(&**operation).copied().unwrap_or_default(),
            Cause::BehindTheBack => (None, None),
        }
    }

    /// When the first call with a token came that changes something, and when it had its effect.
    fn of_token(&self, token: &str) -> (Option<u64>, Option<u64>) {
        let of = self.entries.iter().filter(|entry| self.who(entry).0 == Some(token));
        let is_call = |entry: &&Logged| is_called(entry, &[Call::Create, Call::Update]);
        let has_effect = |entry: &&Logged| {
            let mut effects = entry.effects.iter();
            effects.any(|effect| matches!(effect, Effect::Made(_) | Effect::Changed(_)))
        };
        let began = of.clone().find(is_call).map(|entry| entry.number);
        (began, of.clone().find(has_effect).map(|entry| entry.number))
    }

    /// When the first call came that deletes an object, and when it was gone.
    fn of_deletion(&self, id: &ObjectId) -> (Option<u64>, Option<u64>) {
        let name = self.names.get(&*id.0).copied();
        let is_call = |entry: &&Logged| is_called(entry, &[Call::Delete]) && self.who(entry).1 == name;
        let is_gone = |entry: &&Logged| entry.effects.contains(&Effect::Deleted(id.0.to_string()));
        let of_run = &self.entries[self.from..];
        let began = of_run.iter().find(is_call).filter(|_| name.is_some());
        let ended = of_run.iter().find(is_gone);
        (began.map(|entry| entry.number), ended.map(|entry| entry.number))
    }
}

fn is_called(entry: &Logged, calls: &[Call]) -> bool {
    matches!(&entry.cause, Cause::Called { call, .. } if calls.contains(call))
}
