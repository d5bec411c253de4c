//! How much containers use of what they may, and engines of their machine: what `docker stats` shows, as a share of the limit.

use async_trait::async_trait;
use futures::FutureExt;
use futures::stream::{self, StreamExt};
use simfleet_provider_api::{Kind, Meter, Metric, ObjectId, ProviderError};

use crate::client::container::{SeenContainer, Status, Usage};
use crate::client::{CallError, Engine, Why, rejected};
use crate::provider::DockerProvider;
use crate::schema::{CONTAINER, ENGINE};

/// How many containers are measured at once: of each, an engine takes a second to make two readings.
const AT_ONCE: usize = 64;
/// What an engine counts processors in.
const NANO: f64 = 1e9;

#[async_trait]
impl Meter for DockerProvider {
    async fn measure(&self, metric: Metric, kind: &Kind, ids: &[ObjectId]) -> Vec<Result<f64, ProviderError>> {
        let measured: Vec<_> = ids.iter().map(|id| self.one(metric, kind, id).boxed()).collect();
        stream::iter(measured).buffered(AT_ONCE).collect().await
    }
}

impl DockerProvider {
    async fn one(&self, metric: Metric, kind: &Kind, id: &ObjectId) -> Result<f64, ProviderError> {
        match kind {
            kind if *kind == CONTAINER => container(&self.engine, metric, &id.0).await,
            kind if *kind == ENGINE => host(&self.engine, metric, &id.0).await,
            kind => Err(rejected(format!("of a `{kind}` an engine measures nothing"), None)),
        }
    }
}

/// Measures a container that runs.
async fn container(engine: &Engine, metric: Metric, id: &str) -> Result<f64, ProviderError> {
    let none = |why: &str| rejected(why.to_owned(), None);
    let Some(seen) = engine.container(id).await? else {
        return Err(none("its container is gone"));
    };
    if seen.status != Status::Running {
        return Err(none(&format!(
            "its container does not run: it is {}",
            seen.status.as_str()
        )));
    }
    let usage = usage(engine, metric, id).await?;
    let share = match metric {
        Metric::Cpu => share(usage.processors, Some(processors(engine, &seen).await?)),
        Metric::Memory => share(
            usage.memory.map(|used| used as f64),
            usage.memory_limit.map(|it| it as f64),
        ),
    };
    share.ok_or_else(|| none("the engine has no readings of its container"))
}

/// Measures an engine: what the containers on it use together, of what its machine has.
async fn host(engine: &Engine, metric: Metric, id: &str) -> Result<f64, ProviderError> {
    let machine = engine.look().await?;
    if machine.id != id {
        return Err(rejected("another engine is there now".to_owned(), None));
    }
    let running = engine.running_containers().await?;
    let usages: Vec<_> = running.iter().map(|id| usage(engine, metric, id).boxed()).collect();
    let usages: Vec<_> = stream::iter(usages).buffer_unordered(AT_ONCE).collect().await;
    let mut used = 0.0;
    for usage in usages {
        let usage = match usage {
            // What ends meanwhile uses nothing any more.
            Err(error) if error.why == Why::NotFound => continue,
            usage => usage?,
        };
        used += match metric {
            Metric::Cpu => usage.processors.unwrap_or_default(),
            Metric::Memory => usage.memory.unwrap_or_default() as f64,
        };
    }
    let all = match metric {
        Metric::Cpu => machine.cpus as f64,
        Metric::Memory => machine.memory as f64,
    };
    share(Some(used), Some(all))
        .ok_or_else(|| rejected("the engine does not say what its machine has".to_owned(), None))
}

async fn usage(engine: &Engine, metric: Metric, id: &str) -> Result<Usage, CallError> {
    engine.usage(id, metric == Metric::Cpu).await
}

/// Returns how many processors a container may use: its limit, else all of the machine.
async fn processors(engine: &Engine, seen: &SeenContainer) -> Result<f64, CallError> {
    Ok(match seen.nano_cpus {
        0 => engine.machine().await?.cpus as f64,
        limit => limit as f64 / NANO,
    })
}

/// Returns a share in percent. The engine makes its readings of a limit not quite at its beat, so that a little more than all
/// can come of them.
fn share(used: Option<f64>, of: Option<f64>) -> Option<f64> {
    let of = of.filter(|of| *of > 0.0)?;
    Some((100.0 * used? / of).clamp(0.0, 100.0))
}
