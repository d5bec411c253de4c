//! A look at simulators before something is done with them.

use std::collections::BTreeSet;

use simfleet_provider_api::{Ability, Address, Kind, Object, Observed, Provider};
use simfleet_state::{ProviderConfig, Resource, State};

use super::super::Fleet;
use crate::diagnostic::Diagnostic;
use crate::lower::reached_by;
use crate::providers::{Limited, Providers};
use crate::refresh::refresh;

/// A simulator that was looked at, and who can do something with it.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The simulator.
    pub address: Address,
    /// What it is to its provider.
    pub kind: Kind,
    /// It, as it was just seen.
    pub object: Object,
    /// Its provider, configured.
    pub provider: Limited,
    pub(super) config: ProviderConfig,
    pub(super) resource: Resource,
}

impl Reached {
    /// What can be done with it by hand.
    pub(super) fn abilities(&self) -> Vec<Ability> {
        let runtime = self.provider.runtime();
        runtime.map_or_else(Vec::new, |runtime| runtime.abilities(&self.kind, &self.object))
    }
}

impl Fleet {
    /// Looks at simulators where they are now.
    pub(super) async fn look_for(
        &self,
        targets: &[Address],
        state: &State,
        providers: &Providers,
    ) -> Vec<Result<Reached, (Address, Diagnostic)>> {
        let resource = |address: &Address| Some((address.clone(), state.resources.get(address)?.clone()));
        let mut part = State::default();
        part.resources.extend(targets.iter().filter_map(resource));
        let hosts: BTreeSet<&Address> = part
            .resources
            .values()
            .filter_map(|it| it.declared.hosted_on.as_ref())
            .collect();
        let hosts: Vec<_> = hosts.into_iter().filter_map(resource).collect();
        part.resources.extend(hosts);
        let seen = refresh(&part, providers, self.options.parallelism).await;
        let mut all = Vec::new();
        for address in targets {
            let Some(resource) = part.resources.get(address).cloned() else {
                continue;
            };
            let host = resource.declared.hosted_on.as_ref().and_then(|host| seen.get(host));
            let host = match host {
                Some(Observed::Present(host)) => Some(&host.attributes),
                _ => None,
            };
            let config = reached_by(&resource.declared.provider, host).into_owned();
            all.push(match (seen.get(address), providers.configured(&config).await) {
                (Some(Observed::Present(object)), Ok(provider)) => Ok(Reached {
                    address: address.clone(),
                    kind: resource.declared.kind.clone(),
                    object: object.clone(),
                    provider,
                    config,
                    resource,
                }),
                (Some(Observed::Present(_)), Err(error)) => Err(unreachable(address, &error.to_string())),
                (Some(Observed::Unreachable { reason }), _) => Err(unreachable(address, reason)),
                (Some(Observed::Absent) | None, _) => {
                    let detail = "It is recorded, and is not there any more.";
                    let diagnostic = Diagnostic::error("Gone", detail).on(address.clone());
                    Err((address.clone(), diagnostic.hint("`simfleet apply` makes it anew")))
                }
            });
        }
        all
    }
}

fn unreachable(address: &Address, reason: &str) -> (Address, Diagnostic) {
    let detail = format!("It cannot be reached: {reason}.");
    let diagnostic = Diagnostic::error("Not reachable", detail).on(address.clone());
    let hint = "`simfleet status` says how its node is; `simfleet apply` brings back what ended";
    (address.clone(), diagnostic.hint(hint))
}
