//! The plan of a lap, and the runs over its parts.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use simfleet_provider_api::Address;
use simfleet_state::{Allocation, Snapshot, State, StateError, System};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Watch;
use super::retry::{AGAIN, RARELY, Retry, SOON, again};
use crate::apply::Outcome;
use crate::fleet::FleetError;
use crate::lower::{self, Wanted};
use crate::plan::{Action, Pattern, Plan, Selection};
use crate::signals::EventName;
use crate::watch::Told;
use crate::watch::parts::parts;
use crate::watch::run::{Ran, Running, run};

impl Watch {
    /// Plans, and begins a run for each part of the plan that can be carried out now.
    pub(super) fn reconcile(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), FleetError> {
        let Some(enforced) = &self.enforced else { return Ok(()) };
        let ruling = self.ruling();
        let sizes = &ruling.sizes;
        let is_undecided = |pool: &Address| enforced.pools.contains_key(pool) && !sizes.contains_key(pool);
        if self.how.once && (enforced.pools.keys().any(is_undecided) || !self.looking.is_empty()) {
            return Ok(());
        }
        let at = self.now();
        let fleet = enforced.fleet.clone().at(at).ruled_by(ruling.clone());
        let fleet = fleet.keeping_moments();
        let planned = fleet.plan_from(Snapshot::clone(snapshot), self.looks.of(&snapshot.state))?;
        let next_change = planned.session.next_change();
        let parts = parts(&planned.plan);
        let kept = kept(&planned.plan);
        let changes: BTreeSet<Address> = changes(&planned.plan);
        self.pictured.unplaced = planned.plan.unplaced.len();
        self.unplaced.clear();
        for unplaced in &planned.plan.unplaced {
            *self.unplaced.entry(unplaced.on.clone()).or_default() += 1;
        }
        let allocations = planned
            .plan
            .interrupts
            .iter()
            .filter_map(|it| Some((it.address.clone(), it.allocation.clone()?)));
        let allocations = allocations.collect();
        let resting = planned.plan.changes.iter().filter(|change| change.waits);
        let resting: BTreeSet<Address> = resting.map(|change| change.address.clone()).collect();
        drop(planned);
        self.is_stale = false;
        self.has_planned = true;
        let is_asked = |address: &Address| parts.iter().any(|part| part.contains(address));
        let over: BTreeSet<Address> = self
            .stuck
            .keys()
            .filter(|address| !is_asked(address))
            .cloned()
            .collect();
        let now = Instant::now();
        self.planned_at = now;
        self.planned_of = Some(at);
        self.next_change = next_change;
        // What has not failed for long begins anew.
        self.retries.retain(|_, retry| now.duration_since(retry.at) < RARELY);
        let held = held(snapshot);
        let waits: BTreeSet<&Address> = self
            .retries
            .iter()
            .filter(|(_, retry)| retry.at > now)
            .map(|(address, _)| address)
            .collect();
        let (mut begun, mut is_held) = (Vec::new(), false);
        for part in parts {
            let owners: BTreeSet<Address> = part.iter().map(Address::parent).collect();
            let sized = |pool: Address| Some((sizes.get(&pool)?.clone(), pool));
            let sized = owners.into_iter().filter_map(sized);
            let pools: BTreeMap<Address, Wanted> = sized.map(|(wanted, pool)| (pool, wanted)).collect();
            let is_blocked = part
                .iter()
                .any(|address| is_undecided(&address.parent()) || !self.is_seen(address, &snapshot.state));
            let at_work: Vec<&Running> = self
                .running
                .values()
                .filter(|run| !run.part.is_disjoint(&part))
                .collect();
            for run in at_work.iter().filter(|run| run.is_overtaken(&pools)) {
                run.stop.send_replace(true);
            }
            let left: Vec<&Address> = part.iter().filter(|address| waits.contains(address)).collect();
            // Where the size of a pool could not be recorded, nothing of it can be done.
            let is_pool = |address: &&&Address| address.child_name().is_none() && sizes.contains_key(**address);
            let waits = left.len() == part.len() || left.iter().any(|address| is_pool(&address));
            if is_blocked || !at_work.is_empty() || waits {
                continue;
            }
            if !part.is_disjoint(&held) {
                is_held = true;
                continue;
            }
            // What waits for its release is left out, and what is on it; the rest of the part goes on.
            let left: Vec<&Address> = left.into_iter().chain(part.intersection(&kept)).collect();
            if part.intersection(&changes).all(|address| kept.contains(address)) && !part.is_disjoint(&kept) {
                continue;
            }
            let selection = selection(&part, &left);
            let state = &snapshot.state;
            let is_recorded = |at: &&Address| state.resources.contains_key(*at) && !lower::waits(state, at);
            let recorded: BTreeSet<Address> = part.iter().filter(is_recorded).cloned().collect();
            begun.push((part.clone(), pools, recorded, fleet.clone().select(selection)));
        }
        if is_held || !kept.is_empty() {
            // Who holds it tells nobody when it ends.
            self.look_again_soon(now);
        }
        self.tell_kept(allocations);
        self.tell_recovered(|address| over.contains(address));
        if self.how.dry_run {
            return Ok(());
        }
        for (part, sizes, recorded, fleet) in begun {
            self.begun += 1;
            let (stop, asked) = watch::channel(false);
            let (looks, progress) = (Arc::clone(&self.looks), self.progress.0.clone());
            let enforced = self.enforced.as_ref().and_then(|enforced| enforced.digest.clone());
            self.runs
                .begin(run(self.begun, fleet, enforced, looks, progress, asked));
            let running = Running {
                part,
                sizes,
                recorded,
                resting: resting.clone(),
                stop,
            };
            self.running.insert(self.begun, running);
        }
        Ok(())
    }

