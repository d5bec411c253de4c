//! `kill -9` at every write to the journal, of runs of twenty resources; of sixty with `SIMFLEET_TEST_LONG=1`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cloud::{Cloud, foul};
use crate::field::{Field, SIXTY, TWENTY, without_numbers};
use crate::processes::{Running, files_of, processes_of};
use crate::support::crash::{crashes, sweep};
use crate::support::{Fleet, every};
use crate::{APPLY, DESTROY};

/// The fleet that is killed.
fn field() -> Field {
    match std::env::var_os("SIMFLEET_TEST_LONG") {
        Some(_) => SIXTY,
        None => TWENTY,
    }
}

#[test]
fn killed_at_every_write_over_the_fake_cloud() {
    let field = field();
    let clouds = Mutex::new(BTreeMap::new());
    let fleet = || {
        let mut clouds = clouds.lock().expect("no test panicked with it");
        let cloud = Cloud::new(foul(clouds.len() as u64));
        let text = format!(
            "provider \"fake\" {{\n  endpoint = \"{}\"\n  lag_ms = 50\n}}\n",
            cloud.endpoint
        );
        let fleet = Fleet::new(&field.text(&text));
        clouds.insert(fleet.path().to_owned(), cloud);
        fleet
    };
    let check = |fleet: &Fleet, applied: bool, case: &str| {
        let objects = clouds.lock().expect("no test panicked with it")[fleet.path()].objects();
        let objects = without_numbers(objects.iter().map(|(name, count)| (&**name, *count)));
        let expected = if applied { field.objects() } else { BTreeMap::new() };
        assert_eq!(objects, expected, "{case}");
    };
    sweep(every(16), &check, &fleet, &|_| ());
}

/// What reads a node that is replaced: `b` is changed, `c` made anew, and only then the old objects go.
const MADE_FIRST: &str = r#"
variable "image" { default = "one" }
node "a" { image = var.image }
node "b" { labels = { of = node.a.id } }
node "c" {
  image = node.b.labels.of
  lifecycle { create_before_destroy = true }
}
"#;

#[test]
fn killed_at_every_write_of_a_replacement_that_is_made_first() {
    let two = ["apply", "--auto-approve", "--var", "image=two"];
    let step = every(12);
    let one = |first: usize, when: &str, seed: u64| {
        for write in (first..).step_by(step) {
            let cloud = Cloud::new(foul(seed + write as u64));
            let provider = format!("provider \"fake\" {{ endpoint = \"{}\" }}\n", cloud.endpoint);
            let fleet = Fleet::new(&format!("{provider}{MADE_FIRST}"));
            fleet.ok(&APPLY);
            let first = cloud.gateway.objects();
            let died = crashes(&fleet, &two, &format!("{when}:{write}"));
            fleet.ok(&two);
            let objects = cloud.gateway.objects();
            let case = format!("killed {when} write {write}: {objects:?}");
            assert_eq!(objects.len(), 3, "{case}");
            let old = objects
                .iter()
                .filter(|object| first.iter().any(|first| first.id == object.id))
                .count();
            assert_eq!(old, 1, "only `b` stays: {case}");
            let again = fleet.run(&["plan", "--var", "image=two", "--detailed-exitcode"]);
            assert_eq!(again.code, Some(0), "{case}\n{}", again.out);
            fleet.ok(&DESTROY);
            assert_eq!(cloud.gateway.objects().len(), 0, "{case}");
            if !died {
                assert!(write > 5, "{case}: a run writes more often than that");
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| one(1, "before", 0));
        scope.spawn(|| one(1 + step / 2, "after", 1000));
    });
}

/// Sweeps over real processes; `killed` are those of them that die between the crash and the next run.
fn sweep_local(step: usize, killed: &(dyn Fn(&Running) -> Vec<Pid> + Sync)) {
    let field = field();
    let check = |fleet: &Fleet, applied: bool, case: &str| {
        let running = processes_of(fleet);
        let count = (running.agents.len(), running.shims.len());
        if applied {
            assert_eq!(count, field.processes(), "{case}");
        } else {
            assert_eq!(count, (0, 0), "{case}");
            assert_eq!(files_of(fleet), ["fleet.db", "fleet.db-journal"], "{case}");
        }
    };
    let fleet = || Fleet::new(&field.text("provider \"local\" {}"));
    let kill = |fleet: &Fleet| {
        for pid in killed(&processes_of(fleet)) {
            // It can have died of the death of another.
            let _ = kill_process(pid, Signal::KILL);
        }
    };
    sweep(step, &check, &fleet, &kill);
}

#[test]
fn killed_at_every_write_over_local_processes() {
    sweep_local(every(24), &|_| Vec::new());
}

#[test]
fn killed_at_every_write_with_all_agents() {
    sweep_local(every(24), &|running| running.agents.clone());
}

#[test]
fn killed_at_every_write_with_everything_as_in_a_power_cut() {
    sweep_local(every(24), &|running| [&running.agents[..], &running.shims[..]].concat());
}

#[test]
fn killed_agents_and_simulators_are_found_and_healed_in_one_apply() {
    let fleet = Fleet::new(&TWENTY.text("provider \"local\" {}"));
    fleet.ok(&APPLY);
    let status = |fleet: &Fleet| -> serde_json::Value {
        serde_json::from_str(&fleet.ok(&["status", "-o", "json"]).out).expect("JSON")
    };
    let pid_of = |value: &serde_json::Value| value["pid"].as_u64().expect("a process id");
    let before = status(&fleet);
    let kill = |pid: u64| {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::KILL).expect("it is ours");
    };
    // An agent alone; an agent with a simulator of its own; a simulator alone.
    let nodes = before["nodes"].as_array().expect("nodes").clone();
    let simulators = before["simulators"].as_array().expect("simulators").clone();
    let on = |node: &str| {
        simulators
            .iter()
            .filter(|simulator| simulator["node"] == node)
            .map(pid_of)
            .collect::<Vec<u64>>()
    };
    let agent = |node: &str| pid_of(nodes.iter().find(|it| it["address"] == node).expect("a node"));
    let survivors = on("pool.field/m1");
    kill(agent("pool.field/m1"));
    kill(agent("pool.field/m2"));
    kill(on("pool.field/m2")[0]);
    kill(on("pool.field/m3")[0]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while fleet.run(&["plan", "--detailed-exitcode"]).code != Some(2) {
        assert!(Instant::now() < deadline, "the plan must show what was killed");
    }
    fleet.ok(&APPLY);
    let after = status(&fleet);
    let running = processes_of(&fleet);
    assert_eq!((running.agents.len(), running.shims.len()), TWENTY.processes());
    let still = |pid: &u64| {
        after["simulators"]
            .as_array()
            .expect("simulators")
            .iter()
            .any(|it| pid_of(it) == *pid)
    };
    assert!(
        survivors.iter().all(still),
        "the simulators of a killed agent go on as they were"
    );
    let plan = fleet.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{}", plan.out);
    fleet.ok(&DESTROY);
    assert_eq!(processes_of(&fleet), Running::default());
}
