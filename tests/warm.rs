//! Members of pools that wait: what an apply makes of them.
#![cfg(feature = "fake")]

mod support;

use simfleet::plan::{Mode, Plan};
use simfleet_state::{State, StateStore};
use support::bench::{Lab, changes};
use tokio::sync::{mpsc, watch};

/// A pool with at least so many members that work, and so many that wait.
fn field(min: usize, warm: usize) -> String {
    format!(
        r#"
provider "fake" {{}}
pool "field" {{
  node {{ max_simulators = 1 }}
  autoscale {{
    min = {min}
    max = 4
  }}
  warm {{
    state = "stopped"
    size  = {warm}
  }}
}}
simulator "exec" "job" {{
  count     = 1
  placement = pool.field
  command   = ["work"]
}}
output "members" {{ value = [for member in pool.field.members : member.name] }}
"#
    )
}

async fn plan(lab: &Lab) -> Plan {
    lab.open(Mode::Apply).plan().await.expect("it can be planned").plan
}

async fn apply(lab: &Lab) {
    let (progress, _told) = mpsc::unbounded_channel();
    let (_keep, stop) = watch::channel(false);
    let fleet = lab.open(Mode::Apply);
    let planned = fleet.plan().await.expect("it can be planned");
    let outcome = fleet.apply(planned, &progress, stop).await.expect("nobody has locks");
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(plan(lab).await.is_empty(), "nothing is left to do");
}

/// The nodes of the cloud by name, with what they do.
fn nodes(lab: &Lab) -> Vec<String> {
    let objects = lab.cloud.objects().into_iter().filter(|object| object.kind == "node");
    let mut nodes: Vec<String> = objects
        .map(|object| {
            let state = object.fields.get("state").and_then(|state| state.as_str());
            let name = object.fields["name"].as_str().expect("a name");
            format!("{name} {}", state.unwrap_or("running"))
        })
        .collect();
    nodes.sort();
    nodes
}

#[tokio::test(start_paused = true)]
async fn members_wait_beside_those_that_work() {
    let lab = Lab::new(&field(1, 1));
    apply(&lab).await;
    assert_eq!(nodes(&lab), ["pool.field/m1 running", "pool.field/m2 stopped"]);
    let state = lab.store.load().await.expect("a store in memory").state;
    let size = |state: &State| state.pools.values().next().expect("a pool").size;
    assert_eq!(size(&state), 1, "who waits is no part of the size");

    lab.bench.write(&field(2, 1));
    assert_eq!(
        changes(&plan(&lab).await),
        ["update pool.field/m2", "create pool.field/m3"]
    );
    apply(&lab).await;
    assert_eq!(
        nodes(&lab),
        [
            "pool.field/m1 running",
            "pool.field/m2 running",
            "pool.field/m3 stopped"
        ]
    );

    lab.bench.write(&field(2, 0));
    assert_eq!(changes(&plan(&lab).await), ["delete pool.field/m3"]);
    apply(&lab).await;

    // For a simulator without a place a member that waits is back.
    lab.bench.write(&field(2, 2));
    apply(&lab).await;
    lab.bench.write(&field(2, 2).replace("count     = 1", "count     = 3"));
    let planned = plan(&lab).await;
    assert!(planned.unplaced.is_empty(), "{:?}", planned.unplaced);
    apply(&lab).await;
    assert_eq!(
        nodes(&lab)[2..],
        ["pool.field/m4 running", "pool.field/m5 stopped"],
        "one more may be, so that one waits"
    );
}

#[tokio::test]
async fn what_cannot_stop_cannot_wait() {
    let text = field(1, 1)
        .replace("provider \"fake\" {}", "provider \"local\" {}")
        .replace(
            "node { max_simulators = 1 }",
            "node {\n    cpus   = 1\n    memory = \"64MiB\"\n  }",
        );
    let lab = Lab::new(&text);
    let error = lab.open(Mode::Apply).plan().await.expect_err("it is refused");
    let error = format!("{error:?}");
    assert!(
        error.contains("A node of provider `local` cannot wait: it runs for as long as it is there."),
        "{error}"
    );
}
