//! Random fleets, edited, drifting, failing and crashing at random over the fake cloud: whatever happened, once faults end
//! one apply brings the fleet to what is declared, and a destroy leaves nothing.
//!
//! `SIMFLEET_TEST_SEED=N` repeats one run and tells its story; `SIMFLEET_TEST_SWEEP=all` makes more,
//! `SIMFLEET_TEST_LONG=1` many.
#![cfg(feature = "fake")]

mod slot;

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::json;
use simfleet::apply::{self, Outcome, Patience};
use simfleet::config::{self, Inputs, Sources};
use simfleet::diagnostic::Diagnostics;
use simfleet::fleet::{Fleet, FleetError, Goal, Options, Refresh, with_providers};
use simfleet::plan::{Action, Mode, Plan, Selection};
use simfleet::providers::Registry;
use simfleet_provider_api::{Address, Value};
use simfleet_provider_fake::FakeType;
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::cloud::Cause;
use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{MemoryStore, State, StateStore, System, invariants, replay};
use tokio::sync::{mpsc, watch};

use self::slot::{Slot, text};

#[test]
fn whatever_happens_one_apply_without_faults_brings_the_fleet_to_what_is_declared() {
    let chosen = std::env::var("SIMFLEET_TEST_SEED").ok();
    let chosen = chosen.map(|seed| seed.parse().expect("SIMFLEET_TEST_SEED is a number"));
    let long = std::env::var_os("SIMFLEET_TEST_LONG").is_some();
    let seeds = match (chosen, long) {
        (Some(seed), _) => seed..seed + 1,
        (None, true) => 0..2_000,
        (None, false) if std::env::var_os("SIMFLEET_TEST_SWEEP").is_some() => 0..200,
        (None, false) => 0..40,
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
        }
    }
    world.settle().await;
    world.destroy().await;
}

struct World {
    dice: StdRng,
    cloud: Arc<Gateway>,
    store: MemoryStore,
    slots: Vec<Slot>,
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
    fn new(seed: u64) -> Self {
        let cloud = Gateway::new(Faults::default());
        World {
            dice: StdRng::seed_from_u64(seed),
            cloud: cloud.clone(),
            store: MemoryStore::new(Arc::new(System)),
            slots: slot::all(),
            story: Story {
                seed,
                lines: vec![],
                cloud,
            },
        }
    }

    fn tell(&mut self, line: impl Into<String>) {
        self.story.lines.push(line.into());
    }

    /// Declares something else. What is declared earlier in the list can be read by what comes later; the order changes too.
    fn edit(&mut self) {
        if self.dice.random_bool(0.3) {
            self.slots.shuffle(&mut self.dice);
        }
        for slot in &mut self.slots {
            if slot.dice == 0 || self.dice.random_bool(0.3) {
                slot.is_there = self.dice.random_bool(0.75);
                slot.dice = self.dice.random();
            }
        }
        let text = text(&self.slots, self.story.seed);
        self.tell(format!("--- the fleet is now\n{text}"));
    }

