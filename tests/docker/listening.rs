//! An engine tells what happens to its containers, and a watch does not wait for the next look.

use crate::own::OwnEngine;
use crate::served::Served;
use crate::support::Fleet;
use crate::support::engine::{IMAGE, WAITS, container, docker, host, lineage};

/// Members that nothing is asked of for ten minutes.
fn pool(host: &str, members: usize) -> String {
    format!(
        r#"
provider "docker" {{ host = "{host}" }}
pool "web" {{
  provider = docker
  node {{
    image      = "{IMAGE}"
    command    = {WAITS}
    stop_grace = "1s"
  }}
  autoscale {{
    min                 = {members}
    max                 = {members}
    evaluation_interval = "10m"
  }}
}}
"#
    )
}

/// Reads a number of those that a watch shows.
fn metric(served: &Served, name: &str) -> f64 {
    let text = served.get("/metrics").body;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

fn looks(served: &Served, because: &str) -> f64 {
    metric(served, &format!("simfleet_looks_total{{because=\"{because}\"}}"))
}

/// Waits until the engine is listened to, or not any more.
fn wait_until_it_tells(served: &Served, engines: f64) {
    served.wait_for("/metrics", |got| {
        got.body.contains(&format!("\nsimfleet_sides_telling {engines}\n"))
    });
}

#[test]
#[ignore = "needs a Docker engine; scripts/test starts one"]
fn what_is_killed_or_removed_is_made_anew_without_a_look_that_is_due() {
    let fleet = Fleet::new(&pool(&host(), 2));
    fleet.applied();
    let lineage = lineage(&fleet);
    let mut served = Served::start(&fleet);
    wait_until_it_tells(&served, 1.0);
    // It is looked at when the watch begins, and when the engine begins to tell; then for ten minutes not, by itself.
    served.wait_for("/metrics", |got| {
        got.body.contains("\nsimfleet_looks_total{because=\"time\"} 2\n")
    });

    docker(&["rm", "-f", &container(&lineage, "pool.web/m1")]);
    let lost = served.watcher.wait_for_type("lost");
    assert_eq!(lost["address"], "pool.web/m1", "{lost}");
    let ran = served.watcher.wait_for_type("ran");
    assert_eq!(ran["event"], "run.ended", "{ran}");

    let two = container(&lineage, "pool.web/m2");
    docker(&["kill", &two]);
    let ran = served.watcher.wait_for_type("ran");
    assert_eq!(ran["event"], "run.ended", "{ran}");
    let running = ["inspect", "-f", "{{.State.Running}}"];
    assert_eq!(docker(&[&running[..], &[&two]].concat()), "true");
    let one = container(&lineage, "pool.web/m1");
    assert_eq!(docker(&[&running[..], &[&one]].concat()), "true");
    // So is what somebody changes.
    docker(&["update", "--memory", "64m", "--memory-swap", "128m", &one]);
    let ran = served.watcher.wait_for_type("ran");
    assert_eq!(ran["event"], "run.ended", "{ran}");
    assert!(looks(&served, "event") >= 3.0);
    assert_eq!(looks(&served, "time"), 2.0, "none was due");
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs a Docker engine, and root"]
fn an_engine_that_was_restarted_or_hung_is_listened_to_again() {
    let mut own = OwnEngine::start(&[]);
    let fleet = Fleet::new(&pool(&own.host(), 2));
    fleet.applied();
    let mut served = Served::start(&fleet);
    wait_until_it_tells(&served, 1.0);
    own.stop();
    wait_until_it_tells(&served, 0.0);
    own.serve();
    wait_until_it_tells(&served, 1.0);
    let events = looks(&served, "event");
    let one = own.docker(&["ps", "-aq", "--filter", "label=simfleet.name=pool.web/m1"]);
    own.docker(&["rm", "-f", &one]);
    let lost = served.watcher.wait_for_type("lost");
    assert_eq!(lost["address"], "pool.web/m1", "{lost}");
    served.watcher.wait_for_type("ran");
    served.wait_for("/metrics", |_| looks(&served, "event") > events);

    // One that keeps its connections and says nothing is not believed to be well.
    own.hang(true);
    wait_until_it_tells(&served, 0.0);
    own.hang(false);
    wait_until_it_tells(&served, 1.0);
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}