    /// Tells what is left as it is because somebody has it.
    fn tell_kept(&mut self, kept: BTreeMap<Address, Allocation>) {
        for (address, allocation) in &kept {
            if self.kept.get(address) != Some(allocation) {
                self.tell(Told::Kept {
                    address: address.clone(),
                    allocation: allocation.clone(),
                });
            }
        }
        self.kept = kept;
    }

    /// Has the next lap plan anew, soon.
    pub(super) fn look_again_soon(&mut self, now: Instant) {
        self.is_stale = true;
        self.renew = self.renew.min(now + AGAIN);
    }

    /// Whether what is recorded at an address has been looked at, or was recorded while this watches.
    pub(super) fn is_seen(&self, address: &Address, state: &State) -> bool {
        let recorded = state.resources.get(address);
        recorded.is_none_or(|resource| resource.serial > self.since || self.looks.has(address))
    }

    pub(super) fn ran(&mut self, Ran { id, result }: Ran) {
        let Some(running) = self.running.remove(&id) else {
            return;
        };
        self.is_stale = true;
        if let Some(known) = self.known.clone() {
            self.doubt(&known, |objects| !objects.is_disjoint(&running.part));
        }
        self.look_at_what_waits();
        let now = Instant::now();
        // What it did comes before how it ended.
        self.tell_progress();
        match result {
            Ok(outcome) => {
                let failed: BTreeSet<&Address> = outcome.failed.iter().map(|(address, ..)| address).collect();
                // What was done and then failed, as a replacement that deletes first, has failed.
                let done = outcome.done.iter().map(|(address, _)| address);
                let done: BTreeSet<&Address> = done.filter(|address| !failed.contains(address)).collect();
                for address in &done {
                    self.retries.remove(*address);
                }
                for address in &failed {
                    let address = *address;
                    let retry = Retry::after(self.retries.get(address), now);
                    self.retries.insert(address.clone(), retry);
                }
                let has_failed = !outcome.failed.is_empty() || outcome.stopped_by.is_some();
                self.has_failed |= has_failed;
                // What had nothing to do was done by somebody else, or cannot be begun yet.
                if outcome == Outcome::default() {
                    self.wait_a_little(running.part, now);
                    return;
                }
                let counters = &mut self.pictured.counters;
                match has_failed {
                    true => counters.runs_failed += 1,
                    false => counters.runs += 1,
                }
                self.tell_scaled(&outcome, &running.recorded, &running.resting);
                let done: BTreeSet<Address> = done.into_iter().cloned().collect();
                let failed: Vec<_> = outcome.failed.clone();
                self.tell(Told::Ran {
                    part: running.part,
                    outcome: Box::new(outcome),
                });
                self.tell_recovered(|address| done.contains(address));
                for (address, _, error) in failed {
                    self.tell_stuck([address].into(), &error);
                }
            }
            // Another run was faster, or is at work there: the next lap plans of what is then.
            Err(error @ (FleetError::Stale { .. } | FleetError::State(StateError::Locked(_)))) => {
                tracing::debug!(%error, "another run was faster");
                self.wait_a_little(running.part, now);
            }
            Err(error) => {
                self.has_failed = true;
                self.pictured.counters.runs_failed += 1;
                let retry = running
                    .part
                    .iter()
                    .map(|address| Retry::after(self.retries.get(address), now));
                let after = retry.map(|retry| again(retry.failures)).max();
                for address in &running.part {
                    let retry = Retry::after(self.retries.get(address), now);
                    self.retries.insert(address.clone(), retry);
                }
                self.failed(EventName::RunFailed, "A run failed", &error, after);
                self.tell_stuck(running.part, &error.to_string());
            }
        }
    }

    /// Has a part of the fleet be left alone for a moment, so that nothing is tried all the time.
    pub(super) fn wait_a_little(&mut self, part: BTreeSet<Address>, now: Instant) {
        for address in part {
            let failures = self.retries.get(&address).map_or(0, |before| before.failures);
            self.retries.insert(
                address,
                Retry {
                    failures,
                    at: now + SOON,
                },
            );
        }
    }
}

/// Returns what is to be left as it is while somebody has it, with the members that it is on.
fn kept(plan: &Plan) -> BTreeSet<Address> {
    let allocated = plan
        .interrupts
        .iter()
        .filter(|interrupt| interrupt.allocation.is_some());
    let allocated: BTreeSet<&Address> = allocated.map(|interrupt| &interrupt.address).collect();
    let hosts = plan.changes.iter().filter(|change| allocated.contains(&change.address));
    let hosts = hosts.filter_map(|change| change.was_hosted_on.as_ref());
    allocated.iter().copied().chain(hosts).cloned().collect()
}

/// Returns the addresses at which something changes.
fn changes(plan: &Plan) -> BTreeSet<Address> {
    let changes = plan.changes.iter().filter(|change| change.action != Action::NoOp);
    changes.map(|change| change.address.clone()).collect()
}

/// Returns the addresses that runs of others are about to change.
fn held(snapshot: &Snapshot) -> BTreeSet<Address> {
    let live = snapshot.leases.iter().filter(|lease| !lease.is_over(&System));
    live.flat_map(|lease| lease.locks.exclusive.iter().cloned()).collect()
}

/// Returns a part of a fleet, without some of it.
fn selection(part: &BTreeSet<Address>, without: &[&Address]) -> Selection {
    // The text of an address is one of a pattern.
    let pattern = |address: &Address| Pattern::from_str(&address.to_string()).ok();
    Selection {
        targets: part.iter().filter_map(pattern).collect(),
        excludes: without.iter().copied().filter_map(pattern).collect(),
        is_of_plan: true,
    }
}
