//! The parts of a plan that have nothing to do with each other: each is carried out by a run of its own, so that one that
//! takes long, or fails, keeps no other waiting.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::unionfind::UnionFind;
use simfleet_provider_api::Address;

use crate::plan::{Action, Plan};

/// Returns the addresses that change, in parts without a bond between them. A pool and its members are one part, and so is
/// what needs, or is on, something that changes.
pub fn parts(plan: &Plan) -> Vec<BTreeSet<Address>> {
    let changes: Vec<_> = plan
        .changes
        .iter()
        .filter(|change| change.action != Action::NoOp)
        .collect();
    let pools = plan.pools.iter().map(|pool| &pool.address);
    let unfinished = plan.unfinished.iter().map(|unfinished| &unfinished.address);
    let addresses: BTreeSet<&Address> = changes
        .iter()
        .map(|change| &change.address)
        .chain(pools)
        .chain(unfinished)
        .collect();
    let addresses: Vec<&Address> = addresses.into_iter().collect();
    let mut union = UnionFind::<usize>::new(addresses.len());
    // What is named by a block is each of its instances, and by a resource each of its children.
    let (mut parents, mut blocks) = (BTreeMap::new(), BTreeMap::<Address, Vec<usize>>::new());
    for (place, address) in addresses.iter().enumerate() {
        // What one resource expands to is one; instances of one block have nothing to do with each other.
        union.union(*parents.entry(address.parent()).or_insert(place), place);
        blocks.entry(address.declaration()).or_default().push(place);
    }
    let places: BTreeMap<&Address, usize> = addresses
        .iter()
        .enumerate()
        .map(|(place, address)| (*address, place))
        .collect();
    for change in &changes {
        let Some(&own) = places.get(&change.address) else {
            continue;
        };
        let needed = change
            .depends_on
            .iter()
            .chain(&change.depended_on)
            .chain(&change.hosted_on);
        for needed in needed {
            let one = places.get(needed).or_else(|| parents.get(needed));
            for &other in one.into_iter().chain(blocks.get(needed).into_iter().flatten()) {
                union.union(own, other);
            }
        }
    }
    let mut parts: BTreeMap<usize, BTreeSet<Address>> = BTreeMap::new();
    for (place, address) in addresses.iter().enumerate() {
        parts.entry(union.find(place)).or_default().insert((*address).clone());
    }
    parts.into_values().collect()
}
