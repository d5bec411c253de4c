//! Recorded objects to observed ones: one list for many where a provider has one, else one look each.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};
use simfleet_provider_api::{Address, Kind, Object, Observed, Provider, ProviderError};
use simfleet_state::{ProviderConfig, Resource, State};

use crate::builtin;
use crate::providers::Providers;

/// What was seen of each recorded resource.
pub type Observations = BTreeMap<Address, Observed>;

/// From how many recorded objects of a kind on a list is asked for instead of each object.
const LIST_FROM: usize = 3;

/// The recorded objects of one kind at one provider.
type Group<'a> = (&'a ProviderConfig, &'a Kind, Vec<(&'a Address, &'a Resource)>);

/// Looks at every recorded object. An object that cannot be looked at is `Unreachable`, never absent.
pub async fn refresh(state: &State, providers: &Providers, parallelism: usize) -> Observations {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut index: BTreeMap<(String, &Kind), usize> = BTreeMap::new();
    for (address, resource) in &state.resources {
        if &*resource.declared.provider.name == builtin::NAME {
            continue;
        }
        let key = (
            crate::providers::settings_key(&resource.declared.provider),
            &resource.declared.kind,
        );
        let group = *index.entry(key).or_insert_with(|| {
            groups.push((&resource.declared.provider, &resource.declared.kind, Vec::new()));
            groups.len() - 1
        });
        groups[group].2.push((address, resource));
    }
    let looks = groups
        .into_iter()
        .map(|(config, kind, members)| look_at_group(config, kind, members, providers));
    let mut seen: Observations = stream::iter(looks)
        .buffer_unordered(parallelism.max(1))
        .flat_map(stream::iter)
        .collect()
        .await;
    for (address, resource) in &state.resources {
        if &*resource.declared.provider.name == builtin::NAME {
            seen.insert(address.clone(), Observed::Present(resource.object.clone()));
        }
    }
    seen
}

/// Takes every recorded object to be as it was recorded.
pub fn recorded(state: &State) -> Observations {
    let present = |resource: &Resource| Observed::Present(resource.object.clone());
    state
        .resources
        .iter()
        .map(|(address, resource)| (address.clone(), present(resource)))
        .collect()
}

async fn look_at_group(
    config: &ProviderConfig,
    kind: &Kind,
    members: Vec<(&Address, &Resource)>,
    providers: &Providers,
) -> Vec<(Address, Observed)> {
    let provider = match providers.configured(config).await {
        Ok(provider) => provider,
        Err(error) => {
            let unreachable = |_| Observed::Unreachable {
                reason: error.to_string(),
            };
            return members
                .into_iter()
                .map(|(address, _)| (address.clone(), unreachable(())))
                .collect();
        }
    };
    let listed = if members.len() >= LIST_FROM {
        list(&*provider, kind).await
    } else {
        BTreeMap::new()
    };
    let mut seen = Vec::with_capacity(members.len());
    for (address, resource) in members {
        let observed = match listed.get(&resource.object.id) {
            Some(object) => Observed::Present(object.clone()),
            // A list may lag, so what it lacks is looked at.
            None => match provider.read(kind, &resource.object.id).await {
                Ok(observed) => observed,
                Err(error) => Observed::Unreachable {
                    reason: error.to_string(),
                },
            },
        };
        seen.push((address.clone(), observed));
    }
    seen
}

async fn list(provider: &dyn Provider, kind: &Kind) -> BTreeMap<simfleet_provider_api::ObjectId, Object> {
    let listed: Result<_, ProviderError> = provider.list(kind).await;
    match listed {
        Ok(Some(objects)) => objects.into_iter().map(|object| (object.id.clone(), object)).collect(),
        // Looking at each object tells what is wrong, object by object.
        Ok(None) | Err(_) => BTreeMap::new(),
    }
}
