//! How much of the machine the processes of a node use.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::identity::Stat;

/// Two looks that are nearer than this say too little: the earlier one is shown again.
const SHORTEST: Duration = Duration::from_millis(500);

/// The load of all processes of a node, measured when it is asked for, from one question to the next.
#[derive(Debug)]
pub(crate) struct Meter {
    root: u32,
    last: Mutex<Option<(Look, Load)>>,
}

/// What was seen at one time.
#[derive(Debug, Clone)]
struct Look {
    /// Since the machine booted, as the start of a process.
    at: Duration,
    processes: Processes,
}

/// By process and its start in clock ticks since boot.
type Processes = BTreeMap<(u32, u64), Usage>;

#[derive(Debug, Clone, Copy)]
struct Usage {
    /// Clock ticks that it ran, since its start.
    ticks: u64,
    /// Resident.
    pages: u64,
    /// The shim that it descends from, or the root.
    branch: u32,
}

/// The load between two looks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Load {
    /// Cpus in use: 1.5 is one and a half.
    pub cpus: f64,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// The same by shim.
    pub by_shim: BTreeMap<u32, (f64, u64)>,
}

impl Meter {
    /// Makes a meter for this process and all that descends from it; see [`Meter::load`].
    pub fn new() -> Self {
        Meter {
            root: std::process::id(),
            last: Mutex::new(None),
        }
    }

    /// Measures this process, the shims given (an earlier agent may have started them) and all that descends from them.
    /// Blocks for as long as it takes to read the list of processes.
    pub fn load(&self, shims: &[u32]) -> Load {
        // What is kept is replaced as a whole, so it is right whatever a thread that panicked did.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((look, load)) = &*last
            && since_boot().saturating_sub(look.at) < SHORTEST
        {
            return load.clone();
        }
        let processes = tree(&Stat::all(), self.root, shims);
        let look = Look {
            at: since_boot(),
            processes,
        };
        let load = between(last.as_ref().map(|(look, _)| look), &look);
        *last = Some((look, load.clone()));
        load
    }
}

fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// Returns the processes that belong to the node.
fn tree(all: &[Stat], root: u32, shims: &[u32]) -> Processes {
    let mut children: BTreeMap<u32, Vec<&Stat>> = BTreeMap::new();
    for stat in all {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found = BTreeMap::new();
    let mut open: Vec<(&Stat, u32)> = all
        .iter()
        .filter(|stat| stat.pid == root || shims.contains(&stat.pid))
        .map(|stat| (stat, stat.pid))
        .collect();
    while let Some((stat, branch)) = open.pop() {
        let branch = if shims.contains(&stat.pid) { stat.pid } else { branch };
        let usage = Usage {
            ticks: stat.ticks,
            pages: stat.resident,
            branch,
        };
        if found.insert((stat.pid, stat.started), usage).is_none() || shims.contains(&stat.pid) {
            let below = children.get(&stat.pid).into_iter().flatten();
            open.extend(
                below
                    .filter(|child| child.pid != stat.pid)
                    .map(|child| (*child, branch)),
            );
        }
    }
    found
}

/// A process counts with what it used since the earlier look. One that was not known then, but ran, counts with its average
/// since its start: an agent that was started again finds simulators that ran for days.
fn between(before: Option<&Look>, now: &Look) -> Load {
    let tick = 1.0 / rustix::param::clock_ticks_per_second().max(1) as f64;
    let page = rustix::param::page_size() as u64;
    let mut load = Load::default();
    for (process, usage) in &now.processes {
        let earlier = before.and_then(|before| before.processes.get(process));
        let started = Duration::from_secs_f64(process.1 as f64 * tick);
        let since = match (before, earlier) {
            (Some(before), Some(_)) => before.at,
            (Some(before), None) => before.at.min(started),
            (None, _) => started,
        };
        let seconds = now.at.saturating_sub(since).max(SHORTEST).as_secs_f64();
        let ticks = usage.ticks.saturating_sub(earlier.map_or(0, |earlier| earlier.ticks));
        let cpus = ticks as f64 * tick / seconds;
        let memory = usage.pages * page;
        load.cpus += cpus;
        load.memory += memory;
        let branch = load.by_shim.entry(usage.branch).or_default();
        branch.0 += cpus;
        branch.1 += memory;
    }
    load
}

/// Returns the memory of this machine in bytes: `MemTotal` of /proc/meminfo (proc_meminfo(5)), 0 where there is none.
pub(crate) fn machine_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    text.lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse::<u64>()
                .ok()
        })
        .map_or(0, |kib| kib.saturating_mul(1024))
}

/// Returns how many cpus this machine has for this process.
pub(crate) fn machine_cpus() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, parent: u32, ticks: u64, resident: u64) -> Stat {
        Stat {
            pid,
            state: 'S',
            parent,
            ticks,
            started: 1,
            resident,
        }
    }

    /// What is seen at a time in seconds, by the agent 10 with the shims 20 and 30.
    fn look(at: u64, all: &[Stat]) -> Look {
        Look {
            at: Duration::from_secs(at),
            processes: tree(all, 10, &[20, 30]),
        }
    }

    #[test]
    fn the_load_is_that_of_the_agent_its_shims_and_what_they_started() {
        let before = [
            stat(1, 0, 500, 1),
            stat(10, 1, 100, 5),
            stat(20, 10, 7, 2),
            stat(21, 20, 50, 10),
            stat(30, 1, 10, 1),
        ];
        let new = Stat {
            started: 100 * rustix::param::clock_ticks_per_second(),
            ..stat(31, 30, 40, 3)
        };
        let now = [
            stat(1, 0, 900, 1),    // Not of the node.
            stat(10, 1, 150, 5),   // The agent.
            stat(20, 10, 7, 2),    // A shim of its own,
            stat(21, 20, 150, 10), // and its child.
            stat(30, 1, 20, 1),    // A shim of an earlier agent,
            new,                   // and its child, begun since.
        ];
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as u64;
        let load = between(Some(&look(100, &before)), &look(101, &now));
        assert!((load.cpus - 200.0 / ticks).abs() < 1e-9, "{load:?}");
        assert_eq!(load.memory, 21 * page);
        assert_eq!(load.by_shim[&20].1, 12 * page);
        assert!((load.by_shim[&20].0 - 100.0 / ticks).abs() < 1e-9, "{load:?}");
        assert!((load.by_shim[&30].0 - 50.0 / ticks).abs() < 1e-9, "{load:?}");
    }

    #[test]
    fn what_ran_before_the_agent_counts_with_its_average() {
        let second = rustix::param::clock_ticks_per_second();
        let adopted = Stat {
            started: 500 * second,
            ..stat(30, 1, 50 * second, 1) // Half a cpu for 100 seconds.
        };
        let first = between(None, &look(600, std::slice::from_ref(&adopted)));
        assert!((first.cpus - 0.5).abs() < 1e-9, "{first:?}");
        let unknown_to_the_first = between(Some(&look(599, &[])), &look(600, &[adopted]));
        assert!(
            (unknown_to_the_first.cpus - 0.5).abs() < 1e-9,
            "{unknown_to_the_first:?}"
        );
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Meter::new().load(&[]).memory > 100_000);
        assert!(machine_memory() > 1 << 20);
    }
}
