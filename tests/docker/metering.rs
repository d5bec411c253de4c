//! Pools of containers, sized by what `docker stats` shows of them.

use crate::own::OwnEngine;
use crate::support::Fleet;
use crate::support::engine::{IMAGE, container, docker, host, lineage};
use crate::watcher::Watcher;

/// A pool of members that keep a processor busy while there is a file `/busy` in them, and allocate nothing.
fn pool(host: &str, name: &str, min: usize) -> String {
    format!(
        r#"
pool "{name}" {{
  provider = docker
  node {{
    image      = "{IMAGE}"
    command    = ["sh", "-c", "while :; do while [ -e /busy ]; do :; done; sleep 0.2; done"]
    cpus       = 0.1
    memory     = "32MiB"
    stop_grace = "1s"
  }}
  autoscale {{
    min                 = {min}
    max                 = 3
    evaluation_interval = "1s"
    check "load" {{
      source  = "simfleet"
      query   = "cpu_utilization"
      window  = "3s"
      max_age = "10s"
      strategy "target" {{ target = 60 }}
    }}
    check "memory" {{
      strategy "target" {{ target = 90 }}
    }}
    behavior {{
      scale_up {{ stabilization_window = "1s" }}
      scale_down {{
        stabilization_window = "2s"
        cooldown             = "0s"
      }}
    }}
  }}
}}
"#
    )
    .replace("provider = docker", &format!("provider = docker{}", alias(host)))
}

/// The provider of an engine that is not that of the tests has a name of its own.
fn alias(of: &str) -> &'static str {
    if of == host() { "" } else { ".own" }
}

fn provider(of: &str) -> String {
    let alias = alias(of).trim_start_matches('.');
    let alias = if alias.is_empty() {
        String::new()
    } else {
        format!("  alias = \"{alias}\"\n")
    };
    format!("provider \"docker\" {{\n  host = \"{of}\"\n{alias}}}\n")
}

#[test]
#[ignore = "needs a Docker engine; scripts/test starts one"]
fn a_pool_of_containers_is_sized_by_what_they_use() {
    let fleet = Fleet::new(&format!("{}{}", provider(&host()), pool(&host(), "web", 1)));
    fleet.applied();
    let lineage = lineage(&fleet);
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    let one = container(&lineage, "pool.web/m1");
    docker(&["exec", &one, "touch", "/busy"]);
    let grows = watcher.wait_for_size("pool.web", 2);
    assert!(
        grows["message"]
            .as_str()
            .is_some_and(|why| why.contains("(load=2, memory=1)")),
        "{grows}"
    );
    watcher.wait_for_type("scaled");
    docker(&["exec", &one, "rm", "/busy"]);
    watcher.wait_for_size("pool.web", 1);
    watcher.wait_for_type("scaled");
    let failed: Vec<_> = watcher
        .told
        .iter()
        .filter(|it| it["type"] == "source_failed")
        .cloned()
        .collect();
    assert_eq!(watcher.end().code, Some(0));
    assert!(failed.is_empty(), "both are measured all the time: {failed:?}");
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs a Docker engine, and root"]
fn what_does_not_run_or_answer_has_no_value_and_shrinks_nothing() {
    let mut own = OwnEngine::start(&[]);
    let of = |host: &str, name: &str| pool(host, name, 2);
    let text = format!(
        "{}{}{}{}",
        provider(&host()),
        provider(&own.host()),
        of(&host(), "here"),
        of(&own.host(), "there")
    );
    let fleet = Fleet::new(&text);
    fleet.applied();
    fleet.write(&text.replace("min                 = 2", "min                 = 1"));
    fleet.applied();
    let id = |member: &str| container(&lineage(&fleet), &format!("pool.here/{member}"));
    docker(&["stop", "-t", "0", &id("m1"), &id("m2")]);
    own.hang(true);
    let mut watcher = Watcher::start(&fleet, &["--dry-run"]);
    let mut because = std::collections::BTreeMap::new();
    while because.len() < 2 {
        let failed = watcher.wait_for("a source that fails", |it| {
            it["type"] == "source_failed" && it["check"] == "load"
        });
        because.insert(failed["pool"].to_string(), failed["because"].to_string());
    }
    let why = ["\"its container does not run: it is exited\"", "\"no answer in time\""];
    assert!(because.into_values().eq(why), "{}", watcher.all());
    // What has no value is not idle.
    assert!(
        !watcher
            .told
            .iter()
            .any(|it| it["type"] == "decided" && it["decision"]["desired"] != 2),
        "{}",
        watcher.all()
    );
    own.hang(false);
    watcher.wait_for("an answer of the other engine", |it| {
        it["type"] == "source_answers" && it["pool"] == "pool.there" && it["check"] == "load"
    });
    docker(&["start", &id("m1"), &id("m2")]);
    watcher.wait_for("an answer of what runs again", |it| {
        it["type"] == "source_answers" && it["pool"] == "pool.here" && it["check"] == "load"
    });
    watcher.wait_for_size("pool.here", 1);

    // An engine that is not there is told as that.
    own.stop();
    watcher.wait_for("that the engine is gone", |it| {
        let is_of_it = it["type"] == "source_failed" && it["pool"] == "pool.there";
        is_of_it
            && it["because"]
                .as_str()
                .is_some_and(|why| why.contains("cannot be reached"))
    });
    assert_eq!(watcher.end().code, Some(0));
    own.serve();
    fleet.ok(&["destroy", "--auto-approve"]);
}
