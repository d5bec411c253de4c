//! The loop. See the module above.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{FutureExt, LocalBoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use simfleet_provider_api::{Address, Attributes};
use simfleet_state::{ConfigDigest, Journal, Snapshot, State, StateError, System};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::health::{self, Healths, News};
use super::looks::{Looked, Looks, look, sides};
use super::members::Recorded;
use super::memory::Memory;
use super::parts::parts;
use super::pending::{Files, Pending};
use super::pool::{Answers, Decided, Seen, Servers, because, questions};
use super::published::{Pictured, Present, Published};
use super::run::{Ran, Running, run};
use super::sources::{Asked, Sources};
use super::{Ended, How, Told};
use crate::apply::{Outcome, Progress};
use crate::config::blocks::{Metrics, Pool};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fleet::{Fleet, FleetError, Goal};
use crate::health::Verdict;
use crate::lower::{Ruling, Wanted, number_of};
use crate::plan::{Pattern, Scaled, Selection};
use crate::providers::Providers;
use crate::scale::Decision;

/// How often the lead is renewed: well within a lease.
const RENEW: Duration = Duration::from_secs(10);
/// How often far sides are looked at where no pool is decided on more often, and how much less often while nothing changes.
const LOOK: Duration = Duration::from_secs(15);
const QUIET: u32 = 4;
/// How often the files are looked at.
const FILES: Duration = Duration::from_secs(2);
/// How soon it is tried again where another run was faster.
const SOON: Duration = Duration::from_secs(1);
/// How soon what could not be done is tried again at first, and at last.
const AGAIN: Duration = Duration::from_secs(5);
const RARELY: Duration = Duration::from_secs(600);

/// What is enforced: the configuration that was last applied.
#[derive(Debug)]
struct Enforced {
    digest: Option<ConfigDigest>,
    fleet: Fleet,
    pools: BTreeMap<Address, Arc<Pool>>,
    servers: Servers,
}

/// The last decision on a pool, and what the planner makes of it.
#[derive(Debug)]
struct Last {
    decision: Decision,
    wanted: Wanted,
}

/// What failed, and when it is tried again.
#[derive(Debug, Clone, Copy)]
struct Retry {
    failures: u32,
    at: Instant,
}

impl Retry {
    fn after(before: Option<&Retry>, now: Instant) -> Self {
        let failures = before.map_or(0, |before| before.failures) + 1;
        Retry {
            failures,
            at: now + again(failures),
        }
    }
}

/// Returns how long is waited after so many failures.
fn again(failures: u32) -> Duration {
    AGAIN
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(RARELY)
}

/// Watches a fleet.
#[derive(Debug)]
pub struct Watch {
    /// The fleet as its files are.
    files: Fleet,
    how: How,
    sources: Arc<dyn Sources>,
    tell: mpsc::UnboundedSender<Told>,
    stop: watch::Receiver<bool>,
    /// Wakes it before anything is due.
    wake: mpsc::UnboundedReceiver<()>,
    progress: (mpsc::UnboundedSender<Progress>, mpsc::UnboundedReceiver<Progress>),

    /// How the files looked when they were last read, and when they are looked at again.
    looked_at_files: Option<Files>,
    files_due: Instant,
    pending: Option<Pending>,
    /// The serial of the state of which that was told.
    was_pending_at: u64,

    leader: Option<Box<dyn Journal>>,
    renew: Instant,
    enforced: Option<Enforced>,
    /// Why nothing is enforced, as it was told.
    refused: Option<String>,
    memories: BTreeMap<Address, Memory>,
    last: BTreeMap<Address, Last>,

    asking: Work<(Address, Answers)>,
    asked: BTreeSet<Address>,
    /// When the sources of a pool are asked again.
    due: BTreeMap<Address, Instant>,
    answered: BTreeMap<Address, Answers>,
    failing: BTreeMap<(Address, Arc<str>), String>,

    healths: Healths,
    checking: Work<(Address, Verdict)>,
    looks: Arc<Looks>,
    looking: Work<Looked>,
    being_looked_at: BTreeSet<String>,
    /// When a far side is looked at again, and after how many quiet looks.
    look_due: BTreeMap<String, (Instant, u32)>,
    providers: Option<Arc<Providers>>,

