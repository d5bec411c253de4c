//! Simulators that somebody has for themselves: nobody else is given one, and no scaler takes it away.
//!
//! Whose a simulator is changes nothing of it, so that it needs no lock on it: what a run is doing with it goes on. Of two
//! that want the same one at once the journal gives it to the first.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use simfleet_provider_api::Address;
use simfleet_state::{Event, LockSet, Snapshot, StateError};
use tokio::sync::{mpsc, watch};

use super::super::{Fleet, FleetError};
use super::{ATTEMPTS, done};
use crate::apply::Progress;
use crate::control::{self, Done};
use crate::diagnostic::Diagnostic;
use crate::plan::{Pattern, allocated};
use crate::status::Health;

/// How often is looked whether one is free, while that is waited for.
const LOOK: Duration = Duration::from_secs(1);

/// What is allocated, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allocate {
    /// One that is free and runs, not all of them.
    pub any: bool,
    /// For how long; without it, until it is released.
    pub length: Option<Duration>,
    /// How long is waited until it can be had.
    pub wait: Duration,
}

impl Fleet {
    /// Has simulators that patterns stand for be the user's: all of them or none; with `any`, one of them. What is the
    /// user's already stays so, for as long as is said now. It is in the audit log when this returns. Once `stop` turns true
    /// nothing is waited for.
    ///
    /// # Errors
    /// A pattern stands for no simulator; somebody else has one, or with `any` none is free, for longer than is waited; or
    /// the audit log or the state cannot be written.
    pub async fn allocate(
        &self,
        how: Allocate,
        patterns: &[Pattern],
        progress: &mpsc::UnboundedSender<Progress>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Vec<Done>, FleetError> {
        let mut parameters = Map::new();
        if let Some(length) = how.length {
            parameters.insert("for_s".to_owned(), length.as_secs_f64().into());
        }
        if how.any {
            parameters.insert("any".to_owned(), Json::Bool(true));
        }
        let audit = self.audit("simulator.allocate".to_owned(), parameters)?;
        let deadline = Instant::now() + how.wait;
        let mut told = None;
        let mut lost = 0;
        let done = loop {
            let allocated = self.allocate_now(how, patterns, progress).await;
            let why = match allocated {
                // Somebody else was faster: the next look sees it.
                Err(FleetError::State(StateError::Illegal(_))) if lost < ATTEMPTS => {
                    lost += 1;
                    continue;
                }
                Err(error) => break Err(error),
                Ok(Ok(done)) => break Ok(done),
                Ok(Err(why)) => why,
            };
            if Instant::now() >= deadline || *stop.borrow() {
                break Err(why.into());
            }
            let of = why.address.as_ref().map(|address| format!("{address}: "));
            let message = format!("{}{} Waiting until that changes.", of.unwrap_or_default(), why.detail);
            if told.as_ref() != Some(&message) {
                told = Some(message.clone());
                let _ = progress.send(Progress::Waiting { message });
            }
            // Where nobody can ask it to stop any more, nobody does.
            let _ = tokio::time::timeout(LOOK, stop.wait_for(|stop| *stop)).await;
        };
        audit.tell(patterns, &done)?;
        done
    }

    /// Gives simulators back. With `force` also those that somebody else has.
    ///
    /// # Errors
    /// A pattern stands for no simulator, or the audit log or the state cannot be written.
    pub async fn release(
        &self,
        force: bool,
        patterns: &[Pattern],
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<Vec<Done>, FleetError> {
        let mut parameters = Map::new();
        if force {
            parameters.insert("force".to_owned(), Json::Bool(true));
        }
        let audit = self.audit("simulator.release".to_owned(), parameters)?;
        let done = self.release_now(force, patterns, progress).await;
        audit.tell(patterns, &done)?;
        done
    }

    /// Allocates what is to be had now; returns why it cannot be had.
    async fn allocate_now(
        &self,
        how: Allocate,
        patterns: &[Pattern],
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<Result<Vec<Done>, Diagnostic>, FleetError> {
        let snapshot = self.snapshot().await?;
        let targets = control::simulators(&self.config, &snapshot.state, patterns)?;
        let (now, by) = (self.host().now(), self.who());
        let until = control::until(now, how.length)?;
        let taken = |address: &Address| {
            let allocation = snapshot.state.allocations.get(address)?;
            (allocation.lasts(now) && allocation.by != by).then_some(allocation)
        };
        let targets = match how.any {
            false => match targets.iter().find_map(|address| Some((address, taken(address)?))) {
                Some((address, allocation)) => {
                    let detail = format!("It is {}.", allocated(allocation));
                    let diagnostic = Diagnostic::error("Allocated to somebody else", detail).on(address.clone());
                    let hint = "wait for it with `--wait DURATION`, or take any that is free with `--any`";
                    return Ok(Err(diagnostic.hint(hint)));
                }
                None => targets,
            },
            true => match self.free(&targets, &snapshot, now).await {
                Ok(free) => vec![free],
                Err(why) => return Ok(Err(why)),
            },
        };
        let mut events: Vec<Event> = Vec::new();
        let mut all = Vec::new();
        for address in targets {
            let before = snapshot
                .state
                .allocations
                .get(&address)
                .filter(|allocation| allocation.lasts(now));
            let is_news = before.is_none_or(|allocation| allocation.until != until);
            if is_news {
                let (address, by) = (address.clone(), by.clone());
                events.push(Event::Allocated { address, by, until });
            }
            all.push(done(&address, Ok(is_news), until));
        }
        self.say(&events, progress).await?;
        Ok(Ok(all))
    }

    /// Returns a simulator that nobody has, that nobody stopped, and that runs: the first by address.
    async fn free(&self, targets: &[Address], snapshot: &Snapshot, now: Timestamp) -> Result<Address, Diagnostic> {
        let state = &snapshot.state;
        let is_allocated = |address: &&Address| state.allocations.get(*address).is_some_and(|it| it.lasts(now));
        let (taken, others): (Vec<&Address>, Vec<&Address>) = targets.iter().partition(is_allocated);
        let is_stopped = |address: &&&Address| state.holds.contains_key(**address);
        let stopped = others.iter().filter(is_stopped).count();
        let free: Vec<Address> = others
            .into_iter()
            .filter(|address| !is_stopped(&address))
            .cloned()
            .collect();
        let providers = self.providers(snapshot);
        let looked = self.look_for(&free, state, &providers).await;
        let is_good = |attributes| Health::told(attributes).is_good();
        let found = looked.iter().flatten().find(|one| is_good(&one.object.attributes));
        found.map(|one| one.address.clone()).ok_or_else(|| {
            let detail = format!(
                "None of {} is free: {} allocated, {stopped} held, {} not running.",
                targets.len(),
                taken.len(),
                free.len()
            );
            let hint = "wait for one with `--wait DURATION`; `simfleet simulators` shows who has them";
            Diagnostic::error("Nothing is free", detail).hint(hint)
        })
    }

    async fn release_now(
        &self,
        force: bool,
        patterns: &[Pattern],
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<Vec<Done>, FleetError> {
        let snapshot = self.snapshot().await?;
        let targets = control::simulators(&self.config, &snapshot.state, patterns)?;
        let (now, by) = (self.host().now(), self.who());
        let (mut events, mut all) = (Vec::new(), Vec::new());
        for address in targets {
            let result = match snapshot.state.allocations.get(&address) {
                None => Ok(false),
                Some(allocation) if allocation.by != by && allocation.lasts(now) && !force => {
                    let detail = format!("It is {}.", allocated(allocation));
                    let diagnostic = Diagnostic::error("Allocated to somebody else", detail).on(address.clone());
                    Err(diagnostic.hint("`--force` takes it away from them"))
                }
                Some(allocation) => {
                    let is_news = allocation.lasts(now);
                    let (address, since) = (address.clone(), allocation.since);
                    events.push(Event::Deallocated { address, since });
                    Ok(is_news)
                }
            };
            all.push(done(&address, result, None));
        }
        self.say(&events, progress).await?;
        Ok(all)
    }

    /// Records what needs no lock.
    async fn say(&self, events: &[Event], progress: &mpsc::UnboundedSender<Progress>) -> Result<(), FleetError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut journal = self.lock(&LockSet::default(), progress).await?;
        let mut facts = vec![self.began()];
        facts.extend_from_slice(events);
        let said = journal.append(&facts).await.map(drop);
        journal.close().await?;
        Ok(said?)
    }
}
