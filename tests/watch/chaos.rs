//! Watches over the fake cloud, with a clock of their own, killed and started again while everything around them breaks: by a
//! seed, so that what fails can be seen again. `SIMFLEET_TEST_SEED=N` takes one; 10 are taken by default, 100 with
//! `SIMFLEET_TEST_SWEEP=all`, 5,000 with `SIMFLEET_TEST_LONG=1`.
//!
//! Whatever happens: no more machines than the cap and the surge are alive, no member goes while a simulator is on it; and
//! once nothing breaks any more, the pools are as large as their load wants, and nothing is missing, there twice or left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use simfleet::apply::{self, Patience};
use simfleet::fleet::Fleet;
use simfleet::plan::{Action, Mode};
use simfleet::scale;
use simfleet::watch::sources::{Question, Sources, Values};
use simfleet::watch::{How, Told, Watch};
use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{Host, Liveness, MemoryStore, Process, State, StateStore, System};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::support::bench::{Bench, registry};
use crate::support::seeds::{Seeds, chosen};

/// The most members of each pool, and how many more may be alive.
const CAP: usize = 6;
const SURGE: usize = 1;

/// A clock that goes with the one of the runtime, and jumps.
#[derive(Debug)]
struct Clock {
    began: Instant,
    jumped: Mutex<SignedDuration>,
}

impl Clock {
    fn jump(&self, by: SignedDuration) {
        *self.jumped.lock().expect("no panic holds it") += by;
    }
}

impl Host for Clock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.began.elapsed()).expect("short");
        let jumped = *self.jumped.lock().expect("no panic holds it");
        Timestamp::constant(1_800_000_000, 0) + elapsed + jumped
    }

    fn liveness(&self, process: &Process) -> Liveness {
        System.liveness(process)
    }

    fn random(&self) -> [u8; 16] {
        System.random()
    }
}

/// What a source does.
#[derive(Debug, Clone, Copy)]
enum Does {
    Answer(f64),
    Fail,
    Hang,
}

/// Sources that do what is wanted of them, by pool.
#[derive(Debug, Clone, Default)]
struct Script(Arc<Mutex<BTreeMap<String, Does>>>);

impl Script {
    fn set(&self, pool: &str, does: Does) {
        self.0.lock().expect("no panic holds it").insert(pool.to_owned(), does);
    }
}

#[async_trait]
impl Sources for Script {
    async fn ask(&self, question: &Question) -> Result<Values, String> {
        let does = self
            .0
            .lock()
            .expect("no panic holds it")
            .get(question.pool.name())
            .copied();
        match does.unwrap_or(Does::Fail) {
            Does::Answer(value) => Ok(Values {
                // The members share what there is to do.
                pool: Some(value / question.members.len().max(1) as f64),
                ..Values::default()
            }),
            Does::Fail => Err("it is broken".to_owned()),
            Does::Hang => std::future::pending().await,
        }
    }
}

fn fleet_text(min: usize, simulators: usize, warm: usize) -> String {
    let pool = |name: &str| {
        format!(
            r#"
pool "{name}" {{
  node {{
    image          = "img"
    max_simulators = 2
  }}
  autoscale {{
    min                 = {min}
    max                 = {CAP}
    evaluation_interval = "15s"
    check "busy" {{
      source = "http"
      query  = "http://load/percent"
      strategy "target" {{ target = 50 }}
    }}
  }}
  warm {{
    state = "stopped"
    size  = {warm}
  }}
}}
"#
        )
    };
    format!(
        "provider \"fake\" {{}}\n{}{}\nsimulator \"exec\" \"sim\" {{\n  count     = {simulators}\n  placement = pool.a\n  \
         command   = [\"run\"]\n}}\n",
        pool("a"),
        pool("b")
    )
}

