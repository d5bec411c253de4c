//! How much of the machine the processes of a node use.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::identity::Stat;

/// Two looks that are nearer than this say too little: the earlier one is shown again.
const SHORTEST: Duration = Duration::from_millis(500);

/// The load of all processes of a node, measured when it is asked for, from one question to the next.
#[derive(Debug)]
pub(crate) struct Meter {
    root: u32,
    began: Instant,
    last: Mutex<Option<(Look, Load)>>,
}

/// What was seen at one time.
#[derive(Debug, Clone)]
struct Look {
    at: Instant,
    /// By process and its start: used clock ticks, resident pages, and the child of the root that it descends from.
    processes: BTreeMap<(u32, u64), Usage>,
}

#[derive(Debug, Clone, Copy)]
struct Usage {
    ticks: u64,
    pages: u64,
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
            began: Instant::now(),
            last: Mutex::new(None),
        }
    }

    /// Measures this process, the shims given (an earlier agent may have started them) and all that descends from them.
    /// Blocks for as long as it takes to read the list of processes.
    pub fn load(&self, shims: &[u32]) -> Load {
        // What is kept is replaced as a whole, so it is right whatever a thread that panicked did.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((look, load)) = &*last
            && look.at.elapsed() < SHORTEST
        {
            return load.clone();
        }
        let look = Look {
            at: Instant::now(),
            processes: tree(&Stat::all(), self.root, shims),
        };
        let before = last.as_ref().map(|(look, _)| look);
        let elapsed = look.at - before.map_or(self.began, |before| before.at);
        let load = between(before.map(|before| &before.processes), &look.processes, elapsed);
        *last = Some((look, load.clone()));
        load
    }
}

/// Returns the processes that belong to the node.
fn tree(all: &[Stat], root: u32, shims: &[u32]) -> BTreeMap<(u32, u64), Usage> {
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

fn between(before: Option<&BTreeMap<(u32, u64), Usage>>, now: &BTreeMap<(u32, u64), Usage>, elapsed: Duration) -> Load {
    let tick = 1.0 / rustix::param::clock_ticks_per_second().max(1) as f64;
    let page = rustix::param::page_size() as u64;
    let seconds = elapsed.as_secs_f64().max(tick);
    let mut load = Load::default();
    for (process, usage) in now {
        let earlier = before
            .and_then(|before| before.get(process))
            .map_or(0, |usage| usage.ticks);
        let cpus = usage.ticks.saturating_sub(earlier) as f64 * tick / seconds;
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

    #[test]
    fn the_load_is_that_of_the_agent_its_shims_and_what_they_started() {
        let before = [
            stat(1, 0, 500, 1),
            stat(10, 1, 100, 5),
            stat(20, 10, 7, 2),
            stat(21, 20, 50, 10),
        ];
        let now = [
            stat(1, 0, 900, 1),    // Not of the node.
            stat(10, 1, 150, 5),   // The agent.
            stat(20, 10, 7, 2),    // A shim of its own,
            stat(21, 20, 150, 10), // and its child.
            stat(30, 1, 10, 1),    // A shim of an earlier agent,
            stat(31, 30, 40, 3),   // and its child.
        ];
        let shims = [20, 30];
        let before = tree(&before, 10, &shims);
        let now = tree(&now, 10, &shims);
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as u64;
        let load = between(Some(&before), &now, Duration::from_secs(1));
        assert!((load.cpus - 200.0 / ticks).abs() < 1e-9, "{load:?}");
        assert_eq!(load.memory, 21 * page);
        assert_eq!(load.by_shim[&20].1, 12 * page);
        assert!((load.by_shim[&20].0 - 100.0 / ticks).abs() < 1e-9, "{load:?}");
        assert!((load.by_shim[&30].0 - 50.0 / ticks).abs() < 1e-9, "{load:?}");
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Meter::new().load(&[]).memory > 100_000);
        assert!(machine_memory() > 1 << 20);
    }
}
