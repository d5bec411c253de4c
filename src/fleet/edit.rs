//! The state changed by hand: each change is an event under locks, never an edit of what is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use simfleet_provider_api::Address;
use simfleet_state::{Event, Holder, HolderId, Lease, Liveness, LockSet, State, StateError, System};
use simfleet_state::{Host, invariants};
use tokio::sync::mpsc;

use super::mark::Mark;
use super::{Fleet, FleetError};
use crate::apply::Progress;
use crate::config::Endpoint;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{allocated, described};

mod moving;

/// What a move moved, in order: old and new addresses.
pub type Moves = Vec<(Address, Address)>;

/// What was forgotten.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forgotten {
    /// The objects that are managed no more.
    pub objects: Vec<Address>,
    /// What somebody had asked for and ends with that, in words: `allocated to ann@lab since …`.
    pub ended: Vec<(Address, String)>,
}

/// Who holds locks, and whether they are still there.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Their lease.
    pub lease: Lease,
    /// Whether their process is there.
    pub liveness: Liveness,
    /// Whether it is over, so that whoever wants the addresses gets them.
    pub is_over: bool,
}

/// A state that was pulled: everything that is recorded, without its history.
#[derive(Debug, Serialize, Deserialize)]
struct Pulled {
    simfleet_state: u32,
    lineage: Arc<str>,
    serial: u64,
    state: State,
}

/// The version of pulled states. Raised with every change that an older simfleet could not read, or would read and lose a
/// part of. All of 1 is as it was.
const PULLED: u32 = 2;

