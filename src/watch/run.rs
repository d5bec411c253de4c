//! One run over a part of the fleet: what an `apply` of it would do, with what was seen before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simfleet_provider_api::Address;
use simfleet_state::ConfigDigest;
use tokio::sync::{mpsc, watch};

use super::looks::Looks;
use crate::apply::{Outcome, Progress};
use crate::fleet::{Fleet, FleetError};
use crate::lower::Wanted;

/// A run that is at work.
#[derive(Debug)]
pub(super) struct Running {
    /// What it is about.
    pub(super) part: BTreeSet<Address>,
    /// What it makes of the pools in it.
    pub(super) sizes: BTreeMap<Address, Wanted>,
    /// What of that was recorded when it began, but for members that waited.
    pub(super) recorded: BTreeSet<Address>,
    /// The members that wait from then on.
    pub(super) resting: BTreeSet<Address>,
    /// Asks it to end.
    pub(super) stop: watch::Sender<bool>,
}

impl Running {
    /// Whether what is wanted now is better begun than what it is at: it is larger, or somebody stays that it has go.
    pub(super) fn is_overtaken(&self, wanted: &BTreeMap<Address, Wanted>) -> bool {
        self.sizes.iter().any(|(pool, at)| {
            wanted
                .get(pool)
                .is_some_and(|now| now.members > at.members || !now.leaving.is_superset(&at.leaving))
        })
    }
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) id: u64,
    pub(super) result: Result<Outcome, FleetError>,
}

/// Carries out a part of the plan: finishes what earlier runs left of it first, and plans it again under what is then
/// recorded, as long as what is `enforced` is what was last applied.
pub(super) async fn run(
    id: u64,
    fleet: Fleet,
    enforced: Option<ConfigDigest>,
    looks: Arc<Looks>,
    progress: mpsc::UnboundedSender<Progress>,
    stop: watch::Receiver<bool>,
) -> Ran {
    let result = async {
        fleet.recover(&progress).await?;
        let snapshot = fleet.snapshot().await?;
        // Something else was applied meanwhile: the next lap plans of that.
        if snapshot.state.intended != enforced {
            return Ok(Outcome::default());
        }
        let seen = looks.of(&snapshot.state);
        let planned = fleet.plan_from(snapshot, seen)?;
        if planned.plan.is_empty() {
            fleet.settle(&planned, &progress).await?;
            return Ok(Outcome::default());
        }
        fleet.apply(planned, &progress, stop).await
    };
    Ran {
        id,
        result: result.await,
    }
}
