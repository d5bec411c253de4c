//! What has simulators be started, stopped, paused or resumed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use simfleet_provider_api::Address;
use simfleet_state::{Event, HeldState, State};
use tokio::sync::{mpsc, watch};

use super::super::runs::{release, unless_fenced};
use super::super::{Fleet, FleetError};
use super::update::{Known, by_hand, decide};
use super::{done, locks_of, not_done};
use crate::apply::{self, Outcome, Progress};
use crate::control::{self, Change, Control, Done};

impl Fleet {
    /// Has simulators be started, stopped, paused or resumed.
    pub(super) async fn hold(
        &self,
        control: &Control,
        targets: &[Address],
        progress: &mpsc::UnboundedSender<Progress>,
        stop: watch::Receiver<bool>,
    ) -> Result<Vec<Done>, FleetError> {
        let before = self.snapshot().await?;
        let until = control::until(self.options.at, control.length())?;
        let providers = self.providers(&before);
        let mut all = Vec::new();
        let (mut changes, mut facts) = (Vec::new(), Vec::new());
        let mut wanted = BTreeMap::new();
        for one in self.look_for(targets, &before.state, &providers).await {
            let decided = one.and_then(|one| {
                let change = decide(control, &one, &self.registry).map_err(|why| (one.address.clone(), why));
                change.map(|(change, update)| (one, change, update))
            });
            let (one, change, update) = match decided {
                Ok(decided) => decided,
                Err((address, why)) => {
                    all.push(done(&address, Err(why), None));
                    continue;
                }
            };
            let hold = before.state.holds.get(&one.address);
            let is_same = control::is_same(hold, change, until);
            if !is_same {
                facts.push(fact(&one.address, change, &self.who(), until));
            }
            if is_same && update.is_none() {
                all.push(done(&one.address, Ok(false), until));
                continue;
            }
            changes.extend(update);
            wanted.insert(one.address.clone(), change);
        }
        if wanted.is_empty() {
            return Ok(all);
        }
        let locks = locks_of(wanted.keys(), &before.state);
        let locked = self.lock_as_planned(&locks, &before.state, &facts, progress, Some(&stop));
        let (mut journal, now) = locked.await?;
        let mut state = now.state.clone();
        facts.insert(0, self.began());
        apply::record(&mut state, &mut *journal, facts)
            .await
            .map_err(FleetError::Ended)?;
        let plan = by_hand(changes, &now);
        let options = self.walk();
        let tools = apply::Tools {
            providers: &providers,
            options: &options,
            progress,
            stop,
        };
        let outcome = apply::apply(&plan, state, &mut *journal, &mut Known, tools).await;
        let failed = failures(&outcome);
        let undone = undone(&failed, &before.state, &self.snapshot().await?.state);
        let undone = match undone.is_empty() || outcome.stopped_by.is_some() {
            true => Ok(()),
            false => journal.append(&undone).await.map(drop),
        };
        release(journal).await?;
        unless_fenced(undone)?;
        all.extend(wanted.keys().map(|address| match failed.get(address) {
            Some(why) => done(address, Err(not_done(control, address, why)), None),
            None => done(address, Ok(true), until),
        }));
        all.sort_by(|a, b| a.address.cmp(&b.address));
        Ok(all)
    }
}

/// Returns what is recorded of a hold.
fn fact(address: &Address, change: Change, by: &Arc<str>, until: Option<Timestamp>) -> Event {
    let address = address.clone();
    match change.held {
        Some(state) => held(address, state, by, until),
        None => Event::Unheld { address },
    }
}

fn held(address: Address, state: HeldState, by: &Arc<str>, until: Option<Timestamp>) -> Event {
    let by = by.clone();
    Event::Held {
        address,
        state,
        by,
        until,
    }
}

/// Returns what was not done, and why.
fn failures(outcome: &Outcome) -> BTreeMap<Address, String> {
    let failed = outcome.failed.iter().chain(&outcome.skipped);
    let mut failures: BTreeMap<Address, String> =
        failed.map(|(address, _, why)| (address.clone(), why.clone())).collect();
    let stopped = outcome.stopped_by.as_deref().unwrap_or("the run was stopped");
    let open = outcome.open.iter().map(|(address, _)| {
        let why = format!("{stopped}; what became of it is not known, and the next apply finishes it");
        (address.clone(), why)
    });
    failures.extend(open);
    failures
}

/// Returns what has the holds of simulators with which nothing was done be what they were. What has no end yet goes on
/// being held: the next run finishes it.
fn undone(failed: &BTreeMap<Address, String>, before: &State, now: &State) -> Vec<Event> {
    let is_closed = |address: &&Address| !now.intents.contains_key(*address);
    let undo = |address: &Address| match (before.holds.get(address), now.holds.get(address)) {
        (Some(was), now) if now != Some(was) => Some(held(address.clone(), was.state, &was.by, was.until)),
        (None, Some(_)) => Some(Event::Unheld {
            address: address.clone(),
        }),
        _ => None,
    };
    failed.keys().filter(is_closed).filter_map(undo).collect()
}