impl Fleet {
    /// Gives what is recorded of a resource another address, with its instances and children, or of all that is in a
    /// module, and everything that names it. Returns what was moved.
    ///
    /// # Errors
    /// It is not recorded, the new address is taken or of another kind, or an operation on it is still open.
    pub async fn move_recorded(
        &self,
        from: &Endpoint,
        to: &Endpoint,
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<Moves, FleetError> {
        let moves = |state: &State| moving::moves(state, from, to);
        self.edit(progress, |state| {
            let moves = moves(state)?;
            let events = moves.iter().map(|(from, to)| Event::Moved {
                from: from.clone(),
                to: to.clone(),
            });
            Ok((events.collect(), moves))
        })
        .await
    }

    /// Forgets resources, with their instances and children, and what is in modules: nothing is done to the objects.
    /// Returns the addresses of the objects that are managed no more, and of whose they were, what ends with that.
    ///
    /// # Errors
    /// One is not recorded, something recorded runs on it, or an operation on it is still open.
    pub async fn forget(
        &self,
        named: &[Endpoint],
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<Forgotten, FleetError> {
        self.edit(progress, |state| forgotten(state, named)).await
    }

    /// Returns everything that is recorded as one JSON document, for [`push`](Fleet::push). Secrets are digests, or
    /// encrypted.
    ///
    /// # Errors
    /// There is no state, or it cannot be read.
    pub async fn pull(&self) -> Result<serde_json::Value, FleetError> {
        let pull = async {
            let last = self.store.pull().await?;
            Ok((last.lineage.clone(), last))
        };
        let last = self.not_lost(pull).await?;
        let nothing = || {
            let diagnostic = Diagnostic::error("No state", "Nothing is recorded yet.");
            FleetError::from(diagnostic.hint("`simfleet apply` makes a state"))
        };
        let lineage = last.lineage.ok_or_else(nothing)?;
        let pulled = Pulled {
            simfleet_state: PULLED,
            lineage,
            serial: last.state.serial,
            state: last.state,
        };
        serde_json::to_value(&pulled).map_err(|error| {
            Diagnostic::error(
                "The state cannot be written",
                format!("It has no form in JSON: {error}."),
            )
            .into()
        })
    }

    /// Has a state that was pulled be what is recorded, as an event. Returns its new serial. Where there is no state, as
    /// it was lost, it is made with the lineage of the pulled one.
    ///
    /// # Errors
    /// It is none, of another lineage, or older than what is recorded, unless that is what is wanted; or an operation is
    /// still open.
    pub async fn push(
        &self,
        text: &str,
        age: Age,
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<u64, FleetError> {
        let pulled = read(text)?;
        let there = self.store.load().await?;
        let marked = self.mark.as_ref().and_then(Mark::read);
        match there.lineage.as_ref().or(marked.as_ref()) {
            Some(lineage) if *lineage != pulled.lineage => {
                let detail = format!(
                    "The pushed state is that of lineage {}, and the one here of {lineage}: they are two fleets.",
                    pulled.lineage
                );
                let diagnostic = Diagnostic::error("Another lineage", detail);
                return Err(diagnostic.hint("check the path of the fleet, and --state").into());
            }
            _ if there.lineage.is_none() => self.store.make(&pulled.lineage).await?,
            _ => {}
        }
        let all = |state: &State| state.addresses().cloned().collect::<BTreeSet<_>>();
        let mut addresses = all(&there.state);
        addresses.extend(all(&pulled.state));
        let mut journal = self.lock(&LockSet::exclusive(addresses.clone()), progress).await?;
        let now = self.snapshot().await?.state;
        let written = async {
            if pulled.serial < now.serial && age == Age::NotOlder {
                return Err(older(pulled.serial, now.serial).into());
            }
            check_open(&now, now.intents.keys())?;
            if let Some(address) = all(&now).difference(&addresses).next() {
                return Err(FleetError::Stale {
                    address: address.clone(),
                });
            }
            if let Some(mark) = self.mark.as_ref().filter(|_| !pulled.state.is_empty()) {
                mark.set(&pulled.lineage);
            }
            let state = Arc::new(pulled.state);
            Ok(journal.append(&[self.began(), Event::Pushed { state }]).await?.serial)
        }
        .await;
        journal.close().await?;
        written
    }

    /// Returns who holds locks.
    ///
    /// # Errors
    /// Why the state cannot be read.
    pub async fn holders(&self) -> Result<Vec<Held>, FleetError> {
        let held = |lease: Lease| Held {
            liveness: lease
                .holder
                .process
                .as_ref()
                .map_or(Liveness::Unknown, |process| System.liveness(process)),
            is_over: lease.is_over(&System),
            lease,
        };
        Ok(self.snapshot().await?.leases.into_iter().map(held).collect())
    }

    /// Drops the locks of a holder, who can record nothing more from then on. Returns whether it had any.
    ///
    /// # Errors
    /// Why the state cannot be written.
    pub async fn unlock(&self, holder: &HolderId) -> Result<bool, FleetError> {
        Ok(!self.store.unlock(holder).await?.is_empty())
    }

    /// Records events that follow from what is recorded, under the locks of their addresses.
    pub(super) async fn edit<T>(
        &self,
        progress: &mpsc::UnboundedSender<Progress>,
        change: impl Fn(&State) -> Result<(Vec<Event>, T), Diagnostics>,
    ) -> Result<T, FleetError> {
        let (events, _) = change(&self.snapshot().await?.state)?;
        let locks = LockSet::exclusive(events.iter().flat_map(Event::addresses).cloned());
        let mut journal = self.lock(&locks, progress).await?;
        // What is recorded now, under the locks, may be more than what they are on.
        let written = async {
            let (events, told) = change(&self.snapshot().await?.state)?;
            let events: Vec<Event> = std::iter::once(self.began()).chain(events).collect();
            match journal.append(&events).await {
                Err(StateError::NotHeld { address, .. }) => Err(FleetError::Stale { address }),
                written => Ok(written.map(|_| told)?),
            }
        }
        .await;
        journal.close().await?;
        written
    }
}

/// Whether a pushed state may be older than what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// It may not: what was recorded since would be lost sight of.
    NotOlder,
    /// It may.
    Any,
}

impl Held {
    /// Whether a word names this holder: its id, the beginning of it, or an address that it holds.
    pub fn is_named(&self, word: &str) -> bool {
        let locks = &self.lease.locks;
        let mut addresses = locks.exclusive.iter().chain(&locks.shared);
        let Holder { id, .. } = &self.lease.holder;
        (word.len() >= 4 && id.0.starts_with(word)) || addresses.any(|address| address.to_string() == word)
    }
}

/// Returns what is recorded of a block, with its instances and children, or in a module.
fn parts(state: &State, whole: &Endpoint) -> BTreeSet<Address> {
    let parts = state.addresses().filter(|address| whole.covers(address));
    parts.cloned().collect()
}

fn unknown(state: &State, named: &Endpoint) -> Diagnostic {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for address in state.addresses() {
        let modules = address.modules();
        let ways = (1..=modules.len()).filter_map(|depth| modules.get(..depth));
        known.extend(ways.map(|way| Endpoint::Module(way.to_vec()).to_string()));
        known.extend([address.to_string(), address.declaration().to_string()]);
    }
    let (what, detail) = match named {
        Endpoint::Module(_) => ("Unknown module", format!("Nothing is recorded in {named}.")),
        Endpoint::Resource(_) => ("Unknown resource", format!("{named} is not recorded.")),
    };
    Diagnostic::error(what, detail).nearest(&named.to_string(), known.iter().map(String::as_str))
}

/// Refuses what would lose sight of an operation in flight.
fn check_open<'a>(state: &State, mut addresses: impl Iterator<Item = &'a Address>) -> Result<(), Diagnostics> {
    let open = addresses.find_map(|address| Some((address, state.intents.get(address)?)));
    match open {
        None => Ok(()),
        Some((address, intent)) => {
            let detail = format!("A run that ended early began to {} {address}.", intent.operation.verb());
            let diagnostic = Diagnostic::error("An operation is still open", detail);
            Err(diagnostic.hint("`simfleet apply` finishes it").into())
        }
    }
}

fn forgotten(state: &State, named: &[Endpoint]) -> Result<(Vec<Event>, Forgotten), Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let mut all = BTreeSet::new();
    for named in named {
        let parts = parts(state, named);
        if parts.is_empty() {
            diagnostics.push(unknown(state, named));
        }
        all.extend(parts);
    }
    diagnostics.keep(check_open(state, all.iter()));
    for (guest, resource) in &state.resources {
        if let Some(host) = resource.declared.hosted_on.as_ref().filter(|host| all.contains(*host))
            && !all.contains(guest)
        {
            let detail = format!("{guest} runs on {host}, which is to be forgotten.");
            diagnostics.push(Diagnostic::error("Still in use", detail).hint(format!("name {guest} as well")));
        }
    }
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let (mut events, mut ended) = (Vec::new(), Vec::new());
    let reason: Arc<str> = "state rm".into();
    let removed = |address: &Address, deposed| Event::Removed {
        address: address.clone(),
        deposed,
        reason: reason.clone(),
    };
    for (host, ports) in &state.reservations {
        let owned = ports
            .iter()
            .filter(|(_, reservation)| all.contains(&reservation.address));
        events.extend(owned.map(|(port, reservation)| Event::Released {
            address: reservation.address.clone(),
            host: host.clone(),
            port: *port,
        }));
    }
    for address in &all {
        if let Some(hold) = state.holds.get(address) {
            ended.push((address.clone(), described(hold)));
            events.push(Event::Unheld {
                address: address.clone(),
            });
        }
        if let Some(allocation) = state.allocations.get(address) {
            ended.push((address.clone(), allocated(allocation)));
            let (address, since) = (address.clone(), allocation.since);
            events.push(Event::Deallocated { address, since });
        }
        let deposed = state.deposed.get(address).into_iter().flat_map(BTreeMap::keys);
        events.extend(deposed.map(|key| removed(address, Some(key.clone()))));
        if state.resources.contains_key(address) || state.pools.contains_key(address) {
            events.push(removed(address, None));
        }
    }
    let objects = all
        .into_iter()
        .filter(|address| state.resources.contains_key(address))
        .collect();
    Ok((events, Forgotten { objects, ended }))
}

