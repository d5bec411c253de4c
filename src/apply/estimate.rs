//! How long an apply takes, by what is recorded of earlier operations: its walk, with those times for calls. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use simfleet_provider_api::Address;
use simfleet_state::Timings;

use super::Verb;
use super::steps::{Step, Steps};
use crate::builtin;
use crate::plan::{Action, Change, Plan};

/// How long an apply is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimate {
    /// About so long.
    About(Duration),
    /// So long, and the time of what was never done before.
    AtLeast(Duration),
}

impl Estimate {
    /// Returns the time that is known.
    pub fn length(self) -> Duration {
        match self {
            Estimate::About(length) | Estimate::AtLeast(length) => length,
        }
    }
}

/// Returns how long a plan takes to carry out; `None` where nothing is known of what it does.
pub fn estimate(plan: &Plan, timings: &Timings, parallelism: usize) -> Option<Estimate> {
    if timings.is_empty() || plan.changes.iter().all(|change| change.action == Action::NoOp) {
        return None;
    }
    let waiting: BTreeSet<&Address> = plan.emptied().iter().map(|emptied| emptied.address).collect();
    let (mut is_known, mut is_whole) = (false, true);
    let mut length = |Step { change, verb }| {
        let change = &plan.changes[change];
        let expected = match verb {
            Verb::Forget | Verb::Prove => Some(Duration::ZERO),
            // How long jobs take to end, only their user knows.
            Verb::Drain => (!waiting.contains(&change.address)).then_some(Duration::ZERO),
            verb => expected(change, verb, timings),
        };
        is_known |= expected.is_some_and(|expected| !expected.is_zero());
        is_whole &= expected.is_some();
        expected.unwrap_or_default()
    };
    let mut steps = Steps::of(plan);
    let mut ready: BTreeSet<_> = steps.first().into_iter().collect();
    let mut running = BinaryHeap::new();
    let mut now = Duration::ZERO;
    loop {
        while running.len() < parallelism.max(1)
            && let Some(node) = ready.pop_first()
        {
            running.push(Reverse((now + length(steps.step(node)), node)));
        }
        let Some(Reverse((end, node))) = running.pop() else {
            break;
        };
        now = end;
        ready.extend(steps.finish(node));
    }
    is_known.then_some(if is_whole {
        Estimate::About(now)
    } else {
        Estimate::AtLeast(now)
    })
}

/// Returns how long a call for a change takes; `None` where there was none of its sort.
pub(super) fn expected(change: &Change, verb: Verb, timings: &Timings) -> Option<Duration> {
    let provider = match verb {
        Verb::Create | Verb::Update => change.provider.as_ref(),
        Verb::Delete => change.provider_before.as_ref(),
        Verb::Forget | Verb::Check | Verb::Drain | Verb::Prove => None,
    }?;
    if &*provider.name == builtin::NAME {
        return Some(Duration::ZERO);
    }
    timings.expected(&provider.name, &change.kind, verb.as_str())
}
