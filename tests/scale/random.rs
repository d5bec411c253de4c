//! Pools made at random, as the reference's generator makes them.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use simfleet::scale::{
    Check, Event, History, Member, MemberState, Observation, OnMissing, Predictive, Recommendation, Sample, Samples,
    Spec, Strategy, Window,
};

use crate::bench::{NOW, check};

/// Returns one of several.
pub fn one<T: Clone>(dice: &mut StdRng, of: &[T]) -> T {
    of.choose(dice).expect("there are some").clone()
}

/// Runs a test for many seeds; a failure says which.
pub fn for_seeds(count: u64, test: impl Fn(u64)) {
    let chosen = std::env::var("SIMFLEET_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let is_set = |name| std::env::var_os(name).is_some();
    let count = match (is_set("SIMFLEET_TEST_LONG"), is_set("SIMFLEET_TEST_SWEEP")) {
        (true, _) => count * 50,
        (false, true) => count,
        (false, false) => count / 5,
    };
    for seed in chosen.map_or(0..count, |seed| seed..seed + 1) {
        let told = Told(seed);
        test(seed);
        std::mem::forget(told);
    }
}

/// Says which seed it was, if the test panics.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("SIMFLEET_TEST_SEED={} makes this case again", self.0);
    }
}

pub fn spec(dice: &mut StdRng) -> Spec {
    let mut kinds = [
        ("target", Strategy::Target),
        ("threshold", Strategy::Threshold),
        ("queue", Strategy::Queue),
        ("buffer", Strategy::Buffer),
    ];
    kinds.shuffle(dice);
    let number = dice.random_range(1..=3);
    let checks = kinds[..number].iter().map(|(name, strategy)| Check {
        target: if *strategy == Strategy::Target {
            one(dice, &[0.5, 0.7, 0.75])
        } else {
            one(dice, &[1.0, 5.0])
        },
        lower: one(dice, &[0.1, 0.3]),
        step: dice.random_range(1..=2),
        min_ready: dice.random_range(0..=3),
        percent: one(dice, &[0.0, 20.0]),
        on_missing: one(
            dice,
            &[
                OnMissing::Hold,
                OnMissing::Fallback,
                OnMissing::FailOpen,
                OnMissing::Ignore,
            ],
        ),
        fallback: dice.random_range(0..=8),
        headroom_k: one(dice, &[0.0, 1.0]),
        ..check(name, *strategy)
    });
    let checks = checks.collect();
    let min = dice.random_range(0..=4);
    let schedules = 0..dice.random_range(0..=2);
    let schedules = schedules.map(|number| {
        let (some, desired) = (dice.random_range(0..=12), dice.random_range(0..=9));
        Window {
            name: format!("s{number}"),
            start: dice.random_range(0.0..900.0),
            end: dice.random_range(900.0..2000.0),
            min: one(dice, &[None, Some(some)]),
            max: None,
            desired: one(dice, &[None, None, Some(desired)]),
            priority: 0,
        }
    });
    let schedules = schedules.collect();
    Spec {
        min,
        max: min + dice.random_range(0..=12),
        checks,
        schedules,
        stabilization_down: one(dice, &[0.0, 60.0, 600.0]),
        stabilization_up: one(dice, &[0.0, 30.0]),
        cooldown_down: one(dice, &[0.0, 60.0]),
        budget_hourly: one(dice, &[f64::INFINITY, 1.0, 3.0]),
        price: one(dice, &[0.0, 0.2]),
        min_lifetime: one(dice, &[0.0, 120.0]),
        warmup: one(dice, &[0.0, 30.0]),
        disruption_percent: one(dice, &[10.0, 100.0]),
        predictive: one(dice, &[Predictive::Off, Predictive::Scale]),
        ..Spec::default()
    }
}

pub fn members(dice: &mut StdRng) -> Vec<Member> {
    use MemberState::{Allocated, Draining, Pending, Ready, Reserved, Stopped};
    let count = dice.random_range(0..=14);
    let member = |number| Member {
        id: format!("m{number:02}"),
        state: one(
            dice,
            &[Pending, Ready, Ready, Ready, Allocated, Reserved, Draining, Stopped],
        ),
        healthy: dice.random_bool(0.88),
        unhealthy_since: None,
        protected: dice.random_bool(0.15),
        created: NOW - dice.random_range(0.0..900.0),
        ready_at: NOW - dice.random_range(0.0..600.0),
        idle_since: NOW - dice.random_range(0.0..600.0),
        load: dice.random(),
        drifted: dice.random_bool(0.1),
        used: 0,
    };
    (0..count).map(member).collect()
}

pub fn samples(dice: &mut StdRng, spec: &Spec, members: &[Member]) -> BTreeMap<String, Samples> {
    let of_check = |check: &Check| {
        let samples = if check.strategy == Strategy::Queue {
            let backlog = dice.random_range(0.0..40.0);
            let value = one(dice, &[backlog, f64::NAN]);
            Samples::from([(String::new(), Sample(value, NOW - one(dice, &[0.0, 0.0, 0.0, 500.0])))])
        } else {
            let known: Vec<&Member> = members.iter().filter(|_| dice.random_bool(0.85)).collect();
            let sample = |member: &Member| {
                let (a, b) = (dice.random(), dice.random());
                let value = one(dice, &[a, b, f64::NAN, f64::INFINITY, -1.0]);
                (member.id.clone(), Sample(value, NOW - one(dice, &[0.0, 0.0, 300.0])))
            };
            known.into_iter().map(sample).collect()
        };
        (check.name.clone(), samples)
    };
    spec.checks.iter().map(of_check).collect()
}

pub fn observation(dice: &mut StdRng, spec: &Spec) -> Observation {
    let members = members(dice);
    Observation {
        now: NOW,
        samples: samples(dice, spec, &members),
        members,
        forecast: one(dice, &[None, Some(3.0), Some(f64::NAN)]),
        forecast_ok: dice.random_bool(0.5),
    }
}

pub fn history(dice: &mut StdRng) -> History {
    let recommendations = (1..=12)
        .rev()
        .map(|ago| Recommendation(NOW - 60.0 * f64::from(ago), dice.random_range(0..=12)))
        .collect();
    let events = 0..dice.random_range(0..=4);
    let events = events.map(|_| Event(NOW - dice.random_range(0.0..800.0), one(dice, &[-2, -1, 1, 2])));
    let events = events.collect();
    let demand = (0..dice.random_range(0..=40))
        .map(|_| dice.random_range(0.0..8.0))
        .collect();
    let demand = if dice.random_bool(0.6) {
        [("target".to_owned(), demand)].into()
    } else {
        BTreeMap::new()
    };
    History {
        given_up: Vec::new(),
        recommendations,
        events,
        misses: BTreeMap::new(),
        beyond: BTreeMap::new(),
        demand,
    }
}