/// Reads a state that was pulled.
fn read(text: &str) -> Result<Pulled, Diagnostics> {
    let none = |detail: String| {
        let diagnostic = Diagnostic::error("Not a pulled state", detail);
        Diagnostics::from(diagnostic.hint("`simfleet state pull` writes one; nothing was changed"))
    };
    let pulled: Pulled = serde_json::from_str(text).map_err(|error| none(format!("It cannot be read: {error}.")))?;
    if !(1..=PULLED).contains(&pulled.simfleet_state) {
        let detail = format!(
            "It was written by a newer simfleet: it has format {}, and this one knows formats up to {PULLED}.",
            pulled.simfleet_state
        );
        let diagnostic = Diagnostic::error("Not a pulled state", detail);
        return Err(diagnostic
            .hint("push it with the simfleet that pulled it; nothing was changed")
            .into());
    }
    invariants::check(&pulled.state).map_err(|problem| none(format!("It contradicts itself: {problem}.")))?;
    Ok(pulled)
}

fn older(pushed: u64, last: u64) -> Diagnostic {
    let detail = format!(
        "The pushed state was pulled at serial {pushed}, and the one here is at serial {last} by now: what was recorded since \
         would be lost sight of."
    );
    let hint = "pull it again, and change and push that; --force pushes this one all the same, and what was recorded since \
                is left in `simfleet state history` only";
    Diagnostic::error("An older state", detail).hint(hint)
}
