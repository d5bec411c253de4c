//! What the loop shows of itself to others: after each lap, an immutable picture of what it knows. Who reads it waits for
//! nothing, and keeps the loop from nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use simfleet_provider_api::Address;
use simfleet_state::Snapshot;
use tokio::sync::watch;
use tokio::time::Instant;

use super::looks::Looks;
use super::pool::{Answers, Decided, because};
use crate::config::blocks::Pool;
use crate::scale::Decision;
use crate::signals::Severity;
use crate::signals::webhooks::Counts;

/// Where the newest picture is; `None` until there was a lap.
pub type Pictures = watch::Receiver<Option<Arc<Published>>>;

/// What the loop knew at the end of a lap.
#[derive(Debug, Clone)]
pub struct Published {
    /// When the last lap was made that worked.
    pub at: Timestamp,
    /// The same, on a clock that nobody sets.
    pub made: Instant,
    /// What was recorded then.
    pub snapshot: Arc<Snapshot>,
    /// What was last seen.
    pub looks: Arc<Looks>,
    /// The pools that it sizes.
    pub pools: BTreeMap<Address, Arc<PoolPicture>>,
    /// What runs are at work on.
    pub running: Vec<BTreeSet<Address>>,
    /// What the files would change, where they are other than what was last applied.
    pub pending: Option<String>,
    /// Why no laps are made, or nothing is enforced.
    pub trouble: Option<String>,
    /// Whether it has planned: all that is recorded was looked at, and what is to be done is under way.
    pub is_ready: bool,
    /// How many simulators have no place.
    pub unplaced: usize,
    /// How many far sides tell by themselves what happens there.
    pub telling: usize,
    /// What is counted since it began.
    pub counters: Counters,
    /// The alerts that fire.
    pub alerts: Vec<AlertPicture>,
    /// What has failed again and again.
    pub stuck: BTreeMap<Address, StuckPicture>,
    /// What is counted of those who are told of events.
    pub webhooks: BTreeMap<Address, Counts>,
}

/// What is known of a pool.
#[derive(Debug, Clone)]
pub struct PoolPicture {
    /// What is declared.
    pub declared: Arc<Pool>,
    /// How many members were recorded when it was decided on.
    pub members: usize,
    /// The last decision; `None` before the first one.
    pub decision: Option<Decision>,
    /// Why, in words.
    pub because: String,
    /// When it was made.
    pub decided: Option<Timestamp>,
    /// When the next one is due.
    pub due: Option<Timestamp>,
    /// Its checks, by name.
    pub checks: BTreeMap<Arc<str>, CheckPicture>,
    /// How many decisions were made.
    pub decisions: u64,
    /// How many of them each limit held.
    pub limited: BTreeMap<&'static str, u64>,
}

/// What is known of a check.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckPicture {
    /// The value that was decided with, a mean over what it is of.
    pub value: Option<f64>,
    /// When its source last answered.
    pub at: Option<Timestamp>,
    /// Why it did not answer the last time.
    pub failed: Option<String>,
    /// How often it did not.
    pub failures: u64,
}

/// What is known of an alert that fires.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertPicture {
    /// The alert; `None` for what fires without one being declared.
    pub alert: Option<Address>,
    /// What it is about.
    pub on: Address,
    /// How bad it is.
    pub severity: Severity,
    /// Since when.
    pub since: Timestamp,
    /// Why, in words.
    pub because: String,
    /// The value of its metric.
    pub value: Option<f64>,
}

/// What is known of a change that has failed again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct StuckPicture {
    /// Since when it is held for that.
    pub since: Timestamp,
    /// How often it has failed.
    pub failures: u32,
    /// How, the last time.
    pub because: String,
}

/// What is counted since the loop began.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    /// Laps that were made.
    pub laps: u64,
    /// Laps that could not be made.
    pub laps_failed: u64,
    /// How long they took.
    pub seconds: Durations,
    /// How much later than they were due they began.
    pub lag: Durations,
    /// Runs that did all they were to do.
    pub runs: u64,
    /// Runs that could not, or not all of it.
    pub runs_failed: u64,
    /// What went wrong: runs, files with mistakes, laps.
    pub errors: u64,
    /// Looks at far sides.
    pub looks: u64,
    /// Those of them for which the far side told that something happened.
    pub looks_told: u64,
}

/// How long something took, in seconds, as Prometheus has it: how often at most so long.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durations {
    counts: [u64; Durations::BOUNDS.len()],
    /// How often.
    pub count: u64,
    /// In all.
    pub sum: f64,
}

impl Durations {
    const BOUNDS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

    /// Takes one in.
    pub fn add(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        self.count += 1;
        self.sum += seconds;
        for (count, bound) in self.counts.iter_mut().zip(Self::BOUNDS) {
            *count += u64::from(seconds <= bound);
        }
    }

    /// Returns how often it took at most so many seconds, for growing numbers of them.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        Self::BOUNDS.into_iter().zip(self.counts)
    }
}

