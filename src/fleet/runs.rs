//! Runs that change a fleet: under locks, with what earlier runs left finished first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use simfleet_provider_api::{Address, Observed};
use simfleet_state::{Event, Holder, Journal, LockSet, Port, Snapshot, State, StateError, System, Timeouts};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Fleet, FleetError, watched};
use crate::apply::{self, Outcome, Progress};
use crate::config::{Applied, Moment};
use crate::plan::{Action, Plan, Planned};
use crate::providers::Providers;
use crate::refresh::{recorded, refresh};

/// How often is looked whether locks are free by now, while that is waited for.
const AGAIN: Duration = Duration::from_millis(250);

impl Fleet {
    /// Waits for runs that are at work, and finishes what runs that died began, as far as that can be done now: what began
    /// on a node that is gone waits for the walk, which makes the node first. Does nothing where nothing is open. A run of
    /// a part of the fleet only waits for that part, so that two can work on different parts at once.
    ///
    /// # Errors
    /// Another run does not end in time, or the state cannot be read or written.
    pub async fn recover(&self, progress: &mpsc::UnboundedSender<Progress>) -> Result<(), FleetError> {
        let snapshot = self.snapshot().await?;
        let mut busy = busy(&snapshot);
        if !busy.is_empty() && !self.options.selection.is_all() {
            let part = self.part(snapshot).await?;
            busy.retain(|address| part.contains(address));
        }
        self.finish(&busy, progress, None).await
    }

    /// Waits for runs that are at work on some addresses, and finishes what is open there.
    pub(super) async fn finish(
        &self,
        busy: &BTreeSet<Address>,
        progress: &mpsc::UnboundedSender<Progress>,
        stop: Option<&watch::Receiver<bool>>,
    ) -> Result<(), FleetError> {
        if busy.is_empty() {
            return Ok(());
        }
        let locks = LockSet::exclusive(busy.iter().cloned());
        let mut journal = self.lock_or_stop(&locks, progress, stop).await?;
        let snapshot = self.snapshot().await?;
        let providers = self.providers(&snapshot);
        let there = self.hosts_of_intents(&snapshot.state, &providers).await;
        let can_be_asked = |address: &&Address| {
            let begun = snapshot.state.declared_of(address);
            let host = begun.and_then(|begun| begun.hosted_on.as_ref());
            busy.contains(*address) && host.is_none_or(|host| there.contains(host))
        };
        let open: Vec<Address> = snapshot.state.intents.keys().filter(can_be_asked).cloned().collect();
        if !open.is_empty() {
            journal.append(&[self.began()]).await?;
        }
        let patience = self.walk().patience;
        let timeouts = |address: &Address| self.config.timeouts_of(address, snapshot.state.declared_of(address));
        let timeouts: BTreeMap<Address, Timeouts> = open.iter().map(|open| (open.clone(), timeouts(open))).collect();
        let patience = |address: &Address, verb| {
            let timeouts = timeouts.get(address).copied().unwrap_or_default();
            patience.within(&timeouts, verb)
        };
        let resumed = apply::resume(snapshot.state, &open, &providers, &mut *journal, &patience, progress).await;
        resumed.map_err(FleetError::Ended)?;
        Ok(journal.close().await?)
    }

    /// Returns the addresses that a run of a part of the fleet is about, by what is recorded.
    async fn part(&self, snapshot: Snapshot) -> Result<BTreeSet<Address>, FleetError> {
        let seen = self.with_imports(&snapshot, recorded(&snapshot.state)).await?;
        let planned = self.plan_from(snapshot, seen)?;
        let changes = planned.plan.changes.into_iter().map(|change| change.address);
        let pools = planned.plan.pools.into_iter().map(|pool| pool.address);
        Ok(changes.chain(pools).collect())
    }

    /// Returns the nodes on which something was begun and has no end, but for those that are known to be gone.
    async fn hosts_of_intents(&self, state: &State, providers: &Providers) -> BTreeSet<Address> {
        let hosts: BTreeSet<&Address> = state
            .intents
            .keys()
            .filter_map(|address| state.declared_of(address)?.hosted_on.as_ref())
            .collect();
        let mut only_hosts = State::default();
        let recorded = hosts
            .into_iter()
            .filter_map(|host| Some((host.clone(), state.resources.get(host)?.clone())));
        only_hosts.resources.extend(recorded);
        let seen = refresh(&only_hosts, providers, self.options.parallelism).await;
        let there = seen.into_iter().filter(|(_, seen)| *seen != Observed::Absent);
        there.map(|(host, _)| host).collect()
    }

