//! `kill -9` at any instant of applies and destroys of sixty resources, not only at writes; and a disk that gets full.
//!
//! One fleet lives through all of it. The instants are those of a seed, which a failure prints; `SIMFLEET_TEST_SEED=N` takes
//! it again, although what runs at an instant differs from run to run. There are 2 kills by default, 30 with
//! `SIMFLEET_TEST_SWEEP=all`, 300 with `SIMFLEET_TEST_LONG=1`; over a Docker engine, which is slower, 200 then.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::{Signal, kill_process};

use crate::cloud::{Cloud, foul};
use crate::field::{SIXTY, without_numbers};
use crate::processes::{finish, processes_of, signal};
use crate::support::{Fleet, engine};

const APPLY: [&str; 2] = ["apply", "--auto-approve"];
const DESTROY: [&str; 2] = ["destroy", "--auto-approve"];

/// What `state list` prints.
fn recorded(fleet: &Fleet) -> BTreeMap<String, usize> {
    let list = fleet.ok(&["state list"]).out;
    without_numbers(list.lines().map(|name| (name, 1)))
}

/// What should be recorded.
fn wanted() -> BTreeMap<String, usize> {
    let mut wanted = SIXTY.objects();
    wanted.insert("value.addresses".to_owned(), 1);
    wanted
}

fn kills(long: u32) -> u32 {
    let is_set = |name| std::env::var_os(name).is_some();
    match (is_set("SIMFLEET_TEST_LONG"), is_set("SIMFLEET_TEST_SWEEP")) {
        (true, _) => long,
        (false, true) => 30,
        (false, false) => 2,
    }
}

/// Kills applies and destroys; `check` looks at what is there after the next run went through, `meanwhile` happens between.
fn killed_at_instants(
    fleet: &Fleet,
    kills: u32,
    whole_fleet: &BTreeMap<String, usize>,
    check: &dyn Fn(&BTreeMap<String, usize>, &str),
    meanwhile: &dyn Fn(&mut StdRng),
) {
    let seed = match std::env::var("SIMFLEET_TEST_SEED") {
        Ok(seed) => seed.parse().expect("SIMFLEET_TEST_SEED is a number"),
        Err(_) => rand::random::<u32>().into(),
    };
    let mut dice = StdRng::seed_from_u64(seed);
    let timed = |verb: &[&str]| {
        let began = Instant::now();
        fleet.ok(verb);
        began.elapsed()
    };
    let mut whole = [timed(&APPLY), timed(&DESTROY)];
    let (mut is_there, mut cut_off) = (false, 0);
    for kill in 0..kills {
        let verb = usize::from(is_there);
        let at = whole[verb].mul_f64(dice.random_range(0.0..1.0));
        let case = format!(
            "SIMFLEET_TEST_SEED={seed}, kill {kill}: {} after {at:?}",
            [APPLY, DESTROY][verb][0]
        );
        let run = fleet.start(&[APPLY, DESTROY][verb], &[]);
        std::thread::sleep(at);
        signal(&run, Signal::KILL);
        match finish(run).code {
            None => cut_off += 1,
            // The machine has less to do than when it was measured.
            Some(_) => whole[verb] = at,
        }
        meanwhile(&mut dice);
        // A run that finishes what another left can be killed as well.
        if dice.random_bool(0.3) {
            let run = fleet.start(&APPLY, &[]);
            std::thread::sleep(at);
            signal(&run, Signal::KILL);
            finish(run);
        }
        is_there = dice.random_bool(0.6);
        fleet.ok(if is_there { &APPLY } else { &DESTROY });
        let wanted = if is_there { whole_fleet.clone() } else { BTreeMap::new() };
        assert_eq!(recorded(fleet), wanted, "{case}");
        check(&wanted, &case);
        if is_there {
            let plan = fleet.run(&["plan", "--detailed-exitcode"]);
            assert_eq!(
                plan.code,
                Some(0),
                "{case}: the plan after the apply\n{}\n{}",
                plan.out,
                plan.err
            );
        }
        fleet.ok(&["state check"]);
    }
    fleet.ok(&DESTROY);
    check(&BTreeMap::new(), "at the end");
    assert!(
        kills < 30 || cut_off * 3 > kills,
        "{cut_off} of {} runs were killed before their end",
        kills
    );
}

#[test]
fn killed_at_any_instant_over_the_fake_cloud() {
    let cloud = Cloud::new(foul(7));
    let endpoint = &cloud.endpoint;
    let fleet = Fleet::new(&SIXTY.text(&format!(
        "provider \"fake\" {{\n  endpoint = \"{endpoint}\"\n  lag_ms = 50\n}}\n"
    )));
    let check = |wanted: &BTreeMap<String, usize>, case: &str| {
        let objects = cloud.objects();
        let objects = without_numbers(objects.iter().map(|(name, count)| (&**name, *count)));
        let mut wanted = wanted.clone();
        wanted.remove("value.addresses");
        assert_eq!(objects, wanted, "{case}");
    };
    killed_at_instants(&fleet, kills(300), &wanted(), &check, &|_| ());
}

