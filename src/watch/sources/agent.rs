//! What agents measure of their nodes.

use futures::stream::{self, StreamExt};
use simfleet_provider_agent::AgentClient;

use super::{AgentMetric, Asked, Question, Values};

/// How many agents are asked at once.
const AT_ONCE: usize = 16;

/// Asks the agents of a pool's members.
pub(super) async fn ask(metric: AgentMetric, question: &Question) -> Values {
    let ask = async |member: &Asked| (member.number, measured(metric, member, question).await);
    let answers: Vec<_> = stream::iter(&question.members)
        .map(ask)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut values = Values::default();
    for (number, answer) in answers {
        match answer {
            Ok(value) => _ = values.members.insert(number, value),
            Err(why) => _ = values.missing.insert(number, why),
        }
    }
    values
}

async fn measured(metric: AgentMetric, member: &Asked, question: &Question) -> Result<f64, String> {
    let (runtime, token) = (member.attributes.str("runtime"), member.attributes.str("token_file"));
    let (Some(runtime), Some(token)) = (runtime, token) else {
        return Err("it has no agent".to_owned());
    };
    let client = AgentClient::new(runtime, token).map_err(|error| error.to_string())?;
    let metrics = client.with_timeout(question.timeout).metrics().await;
    let metrics = metrics.map_err(|error| error.to_string())?;
    Ok(match metric {
        AgentMetric::Cpu => metrics.cpu,
        AgentMetric::Memory => metrics.memory.percent,
    })
}
