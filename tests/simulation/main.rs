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
#[path = "../support/seeds.rs"]
mod seeds;
mod settled;
mod slot;
mod world;

use rand::Rng;

use self::seeds::Seeds;
use self::world::World;

#[test]
fn whatever_happens_one_apply_without_faults_brings_the_fleet_to_what_is_declared() {
    let seeds = Seeds {
        few: 16,
        more: 200,
        many: 2_000,
    };
    seeds.run(simulate);
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
