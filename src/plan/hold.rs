//! Holds in a plan: what somebody stopped or paused by hand stays so, whatever is declared, until its hold ends.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use simfleet_provider_api::{Address, Attributes, Schema};
use simfleet_state::{Allocation, HeldState, Hold, State};

use super::{Action, Change, Mode, Reason};

/// The attribute that says what something is to do: `running`, `paused`, `stopped`.
pub const STATE: &str = "state";

/// The attribute that says why something does not run that is to run, and is as it should be: it was idle for too long.
pub const STOPPED_BECAUSE: &str = "stopped_because";

/// What a plan makes of holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// They last for as long as they were asked for.
    #[default]
    Keep,
    /// They end, and everything becomes what is declared.
    Release,
}

/// A hold that ends.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedHold {
    /// What was held.
    pub address: Address,
    /// How it was held.
    pub hold: Hold,
    /// Why it ends.
    pub why: HoldEnd,
}

/// An allocation that ends.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedAllocation {
    /// What was somebody's.
    pub address: Address,
    /// Since when.
    pub since: Timestamp,
    /// Whether it goes, so that it is theirs until it is gone; else their time is over.
    pub is_gone: bool,
}

/// Why a hold ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldEnd {
    /// It was to last until a time that is over.
    Over,
    /// The run was asked to end it.
    Released,
    /// What was held goes, or is gone.
    Gone,
}

/// The clock and the wish by which a plan tells which holds last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holding<'a> {
    pub(super) state: &'a State,
    pub(super) at: Timestamp,
    pub(super) holds: Holds,
}

impl<'a> Holding<'a> {
    /// Returns why the hold of something that stays ends; `None` where it lasts.
    fn end(&self, hold: &Hold) -> Option<HoldEnd> {
        match self.holds {
            Holds::Release => Some(HoldEnd::Released),
            Holds::Keep => hold
                .until
                .is_some_and(|until| until <= self.at)
                .then_some(HoldEnd::Over),
        }
    }

    /// Returns the hold that lasts of something that knows of states.
    pub(super) fn lasting(&self, address: &Address, schema: &Schema) -> Option<&'a Hold> {
        let hold = self.state.holds.get(address)?;
        let knows = schema.attribute(STATE).is_some() && word(hold.state).is_some();
        (knows && self.end(hold).is_none()).then_some(hold)
    }

    /// Says in the reasons of a change what a hold, or the end of one, has to do with it.
    pub(super) fn explain(&self, change: &mut Change) {
        let Some(hold) = self.state.holds.get(&change.address) else {
            return;
        };
        let reason = match self.end(hold) {
            None if change.held.is_none() => return,
            None => Reason::Held { hold: hold.clone() },
            Some(why) => Reason::Unheld {
                hold: hold.clone(),
                why,
            },
        };
        let is_lasting = change.held.is_some();
        let mut is_told = false;
        for at in &mut change.reasons {
            if matches!(at, Reason::Declared { path, .. } if path.root() == Some(STATE)) {
                *at = reason.clone();
                is_told = true;
            }
        }
        if is_lasting && !is_told && change.action == Action::NoOp {
            change.reasons.push(reason);
        }
    }

    /// Returns the holds that end with a plan: of all, or of the part that it is about. Changes are sorted by address.
    pub(super) fn ended(&self, mode: Mode, changes: &[Change], is_partial: bool) -> Vec<EndedHold> {
        if mode == Mode::Refresh {
            return Vec::new();
        }
        let why = |address: &Address, hold: &Hold| match self.goes(address, changes, is_partial) {
            Some(true) => Some(HoldEnd::Gone),
            Some(false) => self.end(hold),
            None => None,
        };
        let holds = self.state.holds.iter();
        let ended = holds.filter_map(|(address, hold)| {
            Some(EndedHold {
                address: address.clone(),
                hold: hold.clone(),
                why: why(address, hold)?,
            })
        });
        ended.collect()
    }

    /// Returns the allocations that end with a plan: of what goes, and those whose time is over.
    pub(super) fn deallocated(&self, mode: Mode, changes: &[Change], is_partial: bool) -> Vec<EndedAllocation> {
        if mode == Mode::Refresh {
            return Vec::new();
        }
        let ended = self.state.allocations.iter().filter_map(|(address, allocation)| {
            let is_gone = self.goes(address, changes, is_partial)?;
            (is_gone || !allocation.lasts(self.at)).then(|| EndedAllocation {
                address: address.clone(),
                since: allocation.since,
                is_gone,
            })
        });
        ended.collect()
    }

    /// Whether something goes with a plan, whose changes are sorted by address; `None` where the plan is not about it.
    fn goes(&self, address: &Address, changes: &[Change], is_partial: bool) -> Option<bool> {
        let place = changes.binary_search_by(|change| (&change.address, &change.deposed).cmp(&(address, &None)));
        match place.ok().and_then(|place| changes.get(place)) {
            Some(change) => Some(change.after.is_none()),
            None => (!is_partial && !self.state.intents.contains_key(address)).then_some(true),
        }
    }
}

/// Has something be wanted as it is held.
pub(super) fn impose(wanted: &mut Attributes, hold: &Hold) {
    if let Some(word) = word(hold.state) {
        wanted.set(STATE, word);
    }
}

/// Returns what the attribute `state` is of something that is held; `None` where it is held otherwise.
pub fn word(held: HeldState) -> Option<&'static str> {
    match held {
        HeldState::Stopped => Some("stopped"),
        HeldState::Paused => Some("paused"),
        HeldState::PoweredOff => None,
    }
}

/// Returns who holds something, and for how long: `stopped by ann@lab since …, until …`.
pub fn described(hold: &Hold) -> String {
    let state = match hold.state {
        HeldState::Stopped => "stopped",
        HeldState::Paused => "paused",
        HeldState::PoweredOff => "powered off",
    };
    let until = hold.until.map(|until| format!(", until {until:.0}"));
    let Hold { by, since, .. } = hold;
    format!("{state} by {by} since {since:.0}{}", until.unwrap_or_default())
}

/// Returns whose something is, and for how long: `allocated to ann@lab since …, until …`.
pub fn allocated(allocation: &Allocation) -> String {
    let Allocation { by, since, until, .. } = allocation;
    let until = until.map(|until| format!(", until {until:.0}"));
    format!("allocated to {by} since {since:.0}{}", until.unwrap_or_default())
}

impl HoldEnd {
    /// The word for it in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            HoldEnd::Over => "over",
            HoldEnd::Released => "released",
            HoldEnd::Gone => "gone",
        }
    }
}

impl fmt::Display for HoldEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HoldEnd::Over => "its time is over",
            HoldEnd::Released => "it is released",
            HoldEnd::Gone => "what was held goes",
        })
    }
}