struct World {
    seed: u64,
    dice: StdRng,
    bench: Bench,
    store: MemoryStore,
    cloud: Arc<Gateway>,
    clock: Arc<Clock>,
    script: Script,
    story: Vec<String>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "{}\n\nSIMFLEET_TEST_SEED={} repeats this",
                self.story.join("\n"),
                self.seed
            );
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = Arc::new(Clock {
            began: Instant::now(),
            jumped: Mutex::default(),
        });
        World {
            seed,
            dice: StdRng::seed_from_u64(seed),
            bench: Bench::new(&fleet_text(1, 1, 1)),
            store: MemoryStore::new(clock.clone()),
            cloud: Gateway::new(Faults::default()),
            clock,
            script: Script::default(),
            story: Vec::new(),
        }
    }

    fn tell(&mut self, line: impl Into<String>) {
        let at = self.clock.began.elapsed().as_secs();
        let line = format!("{at} s: {}", line.into());
        // Of one that was chosen the story is told as it goes: it may have no end.
        if chosen().is_some() {
            println!("{line}");
        }
        self.story.push(line);
    }

    fn fleet(&self) -> Fleet {
        let mut options = self.bench.options(Mode::Apply, &[]);
        options.lock_timeout = Duration::from_secs(60);
        let walk = apply::Options {
            patience: Patience {
                jitter: Arc::new(|| 0.5),
                ..Patience::default()
            },
            host: self.clock.clone(),
            ..apply::Options::default()
        };
        let fleet = Fleet::open(options).expect("it is sound");
        fleet.over(Arc::new(self.store.clone()), registry(&self.cloud), walk)
    }

    async fn apply(&mut self) {
        let (progress, _told) = mpsc::unbounded_channel();
        let (_keep, stop) = watch::channel(false);
        for _ in 0..20 {
            let fleet = self.fleet();
            // What is in the way, or fails, is left to the next.
            let run = async {
                fleet.recover(&progress).await?;
                let planned = fleet.plan().await?;
                fleet.apply(planned, &progress, stop.clone()).await
            };
            // One that takes that long is killed.
            let Ok(ended) = tokio::time::timeout(Duration::from_secs(600), run).await else {
                self.tell("apply is killed");
                continue;
            };
            match ended {
                Ok(outcome) if outcome.is_complete() => return,
                Ok(outcome) => self.tell(format!("apply: {:?}", outcome.failed)),
                Err(error) => self.tell(format!("apply: {error}")),
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    async fn state(&self) -> State {
        self.store.load().await.expect("a store in memory").state
    }

    /// Watches for a while, and is then killed.
    async fn watch(&mut self, time: Duration) {
        let (tell, mut told) = mpsc::unbounded_channel();
        let (_stop, stopped) = watch::channel(false);
        let (_wake, woken) = mpsc::unbounded_channel();
        let sources = Arc::new(self.script.clone());
        // The lead of one that was killed falls with its lease: its process is there, as it is that of the test.
        let how = How {
            standby: true,
            ..How::default()
        };
        let watch = Watch::new(self.fleet(), how, sources, tell, stopped, woken);
        let watching = watch.watch();
        let killed = tokio::time::sleep(time);
        tokio::pin!(watching, killed);
        loop {
            tokio::select! {
                biased;
                ended = &mut watching => {
                    self.tell(format!("watch ended: {ended:?}"));
                    return;
                }
                Some(told) = told.recv() => self.hears(told).await,
                () = &mut killed => {
                    self.tell("watch is killed");
                    return;
                }
            }
        }
    }

    /// Takes in what a watch tells, and checks what must hold at any time.
    async fn hears(&mut self, told: Told) {
        if let Told::Decided { pool, decision, .. } = &told {
            let state = self.state().await;
            for scale::Action(step, id) in &decision.actions {
                let member = pool.child(format!("m{id}"));
                let is_taken = matches!(step, scale::Step::Drain | scale::Step::Cancel);
                let mut simulators = state
                    .resources
                    .iter()
                    .filter(|(address, _)| address.block() == "simulator");
                let occupied = simulators.any(|(_, resource)| resource.declared.hosted_on.as_ref() == Some(&member));
                assert!(!(is_taken && occupied), "{member} is to go, and a simulator is on it");
            }
        }
        let text = match &told {
            Told::Run(progress) => format!("{progress:?}"),
            other => format!("{other:?}"),
        };
        self.tell(text);
        self.are_few().await;
    }

    /// The machines that are alive, but for those that are about to go, are as many as there may be.
    async fn are_few(&self) {
        let state = self.state().await;
        for pool in ["pool.a/", "pool.b/"] {
            let nodes = self.cloud.objects().into_iter().filter(|object| object.kind == "node");
            let nodes = nodes.filter(|node| node.fields.get("state").is_none_or(|state| *state != "stopped"));
            let names = nodes.map(|object| object.fields["name"].as_str().expect("a name").to_owned());
            let is_staying = |name: &String| {
                let address = name.parse().expect("nodes are named by their addresses");
                let is_going = state
                    .resources
                    .get(&address)
                    .is_some_and(|node| node.cordoned.is_some());
                let intent = state.intents.get(&address);
                !is_going && intent.is_none_or(|intent| intent.operation.verb() != "delete")
            };
            let alive: Vec<String> = names.filter(|name| name.starts_with(pool)).filter(is_staying).collect();
            assert!(alive.len() <= CAP + SURGE, "{alive:?}");
        }
    }

    /// Returns the ids of the members of a pool, by whether they wait.
    fn members(&self, pool: &str, waits: bool) -> BTreeSet<String> {
        let objects = self.cloud.objects().into_iter();
        let members = objects.filter(|object| {
            let name = object
                .fields
                .get("name")
                .and_then(|name| name.as_str())
                .unwrap_or_default();
            let is_stopped = object.fields.get("state").is_some_and(|state| *state == "stopped");
            object.kind == "node" && name.starts_with(pool) && is_stopped == waits
        });
        members.map(|object| object.id.clone()).collect()
    }

    fn waiting(&self, pool: &str) -> BTreeSet<String> {
        self.members(pool, true)
    }

    fn working(&self, pool: &str) -> BTreeSet<String> {
        self.members(pool, false)
    }

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

#[tokio::test(start_paused = true)]
async fn members_wait_and_are_back_before_new_ones_are_made() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let mut world = World::new(0);
    world.bench.write(&fleet_text(1, 0, 2));
    world.apply().await;
    let ids = |world: &World| (world.working("pool.a/"), world.waiting("pool.a/"));
    let (one, two) = ids(&world);
    assert_eq!((one.len(), two.len()), (1, 2), "an apply makes them");

    world.script.set("b", Does::Answer(20.0));
    world.script.set("a", Does::Answer(140.0));
    world.watch(Duration::from_secs(10)).await;
    let (three, others) = ids(&world);
    assert_eq!(three, &one | &two, "those that waited work");
    assert_eq!(others.len(), 2, "and others wait");

    world.script.set("a", Does::Answer(400.0));
    world.watch(HOUR).await;
    let (six, none) = ids(&world);
    assert_eq!((six.len(), none.len()), (6, 0), "nobody waits who could not be needed");
    assert!(others.is_subset(&six));

    world.script.set("a", Does::Answer(190.0));
    world.watch(HOUR).await;
    let (four, two) = ids(&world);
    assert_eq!((four.len(), &four | &two), (4, six.clone()), "who leaves waits");

    // One that is lost while it waits is made anew, and waits.
    let lost = two.first().expect("two wait").clone();
    world.cloud.destroy(&lost);
    world.watch(HOUR).await;
    let (again, two) = ids(&world);
    assert_eq!((again, two.len(), two.contains(&lost)), (four, 2, false));

    world.script.set("a", Does::Answer(20.0));
    world.watch(HOUR).await;
    let (one, waiting) = ids(&world);
    assert_eq!((one.len(), waiting), (1, two), "no more of them wait than is declared");
}

#[tokio::test(start_paused = true)]
async fn a_simulator_runs_when_its_schedule_says() {
    // It is eight o'clock when it begins.
    let schedule =
        "  schedule \"day\" {\n    timezone = \"UTC\"\n    start    = \"09:00\"\n    end      = \"10:00\"\n  }\n";
    let text = |schedule: &str| {
        fleet_text(1, 1, 0).replace("  placement = pool.a\n", &format!("  placement = pool.a\n{schedule}"))
    };
    let mut world = World::new(0);
    world.bench.write(&text(schedule));
    world.apply().await;
    let runs = |world: &World| {
        let objects = world.cloud.objects();
        let simulator = objects
            .iter()
            .find(|object| object.kind == "process")
            .expect("it is made");
        simulator.fields["state"] == "running"
    };
    assert!(!runs(&world), "it is made, and waits for its time");
    let fleet = world.fleet();
    let planned = fleet.plan().await.expect("it can be planned");
    assert!(planned.plan.is_empty(), "that is as it should be");

    // The sources say nothing, so that only the clock has something be done.
    for (minutes, is_running) in [(59, false), (2, true), (57, true), (3, false)] {
        world.watch(Duration::from_secs(minutes * 60)).await;
        assert_eq!(runs(&world), is_running, "after {minutes} more minutes");
    }
    world.bench.write(&text(""));
    world.apply().await;
    assert!(runs(&world), "without a schedule it always runs");
}
