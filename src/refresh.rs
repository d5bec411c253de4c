//! Recorded objects to observed ones: one list for many where a provider has one, else one look each.
//!
//! A list is believed only where it shows an object as it was recorded. Lists lag: what one lacks may be there, and what
//! one shows otherwise may be how an object was before this very record, or gone. Each such object is looked at. That an
//! object was changed a moment ago by somebody else, and the list still shows it as recorded, the next refresh tells.

use std::borrow::Cow;
use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};
use simfleet_provider_api::{Address, Kind, Object, Observed, Provider, Schema};
use simfleet_state::{ProviderConfig, Resource, State};

use crate::builtin;
use crate::lower::{self, reached_by};
use crate::plan::drift;
use crate::providers::Providers;

/// What was seen of each recorded resource.
pub type Observations = BTreeMap<Address, Observed>;

/// From how many recorded objects of a kind on a list is asked for instead of each object.
const LIST_FROM: usize = 3;

/// The recorded objects of one kind at one provider.
type Group<'a> = (Cow<'a, ProviderConfig>, &'a Kind, Vec<(&'a Address, &'a Resource)>);

/// Looks at every recorded object. An object that cannot be looked at is `Unreachable`, never absent.
///
/// Nodes come first: what runs on one is asked for where that node is now.
pub async fn refresh(state: &State, providers: &Providers, parallelism: usize) -> Observations {
    let (mut own, mut hosted) = (Vec::new(), Vec::new());
    let mut seen = Observations::new();
    for (address, resource) in &state.resources {
        if &*resource.declared.provider.name == builtin::NAME {
            seen.insert(address.clone(), Observed::Present(resource.object.clone()));
        } else if resource.declared.hosted_on.is_some() {
            hosted.push((address, resource));
        } else {
            own.push((address, resource));
        }
    }
    let is_gone = |resource: &Resource, seen: &Observations| {
        let host = resource.declared.hosted_on.as_ref();
        let machine = host.and_then(|host| state.resources.get(host));
        machine.is_some_and(|machine| lower::is_machine(&machine.declared.kind))
            && host.is_some_and(|host| seen.get(host) == Some(&Observed::Absent))
    };
    for resources in [own, hosted] {
        // With a machine all goes that was on it, and nobody answers where it was.
        let (gone, resources): (Vec<_>, Vec<_>) = resources.into_iter().partition(|(_, it)| is_gone(it, &seen));
        seen.extend(gone.into_iter().map(|(address, _)| (address.clone(), Observed::Absent)));
        let looks = groups(resources, &seen)
            .into_iter()
            .map(|(config, kind, members)| look_at_group(config, kind, members, providers, parallelism));
        let looked: Vec<_> = stream::iter(looks)
            .buffer_unordered(parallelism.max(1))
            .flat_map(stream::iter)
            .collect()
            .await;
        seen.extend(looked);
    }
    seen
}

fn groups<'a>(resources: Vec<(&'a Address, &'a Resource)>, seen: &Observations) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut index: BTreeMap<(String, &Kind), usize> = BTreeMap::new();
    for (address, resource) in resources {
        let declared = &resource.declared;
        let host = match declared.hosted_on.as_ref().and_then(|host| seen.get(host)) {
            Some(Observed::Present(host)) => Some(&host.attributes),
            _ => None,
        };
        let config = reached_by(&declared.provider, host);
        let key = (crate::providers::settings_key(&config), &declared.kind);
        let group = *index.entry(key).or_insert_with(|| {
            groups.push((config, &declared.kind, Vec::new()));
            groups.len() - 1
        });
        groups[group].2.push((address, resource));
    }
    groups
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
    config: Cow<'_, ProviderConfig>,
    kind: &Kind,
    members: Vec<(&Address, &Resource)>,
    providers: &Providers,
    parallelism: usize,
) -> Vec<(Address, Observed)> {
    match providers.configured(&config).await {
        Ok(provider) => {
            let schema = providers.registry().schema(&config.name, kind);
            look_at(&provider, kind, schema, members, parallelism).await
        }
        Err(error) => all_unreachable(members, &error.to_string()),
    }
}

async fn look_at(
    provider: &dyn Provider,
    kind: &Kind,
    schema: Option<&Schema>,
    mut members: Vec<(&Address, &Resource)>,
    parallelism: usize,
) -> Vec<(Address, Observed)> {
    let mut seen = Vec::with_capacity(members.len());
    let mut listed = BTreeMap::new();
    if members.len() >= LIST_FROM {
        match provider.list(kind).await {
            Ok(Some(objects)) => listed.extend(objects.into_iter().map(|object| (object.id.clone(), object))),
            Ok(None) => {}
            // A far side that answers neither the list nor a look at one object is not asked for each of the others:
            // every question may take a time-out.
            Err(error) if error.is_transient() => {
                let (address, first) = members.remove(0);
                let first = look(provider, kind, first).await;
                let lost = match &first {
                    Observed::Unreachable { reason } => Some(reason.clone()),
                    _ => None,
                };
                seen.push((address.clone(), first));
                if let Some(reason) = lost {
                    seen.extend(all_unreachable(members, &reason));
                    return seen;
                }
            }
            // Looking at each object tells what is wrong, object by object.
            Err(_) => {}
        }
    }
    let looks = members.into_iter().map(async |(address, resource)| {
        let observed = match listed.get(&resource.object.id) {
            Some(object) if is_as_recorded(object, resource, schema) => Observed::Present(object.clone()),
            Some(_) | None => look(provider, kind, resource).await,
        };
        (address.clone(), observed)
    });
    let looks: Vec<_> = stream::iter(looks).buffer_unordered(parallelism.max(1)).collect().await;
    seen.extend(looks);
    seen
}

