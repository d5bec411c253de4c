//! What an apply tells while it runs, and at its end.

use std::collections::BTreeSet;
use std::time::Duration;

use simfleet_provider_api::Address;

use crate::diagnostic::Diagnostics;
use crate::plan::Unplaced;

/// One thing that happened during an apply, in the order in which it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Another run holds addresses that this one needs.
    Waiting {
        /// Which, and who.
        message: String,
    },
    /// A change that an earlier run began is taken over.
    Resumed {
        /// The resource.
        address: Address,
        /// What was begun.
        verb: Verb,
        /// What became of it, in words.
        message: String,
    },
    /// A change begins.
    Started {
        /// The resource.
        address: Address,
        /// What is done.
        verb: Verb,
        /// How long it is expected to take, by earlier ones.
        expected: Option<Duration>,
    },
    /// The far side accepted it and works on it.
    Accepted {
        /// The resource.
        address: Address,
        /// What is done.
        verb: Verb,
        /// Since it began.
        elapsed: Duration,
    },
    /// A call tells how far it is. It does so as often as it likes.
    Underway {
        /// The resource.
        address: Address,
        /// What is done.
        verb: Verb,
        /// How far it is, in words.
        message: String,
    },
    /// A call failed and is sent again.
    Retrying {
        /// The resource.
        address: Address,
        /// What is done.
        verb: Verb,
        /// Which attempt comes, from 2.
        attempt: u32,
        /// When.
        after: Duration,
        /// What failed.
        because: String,
    },
    /// A member was to be empty by now. What still runs on it is stopped.
    Overdue {
        /// The member.
        address: Address,
        /// Since it began.
        elapsed: Duration,
        /// What still runs.
        left: Vec<Address>,
    },
    /// It is done.
    Finished {
        /// The resource.
        address: Address,
        /// What was done.
        verb: Verb,
        /// Since it began.
        elapsed: Duration,
    },
    /// It failed.
    Failed {
        /// The resource.
        address: Address,
        /// What was tried.
        verb: Verb,
        /// Since it began.
        elapsed: Duration,
        /// Why.
        error: String,
    },
    /// It was not begun, because something that it needs failed, or because the run was stopped.
    Skipped {
        /// The resource.
        address: Address,
        /// What would have been done.
        verb: Verb,
        /// Why.
        because: String,
    },
    /// The run was asked to stop: nothing new is begun.
    Stopping {
        /// How many changes are still in flight.
        in_flight: usize,
    },
}

/// One step of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Makes an object.
    Create,
    /// Changes an object in place.
    Update,
    /// Deletes an object.
    Delete,
    /// Drops a resource from the state.
    Forget,
    /// Looks at an object whose host is back, and mends it.
    Check,
    /// Has nothing new placed on a member of a pool, and waits for what runs on it to end.
    Drain,
    /// Waits until a node is healthy, with all that it runs itself.
    Prove,
}

impl Verb {
    /// The word for it in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Delete => "delete",
            Verb::Forget => "forget",
            Verb::Check => "check",
            Verb::Drain => "drain",
            Verb::Prove => "health",
        }
    }
}

/// How an apply ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What was done: address and step, in the order in which it was finished.
    pub done: Vec<(Address, Verb)>,
    /// What failed, and why.
    pub failed: Vec<(Address, Verb, String)>,
    /// What of that ran into its time-out: it may still go on.
    pub timed_out: BTreeSet<Address>,
    /// What was not begun, and why.
    pub skipped: Vec<(Address, Verb, String)>,
    /// What was begun and left to a later run, as its end is not known.
    pub open: Vec<(Address, Verb)>,
    /// Whether the run was stopped by the user.
    pub interrupted: bool,
    /// Why the run ended early: the state could not be written, or another run took over.
    pub stopped_by: Option<String>,
    /// What should hold of the fleet now, and does not.
    pub warnings: Diagnostics,
    /// Simulators for which there was no place: asked for, and not there.
    pub unplaced: Vec<Unplaced>,
}

impl Outcome {
    /// Whether all that went wrong is that operations ran into their time-outs.
    pub fn is_only_late(&self) -> bool {
        let is_late = |(address, ..): &(Address, Verb, String)| self.timed_out.contains(address);
        !self.failed.is_empty()
            && self.failed.iter().all(is_late)
            && !self.interrupted
            && self.stopped_by.is_none()
            && self.unplaced.is_empty()
    }

    /// Whether everything that was asked for is there.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
            && self.skipped.is_empty()
            && self.open.is_empty()
            && !self.interrupted
            && self.stopped_by.is_none()
            && self.unplaced.is_empty()
    }
}
