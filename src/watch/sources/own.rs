//! What simfleet measures of members by itself: their agents do, else their provider does.

use std::collections::BTreeMap;

use futures::future;
use futures::stream::{self, StreamExt};
use simfleet_provider_agent::AgentClient;
use simfleet_provider_api::{Kind, Metric, ObjectId, Provider};
use simfleet_state::ProviderConfig;

use super::{Asked, Question, Values};
use crate::providers::settings_key;

/// How many agents are asked at once.
const AT_ONCE: usize = 16;

/// Members of one kind of one provider, by their numbers.
struct Group<'a> {
    provider: &'a ProviderConfig,
    kind: &'a Kind,
    numbers: Vec<u64>,
    ids: Vec<ObjectId>,
}

/// Asks for a metric of a pool's members.
pub(super) async fn ask(metric: Metric, question: &Question) -> Values {
    let (mut groups, mut agents, mut values) = (BTreeMap::new(), Vec::new(), Values::default());
    for member in question.members.iter() {
        match (agent(member), &member.object) {
            (Some(way), _) => agents.push(of_agent(metric, member.number, way, question)),
            (None, Some(object)) => {
                let key = (settings_key(&object.provider), &object.kind);
                let group = groups.entry(key).or_insert_with(|| Group {
                    provider: &object.provider,
                    kind: &object.kind,
                    numbers: Vec::new(),
                    ids: Vec::new(),
                });
                group.numbers.push(member.number);
                group.ids.push(object.id.clone());
            }
            (None, None) => _ = values.missing.insert(member.number, "it is not there yet".to_owned()),
        }
    }
    let agents = stream::iter(agents).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    // One provider that hangs takes no other's values along.
    let providers = groups.values().map(async |group| {
        let answer = tokio::time::timeout(question.timeout, of_provider(metric, group, question)).await;
        let none = |_| vec![Err("no answer in time".to_owned()); group.ids.len()];
        group.numbers.iter().copied().zip(answer.unwrap_or_else(none))
    });
    let (agents, providers) = future::join(agents, future::join_all(providers)).await;
    for (number, answer) in agents.into_iter().chain(providers.into_iter().flatten()) {
        match answer {
            Ok(value) => _ = values.members.insert(number, value),
            Err(why) => _ = values.missing.insert(number, why),
        }
    }
    values
}

/// Returns the agent of a member, where it has one.
fn agent(member: &Asked) -> Option<AgentClient> {
    AgentClient::of_settings(&member.attributes).ok()
}

async fn of_agent(metric: Metric, number: u64, agent: AgentClient, question: &Question) -> (u64, Result<f64, String>) {
    let metrics = agent.with_timeout(question.timeout).metrics().await;
    let value = metrics.map(|metrics| match metric {
        Metric::Cpu => metrics.cpu,
        Metric::Memory => metrics.memory.percent,
    });
    (number, value.map_err(|error| error.to_string()))
}

async fn of_provider(metric: Metric, group: &Group<'_>, question: &Question) -> Vec<Result<f64, String>> {
    let none = |why: String| vec![Err(why); group.ids.len()];
    let provider = match question.providers.configured(group.provider).await {
        Ok(provider) => provider,
        Err(error) => return none(error.to_string()),
    };
    let Some(meter) = provider.meter() else {
        let name = &group.provider.name;
        return none(format!("it has no agent, and provider `{name}` does not measure it"));
    };
    let answers = meter.measure(metric, group.kind, &group.ids).await;
    answers
        .into_iter()
        .map(|answer| answer.map_err(|error| error.to_string()))
        .collect()
}
