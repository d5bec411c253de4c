//! Watches over the fake cloud, with a clock of their own, killed and started again while everything around them breaks: by a
//! seed, so that what fails can be seen again. `SIMFLEET_TEST_SEED=N` takes one; 10 are taken by default, 100 with
//! `SIMFLEET_TEST_SWEEP=all`, 5,000 with `SIMFLEET_TEST_LONG=1`.
//!
//! Whatever happens: no more machines than the cap and the surge are alive, no member goes while a simulator is on it; and
//! once nothing breaks any more, the pools are as large as their load wants, and nothing is missing, there twice or left.

use std::time::Duration;

use jiff::SignedDuration;
use rand::Rng;
use serde_json::json;
use simfleet::plan::Action;
use simfleet_provider_fake::faults::Faults;

use crate::support::seeds::Seeds;
use crate::world::{Does, World, fleet_text};

impl World {
    /// Breaks something, or mends it.
    async fn happens(&mut self, step: u64) {
        for pool in ["a", "b"] {
            let does = match self.dice.random_range(0..10) {
                0 => Does::Fail,
                1 => Does::Hang,
                2 => Does::Answer([f64::NAN, f64::INFINITY, -1.0][self.dice.random_range(0..3)]),
                _ => Does::Answer(self.dice.random_range(0.0..400.0)),
            };
            self.tell(format!("pool.{pool}: its source does {does:?}"));
            self.script.set(pool, does);
        }
        for object in self.cloud.objects() {
            if self.dice.random_bool(0.1) {
                self.cloud.destroy(&object.id);
                self.tell(format!("{} dies", object.fields["name"]));
            } else if self.dice.random_bool(0.05) {
                self.cloud.change(
                    &object.id,
                    json!({ "labels": { "by": "hand" } }).as_object().expect("an object"),
                );
                self.tell(format!("{} is changed", object.fields["name"]));
            }
        }
        let rate = |rate: f64| json!({ "rate": rate });
        let ms = self.dice.random_range(0..60_000);
        let mut rules = vec![
            json!({ "fault": "lost_reply", "when": rate(0.1) }),
            json!({ "fault": "lost_request", "when": rate(0.1) }),
            json!({ "fault": "server_error", "when": rate(0.1) }),
            json!({ "fault": "hang", "when": rate(0.02) }),
            json!({ "fault": { "throttled": { "retry_after_ms": 30 } }, "when": rate(0.1) }),
            json!({ "fault": { "long_running": { "polls": 0, "ms": ms } }, "when": rate(0.5) }),
            json!({ "fault": { "unreachable": { "reason": "for no reason" } }, "when": rate(0.1) }),
            json!({ "fault": { "rejected": { "message": "no" } }, "to": { "call": "create" }, "when": rate(0.2) }),
        ];
        rules.retain(|_| self.dice.random_bool(0.3));
        self.tell(format!("faults: {rules:?}"));
        let faults = json!({ "seed": self.seed + step, "rules": rules });
        self.cloud.set_faults(serde_json::from_value(faults).expect("faults"));
        if self.dice.random_bool(0.2) {
            let by = SignedDuration::from_secs(self.dice.random_range(-3_600..3_600));
            self.tell(format!("the clock jumps by {by}"));
            self.clock.jump(by);
        }
        if self.dice.random_bool(0.3) {
            let (min, simulators) = (self.dice.random_range(1..=3), self.dice.random_range(0..=4));
            let warm = self.dice.random_range(0..=2);
            self.tell(format!(
                "the fleet has min = {min}, {simulators} simulators and {warm} that wait"
            ));
            self.bench.write(&fleet_text(min, simulators, warm));
            self.apply().await;
        }
    }

    /// Ends all trouble; then everything is as it should be.
    async fn settles(&mut self) {
        self.cloud.set_faults(Faults::default());
        self.bench.write(&fleet_text(2, 2, 1));
        // What watches that were killed held falls with their leases.
        tokio::time::sleep(Duration::from_secs(7_300)).await;
        self.apply().await;
        self.script.set("a", Does::Answer(200.0));
        self.script.set("b", Does::Answer(20.0));
        self.watch(Duration::from_secs(3_600)).await;
        let state = self.state().await;
        let size = |pool: &str| {
            state
                .resources
                .keys()
                .filter(|address| address.to_string().starts_with(pool))
                .count()
        };
        // Four at 50 each; one would do, but two are the fewest. One more waits.
        assert_eq!((size("pool.a/"), size("pool.b/")), (5, 3));
        assert_eq!((self.waiting("pool.a/").len(), self.waiting("pool.b/").len()), (1, 1));
        assert!(state.intents.is_empty(), "{:?}", state.intents);
        let fleet = self.fleet();
        let planned = fleet.plan().await.expect("it can be planned");
        let changes: Vec<_> = planned
            .plan
            .changes
            .iter()
            .filter(|change| change.action != Action::NoOp)
            .collect();
        assert!(changes.is_empty(), "{changes:?}");
        let mut there: Vec<String> = self
            .cloud
            .objects()
            .into_iter()
            .map(|object| object.id.clone())
            .collect();
        let mut recorded: Vec<String> = state
            .resources
            .values()
            .map(|resource| resource.object.id.0.to_string())
            .collect();
        there.sort();
        recorded.sort();
        assert_eq!(there, recorded, "what is there, and what is recorded");
    }
}

async fn live(seed: u64) {
    let mut world = World::new(seed);
    world.apply().await;
    for step in 0..world.dice.random_range(2..=6) {
        world.happens(step).await;
        let time = Duration::from_millis(world.dice.random_range(0..400_000));
        world.watch(time).await;
    }
    world.settles().await;
}

#[test]
fn whatever_breaks_the_pools_hold_their_bounds_and_come_to_rest() {
    let seeds = Seeds {
        few: 10,
        more: 100,
        many: 5_000,
    };
    seeds.run(live);
}
