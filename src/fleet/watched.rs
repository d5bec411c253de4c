//! What the scaler needs of a fleet: to be the only one, and to plan of sizes that it decided.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use simfleet_provider_api::Address;
use simfleet_state::{Event, Holder, Host, Journal, LockSet, Snapshot, State, StateStore};
use tokio::sync::mpsc;

use super::mark::Mark;
use super::runs::journal;
use super::{Fleet, FleetError, with_providers};
use crate::apply::Progress;
use crate::config;
use crate::lower::Ruling;
use crate::plan::{Moments, Scaled, Selection};

/// For how long somebody leads who is silent: shorter than other locks last, so that the next one leads soon. It is renewed
/// well within that.
const LEAD: Duration = Duration::from_secs(15);

/// Stands for being the one that watches a fleet: who holds it, does.
pub fn leader() -> Address {
    Address::new("watch", ["leader"])
}

impl Fleet {
    /// Has plans be made of what the scaler has decided and found out.
    pub fn ruled_by(self, ruling: Ruling) -> Self {
        Fleet { ruling, ..self }
    }

    /// Has what depends only on when a plan is made stay as it was applied: `timestamp()`, `uuid()` and
    /// `plantimestamp()`.
    pub fn keeping_moments(self) -> Self {
        Fleet {
            moments: Moments::Keep,
            ..self
        }
    }

    /// Has plans be made at an instant.
    pub fn at(mut self, at: Timestamp) -> Self {
        self.options.at = at;
        self
    }

    /// Has plans be made of a part.
    pub fn select(mut self, selection: Selection) -> Self {
        self.options.selection = selection;
        self
    }

    /// Returns what is declared of the sizes of pools, each instance by itself.
    ///
    /// # Errors
    /// What of the configuration cannot be planned.
    pub fn scaled(&self, state: &State) -> Result<Scaled, FleetError> {
        Ok(self.planner().scaled(state)?)
    }

    /// Becomes the one that watches, for as long as the journal is kept and renewed. Waits for nobody.
    ///
    /// # Errors
    /// Another one watches, or the state cannot be written.
    pub async fn lead(&self) -> Result<(Holder, Box<dyn Journal>), FleetError> {
        let holder = self.holder();
        let locks = LockSet::exclusive([leader()]);
        let opened = self.store.open_for(&holder, &locks, LEAD).await?;
        Ok((holder, journal(opened)))
    }

    /// Returns who watches, where somebody does: not who has died, nor who was silent for longer than a lead lasts.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn led_by(&self) -> Result<Option<Holder>, FleetError> {
        let leases = self.store.leases().await?.into_iter();
        let mut leading =
            leases.filter(|lease| lease.locks.exclusive.contains(&leader()) && !lease.is_over(&*self.walk.host));
        Ok(leading.next().map(|lease| lease.holder))
    }

    /// Returns what is recorded: what was read before, where nothing is recorded since. Its locks can be older then.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn snapshot_since(&self, known: Option<&Arc<Snapshot>>) -> Result<Arc<Snapshot>, FleetError> {
        if let Some(known) = known
            && known.is_of(self.store.head().await?.as_ref())
        {
            return Ok(Arc::clone(known));
        }
        Ok(Arc::new(self.snapshot().await?))
    }

    /// Reads its files again.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn reread(&self) -> Result<Self, FleetError> {
        let (config, warnings) = config::load(&self.options.path, &with_providers(&self.options.inputs))?;
        if config.unavailable.has_errors() {
            return Err(config.unavailable.into());
        }
        Ok(Fleet {
            config: Arc::new(config),
            warnings,
            ..self.clone()
        })
    }

    /// Has this configuration be the one that is enforced.
    ///
    /// # Errors
    /// The state cannot be written.
    pub async fn intend(&self, intended: Event, progress: &mpsc::UnboundedSender<Progress>) -> Result<(), FleetError> {
        let mut journal = self.lock(&LockSet::default(), progress).await?;
        let written = journal.append(&[self.began(), intended]).await.map(drop);
        journal.close().await?;
        Ok(written?)
    }

    /// Where its state is.
    pub fn store(&self) -> &Arc<dyn StateStore> {
        &self.store
    }

    /// The identity of its state, where there is one.
    pub fn lineage(&self) -> Option<Arc<str>> {
        self.mark.as_ref().and_then(Mark::read)
    }

    /// Who runs this: `user@host`.
    pub fn who(&self) -> Arc<str> {
        self.holder().who
    }

    /// Where what a watch told is kept.
    pub fn events_path(&self) -> PathBuf {
        self.folder.with_extension("events.jsonl")
    }

    /// Its clock.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.walk.host
    }
}
