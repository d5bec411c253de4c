//! Pools that run for a while: under a constant load they come to rest, and whatever happens to them the bounds hold.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use simfleet::scale::{
    Action, Check, Decision, History, Limit, Member, MemberState, Observation, Sample, Samples, Spec, Step, Strategy,
    Window, bounds, decide,
};

use crate::bench::{check, member};
use crate::random::{for_seeds, one};

/// A pool that does what is decided.
struct Running {
    spec: Spec,
    now: f64,
    members: BTreeMap<String, Member>,
    /// When what boots is ready, by id.
    boots: BTreeMap<String, f64>,
    boot: f64,
    made: usize,
    history: History,
}

impl Running {
    fn new(spec: Spec, boot: f64) -> Self {
        Running {
            spec,
            now: 0.0,
            members: BTreeMap::new(),
            boots: BTreeMap::new(),
            boot,
            made: 0,
            history: History::default(),
        }
    }

    /// Returns those whose time to boot is over now.
    fn booted(&mut self) -> Vec<String> {
        let due: Vec<String> = self
            .boots
            .iter()
            .filter(|(_, at)| **at <= self.now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &due {
            self.boots.remove(id);
            if let Some(member) = self.members.get_mut(id) {
                (member.state, member.ready_at) = (MemberState::Ready, self.now);
            }
        }
        due
    }

    fn serving(&self) -> usize {
        let serves =
            |member: &&Member| member.healthy && matches!(member.state, MemberState::Ready | MemberState::Allocated);
        self.members.values().filter(serves).count()
    }

    fn decide(&mut self, samples: BTreeMap<String, Samples>) -> Decision {
        let seen = Observation {
            now: self.now,
            members: self.members.values().cloned().collect(),
            samples,
            forecast: None,
            forecast_ok: false,
        };
        let (decision, after) = decide(&self.spec, &seen, &self.history);
        // It would decide the same after a restart.
        let text = serde_json::to_string(&self.history).expect("is JSON");
        let read: History = serde_json::from_str(&text).expect("is a history");
        assert_eq!(decide(&self.spec, &seen, &read), (decision.clone(), after.clone()));
        self.history = after;
        for Action(step, id) in &decision.actions {
            self.act(*step, id);
        }
        decision
    }

    fn act(&mut self, step: Step, id: &str) {
        match step {
            Step::Create => {
                let id = format!("c{:05}", self.made);
                self.made += 1;
                self.boots.insert(id.clone(), self.now + self.boot);
                let created = Member {
                    created: self.now,
                    ..member(id.clone(), MemberState::Pending)
                };
                self.members.insert(id, created);
            }
            Step::Undrain | Step::Resume => self.members.get_mut(id).expect("it is there").state = MemberState::Ready,
            Step::Cancel => {
                self.members.remove(id);
                self.boots.remove(id);
            }
            Step::Drain => {
                let member = self.members.get_mut(id).expect("it is there");
                assert!(member.state == MemberState::Ready && !member.protected, "{member:?}");
                member.state = MemberState::Draining;
            }
        }
    }

    fn leave(&mut self, mut who: impl FnMut(&Member) -> bool) {
        self.members.retain(|_, member| !who(member));
    }
}

#[test]
fn under_a_constant_load_a_pool_comes_to_rest() {
    for_seeds(100, |seed| {
        let dice = &mut StdRng::seed_from_u64(seed);
        let (target, load) = (one(dice, &[0.5, 0.7, 0.75]), dice.random_range(0.0..9.0));
        let spec = Spec {
            min: one(dice, &[1, 1, 2]),
            max: 20,
            checks: vec![Check {
                target,
                ..check("cpu", Strategy::Target)
            }],
            stabilization_down: one(dice, &[0.0, 60.0, 600.0]),
            cooldown_down: one(dice, &[0.0, 60.0]),
            ..Spec::default()
        };
        let mut pool = Running::new(spec, one(dice, &[0.0, 45.0, 120.0]));
        for number in 0..dice.random_range(1..=20) {
            let id = format!("i{number:02}");
            pool.members.insert(id.clone(), member(id, MemberState::Ready));
        }
        let mut sizes = Vec::new();
        for _ in 0..420 {
            pool.now += 15.0;
            pool.booted();
            pool.leave(|member| member.state == MemberState::Draining);
            let value = (load / pool.serving().max(1) as f64).min(1.0);
            let ready = pool
                .members
                .values()
                .filter(|member| member.state == MemberState::Ready);
            let samples = ready
                .map(|member| (member.id.clone(), Sample(value, pool.now)))
                .collect();
            sizes.push(pool.decide(BTreeMap::from([("cpu".to_owned(), samples)])).desired);
        }
        let last = sizes[419];
        assert!(
            sizes[300..].iter().all(|size| *size == last),
            "it does not rest: {sizes:?}"
        );
        sizes.dedup();
        let turns = sizes
            .windows(3)
            .filter(|sizes| (sizes[1] - sizes[0]) * (sizes[2] - sizes[1]) < 0)
            .count();
        assert!(turns <= 1, "it turns round: {sizes:?}");
        assert!(
            load / target <= last as f64 * 1.1 + 1e-6 || last == 20,
            "it is too small for {load}: {sizes:?}"
        );
    });
}

#[test]
fn whatever_happens_the_bounds_hold() {
    for_seeds(50, |seed| {
        let dice = &mut StdRng::seed_from_u64(seed);
        let max = dice.random_range(3..=16);
        let price = one(dice, &[0.0, 0.25]);
        let day = Window {
            name: "day".to_owned(),
            start: 600.0,
            end: 1800.0,
            min: Some(dice.random_range(1..=max)),
            max: None,
            desired: None,
            priority: 0,
        };
        let spec = Spec {
            min: dice.random_range(0..=2),
            max,
            checks: vec![
                Check {
                    target: 0.7,
                    ..check("cpu", Strategy::Target)
                },
                Check {
                    min_ready: dice.random_range(0..=2),
                    ..check("buffer", Strategy::Buffer)
                },
            ],
            schedules: if dice.random_bool(0.5) { vec![day] } else { Vec::new() },
            stabilization_down: one(dice, &[60.0, 300.0]),
            budget_hourly: if price > 0.0 {
                one(dice, &[f64::INFINITY, 2.0, 3.0])
            } else {
                f64::INFINITY
            },
            price,
            ..Spec::default()
        };
        let boot = one(dice, &[0.0, 60.0]);
        let mut pool = Running::new(spec, boot);
        let mut load: f64 = dice.random_range(0.0..6.0);
        for _ in 0..300 {
            pool.now += 15.0;
            load = (load + dice.random_range(-1.0..1.0)).max(0.0);
            happen(&mut pool, dice);
            let value = (load / pool.serving().max(1) as f64).min(1.0);
            let heard: Vec<String> = pool
                .members
                .values()
                .filter(|member| member.healthy && matches!(member.state, MemberState::Ready | MemberState::Allocated))
                .filter(|_| dice.random_bool(0.95))
                .map(|member| member.id.clone())
                .collect();
            let is_lost = dice.random_bool(0.1);
            let samples: Samples = heard.into_iter().map(|id| (id, Sample(value, pool.now))).collect();
            let samples = if is_lost {
                BTreeMap::new()
            } else {
                BTreeMap::from([("cpu".to_owned(), samples)])
            };
            let decision = pool.decide(samples);

            let bounds = bounds(&pool.spec, pool.now);
            let alive = pool.members.values().filter(|member| {
                use MemberState::{Allocated, Pending, Ready, Reserved};
                matches!(member.state, Pending | Ready | Allocated | Reserved)
            });
            let alive = alive.count() as i64;
            // Those who pay by the hour never have more than they pay for.
            let surge = if price > 0.0 { 0 } else { pool.spec.surge };
            let is_protected = decision.limited_by.contains(&Limit::Protected);
            assert!(
                alive <= bounds.cap + surge || is_protected,
                "{alive} are alive: {decision:?}"
            );
        }
    });
}

/// What happens between two decisions: members boot, fall ill, are claimed and released, and go.
fn happen(pool: &mut Running, dice: &mut StdRng) {
    for id in pool.booted() {
        pool.members.get_mut(&id).expect("it has booted").healthy = dice.random_bool(0.92);
    }
    let now = pool.now;
    pool.leave(|member| member.state == MemberState::Draining && dice.random_bool(0.4));
    for member in pool.members.values_mut() {
        match member.state {
            MemberState::Ready if dice.random_bool(0.02) => member.state = MemberState::Allocated,
            MemberState::Allocated if dice.random_bool(0.05) => {
                (member.state, member.idle_since) = (MemberState::Ready, now);
            }
            _ => {}
        }
    }
    pool.leave(|member| !member.healthy && dice.random_bool(0.2));
}
