//! What is to be: the configuration that was last applied, the files beside it, and what was decided.

use std::collections::BTreeMap;

use simfleet_provider_api::Address;
use simfleet_state::{Snapshot, State};

use super::{Enforced, Watch, nothing_applied};
use crate::config::blocks::{Alert, Metrics, Webhook};
use crate::fleet::{FleetError, Goal};
use crate::lower::Ruling;
use crate::plan::Scaled;
use crate::signals::EventName;
use crate::watch::Told;
use crate::watch::pending::{Files, Pending};

/// What was last applied: what is enforced, who is told of events, and what someone is told of.
type Applied = (Enforced, BTreeMap<Address, Webhook>, BTreeMap<Address, Alert>);

impl Watch {
    /// Takes over the configuration that was last applied.
    pub(super) fn enforce(&mut self, state: &State) {
        let is_known = |enforced: &Enforced| enforced.digest == state.intended && enforced.digest.is_some();
        if self.enforced.as_ref().is_some_and(is_known) {
            return;
        }
        let enforced = self.applied(state);
        self.is_stale = true;
        self.providers = None;
        match enforced {
            Ok((enforced, webhooks, alerts)) => {
                self.refused = None;
                self.due.retain(|pool, _| enforced.pools.contains_key(pool));
                self.last.retain(|pool, _| enforced.pools.contains_key(pool));
                self.at_max.retain(|pool| enforced.pools.contains_key(pool));
                self.webhooks.set(webhooks);
                self.set_alerts(alerts);
                self.enforced = Some(enforced);
            }
            Err(error) => {
                let message = "What was last applied cannot be enforced";
                if self.refused.as_deref() != Some(&error.to_string()) {
                    self.refused = Some(error.to_string());
                    self.failed(EventName::FleetRefused, message, &error, None);
                }
                self.enforced = None;
            }
        }
    }

    pub(super) fn applied(&self, state: &State) -> Result<Applied, FleetError> {
        let goal = Goal::of(state).ok_or_else(|| FleetError::from(nothing_applied()))?;
        let fleet = self.files.clone().back_to(&goal)?;
        let scaled = match goal {
            Goal::Configuration(_) => fleet.clone().at(self.now()).scaled(state)?,
            Goal::Nothing => Scaled::default(),
        };
        let server = |(address, metrics): (Address, Metrics)| Some((address, metrics.server()?));
        let enforced = Enforced {
            digest: state.intended.clone(),
            fleet,
            pools: scaled.pools,
            servers: scaled.signals.metrics.into_iter().filter_map(server).collect(),
        };
        Ok((enforced, scaled.signals.webhooks, scaled.signals.alerts))
    }

    /// Reads the files, where they are other than before. Returns whether they have no mistakes.
    pub(super) fn read_files(&mut self) -> bool {
        let files = Files::of(self.files.config());
        if self.looked_at_files.as_ref() == Some(&files) {
            return self.pending != Some(Pending::Broken);
        }
        self.looked_at_files = Some(files);
        match self.files.reread() {
            Ok(reread) => {
                if let Some(to) = &self.reread {
                    to.send_replace(reread.clone());
                }
                self.files = reread;
                true
            }
            Err(error) => {
                self.failed(
                    EventName::FleetInvalid,
                    "The files have mistakes, so that what was last applied stays",
                    &error,
                    None,
                );
                self.pending = Some(Pending::Broken);
                false
            }
        }
    }

    /// Tells whether the files are other than what was last applied; takes them over where that was asked for.
    pub(super) async fn look_at_files(&mut self, snapshot: &Snapshot) -> Result<(), FleetError> {
        if !self.read_files() {
            return Ok(());
        }
        let intended = self.files.intended(&snapshot.state);
        let pending = match &intended {
            None => None,
            Some(_) if self.was_pending_at == snapshot.state.serial && self.pending.is_some() => return Ok(()),
            Some(_) => {
                let fleet = self.files.clone().at(self.now()).ruled_by(self.ruling());
                let fleet = fleet.keeping_moments();
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
    pub(super) fn ruling(&self) -> Ruling {
        let last = self.last.iter();
        Ruling {
            sizes: last.map(|(pool, last)| (pool.clone(), last.wanted.clone())).collect(),
            unhealthy: self.healths.unhealthy(),
        }
    }
}
