//! Taking the lead, and waiting for it: a watch that stands by shows what is recorded, and decides and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use simfleet_provider_api::Address;
use simfleet_state::{Holder, Journal, StateError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::waiting::told;
use super::{Alerts, Enforced, LOOK, QUIET, Watch, nothing_applied};
use crate::fleet::{FleetError, Goal};
use crate::signals::EventName;
use crate::watch::known::Known;
use crate::watch::lead::{Lead, Leader, Standing};
use crate::watch::looks::Looked;
use crate::watch::{Ended, Told};

/// How often it is looked whether somebody leads, and what is recorded.
const RETRY: Duration = Duration::from_secs(2);
/// How far back the last lap of a pool is looked for: one is kept every minute.
const LAPS: SignedDuration = SignedDuration::from_mins(10);

/// A lead that was just taken.
type Taken = (Holder, Box<dyn Journal>);

impl Watch {
    /// Has it show whether it leads, and be reached at a URL by those who wait for that.
    pub fn standing(mut self, to: watch::Sender<Standing>, url: impl Into<Arc<str>>) -> Self {
        self.standing = Some(to);
        self.url = Some(url.into());
        self
    }

    /// Watches until it is asked to end; with `once`, until one lap is done. With `standby`, it waits while another one leads.
    ///
    /// # Errors
    /// Another one watches this fleet, or took over; nothing was ever applied.
    pub async fn watch(mut self) -> Result<Ended, FleetError> {
        loop {
            let ended = self.make_laps().await;
            let is_superseded = matches!(&ended, Err(FleetError::State(StateError::Fenced { .. })));
            let goes_on = is_superseded && self.how.standby && !self.is_asked_to_end();
            if goes_on {
                self.step_down().await;
            }
            self.close_webhooks().await;
            match goes_on {
                true => self = self.anew(),
                false => return ended,
            }
        }
    }

    /// Returns one that begins, with what it was given.
    fn anew(self) -> Self {
        let Watch {
            files,
            how,
            sources,
            tell,
            stop,
            wake,
            ..
        } = self;
        let mut pictured = self.pictured;
        pictured.begin_anew();
        Watch {
            pictured,
            reread: self.reread,
            changed: self.changed,
            standing: self.standing,
            url: self.url,
            ..Watch::new(files, how, sources, tell, stop, wake)
        }
    }

    /// Takes the lead; waits for it where it was started to. Returns whether it leads: not so where it was asked to end before.
    pub(super) async fn take_lead(&mut self) -> Result<bool, FleetError> {
        let (taken, after) = match self.files.lead().await {
            Err(FleetError::State(StateError::Locked(_))) if self.how.standby => match self.stand_by().await {
                (Some(taken), after) => (taken, after),
                (None, _) => return Ok(false),
            },
            taken => (taken?, None),
        };
        let (holder, journal) = taken;
        let host = Arc::clone(self.files.host());
        let leader = Arc::new(Leader::new(holder, self.url.clone(), &*host));
        self.leader = Some(Lead::keep(journal, leader.note(host.now())));
        self.stand(Standing::Leads(leader));
        if self.how.standby {
            self.tell(Told::Leads { after });
        }
        Ok(true)
    }

    /// Reads what is remembered.
    pub(super) async fn recall(&mut self) -> Result<(), FleetError> {
        let now = self.now();
        for (pool, text) in self.files.store().memories().await? {
            let taken = match pool.block() {
                // What the last leader left for those who stood by.
                "watch" => continue,
                "alert" => serde_json::from_str(&text).map(|memory| self.alerts.recall(pool.clone(), memory, now)),
                _ => serde_json::from_str(&text).map(|memory| drop(self.memories.insert(pool.clone(), memory))),
            };
            match taken {
                Ok(()) => {}
                Err(error) => self.tell(Told::Failed {
                    event: EventName::LapFailed,
                    message: format!("What is remembered of {pool} cannot be understood, and begins anew: {error}"),
                    because: None,
                    again: None,
                }),
            }
        }
        Ok(())
    }

    /// Ends, in order, what was begun while it led, where somebody else does now.
    pub(super) async fn step_down(&mut self) {
        self.stand(Standing::StandsBy(None));
        // What cannot be given up is not its own any more.
        let _ = self.end().await;
    }

    pub(super) fn stand(&self, standing: Standing) {
        if let Some(to) = &self.standing {
            to.send_replace(standing);
        }
    }

    /// Waits for the lead. Returns it, unless it was asked to end before, and who led last.
    async fn stand_by(&mut self) -> (Option<Taken>, Option<String>) {
        self.stands_by = true;
        let mut last: Option<Arc<Leader>> = None;
        let taken = loop {
            if self.is_asked_to_end() {
                break None;
            }
            match self.follow(&mut last).await {
                Ok(Some(taken)) => break Some(taken),
                Ok(None) => self.lap_failed = None,
                Err(error) => self.could_not_follow(&error),
            }
            self.publish();
            self.rest().await;
        };
        self.stands_by = false;
        // What it showed meanwhile is the past of another one.
        (self.enforced, self.refused, self.lap_failed) = (None, None, None);
        self.alerts = Alerts::default();
        self.pictured.begin_anew();
        self.look_due.clear();
        (self.looked_at_files, self.pending, self.files_due) = (None, None, Instant::now());
        (taken, last.map(|leader| leader.holder.to_string()))
    }

    /// Looks who leads, and at what is recorded; takes the lead where nobody has it.
    async fn follow(&mut self, last: &mut Option<Arc<Leader>>) -> Result<Option<Taken>, FleetError> {
        let holder = self.files.led_by().await?;
        let before = self.known.as_ref().map(|known| &known.snapshot);
        let snapshot = self.files.snapshot_since(before).await?;
        if Goal::of(&snapshot.state).is_none() {
            return Err(nothing_applied().into());
        }
        if before.is_none_or(|before| !Arc::ptr_eq(before, &snapshot)) {
            self.known = Some(Arc::new(Known::of(snapshot)));
        }
        let Some(holder) = holder else {
            return match self.files.lead().await {
                Ok(taken) => Ok(Some(taken)),
                // Somebody else was sooner.
                Err(FleetError::State(StateError::Locked(_))) => Ok(None),
                Err(error) => Err(error),
            };
        };
        self.read_files();
        let memories = match self.pictured.is_wanted() {
            true => self.files.store().memories().await?,
            false => BTreeMap::new(),
        };
        let is_news = last.as_ref().is_none_or(|last| last.holder.id != holder.id);
        let leader = Arc::new(Leader::known(holder, &memories));
        if is_news {
            self.tell(Told::StandsBy {
                leader: leader.holder.to_string(),
            });
        }
        self.stand(Standing::StandsBy(Some(Arc::clone(&leader))));
        *last = Some(leader);
        self.mirror(&memories).await?;
        Ok(None)
    }

    /// Shows what is recorded, with what the leader has kept beside it.
    async fn mirror(&mut self, memories: &BTreeMap<Address, Arc<str>>) -> Result<(), FleetError> {
        let Some(known) = self.known.clone().filter(|_| self.pictured.is_wanted()) else {
            return Ok(());
        };
        let state = known.state();
        let is_known = |enforced: &Enforced| enforced.digest == state.intended;
        if !self.enforced.as_ref().is_some_and(is_known) {
            match self.applied(state) {
                Ok((enforced, _, alerts)) => {
                    self.alerts.declare(alerts);
                    self.enforced = Some(enforced);
                    self.refused = None;
                }
                // The leader tells it.
                Err(error) => self.refused = Some(error.to_string()),
            }
        }
        self.alerts.mirror(memories);
        let now = self.now();
        let since = now.checked_sub(LAPS).unwrap_or(now);
        for (address, pool) in self.enforced.iter().flat_map(|enforced| &enforced.pools) {
            let laps = self.files.store().laps(address, since).await?;
            let members = known.members.members(address).count();
            self.pictured.kept(address, pool, members, laps.into_iter().next_back());
        }
        self.pictured.snapshot = Some(Arc::clone(&known.snapshot));
        self.pictured.followed(now);
        self.look(&known);
        Ok(())
    }

    /// Notes that it is not known who leads, or what is recorded; what is wrong is told once.
    fn could_not_follow(&mut self, error: &FleetError) {
        let why = match error {
            FleetError::Diagnostics(diagnostics) => format!("{diagnostics:?}"),
            other => other.to_string(),
        };
        if self.lap_failed.as_ref() != Some(&why) {
            self.lap_failed = Some(why);
            self.failed(
                EventName::LapFailed,
                "What is recorded cannot be followed",
                error,
                Some(RETRY),
            );
        }
        self.stand(Standing::StandsBy(None));
    }

    /// Waits until it is to look again.
    async fn rest(&mut self) {
        let until = Instant::now() + RETRY;
        loop {
            tokio::select! {
                looked = self.looking.next() => self.take_rare_look(looked),
                Some(()) = self.wake.recv() => {
                    self.looked_at_files = None;
                    return;
                }
                // What was asked for before it lost the lead has ended.
                () = told(self.changed.as_mut()) => {}
                Some(progress) = self.progress.1.recv() => self.tell(Told::Run(progress)),
                _ = self.stop.changed() => return,
                () = tokio::time::sleep_until(until) => return,
            }
        }
    }

    /// Takes in a look at a far side; nothing is decided of it, so that the next one can wait.
    fn take_rare_look(&mut self, looked: Looked) {
        let side = looked.side.clone();
        self.take_look(looked);
        self.look_due.insert(side, (Instant::now() + LOOK * QUIET, QUIET));
    }
}