/// The pictures that the loop makes, where somebody wants them.
#[derive(Debug, Default)]
pub(super) struct Pictured {
    to: Option<watch::Sender<Option<Arc<Published>>>>,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) unplaced: usize,
    pub(super) counters: Counters,
    /// When the last lap was made.
    made: Option<(Timestamp, Instant)>,
    pools: BTreeMap<Address, Arc<PoolPicture>>,
}

/// What the loop adds to what was noted.
#[derive(Debug)]
pub(super) struct Present<'a> {
    pub(super) looks: &'a Arc<Looks>,
    pub(super) declared: BTreeMap<&'a Address, &'a Arc<Pool>>,
    pub(super) telling: usize,
    pub(super) due: &'a BTreeMap<Address, Instant>,
    pub(super) running: Vec<BTreeSet<Address>>,
    pub(super) pending: Option<String>,
    pub(super) trouble: Option<String>,
    pub(super) is_ready: bool,
    pub(super) webhooks: BTreeMap<Address, Counts>,
    pub(super) alerts: Vec<AlertPicture>,
    pub(super) stuck: BTreeMap<Address, StuckPicture>,
    pub(super) now: Timestamp,
}

impl Pictured {
    /// Has pictures be made from now on.
    pub(super) fn show(&mut self, to: watch::Sender<Option<Arc<Published>>>) {
        self.to = Some(to);
    }

    /// Whether somebody wants pictures.
    pub(super) fn is_wanted(&self) -> bool {
        self.to.is_some()
    }

    /// Notes a lap that was begun when it was due, or later.
    pub(super) fn lap(&mut self, now: Timestamp, began: Instant, lag: Duration) {
        let made = Instant::now();
        self.counters.laps += 1;
        self.counters.seconds.add(made.duration_since(began));
        self.counters.lag.add(lag);
        self.made = Some((now, made));
    }

    /// Notes a decision, and what the sources answered.
    pub(super) fn decided(&mut self, declared: &Arc<Pool>, decided: &Decided, answers: &Answers) {
        if !self.is_wanted() {
            return;
        }
        let picture = self.picture(&decided.pool, declared);
        let at = decided.lap.at;
        picture.members = decided.members;
        picture.because = because(&decided.decision);
        picture.decided = Some(at);
        picture.decisions += 1;
        for limit in &decided.decision.limited_by {
            *picture.limited.entry(limit.as_str()).or_default() += 1;
        }
        picture.checks.retain(|check, _| answers.contains_key(check));
        for (name, answer) in answers {
            let check = picture.checks.entry(name.clone()).or_default();
            check.value = decided.values.get(&**name).copied();
            check.failed = answer.as_ref().err().cloned();
            match answer {
                Ok(_) => check.at = Some(at),
                Err(_) => check.failures += 1,
            }
        }
        picture.decision = Some(decided.decision.clone());
    }

    /// Returns what is known of a pool, to be changed.
    fn picture(&mut self, pool: &Address, declared: &Arc<Pool>) -> &mut PoolPicture {
        let picture = self.pools.entry(pool.clone()).or_insert_with(|| {
            Arc::new(PoolPicture {
                declared: Arc::clone(declared),
                members: 0,
                decision: None,
                because: String::new(),
                decided: None,
                due: None,
                checks: BTreeMap::new(),
                decisions: 0,
                limited: BTreeMap::new(),
            })
        });
        Arc::make_mut(picture)
    }

    /// Shows what is known now.
    pub(super) fn publish(&mut self, present: Present<'_>) {
        let (true, Some(snapshot), Some((at, made))) = (self.is_wanted(), self.snapshot.clone(), self.made) else {
            return;
        };
        self.pools.retain(|pool, _| present.declared.contains_key(pool));
        let monotonic = Instant::now();
        for (pool, declared) in &present.declared {
            let due = present.due.get(*pool).and_then(|due| {
                let left = due.saturating_duration_since(monotonic);
                present.now.checked_add(left).ok()
            });
            let picture = self.picture(pool, declared);
            picture.due = due;
            if !Arc::ptr_eq(&picture.declared, declared) {
                picture.declared = Arc::clone(declared);
            }
        }
        let published = Published {
            at,
            made,
            snapshot,
            looks: Arc::clone(present.looks),
            pools: self.pools.clone(),
            running: present.running,
            pending: present.pending,
            trouble: present.trouble,
            is_ready: present.is_ready,
            unplaced: self.unplaced,
            telling: present.telling,
            counters: self.counters.clone(),
            webhooks: present.webhooks,
            alerts: present.alerts,
            stuck: present.stuck,
        };
        if let Some(to) = &self.to {
            to.send_replace(Some(Arc::new(published)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_count_into_every_bucket_that_is_wide_enough() {
        let mut durations = Durations::default();
        for milliseconds in [1, 40, 700, 90_000] {
            durations.add(Duration::from_millis(milliseconds));
        }
        let within = |seconds: f64| durations.buckets().find(|(bound, _)| *bound == seconds).unwrap().1;
        assert_eq!((within(0.001), within(0.05), within(1.0), within(60.0)), (1, 2, 3, 3));
        assert_eq!(durations.count, 4);
        assert!((durations.sum - 90.741).abs() < 1e-9, "{}", durations.sum);
    }
}
