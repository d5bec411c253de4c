//! What was last seen of the recorded objects. Each far side is looked at by itself, so that one that hangs keeps no other
//! from being looked at.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::{Address, Observed};
use simfleet_state::{ProviderConfig, Snapshot, State};

use crate::providers::{Providers, settings_key};
use crate::refresh::{Observations, recorded, refresh};

/// How long a far side has to show its objects. Providers have time-outs of their own for each call; there may be many calls.
const LIMIT: Duration = Duration::from_secs(120);

/// What was last seen.
#[derive(Debug, Clone, Default)]
pub struct Looks {
    seen: BTreeMap<Address, Look>,
}

#[derive(Debug, Clone)]
struct Look {
    /// What was recorded when it was looked at.
    fingerprint: Option<u64>,
    observed: Observed,
}

/// What one look at a far side showed.
#[derive(Debug)]
pub struct Looked {
    /// Which far side.
    pub side: String,
    snapshot: Arc<Snapshot>,
    seen: Observations,
}

impl Looks {
    /// Takes in what a look showed; returns whether anything is other than was believed: as it was seen before or, where it was
    /// recorded since, as it was recorded.
    pub fn take(&mut self, looked: Looked) -> bool {
        let mut is_news = false;
        let there = &looked.snapshot.state.resources;
        self.seen.retain(|address, _| there.contains_key(address));
        for (address, observed) in looked.seen {
            let fingerprint = looked.snapshot.state.fingerprint(&address);
            is_news |= match (self.seen.get(&address), there.get(&address)) {
                (Some(before), _) if before.fingerprint == fingerprint => before.observed != observed,
                (Some(_), Some(recorded)) => {
                    !matches!(&observed, Observed::Present(object) if *object == recorded.object)
                }
                _ => true,
            };
            self.seen.insert(address, Look { fingerprint, observed });
        }
        is_news
    }

    /// Returns what is seen of what is recorded now. What changed since it was looked at is as it was recorded then.
    pub fn of(&self, state: &State) -> Observations {
        let mut seen = recorded(state);
        for (address, look) in &self.seen {
            if look.fingerprint == state.fingerprint(address)
                && let Some(seen) = seen.get_mut(address)
            {
                seen.clone_from(&look.observed);
            }
        }
        seen
    }

    /// Returns the same of one object at a time.
    pub fn sight<'a>(&'a self, state: &'a State) -> Sight<'a> {
        Sight { looks: self, state }
    }

    /// Returns what is recorded and was not there when it was looked at.
    pub fn gone<'a>(&'a self, state: &'a State) -> impl Iterator<Item = &'a Address> {
        let gone = self.seen.iter().filter(|(_, look)| look.observed == Observed::Absent);
        gone.filter(|(address, look)| {
            state.resources.contains_key(*address) && look.fingerprint == state.fingerprint(address)
        })
        .map(|(address, _)| address)
    }

    /// Returns what was last seen of one, where that is not older than what is recorded of it.
    pub fn one(&self, address: &Address, state: &State) -> Option<&Observed> {
        let look = self.seen.get(address)?;
        (look.fingerprint == state.fingerprint(address)).then_some(&look.observed)
    }

    /// Whether something of it is recorded otherwise since it was looked at, so that what was seen is not believed any more.
    pub fn are_outdated(&self, objects: &BTreeSet<Address>, state: &State) -> bool {
        let is_outdated = |(address, look): (&Address, &Look)| look.fingerprint != state.fingerprint(address);
        let looks = objects.iter().filter_map(|address| self.seen.get_key_value(address));
        looks.into_iter().any(is_outdated)
    }

    /// Whether something was ever looked at.
    pub fn has(&self, address: &Address) -> bool {
        self.seen.contains_key(address)
    }
}

/// What is seen of what is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    looks: &'a Looks,
    state: &'a State,
}

impl<'a> Sight<'a> {
    /// Returns what is seen of an object; `None` where nothing is recorded at its address.
    pub fn get(&self, address: &Address) -> Option<Cow<'a, Observed>> {
        let resource = self.state.resources.get(address)?;
        Some(match self.looks.seen.get(address) {
            Some(look) if look.fingerprint == self.state.fingerprint(address) => Cow::Borrowed(&look.observed),
            _ => Cow::Owned(Observed::Present(resource.object.clone())),
        })
    }
}

/// Returns the far sides that recorded objects are on, each with its objects: of what runs on a node, that of the node.
pub fn sides(state: &State) -> BTreeMap<String, BTreeSet<Address>> {
    let mut sides: BTreeMap<String, BTreeSet<Address>> = BTreeMap::new();
    for (address, resource) in &state.resources {
        let mut root = resource;
        // A host is a resource of its own; none is on itself.
        while let Some(host) = root
            .declared
            .hosted_on
            .as_ref()
            .and_then(|host| state.resources.get(host))
        {
            root = host;
        }
        let side = settings_key(&root.declared.provider);
        sides.entry(side).or_default().insert(address.clone());
    }
    sides
}

/// Returns the configuration of a far side's provider, by the objects on it.
pub fn config_of(objects: &BTreeSet<Address>, state: &State) -> Option<ProviderConfig> {
    let resources = objects.iter().filter_map(|address| state.resources.get(address));
    let mut own = resources.filter(|resource| {
        let host = resource.declared.hosted_on.as_ref();
        host.is_none_or(|host| !state.resources.contains_key(host))
    });
    own.next().map(|resource| resource.declared.provider.clone())
}

/// Looks at the objects of one far side.
pub async fn look(
    side: String,
    objects: BTreeSet<Address>,
    snapshot: Arc<Snapshot>,
    providers: Arc<Providers>,
    parallelism: usize,
) -> Looked {
    let mut part = State::default();
    let of_it = objects.into_iter().filter_map(|address| {
        let resource = snapshot.state.resources.get(&address)?.clone();
        Some((address, resource))
    });
    part.resources.extend(of_it);
    let looked = tokio::time::timeout(LIMIT, refresh(&part, &providers, parallelism)).await;
    let seen = looked.unwrap_or_else(|_| {
        let unreachable = Observed::Unreachable {
            reason: format!("no answer within {} s", LIMIT.as_secs()),
        };
        part.resources
            .into_keys()
            .map(|address| (address, unreachable.clone()))
            .collect()
    });
    Looked { side, snapshot, seen }
}
