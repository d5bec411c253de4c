//! `kill -9` of a watch, of members, and of what it works with.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};

use crate::load::Load;
use crate::sizes::{local, recorded};
use crate::support::seeds::chosen;
use crate::support::{Fleet, every};
use crate::watcher::Watcher;

/// Returns the processes of the agents of a fleet's nodes.
pub fn agents(fleet: &Fleet) -> Vec<Pid> {
    let nodes: serde_json::Value = serde_json::from_str(&fleet.ok(&["nodes", "-o", "json"]).out).expect("JSON");
    let pids = nodes
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|node| node["pid"].as_i64());
    pids.filter_map(|pid| Pid::from_raw(pid as i32)).collect()
}

#[test]
fn a_member_that_is_killed_comes_back() {
    let load = Load::of(50.0);
    let fleet = Fleet::new(&local(&load.url()));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    let before = agents(&fleet);
    assert_eq!(before.len(), 1);
    kill_process(before[0], Signal::KILL).expect("it runs");
    let lost = watcher.wait_for_type("lost");
    assert_eq!(
        (&lost["event"], &lost["address"]),
        (&"member.lost".into(), &"pool.web/m1".into()),
        "{lost}"
    );
    watcher.wait_for("the member again", |event| {
        event["type"] == "finished" && event["address"] == "pool.web/m1"
    });
    watcher.wait_for("that it was found", |event| event["event"] == "member.found");
    let ended = watcher.end();
    assert_eq!(ended.code, Some(0));
    // What was made anew is neither more nor less.
    assert!(!ended.out.contains("pool.scaled"), "{}", ended.out);
    let after = agents(&fleet);
    assert_eq!(after.len(), 1);
    assert_ne!(before, after);
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// One that does not answer is no lost one: it is told, and not made anew.
#[test]
fn a_member_that_cannot_be_reached_is_told_and_not_lost() {
    let load = Load::of(50.0);
    let fleet = Fleet::new(&local(&load.url()));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    let before = agents(&fleet);
    kill_process(before[0], Signal::STOP).expect("it runs");
    let away = watcher.wait_for_type("unreachable");
    assert_eq!(
        (&away["event"], &away["address"]),
        (&"node.unreachable".into(), &"pool.web/m1".into()),
        "{away}"
    );
    assert_ne!(away["because"], "", "{away}");
    kill_process(before[0], Signal::CONT).expect("it is stopped");
    let back = watcher.wait_for_type("reachable");
    assert_eq!(
        (&back["event"], &back["address"]),
        (&"node.reachable".into(), &"pool.web/m1".into()),
        "{back}"
    );
    let ended = watcher.end();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.out.contains("member.lost"), "{}", ended.out);
    assert!(agents(&fleet).contains(&before[0]), "it is the same process");
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// The load goes up and down while the watch is killed again and again. In the end the pool is as large as the load wants,
/// no member is there twice and none is left behind.
#[test]
fn killed_at_any_instant_it_goes_on_where_it_was() {
    let seed = chosen().unwrap_or_else(|| rand::random::<u32>().into());
    let mut dice = StdRng::seed_from_u64(seed);
    let load = Load::of(50.0);
    let fleet = Fleet::new(&local(&load.url()));
    fleet.applied();
    for _ in 0..40 / every(8) {
        load.set(dice.random_range(0.0..100.0));
        let mut watcher = Watcher::start(&fleet, &[]);
        watcher.wait_for_type("watching");
        std::thread::sleep(std::time::Duration::from_millis(dice.random_range(0..2500)));
        watcher.kill();
        fleet.ok(&["state check"]);
    }
    // Full load wants the most.
    load.set(100.0);
    let mut watcher = Watcher::start(&fleet, &[]);
    while recorded(&fleet).len() < 5 {
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    load.set(50.0);
    watcher.wait_for_type("watching");
    assert_eq!(watcher.end().code, Some(0), "SIMFLEET_TEST_SEED={seed}");
    fleet.ok(&["apply", "--auto-approve"]);
    assert_eq!(recorded(&fleet).len(), 5, "SIMFLEET_TEST_SEED={seed}");
    assert_eq!(agents(&fleet).len(), 5, "SIMFLEET_TEST_SEED={seed}");
    assert_eq!(fleet.planned(), Vec::<String>::new(), "SIMFLEET_TEST_SEED={seed}");
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// A state that cannot be read is told once, and is no reason to stop, nor to do anything but wait for it.
#[test]
fn a_state_that_goes_away_is_waited_for() {
    let load = Load::of(50.0);
    let fleet = Fleet::new(&local(&load.url()));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    let (there, away) = (fleet.states().join("fleet.db"), fleet.states().join("away.db"));
    std::fs::rename(&there, &away).expect("it is there");
    let failed = watcher.wait_for_type("failed");
    assert!(
        failed["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("Nothing can be decided")),
        "{failed}"
    );
    std::fs::rename(&away, &there).expect("it was there");
    load.set(90.0);
    watcher.wait_for_size("pool.web", 2);
    watcher.wait_for_type("ran");
    let ended = watcher.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = ended.out.matches("Nothing can be decided").count();
    assert_eq!(told, 1, "{}", ended.out);
    fleet.ok(&["destroy", "--auto-approve"]);
}
