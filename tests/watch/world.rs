//! Watches over the fake cloud, with a clock of their own, sources that do what a test wants, and all that is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use simfleet::apply::{self, Patience};
use simfleet::fleet::Fleet;
use simfleet::plan::Mode;
use simfleet::scale;
use simfleet::watch::sources::{Question, Sources, Values};
use simfleet::watch::{How, Told, Watch};
use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{Host, Liveness, MemoryStore, Process, State, StateStore, System};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::support::bench::{Bench, registry};
use crate::support::seeds::chosen;

/// The most members of each pool, and how many more may be alive.
pub const CAP: usize = 6;
pub const SURGE: usize = 1;

/// A clock that goes with the one of the runtime, and jumps.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    jumped: Mutex<SignedDuration>,
}

impl Clock {
    pub fn jump(&self, by: SignedDuration) {
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
pub enum Does {
    Answer(f64),
    Fail,
    Hang,
}

/// Sources that do what is wanted of them, by pool.
#[derive(Debug, Clone, Default)]
pub struct Script(Arc<Mutex<BTreeMap<String, Does>>>);

impl Script {
    pub fn set(&self, pool: &str, does: Does) {
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

pub fn fleet_text(min: usize, simulators: usize, warm: usize) -> String {
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

pub struct World {
    pub seed: u64,
    pub dice: StdRng,
    pub bench: Bench,
    pub store: MemoryStore,
    pub cloud: Arc<Gateway>,
    pub clock: Arc<Clock>,
    pub script: Script,
    /// Whether the cloud tells what happens, so that it is rarely looked at else.
    pub tells: bool,
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
    pub fn new(seed: u64) -> Self {
        let clock = Arc::new(Clock {
            began: Instant::now(),
            jumped: Mutex::default(),
        });
        let mut dice = StdRng::seed_from_u64(seed);
        let cloud = Gateway::new(Faults::default());
        let tells = dice.random_bool(0.5);
        if tells {
            cloud.tell();
        }
        World {
            seed,
            dice,
            bench: Bench::new(&fleet_text(1, 1, 1)),
            store: MemoryStore::new(clock.clone()),
            cloud,
            tells,
            clock,
            script: Script::default(),
            story: Vec::new(),
        }
    }

    pub fn tell(&mut self, line: impl Into<String>) {
        let at = self.clock.began.elapsed().as_secs();
        let line = format!("{at} s: {}", line.into());
        // Of one that was chosen the story is told as it goes: it may have no end.
        if chosen().is_some() {
            println!("{line}");
        }
        self.story.push(line);
    }

    pub fn fleet(&self) -> Fleet {
        let mut options = self.bench.options(Mode::Apply, &[]);
        options.lock_timeout = Duration::from_secs(60);
        options.at = self.clock.now();
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

    pub async fn apply(&mut self) {
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

    pub async fn state(&self) -> State {
        self.store.load().await.expect("a store in memory").state
    }

    /// Watches for a while, and is then killed.
    pub async fn watch(&mut self, time: Duration) {
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
    pub fn members(&self, pool: &str, waits: bool) -> BTreeSet<String> {
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

    pub fn waiting(&self, pool: &str) -> BTreeSet<String> {
        self.members(pool, true)
    }

    pub fn working(&self, pool: &str) -> BTreeSet<String> {
        self.members(pool, false)
    }
}