    /// Records what a plan found out, where it has nothing to do: objects that differ in what nobody declares.
    ///
    /// # Errors
    /// The addresses are held by another run, or the state cannot be written.
    pub async fn settle(
        &self,
        planned: &Planned<'_>,
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<(), FleetError> {
        let state = &planned.snapshot.state;
        if state.resources.is_empty() && state.intents.is_empty() {
            self.clear(&planned.snapshot);
        }
        let prepared = planned.facts(&self.registry);
        // What is wanted can be another configuration although nothing has to change. Without a state there is nothing of
        // which to want it.
        let intended = self.intended(state).filter(|_| planned.snapshot.lineage.is_some());
        let mut facts: Vec<Event> = intended.into_iter().chain(prepared).collect();
        if facts.is_empty() {
            return Ok(());
        }
        facts.insert(0, self.began());
        let locks = locks_of(&planned.plan, &facts);
        let (mut journal, _) = self.lock_as_planned(&locks, state, &facts, progress, None).await?;
        let written = journal.append(&facts).await.map(drop);
        journal.close().await?;
        Ok(written?)
    }

    /// Carries out a plan.
    ///
    /// # Errors
    /// Where nothing was done: the addresses are held by another run, or what the plan was made from has changed.
    pub async fn apply(
        &self,
        planned: Planned<'_>,
        progress: &mpsc::UnboundedSender<Progress>,
        stop: watch::Receiver<bool>,
    ) -> Result<Outcome, FleetError> {
        let facts_of_plan = planned.facts(&self.registry);
        let Planned {
            plan,
            snapshot: before,
            mut session,
            ..
        } = planned;
        let mut facts = vec![self.began()];
        facts.extend(self.intended(&before.state));
        facts.extend(facts_of_plan);
        let locks = locks_of(&plan, &facts);
        let locked = self.lock_as_planned(&locks, &before.state, &facts, progress, Some(&stop));
        let (mut journal, snapshot) = locked.await?;
        if let Some(mark) = &self.mark {
            mark.set(journal.lineage());
        }
        let mut state = snapshot.state.clone();
        apply::record(&mut state, &mut *journal, facts)
            .await
            .map_err(FleetError::Ended)?;
        let providers = self.providers(&Snapshot {
            lineage: Some(journal.lineage().clone()),
            ..snapshot
        });
        let options = self.walk();
        let (at, seed) = (options.host.now(), options.host.random());
        session.carried_out_at(Moment {
            planned_at: Some(self.options.at),
            applied: Some(Applied { at, seed }),
        });
        let tools = apply::Tools {
            providers: &providers,
            options: &options,
            progress,
            stop,
        };
        let outcome = apply::apply(&plan, state, &mut *journal, &mut session, tools).await;
        if plan.changes.iter().all(|change| change.after.is_none()) {
            drop(providers);
            self.tidy().await;
        }
        release(journal).await?;
        Ok(outcome)
    }

    /// Removes what the providers keep beside the state, where nothing is recorded any more.
    async fn tidy(&self) {
        if let Ok(snapshot) = self.snapshot().await
            && snapshot.state.resources.is_empty()
            && snapshot.state.intents.is_empty()
        {
            self.clear(&snapshot);
        }
    }

    fn clear(&self, snapshot: &Snapshot) {
        if let Some(mark) = self.mark.as_ref().filter(|_| snapshot.state.is_empty()) {
            mark.remove();
        }
        // What was uploaded for machines that are gone; it can be uploaded again.
        let _ = std::fs::remove_dir_all(self.programs());
        self.providers(snapshot).tidy();
    }

    /// Says who runs this.
    pub(super) fn began(&self) -> Event {
        let Holder { who, command, .. } = self.holder();
        Event::Began { by: who, command }
    }

    /// Takes the locks of a run, where what it was planned from still stands. Returns what is recorded now.
    pub(super) async fn lock_as_planned(
        &self,
        locks: &LockSet,
        before: &State,
        facts: &[Event],
        progress: &mpsc::UnboundedSender<Progress>,
        stop: Option<&watch::Receiver<bool>>,
    ) -> Result<(Box<dyn Journal>, Snapshot), FleetError> {
        let journal = self.lock_or_stop(locks, progress, stop).await?;
        let now = self.snapshot().await?;
        let taken = || taken(facts, before, &now.state);
        match moved(locks, before, &now.state).or_else(taken) {
            None => Ok((journal, now)),
            Some(address) => {
                journal.close().await?;
                Err(FleetError::Stale { address })
            }
        }
    }

    /// Takes locks, waiting for them as long as the user allows.
    pub(super) async fn lock(
        &self,
        locks: &LockSet,
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<Box<dyn Journal>, FleetError> {
        self.lock_or_stop(locks, progress, None).await
    }

    /// Takes locks, waiting for them as long as the user allows, and until `stop` turns true.
    pub(super) async fn lock_or_stop(
        &self,
        locks: &LockSet,
        progress: &mpsc::UnboundedSender<Progress>,
        stop: Option<&watch::Receiver<bool>>,
    ) -> Result<Box<dyn Journal>, FleetError> {
        let holder = self.holder();
        let mut stop = stop.cloned();
        let deadline = Instant::now() + self.options.lock_timeout;
        let mut told = None;
        loop {
            match self.store.open(&holder, locks).await {
                Ok(opened) => return Ok(journal(opened)),
                Err(StateError::Locked(locked)) if Instant::now() < deadline => {
                    let message = locked.to_string();
                    if told.as_ref() != Some(&message) {
                        let _ = progress.send(Progress::Waiting {
                            message: message.clone(),
                        });
                        told = Some(message.clone());
                    }
                    let stopped = async {
                        let stopped = match &mut stop {
                            Some(stop) => stop.wait_for(|stop| *stop).await.is_ok(),
                            None => false,
                        };
                        // Where nobody can ask it to stop, or not any more, nobody does.
                        if !stopped {
                            std::future::pending::<()>().await;
                        }
                    };
                    if tokio::time::timeout(AGAIN, stopped).await.is_ok() {
                        return Err(FleetError::Interrupted(message));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Returns the addresses that a run of the whole fleet has to wait for or to finish first: those with open intents, and
/// those that a live run is about to change.
pub(super) fn busy(snapshot: &Snapshot) -> BTreeSet<Address> {
    let live = snapshot.leases.iter().filter(|lease| !lease.is_over(&System));
    let locked = live.flat_map(|lease| lease.locks.exclusive.iter());
    // The scaler is always at work; what it is about to change, its runs hold.
    let locked = locked.filter(|address| **address != watched::leader());
    snapshot.state.intents.keys().chain(locked).cloned().collect()
}

/// Gives up the locks of a run, where they are still its own.
pub(super) async fn release(journal: Box<dyn Journal>) -> Result<(), FleetError> {
    unless_fenced(journal.close().await)
}

/// What a run that was taken over could not write is not ours to write.
pub(super) fn unless_fenced(written: Result<(), StateError>) -> Result<(), FleetError> {
    match written {
        Ok(()) | Err(StateError::Fenced { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the first locked address of which something else is recorded now than before.
fn moved(locks: &LockSet, before: &State, now: &State) -> Option<Address> {
    let mut locked = locks.exclusive.iter().chain(&locks.shared);
    locked
        .find(|address| now.fingerprint(address) != before.fingerprint(address))
        .cloned()
}

/// Returns the first node of which a port is to be reserved that another run has given to something else meanwhile: nodes are
/// shared by runs that place simulators there.
fn taken(facts: &[Event], before: &State, now: &State) -> Option<Address> {
    let holder =
        |state: &State, host: &Address, port: &Port| Some(state.reservations.get(host)?.get(port)?.address.clone());
    facts.iter().find_map(|fact| match fact {
        Event::Reserved { host, port, .. } => {
            let by = holder(now, host, port);
            (by.is_some() && by != holder(before, host, port)).then(|| host.clone())
        }
        _ => None,
    })
}

/// Returns what a run changes or records, and what must stay as it is meanwhile.
fn locks_of(plan: &Plan, facts: &[Event]) -> LockSet {
    let changes = plan.changes.iter().filter(|change| change.action != Action::NoOp);
    let recorded = facts.iter().flat_map(Event::addresses);
    let exclusive: BTreeSet<Address> = changes
        .clone()
        .map(|change| &change.address)
        .chain(recorded)
        .cloned()
        .collect();
    let needed: BTreeSet<&Address> = changes
        .flat_map(|change| change.depends_on.iter().chain(&change.hosted_on))
        .collect();
    // The address of a block stands for all its instances.
    let is_needed = |address: &&Address| {
        let blocks = [address.parent(), address.declaration()];
        needed.contains(address) || blocks.iter().any(|block| needed.contains(block))
    };
    let resources = plan.changes.iter().map(|change| &change.address).filter(is_needed);
    let shared: Vec<Address> = resources
        .filter(|address| !exclusive.contains(*address))
        .cloned()
        .collect();
    LockSet::exclusive(exclusive).and_shared(shared)
}

/// Returns the journal; in test builds with the crash that the environment asks for.
pub(super) fn journal(journal: Box<dyn Journal>) -> Box<dyn Journal> {
    #[cfg(feature = "fake")]
    if let Some(crash) = crate::fault::crash() {
        return Box::new(crate::fault::CrashingJournal::new(journal, crash));
    }
    journal
}
