//! What a container uses.

use bollard::models::{ContainerCpuStats, ContainerMemoryStats};
use bollard::query_parameters::{ListContainersOptions, StatsOptions};
use futures::StreamExt;

use super::super::{CallError, Engine, Why};

/// What a container uses. What the engine has no readings of is `None`: of a container that does not run it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// Processors that it kept busy between two readings, 1.5 for one and a half.
    pub(crate) processors: Option<f64>,
    /// Bytes of memory, without what is cached in it.
    pub(crate) memory: Option<u64>,
    /// How many it may have: its limit, else all of the machine.
    pub(crate) memory_limit: Option<u64>,
}

impl Engine {
    /// Returns what a container uses, between two readings that the engine makes a second apart. Without `is_twice` there is
    /// one, at once, which tells nothing of processors.
    pub(crate) async fn usage(&self, id: &str, is_twice: bool) -> Result<Usage, CallError> {
        let options = StatsOptions {
            stream: false,
            one_shot: !is_twice,
        };
        let docker = self.soon().await?;
        let mut answers = std::pin::pin!(docker.stats(id, Some(options)));
        // It went before the second reading.
        let stats = answers.next().await.ok_or_else(|| CallError {
            why: Why::NotFound,
            message: "its container is gone".to_owned(),
        })?;
        let stats = stats.map_err(|error| self.error(error))?;
        let (now, before) = (stats.cpu_stats.as_ref(), stats.precpu_stats.as_ref());
        let memory = stats.memory_stats.as_ref();
        Ok(Usage {
            processors: now.zip(before).and_then(|(now, before)| processors(now, before)),
            memory: memory.and_then(used),
            memory_limit: memory.and_then(|memory| memory.limit).filter(|limit| *limit > 0),
        })
    }

    /// Returns the ids of all containers that run.
    pub(crate) async fn running_containers(&self) -> Result<Vec<String>, CallError> {
        let listed = self.soon().await?.list_containers(None::<ListContainersOptions>).await;
        let listed = listed.map_err(|error| self.error(error))?;
        Ok(listed.into_iter().filter_map(|container| container.id).collect())
    }
}

/// Returns how many processors were busy between two readings, as `docker stats` has it: the time of the container as a share
/// of that of the machine, all of whose processors count together. After a start in between there is no such share.
fn processors(now: &ContainerCpuStats, before: &ContainerCpuStats) -> Option<f64> {
    let used = |stats: &ContainerCpuStats| stats.cpu_usage.as_ref()?.total_usage;
    let of_container = used(now)?.checked_sub(used(before)?)?;
    let of_machine = now.system_cpu_usage?.checked_sub(before.system_cpu_usage?)?;
    let each = now.cpu_usage.as_ref().and_then(|usage| usage.percpu_usage.as_ref());
    let online = now.online_cpus.map(f64::from).filter(|online| *online > 0.0);
    let online = online.or_else(|| Some(each?.len() as f64))?;
    (of_machine > 0).then(|| of_container as f64 / of_machine as f64 * online)
}

/// Returns how much memory is used, as the docker client has it: without the pages of files that nobody has touched for long,
/// which the kernel takes back when it needs them.
/// <https://github.com/docker/cli/blob/master/cli/command/container/stats_helpers.go>
fn used(memory: &ContainerMemoryStats) -> Option<u64> {
    let usage = memory.usage?;
    let stats = memory.stats.as_ref();
    // Of control groups version 1, then of version 2.
    let cached = ["total_inactive_file", "inactive_file"]
        .iter()
        .find_map(|name| stats?.get(*name));
    Some(cached.and_then(|cached| usage.checked_sub(*cached)).unwrap_or(usage))
}

#[cfg(test)]
mod tests {
    use bollard::models::ContainerCpuUsage;

    use super::*;

    fn reading(container: u64, machine: Option<u64>) -> ContainerCpuStats {
        ContainerCpuStats {
            cpu_usage: Some(ContainerCpuUsage {
                total_usage: Some(container),
                ..ContainerCpuUsage::default()
            }),
            system_cpu_usage: machine,
            online_cpus: Some(4),
            ..ContainerCpuStats::default()
        }
    }

    #[test]
    fn processors_are_a_share_of_the_machine_between_two_readings() {
        let first = reading(1_000, Some(10_000));
        for (what, now, before, expected) in [
            ("busy", reading(1_500, Some(11_000)), &first, Some(2.0)),
            ("idle", reading(1_000, Some(11_000)), &first, Some(0.0)),
            ("no time between them", reading(1_000, Some(10_000)), &first, None),
            ("started in between", reading(500, Some(11_000)), &first, None),
            (
                "the first reading",
                reading(1_500, Some(11_000)),
                &reading(0, None),
                None,
            ),
            ("it does not run", reading(0, None), &reading(0, None), None),
        ] {
            assert_eq!(processors(&now, before), expected, "{what}");
        }
    }

    #[test]
    fn memory_is_without_what_is_cached() {
        let memory = |usage, stats: &[(&str, u64)]| ContainerMemoryStats {
            usage,
            stats: Some(stats.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()),
            ..ContainerMemoryStats::default()
        };
        let one = [("total_inactive_file", 30), ("inactive_file", 10)];
        for (what, memory, expected) in [
            ("version 1", memory(Some(100), &one), Some(70)),
            ("version 2", memory(Some(100), &[("inactive_file", 10)]), Some(90)),
            ("more is cached than used", memory(Some(5), &one), Some(5)),
            ("nothing is told of it", memory(Some(5), &[]), Some(5)),
            ("it does not run", memory(None, &[]), None),
        ] {
            assert_eq!(used(&memory), expected, "{what}");
        }
    }
}
