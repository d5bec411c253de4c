//! The loop. See the module above.
//!
//! - [`deciding`]: asking sources, and what is decided of their answers; [`looking`]: at what is there, and how healthy it is;
//!   [`listening`]: to far sides that tell what happens
//! - [`wanted`]: what is to be: what was last applied, the files beside it, and what was decided
//! - [`applying`]: the plan of a lap, and the runs over its parts; [`retry`]: when what did not work is tried again
//! - [`alerting`]: what is measured for alerts, and which of them fire
//! - [`telling`]: what is told, and to whom; [`waiting`]: for the next lap; [`standby`]: for the lead
//! - [`work`]: what takes long, as futures that the loop polls

mod alerting;
mod applying;
mod deciding;
mod listening;
mod looking;
mod reaching;
mod retry;
mod standby;
mod telling;
mod waiting;
mod wanted;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use simfleet_provider_api::Address;
use simfleet_state::{Allocation, ConfigDigest, StateError};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::alerting::Alerts;
use self::listening::Listeners;
use self::retry::{AGAIN, RARELY, Retry};
use self::work::Work;
use super::health::Healths;
use super::known::Known;
use super::lead::{Lead, Standing};
use super::looks::{Looked, Looks};
use super::memory::Memory;
use super::pending::{Files, Pending};
use super::pool::{Answers, Servers};
use super::published::{Pictured, Present, Published, StuckPicture};
use super::run::{Ran, Running};
use super::sources::Sources;
use super::{Ended, How, Told};
use crate::apply::Progress;
use crate::config::blocks::Pool;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fleet::{Fleet, FleetError, Goal};
use crate::health::Verdict;
use crate::lower::Wanted;
use crate::providers::Providers;
use crate::scale::Decision;
use crate::signals::EventName;
use crate::signals::webhooks::{News, Webhooks};