/// Between the kill and the next run some of the other processes die too: none, the agents, or everything.
#[test]
fn killed_at_any_instant_over_local_processes() {
    let fleet = Fleet::new(&SIXTY.text("provider \"local\" {}"));
    let check = |wanted: &BTreeMap<String, usize>, case: &str| {
        let running = processes_of(&fleet);
        let count = if wanted.is_empty() { (0, 0) } else { SIXTY.processes() };
        assert_eq!((running.agents.len(), running.shims.len()), count, "{case}");
    };
    let meanwhile = |dice: &mut StdRng| {
        let running = processes_of(&fleet);
        let killed = match dice.random_range(0..4) {
            0 => running.agents,
            1 => [running.agents, running.shims].concat(),
            _ => Vec::new(),
        };
        for pid in killed {
            // It can have died of the death of another.
            let _ = kill_process(pid, Signal::KILL);
        }
    };
    killed_at_instants(&fleet, kills(300), &wanted(), &check, &meanwhile);
}

/// Forty containers, a network and a volume of a real engine, each of which says in its labels whose it is. One of them is in the
/// network: engines of version 20 can stop for good where many are taken out of one at once. And it is looked at from
/// here: what watches a container there can stop for good where a command in it is ended as it begins.
#[test]
#[ignore = "needs a Docker engine"]
fn killed_at_any_instant_over_a_docker_engine() {
    let (provider, image, waits) = (engine::provider(), engine::IMAGE, engine::WAITS);
    let fleet = Fleet::new(&format!(
        r#"{provider}
network "lab" {{}}
service "store" {{
  image    = "{image}"
  command  = ["sh", "-c", "trap 'exit 0' TERM; httpd -f -p 80 & wait"]
  publish  = ["127.0.0.1::80"]
  networks = [network.lab.id]
  volume "data" {{ target = "/data" }}
  health_check {{
    type                = "tcp"
    interval            = "1s"
    unhealthy_threshold = 100 # a look takes long while forty containers begin
  }}
}}
simulator "container" "sim" {{
  count     = 39
  placement = "local"
  image     = "{image}"
  command   = {waits}
  restart   = "unless-stopped"
}}
"#
    ));
    let names = ["network.lab", "service.store", "service.store/data"].map(str::to_owned);
    let simulators = (0..39).map(|i| format!("simulator.container.sim[{i}]"));
    let whole: BTreeMap<String, usize> = names.into_iter().chain(simulators).map(|name| (name, 1)).collect();
    let check = |wanted: &BTreeMap<String, usize>, case: &str| {
        let there = engine::objects(&engine::lineage(&fleet));
        let there = without_numbers(there.iter().map(|name| (&**name, 1)));
        assert_eq!(there, *wanted, "{case}");
    };
    killed_at_instants(&fleet, kills(200), &whole, &check, &|_| ());
}

/// A file system that is too small, where this process may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("a folder");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "simfleet-test"])
            .arg(&at);
        mount.output().ok()?.status.success().then_some(SmallDisk(at))
    }

    fn resize(&self, size: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]).arg(&self.0);
        assert!(mount.status().expect("it was there before").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A disk that gets full in the middle of an apply or a destroy: the run ends and says so, and the next one, once there is
/// space, goes on: nothing is missing, and nothing there twice.
#[test]
fn a_disk_that_gets_full_in_the_middle_loses_nothing() {
    let cloud = Cloud::new(foul(8));
    let endpoint = &cloud.endpoint;
    let fleet = Fleet::new(&SIXTY.text(&format!(
        "provider \"fake\" {{\n  endpoint = \"{endpoint}\"\n  lag_ms = 50\n}}\n"
    )));
    let Some(disk) = SmallDisk::mount(fleet.states(), "64k") else {
        eprintln!("skipped: a full disk: this user may not mount a file system");
        return;
    };
    for size in ["64k", "80k", "96k", "112k"] {
        disk.resize(size);
        let run = fleet.run(&APPLY);
        assert_eq!(run.code, Some(1), "{size}: {}\n{}", run.out, run.err);
        let text = run.out + &run.err;
        assert!(text.contains("no space left for the state"), "{size}: {text}");
    }
    assert!(!cloud.objects().is_empty(), "some got as far as the cloud");
    disk.resize("64m");
    fleet.ok(&APPLY);
    assert_eq!(recorded(&fleet), wanted());
    let objects = cloud.objects();
    assert_eq!((objects.len(), objects.values().max()), (59, Some(&1)), "{objects:?}");
    fleet.ok(&["state check"]);
    fleet.ok(&DESTROY);
    assert_eq!(cloud.objects(), BTreeMap::new());
}
