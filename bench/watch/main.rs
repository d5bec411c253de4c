//! What `simfleet watch` costs; `run` beside this file begins it.
//!
//! - `laps POOLS MEMBERS MINUTES`: pools over a cloud in this process, the source of the first of which hangs. The clock jumps to
//!   whatever is due next, so that an hour of laps takes as long as its work. The state is in a file, as it always is.
//! - `decision FILE`: one decision of a scaling vector, in microseconds of CPU

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use simfleet::apply;
use simfleet::config::Inputs;
use simfleet::fleet::{Fleet, Options, Refresh};
use simfleet::plan::{Mode, Selection};
use simfleet::providers::Registry;
use simfleet::scale::{Vector, decide};
use simfleet::watch::published::Published;
use simfleet::watch::sources::{Question, Sources, Values};
use simfleet::watch::{How, Told, Watch};
use simfleet_provider_fake::FakeType;
use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{Host, Liveness, Process, SqliteStore, System};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// A clock that goes with the one of the runtime.
#[derive(Debug)]
struct Clock(Instant);

impl Host for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::constant(1_800_000_000, 0) + SignedDuration::try_from(self.0.elapsed()).unwrap_or_default()
    }

    fn liveness(&self, process: &Process) -> Liveness {
        System.liveness(process)
    }

    fn random(&self) -> [u8; 16] {
        System.random()
    }
}

/// Sources of which one hangs. Each answers when it does, not all at once.
#[derive(Debug)]
struct Load;

#[async_trait]
impl Sources for Load {
    async fn ask(&self, question: &Question) -> Result<Values, String> {
        let pool = question.pool.to_string();
        let number: u64 = pool
            .trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap_or_default();
        if number == 0 {
            return std::future::pending().await;
        }
        tokio::time::sleep(Duration::from_millis(1 + number * 7 % 900)).await;
        Ok(Values {
            members: question.members.iter().map(|member| (member.number, 50.0)).collect(),
            ..Values::default()
        })
    }
}

fn text(pools: usize, members: usize) -> String {
    format!(
        "provider \"fake\" {{}}\npool \"web\" {{\n  count = {pools}\n  node {{\n    image = \"img\"\n  }}\n  autoscale {{\n    \
         min = {members}\n    max = {most}\n    check \"busy\" {{\n      source = \"http\"\n      query  = \"http://load/percent\"\n      \
         strategy \"target\" {{ target = 50 }}\n    }}\n  }}\n}}\n",
        most = members * 2
    )
}

fn options(folder: &Path) -> Options {
    Options {
        path: folder.join("fleet.hcl"),
        state: None,
        inputs: Inputs::default(),
        refresh: Refresh::Look,
        mode: Mode::Apply,
        replace: Default::default(),
        selection: Selection::default(),
        parallelism: 100,
        holds: Default::default(),
        at: Timestamp::now(),
        lock_timeout: Duration::ZERO,
        command: "bench".into(),
        program: "simfleet".into(),
    }
}

/// What this process has used: seconds of CPU, and megabytes of memory.
fn used() -> (f64, f64) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let stat = read("/proc/self/stat");
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    let ticks = fields.get(10).copied().unwrap_or_default() + fields.get(11).copied().unwrap_or_default();
    let pages: f64 = read("/proc/self/statm")
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or_default();
    (ticks / 100.0, pages * 4096.0 / 1e6)
}

async fn laps(pools: usize, members: usize, minutes: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("fleet.hcl"), text(pools, members)).expect("a file");
    let clock = Arc::new(Clock(Instant::now()));
    let store = SqliteStore::new(folder.path().join("state.db")).with_host(clock.clone());
    let cloud = Gateway::new(Faults::default());
    let fleet = || {
        let mut registry = Registry::built_in();
        registry.add(Arc::new(FakeType::with_cloud(cloud.clone())));
        let walk = apply::Options {
            host: clock.clone(),
            ..apply::Options::default()
        };
        Fleet::open(options(folder.path()))
            .expect("it is sound")
            .over(Arc::new(store.clone()), registry, walk)
    };
    let (progress, _told) = mpsc::unbounded_channel();
    let (_keep, never) = watch::channel(false);
    let maker = fleet();
    let planned = maker.plan().await.expect("it can be planned");
    let outcome = maker
        .apply(planned, &progress, never.clone())
        .await
        .expect("nobody has locks");
    assert!(outcome.is_complete(), "{outcome:?}");
    println!("{}", json!({ "made_cpu_s": used().0 }));

    let (tell, mut told) = mpsc::unbounded_channel();
    let (_wake, woken) = mpsc::unbounded_channel();
    let (pictures, pictured) = watch::channel(None);
    let (reread, _files) = watch::channel(fleet());
    let (_changes, changed) = mpsc::unbounded_channel();
    let watching =
        Watch::new(fleet(), How::default(), Arc::new(Load), tell, never, woken).showing(pictures, reread, changed);
    let began = Instant::now();
    let measure = async {
        let (mut before, mut since) = ((used(), std::time::Instant::now()), 0);
        for minute in [1, 2, 5, 10, 20, 30, 40, 50, 60]
            .into_iter()
            .filter(|minute| *minute <= minutes)
        {
            tokio::time::sleep_until(began + Duration::from_secs(60 * minute)).await;
            let laps = pictured
                .borrow()
                .as_ref()
                .map_or(0, |picture: &Arc<Published>| picture.counters.laps);
            let (now, at) = (used(), std::time::Instant::now());
            let rounds = 4.0 * (minute - since) as f64;
            let (cpu, wall) = ((now.0 - before.0.0) / rounds, (at - before.1).as_secs_f64() / rounds);
            println!(
                "{}",
                json!({ "minute": minute, "laps": laps, "cpu_s": cpu, "wall_s": wall, "memory_mb": now.1 })
            );
            (before, since) = ((now, at), minute);
        }
    };
    let mut hung = 0;
    let listen = async {
        while let Some(told) = told.recv().await {
            match told {
                Told::SourceFailed { .. } => hung += 1,
                Told::Decided { .. } | Told::Watching { .. } | Told::SourceAnswers { .. } => {}
                other => eprintln!("{other:?}"),
            }
        }
    };
    tokio::select! {
        ended = watching.watch() => eprintln!("it ended: {ended:?}"),
        () = measure => {}
        () = listen => {}
    }
    assert_eq!(hung, 1, "one source hangs");
}

/// Decides on a vector over and over; prints how long one decision takes.
fn decision(file: &str) {
    const TIMES: u32 = 1_000;
    let text = std::fs::read_to_string(file).expect("a file");
    let vector = Vector::parse(text.trim()).expect("a scaling vector");
    let before = used().0;
    for _ in 0..TIMES {
        std::hint::black_box(decide(&vector.spec, &vector.seen, &vector.history));
    }
    let each = (used().0 - before) / f64::from(TIMES);
    println!(
        "{}",
        json!({ "decision": vector.answer().decision, "cpu_us": each * 1e6 })
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<usize>().ok());
    match (arguments.first().map(String::as_str), number(1), number(2), number(3)) {
        (Some("laps"), Some(pools), Some(members), Some(minutes)) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build();
            runtime
                .expect("a runtime")
                .block_on(laps(pools, members, minutes as u64));
        }
        (Some("decision"), ..) if arguments.len() == 2 => decision(&arguments[1]),
        // As a test of the workspace it has nothing to do.
        _ => println!("usage: laps POOLS MEMBERS MINUTES | decision FILE"),
    }
}
