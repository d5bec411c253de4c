//! Random fleets, edited, drifting, failing and crashing at random over the fake cloud: whatever happened, once faults end
//! one apply brings the fleet to what is declared, and a destroy leaves nothing. The calls of each run came in the order of
//! its plan, by the cloud's own log.
//!
//! - [`slot`]: fleets as text, and how they are edited
//! - [`world`]: a fleet with its cloud, and what happens to it from outside; [`runs`]: what is run over it
//! - [`settled`]: what must hold now, and once faults end; [`order`]: the order of calls
//!
//! `SIMFLEET_TEST_SEED=N` repeats one run and tells its story; `SIMFLEET_TEST_SWEEP=all` makes more,
//! `SIMFLEET_TEST_LONG=1` many.
#![cfg(feature = "fake")]

mod order;
mod runs;
mod settled;
mod slot;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;

use self::world::World;

#[test]
fn whatever_happens_one_apply_without_faults_brings_the_fleet_to_what_is_declared() {
    let chosen = std::env::var("SIMFLEET_TEST_SEED").ok();
    let chosen = chosen.map(|seed| seed.parse().expect("SIMFLEET_TEST_SEED is a number"));
    let long = std::env::var_os("SIMFLEET_TEST_LONG").is_some();
    let seeds = match (chosen, long) {
        (Some(seed), _) => seed..seed + 1,
        (None, true) => 0..2_000,
        (None, false) if std::env::var_os("SIMFLEET_TEST_SWEEP").is_some() => 0..200,
        (None, false) => 0..16,
    };
    let next = AtomicU64::new(seeds.start);
    let work = || {
        while let seed = next.fetch_add(1, Ordering::Relaxed)
            && seeds.contains(&seed)
        {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().start_paused(true).build();
            runtime.expect("a runtime").block_on(simulate(seed));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

async fn simulate(seed: u64) {
    let mut world = World::new(seed);
    for step in 0..world.dice.random_range(2..=6) {
        world.edit();
        world.drift();
        if world.dice.random_bool(0.7) {
            world.break_things(step);
        }
        for _ in 0..world.dice.random_range(1..=2) {
            match world.dice.random_range(0..10) {
                0 => world.refresh().await,
                1 => world.go_back().await,
                2 => world.move_one().await,
                _ => {}
            }
            world.run_into_trouble().await;
            world.holds_together().await;
        }
        if world.dice.random_bool(0.5) {
            world.settle().await;
            world.import_again().await;
        }
    }
    world.settle().await;
    world.destroy().await;
}