    runs: Work<Ran>,
    running: BTreeMap<u64, Running>,
    begun: u64,
    retries: BTreeMap<Address, Retry>,
    /// Whether something changed since the last plan.
    is_stale: bool,
    has_planned: bool,
    planned_at: Instant,
    has_failed: bool,
    /// When the next lap is made at the soonest, and why there was none.
    not_before: Instant,
    lap_failed: Option<String>,
    /// The serial of the state when it began.
    since: u64,
    /// What it shows of itself.
    pictured: Pictured,
}

/// What is at work, polled by the loop.
struct Work<T>(FuturesUnordered<LocalBoxFuture<'static, T>>);

impl<T> Default for Work<T> {
    fn default() -> Self {
        Work(FuturesUnordered::new())
    }
}

impl<T> fmt::Debug for Work<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at work", self.0.len())
    }
}

impl<T> Work<T> {
    fn begin(&self, work: impl Future<Output = T> + 'static) {
        self.0.push(Box::pin(work));
    }

    /// Waits for the next that ends; for ever where nothing is at work.
    async fn next(&mut self) -> T {
        match self.0.next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// Returns one that has ended already.
    fn try_next(&mut self) -> Option<T> {
        self.0.next().now_or_never().flatten()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Watch {
    /// Gets ready to watch a fleet, until `stop` turns true. What comes by `wake` has it look at everything at once.
    pub fn new(
        files: Fleet,
        how: How,
        sources: Arc<dyn Sources>,
        tell: mpsc::UnboundedSender<Told>,
        stop: watch::Receiver<bool>,
        wake: mpsc::UnboundedReceiver<()>,
    ) -> Self {
        Watch {
            files,
            how,
            sources,
            tell,
            stop,
            wake,
            looked_at_files: None,
            files_due: Instant::now(),
            pending: None,
            was_pending_at: 0,
            progress: mpsc::unbounded_channel(),
            leader: None,
            renew: Instant::now(),
            enforced: None,
            refused: None,
            memories: BTreeMap::new(),
            last: BTreeMap::new(),
            asking: Work::default(),
            asked: BTreeSet::new(),
            due: BTreeMap::new(),
            answered: BTreeMap::new(),
            failing: BTreeMap::new(),
            healths: Healths::default(),
            checking: Work::default(),
            looks: Arc::default(),
            looking: Work::default(),
            being_looked_at: BTreeSet::new(),
            look_due: BTreeMap::new(),
            providers: None,
            runs: Work::default(),
            running: BTreeMap::new(),
            begun: 0,
            retries: BTreeMap::new(),
            is_stale: true,
            has_planned: false,
            planned_at: Instant::now(),
            has_failed: false,
            not_before: Instant::now(),
            lap_failed: None,
            since: 0,
            pictured: Pictured::default(),
        }
    }

    /// Has it show what it knows after each lap.
    pub fn showing(mut self, to: watch::Sender<Option<Arc<Published>>>) -> Self {
        self.pictured.show(to);
        self
    }

    /// Watches until it is asked to end; with `once`, until one lap is done.
    ///
    /// # Errors
    /// Another one watches this fleet, or took over; nothing was ever applied.
    pub async fn watch(mut self) -> Result<Ended, FleetError> {
        let snapshot = self.files.snapshot().await?;
        if Goal::of(&snapshot.state).is_none() {
            return Err(nothing_applied().into());
        }
        if !self.how.dry_run {
            self.leader = Some(self.files.lead(&self.progress.0).await?);
        }
        self.recall().await?;
        self.since = snapshot.state.serial;
        let resources = snapshot.state.resources.len();
        let pools = snapshot.state.pools.len();
        self.tell(Told::Watching { pools, resources });
        while !self.is_asked_to_end() {
            let began = Instant::now();
            if began >= self.not_before {
                let lag = began.saturating_duration_since(self.next_due());
                match self.lap().await {
                    Ok(()) => {
                        self.lap_failed = None;
                        self.pictured.lap(self.now(), began, lag);
                    }
                    Err(error @ FleetError::State(StateError::Fenced { .. })) => return Err(error),
                    Err(error) => self.could_not_lap(&error),
                }
                self.publish();
            }
            if self.how.once && self.is_idle() {
                break;
            }
            self.wait().await;
        }
        self.end().await
    }

    /// Shows what it knows, where somebody wants to see it.
    fn publish(&mut self) {
        if !self.pictured.is_wanted() {
            return;
        }
        let pools = self.enforced.iter().flat_map(|enforced| &enforced.pools);
        self.pictured.publish(Present {
            looks: &self.looks,
            declared: pools.collect(),
            due: &self.due,
            running: self.running.values().map(|running| running.part.clone()).collect(),
            pending: self.pending.as_ref().map(ToString::to_string),
            trouble: self.lap_failed.clone().or_else(|| self.refused.clone()),
            is_ready: self.has_planned && self.refused.is_none(),
            now: self.files.host().now(),
        });
    }

    /// Notes that there was no lap: the next is made after a while, and what is wrong is told once.
    fn could_not_lap(&mut self, error: &FleetError) {
        self.is_stale = true;
        self.not_before = Instant::now() + AGAIN;
        self.pictured.counters.laps_failed += 1;
        let why = match error {
            FleetError::Diagnostics(diagnostics) => format!("{diagnostics:?}"),
            other => other.to_string(),
        };
        if self.lap_failed.as_ref() != Some(&why) {
            self.lap_failed = Some(why);
            self.failed("Nothing can be decided", error, Some(AGAIN));
        }
    }

    /// Reads what is remembered.
    async fn recall(&mut self) -> Result<(), FleetError> {
        for (pool, text) in self.files.store().memories().await? {
            match serde_json::from_str(&text) {
                Ok(memory) => _ = self.memories.insert(pool, memory),
                Err(error) => self.tell(Told::Failed {
                    message: format!("What is remembered of {pool} cannot be understood, and begins anew: {error}"),
                    because: None,
                    again: None,
                }),
            }
        }
        Ok(())
    }

    fn is_asked_to_end(&self) -> bool {
        *self.stop.borrow()
    }

    /// Whether all that a lap begins has ended, and nothing is left to be begun.
    fn is_idle(&self) -> bool {
        let is_undone = self.refused.is_none() && !self.has_planned;
        self.asking.is_empty() && self.looking.is_empty() && self.running.is_empty() && !is_undone
    }

    /// Ends what is at work, in order.
    async fn end(mut self) -> Result<Ended, FleetError> {
        for running in self.running.values() {
            running.stop.send_replace(true);
        }
        while !self.running.is_empty() {
            tokio::select! {
                ran = self.runs.next() => self.ran(ran),
                Some(progress) = self.progress.1.recv() => self.tell(Told::Run(progress)),
            }
        }
        self.tell_progress();
        if let Some(leader) = self.leader.take() {
            leader.close().await?;
        }
        Ok(match self.how.once && self.has_failed {
            true => Ended::WithFailures,
            false => Ended::Well,
        })
    }

    /// Waits until something happened, or is due.
    async fn wait(&mut self) {
        let due = self.next_due();
        tokio::select! {
            answers = self.asking.next() => self.take_answers(answers),
            looked = self.looking.next() => self.take_look(looked),
            (node, verdict) = self.checking.next() => self.take_verdict(node, verdict),
            ran = self.runs.next() => self.ran(ran),
            Some(progress) = self.progress.1.recv() => self.tell(Told::Run(progress)),
            _ = self.stop.changed() => {}
            Some(()) = self.wake.recv() => self.hurry(),
            () = tokio::time::sleep_until(due) => {}
        }
        // What else is ready belongs to the same lap.
        while let Some(answers) = self.asking.try_next() {
            self.take_answers(answers);
        }
        while let Some((node, verdict)) = self.checking.try_next() {
            self.take_verdict(node, verdict);
        }
        while let Some(looked) = self.looking.try_next() {
            self.take_look(looked);
        }
        self.tell_progress();
    }

    /// Has everything be looked at again now.
    fn hurry(&mut self) {
        let now = Instant::now();
        self.looked_at_files = None;
        self.files_due = now;
        self.is_stale = true;
        self.due.values_mut().for_each(|due| *due = now);
        self.look_due.values_mut().for_each(|(due, _)| *due = now);
        self.retries.values_mut().for_each(|retry| retry.at = now);
    }

    fn next_due(&self) -> Instant {
        let pools = self
            .due
            .iter()
            .filter(|(pool, _)| !self.asked.contains(*pool))
            .map(|(_, at)| *at);
        let looks = self
            .look_due
            .iter()
            .filter(|(side, _)| !self.being_looked_at.contains(*side));
        let looks = looks.map(|(_, (at, _))| *at);
        let retries = self
            .retries
            .values()
            .map(|retry| retry.at)
            .filter(|at| *at > Instant::now());
        let soonest = pools.chain(looks).chain(retries).chain(self.healths.next()).min();
        let renew = self.leader.is_some().then_some(self.renew);
        let soonest = soonest.into_iter().chain(renew).fold(self.files_due, Instant::min);
        soonest.max(self.not_before)
    }

    /// Makes a lap: begins what is due, decides what has been answered, and has done what is to be done.
    async fn lap(&mut self) -> Result<(), FleetError> {
        let snapshot = Arc::new(self.files.snapshot().await?);
        self.pictured.snapshot = Some(Arc::clone(&snapshot));
        self.enforce(&snapshot.state);
        let recorded = Recorded::of(&snapshot.state);
        self.decide(&snapshot.state, &recorded).await?;
        self.ask(&snapshot.state, &recorded);
        self.look(&snapshot);
        self.check(&snapshot.state);
        if Instant::now() >= self.files_due {
            self.files_due = Instant::now() + FILES;
            self.look_at_files(&snapshot).await?;
        }
        let is_due = |retry: &Retry| retry.at > self.planned_at && retry.at <= Instant::now();
        if self.is_stale || self.retries.values().any(is_due) {
            self.reconcile(&snapshot)?;
        }
        Ok(())
    }

    /// Tells whether the files are other than what was last applied; takes them over where that was asked for.
    async fn look_at_files(&mut self, snapshot: &Snapshot) -> Result<(), FleetError> {
        let files = Files::of(self.files.config());
        if self.looked_at_files.as_ref() != Some(&files) {
            self.looked_at_files = Some(files);
            match self.files.reread() {
                Ok(reread) => self.files = reread,
                Err(error) => {
                    self.failed(
                        "The files have mistakes, so that what was last applied stays",
                        &error,
                        None,
                    );
                    self.pending = Some(Pending::Broken);
                    return Ok(());
                }
            }
        } else if self.pending == Some(Pending::Broken) {
            return Ok(());
        }
        let intended = self.files.to_intend(&snapshot.state);
        let pending = match &intended {
            None => None,
            Some(_) if self.was_pending_at == snapshot.state.serial && self.pending.is_some() => return Ok(()),
            Some(_) => {
                let fleet = self.files.clone().at(self.now()).ruled_by(self.ruling());
                let planned = fleet.plan_from(snapshot.clone(), self.looks.of(&snapshot.state))?;
                Some(Pending::of(&planned.plan, self.how.follow))
            }
        };
        self.was_pending_at = snapshot.state.serial;
        if let (Some(Pending::Allowed(_)), Some(intended)) = (&pending, intended)
            && !self.how.dry_run
        {
            self.files.intend(intended, &self.progress.0).await?;
            self.is_stale = true;
        }
        if pending != self.pending {
            match &pending {
                Some(pending) => self.tell(Told::Pending {
                    message: pending.to_string(),
                }),
                None => self.tell(Told::Settled),
            }
            self.pending = pending;
        }
        Ok(())
    }

    /// Returns what was decided and found out.
    fn ruling(&self) -> Ruling {
        let last = self.last.iter();
        Ruling {
            sizes: last.map(|(pool, last)| (pool.clone(), last.wanted.clone())).collect(),
            unhealthy: self.healths.unhealthy(),
        }
    }

    /// Takes over the configuration that was last applied.
    fn enforce(&mut self, state: &State) {
        let is_known = |enforced: &Enforced| enforced.digest == state.intended && enforced.digest.is_some();
        if self.enforced.as_ref().is_some_and(is_known) {
            return;
        }
        let enforced = self.applied(state);
        self.is_stale = true;
        self.providers = None;
        match enforced {
            Ok(enforced) => {
                self.refused = None;
                self.due.retain(|pool, _| enforced.pools.contains_key(pool));
                self.last.retain(|pool, _| enforced.pools.contains_key(pool));
                self.enforced = Some(enforced);
            }
            Err(error) => {
                let message = "What was last applied cannot be enforced";
                if self.refused.as_deref() != Some(&error.to_string()) {
                    self.refused = Some(error.to_string());
                    self.failed(message, &error, None);
                }
                self.enforced = None;
            }
        }
    }

    fn applied(&self, state: &State) -> Result<Enforced, FleetError> {
        let goal = Goal::of(state).ok_or_else(|| FleetError::from(nothing_applied()))?;
        let fleet = self.files.clone().back_to(&goal)?;
        let scaled = match goal {
            Goal::Configuration(_) => fleet.clone().at(self.now()).scaled(state)?,
            Goal::Nothing => Scaled::default(),
        };
        let server = |(address, metrics): (Address, Metrics)| Some((address, metrics.server()?));
        Ok(Enforced {
            digest: state.intended.clone(),
            fleet,
            pools: scaled.pools,
            servers: scaled.metrics.into_iter().filter_map(server).collect(),
        })
    }

    fn now(&self) -> Timestamp {
        self.files.host().now()
    }

    /// Decides on the pools whose sources have answered.
    async fn decide(&mut self, state: &State, recorded: &Recorded) -> Result<(), FleetError> {
        let answered = std::mem::take(&mut self.answered);
        let now = self.now();
        let mut laps = Vec::with_capacity(answered.len());
        if let Some(enforced) = &self.enforced {
            let seen = self.looks.of(state);
            let unhealthy = self.healths.unhealthy();
            for (address, answers) in &answered {
                let Some(pool) = enforced.pools.get(address) else {
                    continue;
                };
                let seen = Seen {
                    address,
                    pool,
                    recorded: state.pools.get(address),
                    members: recorded,
                    seen: &seen,
                    unhealthy: &unhealthy,
                    answers,
                    now,
                };
                let memory = self.memories.remove(address).unwrap_or_default();
                let before = self.last.get(address).map(|last| &last.decision);
                let (decided, memory) = seen.decide(memory, before);
                self.memories.insert(address.clone(), memory);
                self.pictured.decided(pool, &decided, answers);
                laps.push(decided);
            }
        }
        for (address, answers) in &answered {
            self.tell_sources(address, answers);
        }
        let kept: Vec<_> = laps.iter().map(|decided| decided.lap.clone()).collect();
        if let Some(leader) = &mut self.leader
            && (!kept.is_empty() || Instant::now() >= self.renew)
        {
            leader.remember(&kept).await?;
            self.renew = Instant::now() + RENEW;
        }
        for decided in laps {
            self.take_decision(decided);
        }
        Ok(())
    }

    fn take_decision(&mut self, decided: Decided) {
        let Decided {
            pool,
            decision,
            wanted,
            is_news,
            ..
        } = decided;
        let before = self.last.get(&pool);
        self.is_stale |= before
            .is_none_or(|before| before.wanted.members != wanted.members || before.wanted.leaving != wanted.leaving);
        if is_news && (before.is_some() || !decision.actions.is_empty()) {
            self.tell(Told::Decided {
                pool: pool.clone(),
                because: because(&decision),
                decision: Box::new(decision.clone()),
            });
        }
        self.last.insert(pool, Last { decision, wanted });
    }

    fn tell_sources(&mut self, pool: &Address, answers: &Answers) {
        for (check, answer) in answers {
            let key = (pool.clone(), check.clone());
            let check = check.to_string();
            let pool = pool.clone();
            match answer {
                Err(why) if self.failing.get(&key) != Some(why) => {
                    self.failing.insert(key, why.clone());
                    self.tell(Told::SourceFailed {
                        pool,
                        check,
                        because: why.clone(),
                    });
                }
                Ok(_) if self.failing.remove(&key).is_some() => self.tell(Told::SourceAnswers { pool, check }),
                _ => {}
            }
        }
    }

    /// Asks the sources of the pools that are due.
    fn ask(&mut self, state: &State, recorded: &Recorded) {
        let Some(enforced) = &self.enforced else { return };
        let now = Instant::now();
        for (address, pool) in &enforced.pools {
            let due = *self.due.entry(address.clone()).or_insert(now);
            if self.how.once && self.last.contains_key(address) {
                self.due.insert(address.clone(), now + RARELY);
                continue;
            }
            if due > now || !self.asked.insert(address.clone()) {
                continue;
            }
            let interval = pool.autoscale.evaluation_interval;
            // On the beat, without making up for beats that were missed.
            let missed = now.duration_since(due).as_nanos() / interval.as_nanos().max(1);
            let beats = u32::try_from(missed + 1).unwrap_or(u32::MAX);
            self.due.insert(address.clone(), due + interval.saturating_mul(beats));
            let members = recorded.members(address).map(|(number, member)| Asked {
                number,
                address: member.clone(),
                attributes: attributes(state, member),
            });
            let questions = questions(address, pool, members.collect(), &enforced.servers);
            let (sources, address) = (Arc::clone(&self.sources), address.clone());
            self.asking.begin(async move {
                let answers = questions.into_iter().map(async |question| {
                    // A source keeps to its own time; one that does not is not waited for.
                    let answer = tokio::time::timeout(question.timeout, sources.ask(&question)).await;
                    let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
                    (question.check, answer)
                });
                (address, futures::future::join_all(answers).await.into_iter().collect())
            });
        }
    }

    fn take_answers(&mut self, (pool, answers): (Address, Answers)) {
        self.asked.remove(&pool);
        self.answered.insert(pool, answers);
    }

    /// Looks at the far sides that are due.
    fn look(&mut self, snapshot: &Arc<Snapshot>) {
        let now = Instant::now();
        let sides = sides(&snapshot.state);
        self.look_due.retain(|side, _| sides.contains_key(side));
        for (side, objects) in sides {
            let (due, _) = *self.look_due.entry(side.clone()).or_insert((now, 0));
            let is_done = self.how.once && due > now;
            if due > now || is_done || !self.being_looked_at.insert(side.clone()) {
                continue;
            }
            let files = &self.files;
            let providers = self
                .providers
                .get_or_insert_with(|| Arc::new(files.providers(snapshot)));
            let (snapshot, providers) = (Arc::clone(snapshot), Arc::clone(providers));
            let parallelism = self.files.options().parallelism;
            self.looking
                .begin(look(side, objects, snapshot, providers, parallelism));
        }
    }

    /// Looks at the health of the nodes that are due.
    fn check(&mut self, state: &State) {
        let memories = &self.memories;
        let was_bad = |node: &Address| {
            let member = number_of(node).and_then(|number| memories.get(&node.parent())?.members.get(&number));
            member.is_some_and(|member| member.unhealthy.is_some())
        };
        for (check, node, attributes) in self.healths.due(state, &self.looks.of(state), was_bad) {
            self.checking.begin(health::look(check, node, attributes));
        }
    }

    fn take_verdict(&mut self, node: Address, verdict: Verdict) {
        match self.healths.take(&node, verdict) {
            News::None => return,
            News::Unhealthy(because) => self.tell(Told::Unhealthy { node, because }),
            News::Healthy => self.tell(Told::Healthy { node }),
        }
        self.is_stale = true;
    }

    fn take_look(&mut self, looked: Looked) {
        let side = looked.side.clone();
        self.being_looked_at.remove(&side);
        let is_news = Arc::make_mut(&mut self.looks).take(looked);
        self.is_stale |= is_news;
        let quiet = match (is_news, self.look_due.get(&side)) {
            (false, Some((_, quiet))) => (quiet + 1).min(QUIET),
            _ => 0,
        };
        let intervals = self.enforced.iter().flat_map(|enforced| enforced.pools.values());
        let soonest = intervals.map(|pool| pool.autoscale.evaluation_interval).min();
        let every = soonest.unwrap_or(LOOK).min(LOOK);
        self.look_due
            .insert(side, (Instant::now() + every * quiet.max(1), quiet));
    }

    /// Plans, and begins a run for each part of the plan that can be carried out now.
    fn reconcile(&mut self, snapshot: &Snapshot) -> Result<(), FleetError> {
        let Some(enforced) = &self.enforced else { return Ok(()) };
        let ruling = self.ruling();
        let sizes = &ruling.sizes;
        let is_undecided = |pool: &Address| enforced.pools.contains_key(pool) && !sizes.contains_key(pool);
        if self.how.once && (enforced.pools.keys().any(is_undecided) || !self.looking.is_empty()) {
            return Ok(());
        }
        let fleet = enforced.fleet.clone().at(self.now()).ruled_by(ruling.clone());
        let planned = fleet.plan_from(snapshot.clone(), self.looks.of(&snapshot.state))?;
        let parts = parts(&planned.plan);
        self.pictured.unplaced = planned.plan.unplaced.len();
        drop(planned);
        self.is_stale = false;
        self.has_planned = true;
        let now = Instant::now();
        self.planned_at = now;
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
            let pools: BTreeMap<Address, Wanted> = sizes
                .iter()
                .filter(|(pool, _)| part.iter().any(|address| address.parent() == **pool))
                .map(|(pool, wanted)| (pool.clone(), wanted.clone()))
                .collect();
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
            let selection = selection(&part, &left);
            begun.push((part.clone(), pools, fleet.clone().select(selection)));
        }
        if is_held {
            // Who holds it tells nobody when it ends.
            self.look_again_soon(now);
        }
        if self.how.dry_run {
            return Ok(());
        }
        for (part, sizes, fleet) in begun {
            self.begin(part, sizes, fleet);
        }
        Ok(())
    }

    /// Has the next lap plan anew, soon.
    fn look_again_soon(&mut self, now: Instant) {
        self.is_stale = true;
        self.renew = self.renew.min(now + AGAIN);
    }

    /// Whether what is recorded at an address has been looked at, or was recorded while this watches.
    fn is_seen(&self, address: &Address, state: &State) -> bool {
        let recorded = state.resources.get(address);
        recorded.is_none_or(|resource| resource.serial > self.since || self.looks.has(address))
    }

    fn begin(&mut self, part: BTreeSet<Address>, sizes: BTreeMap<Address, Wanted>, fleet: Fleet) {
        self.begun += 1;
        let (stop, asked) = watch::channel(false);
        let (looks, progress) = (Arc::clone(&self.looks), self.progress.0.clone());
        self.runs.begin(run(self.begun, fleet, looks, progress, asked));
        self.running.insert(self.begun, Running { part, sizes, stop });
    }

    fn ran(&mut self, Ran { id, result }: Ran) {
        let Some(running) = self.running.remove(&id) else {
            return;
        };
        self.is_stale = true;
        let now = Instant::now();
        // What it did comes before how it ended.
        self.tell_progress();
        match result {
            Ok(outcome) => {
                for (address, ..) in &outcome.done {
                    self.retries.remove(address);
                }
                for (address, ..) in &outcome.failed {
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
                self.tell(Told::Ran {
                    part: running.part,
                    outcome: Box::new(outcome),
                });
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
                for address in running.part {
                    let retry = Retry::after(self.retries.get(&address), now);
                    self.retries.insert(address, retry);
                }
                self.failed("A run failed", &error, after);
            }
        }
    }

    /// Has a part of the fleet be left alone for a moment, so that nothing is tried all the time.
    fn wait_a_little(&mut self, part: BTreeSet<Address>, now: Instant) {
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

    fn tell_progress(&mut self) {
        while let Ok(progress) = self.progress.1.try_recv() {
            self.tell(Told::Run(progress));
        }
    }

    fn tell(&self, told: Told) {
        // The work goes on whether or not anybody reads of it.
        let _ = self.tell.send(told);
    }

    fn failed(&mut self, message: &str, error: &FleetError, again: Option<Duration>) {
        self.has_failed = true;
        self.pictured.counters.errors += 1;
        let (message, because) = match error {
            FleetError::Diagnostics(diagnostics) => (message.to_owned(), Some(diagnostics.clone())),
            other => (format!("{message}: {other}"), None),
        };
        self.tell(Told::Failed {
            message,
            because,
            again,
        });
    }
}

/// Returns what is recorded of a member.
fn attributes(state: &State, member: &Address) -> Attributes {
    let recorded = state.resources.get(member);
    recorded
        .map(|member| member.object.attributes.clone())
        .unwrap_or_default()
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
    }
}

fn nothing_applied() -> Diagnostics {
    let detail = "Nothing was ever applied here, so there is nothing to keep as it is.";
    Diagnostic::error("Nothing to watch", detail)
        .hint("`simfleet apply` first; `watch` keeps what it made, and sizes its pools")
        .into()
}
