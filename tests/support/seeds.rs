//! Tests by seed, so that what fails can be seen again.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many seeds are taken.
pub struct Seeds {
    /// By default.
    pub few: u64,
    /// With `SIMFLEET_TEST_SWEEP=all`.
    pub more: u64,
    /// With `SIMFLEET_TEST_LONG=1`.
    pub many: u64,
}

/// The one seed that `SIMFLEET_TEST_SEED` wants.
pub fn chosen() -> Option<u64> {
    let chosen = std::env::var("SIMFLEET_TEST_SEED").ok();
    chosen.map(|seed| seed.parse().expect("SIMFLEET_TEST_SEED is a number"))
}

impl Seeds {
    fn range(&self) -> Range<u64> {
        let is_set = |name| std::env::var_os(name).is_some();
        match chosen() {
            Some(seed) => seed..seed + 1,
            None if is_set("SIMFLEET_TEST_LONG") => 0..self.many,
            None if is_set("SIMFLEET_TEST_SWEEP") => 0..self.more,
            None => 0..self.few,
        }
    }

    /// Runs each, in a runtime of its own whose clock jumps to what is due next; as many at once as the machine has cores.
    pub fn run(&self, one: impl AsyncFn(u64) + Sync) {
        let seeds = self.range();
        let next = AtomicU64::new(seeds.start);
        let work = || {
            while let seed = next.fetch_add(1, Ordering::Relaxed)
                && seeds.contains(&seed)
            {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = runtime.enable_time().start_paused(true).build();
                runtime.expect("a runtime").block_on(one(seed));
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
}
