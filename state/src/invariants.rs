//! What holds of every state, whatever led to it. Replay keeps it so; a state that was edited by hand may not be.

use crate::declaration::Operation;
use crate::state::State;
use crate::transition::number_of;

/// Checks a state.
///
/// # Errors
/// Says what does not hold, of which address.
pub fn check(state: &State) -> Result<(), String> {
    intents(state)?;
    numbers(state)?;
    match state.deposed.iter().find(|(_, objects)| objects.is_empty()) {
        Some((address, _)) => Err(format!("{address} has deposed objects, and none is there")),
        None => Ok(()),
    }
}

/// What is being changed or deleted is there; what is being made is not.
fn intents(state: &State) -> Result<(), String> {
    for (address, intent) in &state.intents {
        let (prior, deposed) = match &intent.operation {
            Operation::Create { .. } if state.resources.contains_key(address) => {
                return Err(format!("{address} is being created, and is there already"));
            }
            Operation::Create { .. } => continue,
            Operation::Update { prior, .. } => (prior, None),
            Operation::Delete { prior, deposed } => (prior, deposed.as_ref()),
        };
        let is_there = state
            .object_of(address, deposed)
            .is_some_and(|resource| resource.object.id == *prior);
        if !is_there {
            let verb = intent.operation.verb();
            return Err(format!(
                "the object `{prior}` of {address}, of which a {verb} is open, is not there"
            ));
        }
    }
    Ok(())
}

/// No member of a pool has a number that the pool did not give yet.
fn numbers(state: &State) -> Result<(), String> {
    for address in state.resources.keys() {
        let (Some(pool), Some(number)) = (state.pools.get(&address.parent()), number_of(address)) else {
            continue;
        };
        let given = pool.numbered;
        if number > given {
            return Err(format!(
                "{address} has a number that its pool, which gave {given}, did not give yet"
            ));
        }
    }
    Ok(())
}
