//! What is done with simulators and leaves what is wanted of them as it is.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};
use simfleet_provider_api::{Act, Address, Provider, Runtime, Token};
use tokio::sync::{mpsc, watch};

use super::super::{Fleet, FleetError};
use super::look::Reached;
use super::{done, locks_of, not_done};
use crate::apply::{self, Progress};
use crate::config::blocks::Limits;
use crate::control::{Control, Done, Now, able};
use crate::diagnostic::Diagnostic;
use crate::lower::check_loaded;

impl Fleet {
    /// Does something with simulators that leaves what is wanted of them as it is.
    pub(super) async fn act(
        &self,
        act: &Act,
        targets: &[Address],
        progress: &mpsc::UnboundedSender<Progress>,
        stop: &watch::Receiver<bool>,
    ) -> Result<Vec<Done>, FleetError> {
        let before = self.snapshot().await?;
        let locks = locks_of(targets.iter(), &before.state);
        let mut journal = self.lock_or_stop(&locks, progress, Some(stop)).await?;
        let now = self.snapshot().await?;
        let providers = self.providers(&now);
        let control = Control::Act(act.clone());
        let acts = async {
            let reached = self.look_for(targets, &now.state, &providers).await;
            let acts = reached.into_iter().map(async |one| match one {
                Ok(one) => {
                    let acted = act_on(&control, act, &one, &self.config.limits).await;
                    let now = |remark| Now {
                        is_news: true,
                        until: None,
                        remark,
                    };
                    Done {
                        address: one.address,
                        result: acted.map(now),
                    }
                }
                Err((address, why)) => done(&address, Err(why), None),
            });
            let acts = stream::iter(acts).buffered(self.options.parallelism.max(1));
            acts.collect::<Vec<_>>().await
        };
        let all = apply::under_lease(&mut *journal, acts)
            .await
            .map_err(FleetError::Ended)?;
        journal.close().await?;
        Ok(all)
    }
}

/// Does something with one simulator. Returns what else there is to know of it.
async fn act_on(control: &Control, act: &Act, one: &Reached, limits: &Limits) -> Result<Option<String>, Diagnostic> {
    able(&one.address, control.verb(), control.ability(), &one.abilities())?;
    control.change(&one.address, &one.object.attributes)?;
    if let Act::Load { program, .. } = act {
        check_loaded(limits, &one.address, program)?;
    }
    let Some(runtime) = one.provider.runtime() else {
        return Ok(None);
    };
    let token = Token(uuid::Uuid::new_v4().simple().to_string().into());
    let before = snapshots(runtime, act, one).await;
    let acted = runtime.act(&one.kind, &one.object, act, &token).await;
    acted.map_err(|error| not_done(control, &one.address, &error.to_string()))?;
    let after = snapshots(runtime, act, one).await;
    // More than are kept: the oldest go.
    let gone: Vec<String> = (&before - &after).into_iter().collect();
    Ok((!gone.is_empty()).then(|| format!("and no more is kept: {}", gone.join(", "))))
}

/// Returns the names of the snapshots that there are, where one is made; none where that cannot be told.
async fn snapshots(runtime: &dyn Runtime, act: &Act, one: &Reached) -> BTreeSet<String> {
    if !matches!(act, Act::Snapshot { .. }) {
        return BTreeSet::new();
    }
    let all = runtime.snapshots(&one.kind, &one.object).await.unwrap_or_default();
    all.into_iter().map(|snapshot| snapshot.name).collect()
}