    /// Changes or deletes objects by hand.
    fn drift(&mut self) {
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

    fn break_things(&mut self, step: u64) {
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

    fn fleet(&self, mode: Mode, replace: BTreeSet<Address>) -> Fleet {
        self.fleet_of(mode, replace, Selection::default())
    }

    fn fleet_of(&self, mode: Mode, replace: BTreeSet<Address>, selection: Selection) -> Fleet {
        let options = Options {
            path: "fleet.hcl".into(),
            state: None,
            inputs: Inputs::default(),
            refresh: Refresh::Look,
            mode,
            replace,
            selection,
            parallelism: 4,
            lock_timeout: Duration::ZERO,
            command: "test".into(),
            program: "simfleet".into(),
        };
        let sources = Sources {
            folder: ".".into(),
            files: vec![("fleet.hcl".into(), text(&self.slots, self.story.seed))],
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

    async fn state(&self) -> State {
        self.store.load().await.expect("a store in memory").state
    }

    /// Runs as the command line does, with faults; perhaps it is stopped, and perhaps it dies.
    async fn run_into_trouble(&mut self) {
        let mut replace: Vec<Address> = self.state().await.resources.into_keys().collect();
        replace.retain(|_| self.dice.random_bool(0.05));
        let selection = self.part().await;
        self.tell(format!("--- apply, replacing {replace:?}, of {selection:?}"));
        let fleet = self.fleet_of(Mode::Apply, replace.into_iter().collect(), selection);
        let stop_after = self.dice.random_bool(0.15).then(|| self.dice.random_range(0..1_000));
        let polls = match self.dice.random_bool(0.5) {
            true => self.dice.random_range(1..60),
            false => u32::MAX,
        };
        match cut_off(polls, run(&fleet, stop_after)).await {
            Some(Ok(outcome)) => {
                assert_eq!(outcome.stopped_by, None, "{outcome:?}");
                self.tell(format!("{outcome:?}"));
            }
            // What was to be made anew went with an earlier run, or is not selected.
            Some(Err(FleetError::Diagnostics(problems)))
                if problems
                    .0
                    .iter()
                    .all(|it| ["Unknown resource", "Not selected"].contains(&&*it.summary)) =>
            {
                self.tell("it is gone already");
            }
            Some(Err(FleetError::Diagnostics(problems))) => panic!("it can be planned: {problems:?}"),
            Some(Err(error)) => panic!("{error:?}"),
            None => {
                self.tell("it dies");
                for lease in self.store.load().await.expect("a store in memory").leases {
                    self.store.unlock(&lease.holder.id).await.expect("a store in memory");
                }
            }
        }
    }

    /// Chooses a part of the fleet, sometimes.
    async fn part(&mut self) -> Selection {
        let state = self.state().await;
        let blocks: BTreeSet<String> = state.resources.keys().map(|it| it.declaration().to_string()).collect();
        let blocks: Vec<String> = blocks.into_iter().collect();
        let mut selection = Selection::default();
        if let Some(block) = blocks.choose(&mut self.dice)
            && self.dice.random_bool(0.2)
        {
            let pattern = block.parse().expect("an address is a pattern");
            match self.dice.random_bool(0.5) {
                true => selection.targets.push(pattern),
                false => selection.excludes.push(pattern),
            }
        }
        selection
    }

    /// Records what there is, and changes nothing.
    async fn refresh(&mut self) {
        self.tell("--- refresh only");
        let before = self.changes();
        let fleet = self.fleet(Mode::Refresh, BTreeSet::new());
        let (progress, _told) = mpsc::unbounded_channel();
        // What was begun is finished first, as by every run.
        if fleet.recover(&progress).await.is_ok() {
            let recovered = self.changes();
            if let Ok(planned) = fleet.plan().await {
                let (_keep, stop) = watch::channel(false);
                let outcome = fleet.apply(planned, &progress, stop).await;
                self.tell(format!("{outcome:?}"));
                assert_eq!(self.changes(), recovered, "a refresh changes nothing");
            }
        }
        assert!(self.changes() >= before);
        self.holds_together().await;
    }

    /// How many calls came that change something.
    fn changes(&self) -> usize {
        let changes = |cause: &Cause| match cause {
            Cause::Called { call, .. } => matches!(call, Call::Create | Call::Update | Call::Delete),
            _ => false,
        };
        self.cloud.log().iter().filter(|entry| changes(&entry.cause)).count()
    }

    /// Goes back to what the fleet was to be brought to before.
    async fn go_back(&mut self) {
        self.tell("--- undo");
        let fleet = self.fleet(Mode::Apply, BTreeSet::new());
        let Ok((_, goal)) = fleet.earlier_goal(None).await else {
            return;
        };
        let fleet = fleet.back_to(&goal).expect("it was sound, and has no secrets");
        match run(&fleet, None).await {
            Ok(outcome) => self.tell(format!("{outcome:?}")),
            Err(error) => panic!("{error:?}"),
        }
        let state = self.state().await;
        match goal {
            Goal::Nothing => assert_eq!(state.intended, None, "undo returns to the same intent"),
            Goal::Configuration(wanted) => {
                assert_eq!(
                    state.intended.as_ref(),
                    Some(&wanted.digest),
                    "undo returns to the same intent"
                );
            }
        }
        self.holds_together().await;
    }

    /// Gives a block another address, which nothing declares.
    async fn move_one(&mut self) {
        let state = self.state().await;
        let declared: BTreeSet<Address> = state.resources.keys().map(Address::declaration).collect();
        let declared: Vec<Address> = declared.into_iter().collect();
        let Some(from) = declared.choose(&mut self.dice) else {
            return;
        };
        let text = from.to_string();
        let (kind, name) = text.rsplit_once('.').expect("a kind and a name");
        let to: Address = format!("{kind}.moved_{name}").parse().expect("an address");
        self.tell(format!("--- mv {from} {to}"));
        let fleet = self.fleet(Mode::Apply, BTreeSet::new());
        let (progress, _told) = mpsc::unbounded_channel();
        match fleet.move_recorded(from, &to, &progress).await {
            Ok(moved) => assert!(!moved.is_empty(), "{from} was recorded"),
            // In flight, or moved before.
            Err(FleetError::Diagnostics(problems)) => self.tell(format!("{problems:?}")),
            Err(error) => panic!("{error:?}"),
        }
        self.holds_together().await;
    }

    /// What is recorded is what its events lead to, and holds together, now and at any time before.
    async fn holds_together(&mut self) {
        let history = self.store.history(1..=u64::MAX).await.expect("a store in memory");
        let state = self.state().await;
        assert_eq!(
            replay(&history).expect("it was recorded"),
            state,
            "replay leads to what is there"
        );
        let cut = self.dice.random_range(0..=history.len());
        for entries in [&history[..cut], &history[..]] {
            let state = replay(entries).expect("it was recorded");
            invariants::check(&state).unwrap_or_else(|problem| panic!("{problem}, at serial {}", state.serial));
        }
    }

    /// Without faults, one apply brings the fleet to what is declared.
    async fn settle(&mut self) {
        self.tell("--- settle");
        self.cloud.set_faults(Faults::default());
        let fleet = self.fleet(Mode::Apply, BTreeSet::new());
        let outcome = run(&fleet, None).await.expect("nothing is in the way");
        self.tell(format!("{outcome:?}"));
        assert!(outcome.is_complete(), "{outcome:?}");
        let plan = plan(&fleet).await;
        assert!(plan.is_empty(), "a plan after an apply is empty: {}", left(&plan));
        let state = self.state().await;
        let wanted: Vec<String> = plan.changes.iter().map(|change| change.address.to_string()).collect();
        let recorded: Vec<String> = state.resources.keys().map(ToString::to_string).collect();
        assert_eq!(recorded, wanted, "what is recorded is what is wanted");
        let made: BTreeSet<(String, String)> = self
            .cloud
            .objects()
            .into_iter()
            .map(|object| (object.fields["name"].as_str().expect("a name").to_owned(), object.id))
            .collect();
        let managed = state.resources.iter().filter(|(address, _)| address.block() != "value");
        let managed: BTreeSet<(String, String)> = managed
            // What moved keeps its name.
            .map(|(_, resource)| {
                (
                    resource.object.attributes.get("name").and_then(Value::as_str),
                    &resource.object.id,
                )
            })
            .map(|(name, id)| (name.expect("a name").to_owned(), id.to_string()))
            .collect();
        assert_eq!(
            self.cloud.objects().len(),
            managed.len(),
            "every object is there once: {made:?}"
        );
        assert_eq!(made, managed, "every object is there once, and recorded");
        assert!(state.intents.is_empty());
        // What was refused after it was accepted unheard ends by itself, once the cloud looks at its clock.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.cloud.destroy("nothing");
        assert_eq!(self.cloud.pending(), [""; 0], "nothing goes on");
        for (host, port, reservation) in reservations(&state) {
            let resource = state.resources.get(&reservation.0).expect("nobody else has ports");
            let ports = resource
                .declared
                .inputs
                .get("ports")
                .and_then(|ports| ports.get(&reservation.1));
            assert_eq!(resource.declared.hosted_on.as_ref(), Some(host), "{reservation:?}");
            assert_eq!(
                ports.and_then(|port| port.as_u64()),
                Some(port.into()),
                "{reservation:?}"
            );
        }
    }

    async fn destroy(&mut self) {
        self.tell("--- destroy");
        self.drift();
        let fleet = self.fleet(Mode::Destroy, BTreeSet::new());
        let outcome = run(&fleet, None).await.expect("nothing is in the way");
        assert!(outcome.is_complete(), "{outcome:?}");
        assert!(plan(&fleet).await.is_empty());
        assert_eq!(self.cloud.objects(), []);
        let state = self.state().await;
        let is_empty = state.is_empty() && state.reservations.is_empty() && state.pools.is_empty();
        assert!(is_empty && state.outputs.is_empty(), "{state:#?}");
    }
}

/// Tells what makes a plan one that does something.
fn left(plan: &Plan) -> String {
    let changes = plan.changes.iter().filter(|change| change.action != Action::NoOp);
    let changes: Vec<String> = changes
        .map(|change| format!("{} {} as {:?}", change.action.as_str(), change.address, change.reasons))
        .collect();
    let outputs: Vec<_> = plan.outputs.values().filter(|output| output.is_change()).collect();
    format!("{changes:?}, {:?}, {:?}, {outputs:?}", plan.pools, plan.unfinished)
}

fn reservations(state: &State) -> impl Iterator<Item = (&Address, u16, (Address, Arc<str>))> {
    state.reservations.iter().flat_map(|(host, ports)| {
        let of_host = ports.iter();
        of_host.map(move |(port, by)| (host, port.number, (by.address.clone(), by.name.clone())))
    })
}

async fn run(fleet: &Fleet, stop_after: Option<u64>) -> Result<Outcome, FleetError> {
    let (progress, _told) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    fleet.recover(&progress).await?;
    let planned = fleet.plan().await?;
    let stopping = async {
        if let Some(after) = stop_after {
            tokio::time::sleep(Duration::from_millis(after)).await;
            stop.send_replace(true);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        outcome = fleet.apply(planned, &progress, stopped) => outcome,
        () = stopping => unreachable!("it waits for ever"),
    }
}

/// Makes a plan twice: it says the same.
async fn plan(fleet: &Fleet) -> Plan {
    let [plan, again] =
        [fleet.plan().await, fleet.plan().await].map(|planned| planned.expect("it can be planned").plan);
    assert!(plan == again, "{}, {}", left(&plan), left(&again));
    plan
}

/// Drops a future after so many polls, as a process that is killed.
async fn cut_off<T>(mut polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match polls {
        0 => Poll::Ready(None),
        _ => {
            polls -= 1;
            future.as_mut().poll(context).map(Some)
        }
    })
    .await
}
