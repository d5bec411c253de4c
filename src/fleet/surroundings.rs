//! What of the surroundings of a run is wrong for its providers, told by a plan: `DOCKER_HOST`, a context, a region.

use std::collections::BTreeMap;

use simfleet_provider_api::ProviderError;

use super::Fleet;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{Action, Planned};
use crate::providers::settings_key;

/// The provider that makes a folder when it is configured; its surroundings are this machine.
const LOCAL: &str = "local";

impl Fleet {
    /// Makes sure that the providers of what is to be made can be configured, as an apply will. Nobody is connected to, and what
    /// is on nodes that are not there yet is not known.
    pub(super) async fn check_providers(&self, planned: &Planned<'_>) -> Result<(), Diagnostics> {
        let is_made = |action| matches!(action, Action::Create | Action::Replace);
        let made = planned.plan.changes.iter().filter(|change| is_made(change.action));
        let configs = made.filter(|change| change.hosted_on.is_none()).filter_map(|change| {
            let config = change.provider.as_ref().filter(|config| &*config.name != LOCAL)?;
            let is_known = config.settings.to_value().unknown_origin().is_none();
            is_known.then(|| (settings_key(config), (&change.address, config)))
        });
        let configs: BTreeMap<String, _> = configs.collect();
        let providers = self.providers(&planned.snapshot);
        let mut found = Diagnostics::new();
        for (address, config) in configs.into_values() {
            let Err(ProviderError::Rejected { message, .. }) = providers.configured(config).await else {
                continue;
            };
            let block = self.config.providers.iter().find(|block| block.name == config.name);
            let detail = format!("Provider `{}`: {}.", config.name, message.trim_end_matches('.'));
            let diagnostic = Diagnostic::error("Provider cannot be used", detail).on(address.clone());
            found.push(diagnostic.at(block.map(|block| block.span.clone())));
        }
        found.or(()).map(|_| ())
    }
}
