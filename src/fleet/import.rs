//! Objects that exist become those of resources.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use simfleet_provider_api::{Address, ObjectId, Observed, Provider};
use simfleet_state::{Snapshot, State};
use tokio::sync::mpsc;

use super::{Fleet, FleetError};
use crate::apply::Progress;
use crate::diagnostic::Diagnostics;
use crate::plan::{Adoptee, Mode};
use crate::providers::Providers;
use crate::refresh::Observations;

impl Fleet {
    /// Has an object that exists be that of a declared resource, and changes nothing. Its id is the provider's. What is a
    /// part of it comes along. Returns the resources that have objects now, and these.
    ///
    /// # Errors
    /// The resource is not declared or has an object already; the object is not there, cannot be reached, or is that of
    /// another resource.
    pub async fn import(
        &self,
        address: &Address,
        id: &Arc<str>,
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<Vec<(Address, ObjectId)>, FleetError> {
        let snapshot = self.snapshot().await?;
        let observations = self.observe(&snapshot).await;
        let adoptee = |state: &State| self.planner().adoptee(state, &observations, address, id);
        let seen = self.look_at(&[adoptee(&snapshot.state)?], &snapshot).await?;
        self.edit(progress, |state| {
            let adoptee = adoptee(state)?;
            let parts = adoptee.parts(&seen, state)?;
            let all = std::iter::once(&adoptee).chain(&parts);
            let mut diagnostics = Diagnostics::new();
            let mut events = Vec::new();
            for one in all.clone() {
                let adopted = one.adopted(seen.get(one.address()), &self.registry);
                events.extend(diagnostics.keep(adopted.map_err(Diagnostics::from)));
            }
            diagnostics.or(())?;
            Ok((
                events,
                all.map(|one| (one.address().clone(), one.id().clone())).collect(),
            ))
        })
        .await
    }

    /// Adds what is seen of the objects that `import` blocks name: without it no plan can be made.
    pub(super) async fn with_imports(
        &self,
        snapshot: &Snapshot,
        mut observations: Observations,
    ) -> Result<Observations, FleetError> {
        if self.options.mode == Mode::Apply {
            let adoptees = self.planner().adoptees(&snapshot.state, &observations)?;
            observations.extend(self.look_at(&adoptees, snapshot).await?);
        }
        Ok(observations)
    }

    /// Looks at objects that are to become those of resources, and at what comes with them.
    async fn look_at(&self, adoptees: &[Adoptee], snapshot: &Snapshot) -> Result<Observations, FleetError> {
        let providers = self.providers(snapshot);
        let mut seen = self.look_at_each(adoptees, &providers).await;
        let mut parts = Vec::new();
        for adoptee in adoptees {
            parts.extend(adoptee.parts(&seen, &snapshot.state)?);
        }
        seen.extend(self.look_at_each(&parts, &providers).await);
        Ok(seen)
    }

    async fn look_at_each(&self, adoptees: &[Adoptee], providers: &Providers) -> Observations {
        let looks = adoptees.iter().map(async |adoptee| {
            let seen = look(adoptee, providers).await;
            (adoptee.address().clone(), seen)
        });
        stream::iter(looks)
            .buffer_unordered(self.options.parallelism.max(1))
            .collect()
            .await
    }
}

async fn look(adoptee: &Adoptee, providers: &Providers) -> Observed {
    let read = async {
        let provider = providers.configured(adoptee.provider()).await?;
        provider.read(adoptee.kind(), adoptee.id()).await
    };
    read.await.unwrap_or_else(|error| Observed::Unreachable {
        reason: error.to_string(),
    })
}
