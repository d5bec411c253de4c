//! Pools grow and shrink, and what is recorded says why.

use crate::load::Load;
use crate::support::{Ended, Fleet};
use crate::watcher::Watcher;

/// Members of 256 MiB that are decided on every second, and shrink soon.
pub fn pool(name: &str, url: &str, more: &str) -> String {
    format!(
        r#"
pool "{name}" {{
  node {{
    cpus   = 1
    memory = "256MiB"
  }}
  autoscale {{
    min                 = 1
    max                 = 5
    evaluation_interval = "1s"
    check "busy" {{
      source   = "http"
      query    = "{url}#$.busy_percent"
      window   = "1s"
      headroom = 0
      strategy "target" {{ target = 50 }}
    }}
    behavior {{
      scale_up {{ stabilization_window = "0s" }}
      scale_down {{
        stabilization_window = "2s"
        cooldown             = "1s"
        policy {{
          type   = "percent"
          value  = 100
          period = "1s"
        }}
      }}
    }}
  }}
  {more}
}}
"#
    )
}

/// One such pool of the local provider.
pub fn local(url: &str) -> String {
    format!("provider \"local\" {{}}\n{}", pool("web", url, ""))
}

/// Returns the recorded addresses.
#[track_caller]
pub fn recorded(fleet: &Fleet) -> Vec<String> {
    fleet.ok(&["state list"]).out.lines().map(str::to_owned).collect()
}

#[track_caller]
fn is_well(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
}

#[test]
fn a_pool_grows_and_shrinks_with_its_load() {
    let load = Load::of(50.0);
    let fleet = Fleet::new(&local(&load.url()));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    load.set(90.0);
    watcher.wait_for_size("pool.web", 2);
    watcher.wait_for_size("pool.web", 5);
    load.set(50.0);
    watcher.wait_for_type("ran");
    load.set(10.0);
    let shrunk = watcher.wait_for_size("pool.web", 1);
    assert!(
        shrunk["decision"]["actions"]
            .as_array()
            .is_some_and(|actions| !actions.is_empty()),
        "{shrunk}"
    );
    watcher.wait_for_type("ran");
    is_well(&watcher.end());
    assert_eq!(recorded(&fleet).len(), 1, "{:?}", recorded(&fleet));
    // The journal says how large it was.
    let history = fleet.ok(&["state history", "--json"]).out;
    let sized = |size: &str| history.contains(&format!("\"detail\": \"{size}\""));
    assert!(sized("2") && sized("5") && sized("1"), "{history}");
    assert_eq!(
        fleet.planned(),
        Vec::<String>::new(),
        "a plan leaves the size to the scaler"
    );
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn one_lap_ends_by_itself_and_says_what_it_did() {
    let load = Load::of(90.0);
    let fleet = Fleet::new(&local(&load.url()));
    fleet.applied();
    // What is only decided changes nothing.
    let dry = Watcher::start(&fleet, &["--once", "--dry-run"]).ended();
    is_well(&dry);
    assert!(dry.out.contains("\"desired\":2"), "{}", dry.out);
    assert_eq!(recorded(&fleet), ["pool.web/m1"]);
    is_well(&Watcher::start(&fleet, &["--once"]).ended());
    assert_eq!(recorded(&fleet), ["pool.web/m1", "pool.web/m2"]);
    is_well(&Watcher::start(&fleet, &["--once"]).ended());
    assert_eq!(recorded(&fleet).len(), 4, "one lap more doubles it");
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn what_was_never_applied_is_not_watched_and_two_do_not_watch_one_fleet() {
    let load = Load::of(50.0);
    let fleet = Fleet::new(&local(&load.url()));
    let ended = fleet.run(&["watch"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    insta::assert_snapshot!("nothing_to_watch", ended.err);
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    let second = fleet.run(&["watch"]);
    assert_eq!(second.code, Some(3), "{second:?}");
    assert!(second.err.contains("watch"), "{}", second.err);
    // Others can work on it meanwhile.
    fleet.ok(&["plan"]);
    fleet.ok(&["status"]);
    is_well(&watcher.end());
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn simulators_without_a_place_make_a_pool_grow_within_its_bounds() {
    let load = Load::of(50.0);
    let vehicles = |count: usize| {
        let pool = pool("field", &load.url(), "")
            .replace("memory = \"256MiB\"", "memory = \"256MiB\"\n    max_simulators = 2");
        format!(
            "provider \"local\" {{}}\n{pool}\nsimulator \"exec\" \"sim\" {{\n  count = {count}\n  placement = pool.field\n  \
             command = [\"sleep\", \"1000\"]\n}}\n"
        )
    };
    let fleet = Fleet::new(&vehicles(2));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &["--follow"]);
    watcher.wait_for_type("watching");
    fleet.write(&vehicles(7));
    watcher.wait_for("7 simulators", |event| {
        event["type"] == "finished" && event["address"] == "simulator.exec.sim[6]"
    });
    is_well(&watcher.end());
    let members = recorded(&fleet).iter().filter(|name| name.starts_with("pool.")).count();
    assert_eq!(members, 4);
    fleet.ok(&["destroy", "--auto-approve"]);
}
