//! Values that fall behind while a walk makes what they are of, and how they catch up.

use std::collections::BTreeSet;

use simfleet_state::State;

use super::{Declared, One, Session, expand, is_late};
use crate::config::Need;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::Change;

impl<'a> Session<'a> {
    /// Sets the values that fell behind, of some declarations and of all that lead to them, as the state has them now.
    pub(super) fn catch_up(&mut self, places: &[usize], state: &State) -> Result<(), Diagnostics> {
        let mut behind: BTreeSet<usize> = BTreeSet::new();
        let mut queue = places.to_vec();
        while let Some(place) = queue.pop() {
            let declared = &self.order[place];
            if !declared.behind.is_empty() && behind.insert(place) {
                queue.extend(&declared.reads);
            }
        }
        behind.into_iter().try_for_each(|place| self.follow(place, state))
    }

    /// Returns the place in the order of the block of a change.
    pub(super) fn place(&self, change: &Change) -> Result<usize, String> {
        let block = change.address.declaration();
        let place = self.places.get(&block).copied();
        place.ok_or_else(|| format!("{block} is not declared"))
    }

    /// Returns the instance of a block that a change belongs to.
    pub(super) fn declared_at(&self, place: usize, change: &Change) -> Result<(&Declared<'a>, &One), String> {
        let (declared, parent) = (&self.order[place], change.address.parent());
        let one = declared.position(&parent).map(|index| &declared.ones[index]);
        Ok((declared, one.ok_or_else(|| format!("{parent} is not declared"))?))
    }

    /// Sets the values of what is needed as the state has them when the walk is over: what was not made has none then,
    /// not even the one that was planned.
    pub(super) fn conclude(&mut self, needs: &[Need<'_>], state: &State) -> Result<(), Diagnostics> {
        let places = self.reads(needs, &[]);
        for declared in &mut self.order {
            declared.behind = (0..declared.ones.len()).collect();
        }
        self.catch_up(&places, state)
    }

    /// Takes in what `each.value` is by now in a declaration of which all that it reads is known as far as it can be.
    ///
    /// # Errors
    /// `for_each` cannot be evaluated, or has other keys than it had.
    pub(in crate::plan) fn follow_each(&mut self, place: usize) -> Result<(), Diagnostics> {
        let declared = &self.order[place];
        if !declared.is_late {
            return Ok(());
        }
        let ones = expand(declared.declaration, &declared.block, &self.names())?;
        if !ones
            .iter()
            .map(|one| &one.address)
            .eq(declared.ones.iter().map(|one| &one.address))
        {
            let detail = "Its `for_each` has other keys now than when its instances were counted.";
            let diagnostic = Diagnostic::error("Instances not known yet", detail);
            return Err(diagnostic.on(declared.block.clone()).into());
        }
        let declared = &mut self.order[place];
        declared.is_late = is_late(&ones);
        declared.ones = ones;
        Ok(())
    }

    fn follow(&mut self, place: usize, state: &State) -> Result<(), Diagnostics> {
        self.follow_each(place)?;
        let declared = &self.order[place];
        let mut set = Vec::with_capacity(declared.behind.len());
        {
            let (of_plan, now) = (self.names_of_plan(), self.names());
            for index in &declared.behind {
                let one = &declared.ones[*index];
                let value = self.value_as_made(declared, one, (&of_plan, &now), state)?;
                set.push((*index, value));
            }
        }
        let declared = &mut self.order[place];
        for (index, value) in set {
            if value.is_known() {
                declared.behind.remove(&index);
            }
            self.values.replace(declared, &declared.ones[index], value);
        }
        Ok(())
    }
}