/// How often it is looked whether it leads, where nothing else is due; a task of its own renews the lead more often.
const RENEW: Duration = Duration::from_secs(10);
/// How often far sides are looked at where no pool is decided on more often, and how much less often while nothing changes.
const LOOK: Duration = Duration::from_secs(15);
const QUIET: u32 = 4;
/// How long is waited at least between two laps.
const GAP: Duration = Duration::from_millis(100);
/// How often the files are looked at.
const FILES: Duration = Duration::from_secs(2);

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
    /// How many members were recorded, and the values of the checks.
    members: usize,
    values: BTreeMap<String, f64>,
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
    /// Who wants to know of what was read, and who tells of what was done by hand.
    reread: Option<watch::Sender<Fleet>>,
    changed: Option<mpsc::UnboundedReceiver<()>>,
    files_due: Instant,
    pending: Option<Pending>,
    /// The serial of the state of which that was told.
    was_pending_at: u64,

    /// What is recorded, as it was last read.
    known: Option<Arc<Known>>,
    leader: Option<Lead>,
    renew: Instant,
    /// Whether it waits for the lead.
    stands_by: bool,
    /// Who wants to know whether it leads, and where it is reached by those who wait for that.
    standing: Option<watch::Sender<Standing>>,
    url: Option<Arc<str>>,
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
    listeners: Listeners,
    providers: Option<Arc<Providers>>,

    runs: Work<Ran>,
    running: BTreeMap<u64, Running>,
    begun: u64,
    retries: BTreeMap<Address, Retry>,
    /// What is left as it is as long as somebody has it, as it was told.
    kept: BTreeMap<Address, Allocation>,
    /// Whether something changed since the last plan.
    is_stale: bool,
    has_planned: bool,
    planned_at: Instant,
    /// The instant that the last plan was made of, and when the schedule of a simulator next has it be another.
    planned_of: Option<Timestamp>,
    next_change: Option<Timestamp>,
    has_failed: bool,
    /// Whether something has happened since the last lap.
    is_woken: bool,
    /// When the next lap is made at the soonest, and why there was none.
    not_before: Instant,
    lap_failed: Option<String>,
    /// The serial of the state when it began.
    since: u64,
    /// What it shows of itself.
    pictured: Pictured,
    /// Who is told of events, and what is new of them.
    webhooks: Webhooks,
    webhook_news: mpsc::UnboundedReceiver<(Address, News)>,
    /// How many simulators have no place on each pool or node.
    unplaced: BTreeMap<Address, usize>,
    /// What is recorded and not there.
    lost: BTreeSet<Address>,
    /// Nodes and members that cannot be reached, as was told.
    unreachable: BTreeSet<Address>,
    /// The pools that would be larger than they may be.
    at_max: BTreeSet<Address>,
    alerts: Alerts,
    /// What has failed again and again.
    stuck: BTreeMap<Address, StuckPicture>,
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
        let (news, webhook_news) = mpsc::unbounded_channel();
        Watch {
            webhooks: Webhooks::new(telling::sender(&files), news),
            webhook_news,
            unplaced: BTreeMap::new(),
            lost: BTreeSet::new(),
            unreachable: BTreeSet::new(),
            at_max: BTreeSet::new(),
            alerts: Alerts::default(),
            stuck: BTreeMap::new(),
            files,
            how,
            sources,
            tell,
            stop,
            wake,
            looked_at_files: None,
            reread: None,
            changed: None,
            files_due: Instant::now(),
            pending: None,
            was_pending_at: 0,
            progress: mpsc::unbounded_channel(),
            known: None,
            leader: None,
            renew: Instant::now(),
            stands_by: false,
            standing: None,
            url: None,
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
            listeners: Listeners::default(),
            providers: None,
            runs: Work::default(),
            running: BTreeMap::new(),
            begun: 0,
            retries: BTreeMap::new(),
            kept: BTreeMap::new(),
            is_stale: true,
            has_planned: false,
            planned_at: Instant::now(),
            planned_of: None,
            next_change: None,
            has_failed: false,
            is_woken: true,
            not_before: Instant::now(),
            lap_failed: None,
            since: 0,
            pictured: Pictured::default(),
        }
    }

    /// Has it show what it knows after each lap, and the fleet whenever it has read its files. What comes by `changed` says
    /// that something was done by hand, so that there is more to show.
    pub fn showing(
        mut self,
        to: watch::Sender<Option<Arc<Published>>>,
        fleet: watch::Sender<Fleet>,
        changed: mpsc::UnboundedReceiver<()>,
    ) -> Self {
        self.pictured.show(to);
        self.reread = Some(fleet);
        self.changed = Some(changed);
        self
    }

    async fn make_laps(&mut self) -> Result<Ended, FleetError> {
        let snapshot = self.files.snapshot().await?;
        if Goal::of(&snapshot.state).is_none() {
            return Err(nothing_applied().into());
        }
        if self.how.dry_run {
            self.stand(Standing::OnlyLooks);
        } else if !self.take_lead().await? {
            return Ok(Ended::Well);
        }
        // Another one may have led meanwhile.
        let snapshot = self.files.snapshot().await?;
        self.recall().await?;
        self.since = snapshot.state.serial;
        let resources = snapshot.state.resources.len();
        let pools = snapshot.state.pools.len();
        self.tell(Told::Watching { pools, resources });
        while !self.is_asked_to_end() {
            let (began, due) = (Instant::now(), self.next_due());
            if began >= due {
                match self.lap().await {
                    Ok(()) => {
                        self.lap_failed = None;
                        self.pictured
                            .lap(self.now(), began, began.saturating_duration_since(due));
                        // What happens in quick succession belongs to one lap.
                        self.not_before = Instant::now() + began.elapsed().max(GAP);
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
            telling: self.listeners.telling(),
            due: &self.due,
            running: self.running.values().map(|running| running.part.clone()).collect(),
            pending: self.pending.as_ref().map(ToString::to_string),
            trouble: self.lap_failed.clone().or_else(|| self.refused.clone()),
            is_ready: (self.has_planned || self.stands_by) && self.refused.is_none(),
            is_standby: self.stands_by,
            webhooks: self.webhooks.counts(),
            alerts: self.alerts.pictures(),
            stuck: self.stuck.clone(),
            now: self.files.host().now(),
        });
    }

    /// Notes that there was no lap: the next is made after a while, and what is wrong is told once.
    fn could_not_lap(&mut self, error: &FleetError) {
        (self.is_stale, self.is_woken) = (true, true);
        self.not_before = Instant::now() + AGAIN;
        self.pictured.counters.laps_failed += 1;
        let why = match error {
            FleetError::Diagnostics(diagnostics) => format!("{diagnostics:?}"),
            other => other.to_string(),
        };
        if self.lap_failed.as_ref() != Some(&why) {
            self.lap_failed = Some(why);
            self.failed(EventName::LapFailed, "Nothing can be decided", error, Some(AGAIN));
        }
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
    async fn end(&mut self) -> Result<Ended, FleetError> {
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

    /// Makes a lap: begins what is due, decides what has been answered, and has done what is to be done.
    async fn lap(&mut self) -> Result<(), FleetError> {
        self.is_woken = false;
        if let Some(leader) = &self.leader {
            leader.check().await?;
        }
        let known = self.read().await?;
        self.enforce(known.state());
        self.tell_lost(known.state());
        self.tell_unreachable(known.state());
        self.decide(&known).await?;
        self.check_alerts(known.state()).await?;
        self.ask(&known);
        self.listen(&known);
        self.look(&known);
        self.check(&known);
        if Instant::now() >= self.files_due {
            self.files_due = Instant::now() + FILES;
            self.look_at_files(&known.snapshot).await?;
        }
        let is_due = |retry: &Retry| retry.at > self.planned_at && retry.at <= Instant::now();
        self.is_stale |= self.has_ended(&known);
        if self.is_stale || self.retries.values().any(is_due) {
            self.reconcile(&known.snapshot)?;
        }
        Ok(())
    }

    /// Reads what is recorded, where it is other than before. All of a lap is of this: what was applied, and what is there. Where
    /// a plan is to be made it is read in any case, as its serial does not tell who has which locks.
    async fn read(&mut self) -> Result<Arc<Known>, FleetError> {
        let before = self.known.as_ref().map(|known| &known.snapshot);
        let before = before.filter(|_| !self.is_stale);
        let snapshot = self.files.snapshot_since(before).await?;
        if let Some(known) = &self.known
            && Arc::ptr_eq(&known.snapshot, &snapshot)
        {
            return Ok(Arc::clone(known));
        }
        self.pictured.snapshot = Some(Arc::clone(&snapshot));
        let known = Arc::new(Known::of(snapshot));
        self.known = Some(Arc::clone(&known));
        let looks = Arc::clone(&self.looks);
        self.doubt(&known, |objects| looks.are_outdated(objects, known.state()));
        if self.running.is_empty() {
            self.look_at_what_waits();
        }
        Ok(known)
    }

    fn now(&self) -> Timestamp {
        self.files.host().now()
    }
}

fn nothing_applied() -> Diagnostics {
    let detail = "Nothing was ever applied here, so there is nothing to keep as it is.";
    Diagnostic::error("Nothing to watch", detail)
        .hint("`simfleet apply` first; `watch` keeps what it made, and sizes its pools")
        .into()
}
