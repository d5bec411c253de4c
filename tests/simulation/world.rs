//! A fleet with its state and its cloud, and what happens to them from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom, IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::json;
use simfleet::apply::{self, Patience};
use simfleet::config::{self, Inputs, Sources};
use simfleet::diagnostic::Diagnostics;
use simfleet::fleet::{Fleet, Options, Refresh, with_providers};
use simfleet::plan::{Mode, Selection};
use simfleet::providers::Registry;
use simfleet_provider_api::Address;
use simfleet_provider_fake::FakeType;
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::cloud::Cause;
use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{MemoryStore, State, StateStore, System};

use crate::slot::{self, Slot};

/// A fleet, its state and its cloud.
pub struct World {
    pub dice: StdRng,
    pub cloud: Arc<Gateway>,
    pub store: MemoryStore,
    pub slots: Vec<Slot>,
    /// Addresses that are no longer managed, and whose objects stay.
    pub removed: BTreeSet<String>,
    story: Story,
}

/// What happened, told when the test fails.
struct Story {
    seed: u64,
    lines: Vec<String>,
    cloud: Arc<Gateway>,
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for entry in self.cloud.log() {
                println!(
                    "{} ms: {:?} -> {:?}, heard {:?}",
                    entry.at_ms, entry.cause, entry.effects, entry.heard
                );
            }
            println!(
                "{}\n\nSIMFLEET_TEST_SEED={} repeats this",
                self.lines.join("\n"),
                self.seed
            );
        }
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let cloud = Gateway::new(Faults::default());
        World {
            dice: StdRng::seed_from_u64(seed),
            cloud: cloud.clone(),
            store: MemoryStore::new(Arc::new(System)),
            slots: slot::all(),
            removed: BTreeSet::new(),
            story: Story {
                seed,
                lines: vec![],
                cloud,
            },
        }
    }

    pub fn tell(&mut self, line: impl Into<String>) {
        self.story.lines.push(line.into());
    }

    /// Declares something else. What is declared earlier in the list can be read by what comes later; the order changes too,
    /// and so does what a block is called.
    pub fn edit(&mut self) {
        if self.dice.random_bool(0.3) {
            self.slots.shuffle(&mut self.dice);
        }
        for slot in &mut self.slots {
            if slot.dice == 0 || self.dice.random_bool(0.3) {
                slot.is_there = self.dice.random_bool(0.75);
                slot.dice = self.dice.random();
            }
            if slot.can_be_protected() && self.dice.random_bool(0.3) {
                slot.is_protected = !slot.is_protected;
            }
        }
        if self.dice.random_bool(0.3)
            && let Some(slot) = self.slots.choose_mut(&mut self.dice)
        {
            slot.rename(slot.was.len() + 1);
        }
        self.tell_fleet();
    }

    pub fn tell_fleet(&mut self) {
        let text = self.files().remove(0).1;
        self.tell(format!("--- the fleet is now\n{text}"));
    }

    fn files(&self) -> Vec<(PathBuf, String)> {
        slot::files(&self.slots, &self.removed, self.story.seed)
    }

    /// Changes or deletes objects by hand.
    pub fn drift(&mut self) {
        for object in self.cloud.objects() {
            if !self.dice.random_bool(0.1) {
                continue;
            }
            let replaced = if object.kind == "node" { "image" } else { "working_dir" };
            let change = match self.dice.random_range(0..3) {
                0 => {
                    self.cloud.destroy(&object.id);
                    self.tell(format!("--- by hand: {} is deleted", object.fields["name"]));
                    continue;
                }
                1 => json!({ "labels": { "by": "hand" } }),
                _ => json!({ replaced: "by-hand" }),
            };
            self.cloud.change(&object.id, change.as_object().expect("an object"));
            self.tell(format!("--- by hand: {} has {change}", object.fields["name"]));
        }
    }

    pub fn break_things(&mut self, step: u64) {
        let ms = self.dice.random_range(0..300);
        let (reason, rate) = ("for no reason", |rate: f64| json!({ "rate": rate }));
        // To refuse a question for good would be an answer, and a wrong one.
        let refused = |call| json!({ "fault": { "rejected": { "message": reason } }, "to": { "call": call }, "when": rate(0.05) });
        let late = json!({ "fails_late": { "polls": 0, "ms": ms, "message": reason } });
        let mut rules = vec![
            json!({ "fault": "lost_reply", "when": rate(0.1) }),
            json!({ "fault": "lost_request", "when": rate(0.1) }),
            json!({ "fault": "server_error", "when": rate(0.1) }),
            json!({ "fault": { "throttled": { "retry_after_ms": 30 } }, "when": rate(0.1) }),
            json!({ "fault": { "long_running": { "polls": 0, "ms": ms } }, "when": rate(0.3) }),
            json!({ "fault": late, "when": rate(0.1) }),
            json!({ "fault": { "unreachable": { "reason": reason } }, "when": rate(0.1) }),
            json!({ "fault": "denied", "when": rate(0.05) }),
        ];
        rules.extend(["create", "update", "delete"].map(refused));
        rules.retain(|_| self.dice.random_bool(0.4));
        let mut lag = || json!({ "ms": ([0, 0, 100, 5_000].choose(&mut self.dice)) });
        let (list, stale, find) = (lag(), lag(), lag());
        let faults = json!({
            "seed": self.story.seed + step, "rules": rules, "list_lag": list, "stale_list": stale, "find_lag": find
        });
        self.tell(format!("--- faults: {faults}"));
        self.cloud.set_faults(serde_json::from_value(faults).expect("faults"));
    }

    pub fn fleet(&self, mode: Mode, replace: BTreeSet<Address>) -> Fleet {
        self.fleet_of(mode, replace, Selection::default())
    }

    pub fn fleet_of(&self, mode: Mode, replace: BTreeSet<Address>, selection: Selection) -> Fleet {
        let options = Options {
            path: "fleet.hcl".into(),
            state: None,
            inputs: Inputs::default(),
            refresh: Refresh::Look,
            mode,
            replace,
            selection,
            parallelism: 4,
            holds: Default::default(),
            at: jiff::Timestamp::now(),
            lock_timeout: Duration::ZERO,
            command: "test".into(),
            program: "simfleet".into(),
        };
        let sources = Sources {
            folder: ".".into(),
            files: self.files(),
            variables: BTreeMap::new(),
        };
        let (config, _) = config::load_sources(&sources, &with_providers(&options.inputs)).expect("the fleet is sound");
        let mut registry = Registry::built_in();
        registry.add(Arc::new(FakeType::with_cloud(self.cloud.clone())));
        let walk = apply::Options {
            patience: Patience {
                jitter: Arc::new(|| 0.5),
                ..Patience::default()
            },
            ..apply::Options::default()
        };
        let fleet = Fleet::with_config(options, config, Diagnostics::new()).expect("a place for the state");
        fleet.over(Arc::new(self.store.clone()), registry, walk)
    }

    pub async fn state(&self) -> State {
        self.store.load().await.expect("a store in memory").state
    }

    /// How many calls came that change something.
    pub fn changes(&self) -> usize {
        let changes = |cause: &Cause| match cause {
            Cause::Called { call, .. } => matches!(call, Call::Create | Call::Update | Call::Delete),
            _ => false,
        };
        self.cloud.log().iter().filter(|entry| changes(&entry.cause)).count()
    }
}
