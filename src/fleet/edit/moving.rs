//! `state mv`: what moves, and why it may not.

use std::collections::{BTreeMap, BTreeSet};

use simfleet_provider_api::{Address, Key, ModuleStep};
use simfleet_state::State;

use super::{Moves, check_open, parts, unknown};
use crate::config::Endpoint;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Returns what moves where something gets another address.
pub(super) fn moves(state: &State, from: &Endpoint, to: &Endpoint) -> Result<Moves, Diagnostics> {
    let parts = parts(state, from);
    if parts.is_empty() {
        return Err(unknown(state, from).into());
    }
    let refuse = |detail: String| Err(Diagnostic::error("Cannot be moved", detail).into());
    if from == to {
        return refuse(format!("{from} is its own new address."));
    }
    match (from, to) {
        (Endpoint::Module(_), Endpoint::Module(_)) => {}
        (Endpoint::Resource(from), Endpoint::Resource(to)) if is_alike(from, to) => {
            if from.child_name().is_some() || to.child_name().is_some() {
                let whole = from.parent();
                return refuse(format!("{from} belongs to {whole}, and goes where that goes."));
            }
        }
        _ => return refuse(format!("{to} is of another kind than {from}.")),
    }
    check_open(state, parts.iter())?;
    let is_whole_block = from.key().is_none() && parts.iter().any(|part| own_key(part, from).is_some());
    if is_whole_block && to.key().is_some() {
        return refuse(format!("{from} has instances, and {to} would be one."));
    }
    let taken: BTreeSet<&Address> = state.addresses().collect();
    let moved: BTreeMap<Address, Address> = parts
        .iter()
        .map(|part| (part.clone(), renamed(part, from, to)))
        .collect();
    if let Some(taken) = moved
        .values()
        .find(|to| taken.contains(to) || state.reservations.contains_key(*to))
    {
        return refuse(format!("{taken} is recorded already."));
    }
    // What depends on all instances of a block names the block.
    let declared = state
        .resources
        .values()
        .flat_map(|resource| &resource.declared.depends_on);
    let blocks: BTreeSet<&Address> = declared
        .filter(|needed| needed.key().is_none() && from.covers(needed) && !parts.contains(*needed))
        .collect();
    let mut moves: Moves = blocks
        .into_iter()
        .map(|block| (block.clone(), renamed(block, from, to)))
        .collect();
    moves.extend(moved.into_iter().filter(|(from, _)| is_movable(state, from)));
    Ok(moves)
}

fn is_alike(from: &Address, to: &Address) -> bool {
    let kind = |address: &Address| {
        (
            address.block().to_owned(),
            address.labels().len(),
            address.labels().first().cloned(),
        )
    };
    match from.labels().len() {
        1 => from.block() == to.block() && to.labels().len() == 1,
        _ => kind(from) == kind(to),
    }
}

/// Whether there is something at the address itself: who only has ports or a hold goes by those.
fn is_movable(state: &State, address: &Address) -> bool {
    state.resources.contains_key(address)
        || state.deposed.contains_key(address)
        || state.pools.contains_key(address)
        || state
            .reservations
            .values()
            .flat_map(BTreeMap::values)
            .any(|port| port.address == *address)
}

/// Returns the key of the instance of a block or module that a part is, or is in.
fn own_key<'p>(part: &'p Address, whole: &Endpoint) -> Option<&'p Key> {
    match whole {
        Endpoint::Module(modules) => part.modules().get(modules.len().checked_sub(1)?)?.key.as_ref(),
        Endpoint::Resource(_) => part.key(),
    }
}

/// Returns the address of a part once the whole has another.
fn renamed(part: &Address, from: &Endpoint, to: &Endpoint) -> Address {
    let key = match from.key() {
        None => own_key(part, from),
        Some(_) => None,
    };
    match to {
        Endpoint::Module(to) => {
            let mut modules: Vec<ModuleStep> = to.clone();
            if let (Some(last), Some(key)) = (modules.last_mut(), key) {
                last.key = Some(key.clone());
            }
            modules.extend_from_slice(part.modules().get(from.modules().len()..).unwrap_or_default());
            part.in_module(&modules)
        }
        Endpoint::Resource(to) => {
            let renamed = key.map_or_else(|| to.clone(), |key| to.with_key(key.clone()));
            match part.child_name() {
                Some(name) => renamed.child(name),
                None => renamed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_keys_and_names() {
        let at = |text: &str| text.parse::<Address>().expect(text);
        let named = |text: &str| text.parse::<Endpoint>().expect(text);
        for (part, from, to, expected) in [
            ("value.a", "value.a", "value.b", "value.b"),
            ("value.a[1]", "value.a", "value.b", "value.b[1]"),
            ("value.a[1]", "value.a[1]", "value.b[\"x\"]", "value.b[\"x\"]"),
            ("value.a", "value.a", "value.b[0]", "value.b[0]"),
            ("pool.p/m2", "pool.p", "pool.q", "pool.q/m2"),
            ("module.m.node.a/nic", "module.m.node.a", "node.a", "node.a/nic"),
            ("module.m[1].node.a[2]", "module.m", "module.n", "module.n[1].node.a[2]"),
            (
                "module.m[1].node.a",
                "module.m[1]",
                "module.n.module.k",
                "module.n.module.k.node.a",
            ),
            (
                "module.m.module.k.pool.p/m1",
                "module.m",
                "module.m[0]",
                "module.m[0].module.k.pool.p/m1",
            ),
        ] {
            assert_eq!(
                renamed(&at(part), &named(from), &named(to)),
                at(expected),
                "{part}: {from} to {to}"
            );
        }
    }
}