fn is_as_recorded(object: &Object, resource: &Resource, schema: Option<&Schema>) -> bool {
    let recorded = &resource.object;
    let differs = |schema| !drift(schema, &recorded.attributes, &object.attributes).is_empty();
    object.version == recorded.version && !schema.is_none_or(differs)
}

async fn look(provider: &dyn Provider, kind: &Kind, resource: &Resource) -> Observed {
    let looked = provider.read(kind, &resource.object.id).await;
    looked.unwrap_or_else(|error| Observed::Unreachable {
        reason: error.to_string(),
    })
}

fn all_unreachable(members: Vec<(&Address, &Resource)>, reason: &str) -> Vec<(Address, Observed)> {
    let unreachable = || Observed::Unreachable {
        reason: reason.to_owned(),
    };
    members
        .into_iter()
        .map(|(address, _)| (address.clone(), unreachable()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use simfleet_provider_api::{
        Attributes, Found, Handle, Object, ObjectId, ProviderError, ProviderName, Step, Token,
    };
    use simfleet_state::{Declaration, Timeouts};

    use super::*;

    /// A far side of which each answer takes 10 s, and that lists nothing.
    #[derive(Debug)]
    struct Slow {
        list: Result<Option<Vec<Object>>, ProviderError>,
        read: Observed,
        reads: AtomicUsize,
    }

    const ANSWER: std::time::Duration = std::time::Duration::from_secs(10);

    fn never<T>() -> Result<T, ProviderError> {
        Err(ProviderError::Broken {
            message: "a refresh changes nothing".to_owned(),
        })
    }

    #[async_trait]
    impl Provider for Slow {
        async fn read(&self, _: &Kind, _: &ObjectId) -> Result<Observed, ProviderError> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(ANSWER).await;
            Ok(self.read.clone())
        }

        async fn list(&self, _: &Kind) -> Result<Option<Vec<Object>>, ProviderError> {
            tokio::time::sleep(ANSWER).await;
            self.list.clone()
        }

        async fn find(&self, _: &Kind, _: &Token, _: &Attributes) -> Result<Found, ProviderError> {
            never()
        }

        async fn create(&self, _: &Kind, _: &Token, _: &Attributes) -> Result<Step, ProviderError> {
            never()
        }

        async fn update(&self, _: &Kind, _: &Object, _: &Attributes, _: &Token) -> Result<Step, ProviderError> {
            never()
        }

        async fn delete(&self, _: &Kind, _: &Object, _: &Token) -> Result<Step, ProviderError> {
            never()
        }

        async fn poll(&self, _: &Kind, _: &Handle) -> Result<Step, ProviderError> {
            never()
        }
    }

    fn resource(number: usize) -> (Address, Resource) {
        let object = Object {
            id: ObjectId(format!("id-{number}").into()),
            attributes: Attributes::new(),
            token: None,
            version: None,
        };
        let declared = Declaration {
            kind: "process".to_owned().into(),
            provider: ProviderConfig {
                name: ProviderName::from("slow".to_owned()),
                settings: Attributes::new(),
            },
            schema_version: 1,
            inputs: Attributes::new(),
            depends_on: Vec::new(),
            hosted_on: None,
            prevent_destroy: false,
            create_before_destroy: false,
            drain: None,
            health_check: None,
            agent: None,
            timeouts: Timeouts::default(),
        };
        let resource = Resource {
            declared,
            object,
            tainted: None,
            cordoned: None,
            created: jiff::Timestamp::UNIX_EPOCH,
            serial: 1,
        };
        (Address::new("node", [format!("n{number}")]), resource)
    }

    #[tokio::test(start_paused = true)]
    async fn a_far_side_that_does_not_answer_is_not_asked_for_each_object() {
        let lost = || ProviderError::NotSent {
            message: "no answer".to_owned(),
            retry_after: None,
        };
        let unreachable = Observed::Unreachable {
            reason: "no answer".to_owned(),
        };
        for (name, list, read, members, reads, waits) in [
            ("nothing answers", Err(lost()), unreachable.clone(), 100, 1, 2),
            ("the list alone fails", Err(lost()), Observed::Absent, 101, 101, 12),
            ("there is no list", Ok(None), unreachable.clone(), 100, 100, 11),
            ("few are looked at at once", Ok(None), unreachable.clone(), 2, 2, 1),
        ] {
            let far = Slow {
                list,
                read: read.clone(),
                reads: AtomicUsize::new(0),
            };
            let resources: Vec<_> = (0..members).map(resource).collect();
            let group = resources
                .iter()
                .map(|(address, resource)| (address, resource))
                .collect();
            let begun = tokio::time::Instant::now();
            let seen = look_at(&far, &"process".to_owned().into(), None, group, 10).await;
            assert_eq!(begun.elapsed(), ANSWER * waits, "{name}");
            assert_eq!(far.reads.into_inner(), reads, "{name}");
            let seen: Observations = seen.into_iter().collect();
            assert_eq!(seen.len(), members, "{name}");
            assert!(seen.values().all(|one| *one == read), "{name}");
        }
    }
}
