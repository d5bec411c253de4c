//! `moved` blocks, and blocks that get or lose a `count`: the same objects with other addresses.

use std::time::Duration;

use serde_json::json;
use simfleet::fleet::FleetError;
use simfleet::plan::Mode;

use crate::support::bench::{Bench, Lab, changes};

#[tokio::test]
async fn what_moved_is_the_same_object_with_another_address() {
    let text = |node: &str, pool: &str, job: &str, more: &str| {
        format!(
            "provider \"fake\" {{}}\nnode \"{node}\" {{}}\npool \"{pool}\" {{\n  node {{\n    max_simulators = 4\n    port_range \"any\" {{\n      \
             from = 100\n      to = 110\n    }}\n  }}\n  autoscale {{\n    min = 1\n    max = 2\n  }}\n}}\nsimulator \"exec\" \"{job}\" {{\n  \
             count = 2\n  placement = pool.{pool}\n  command = [\"true\"]\n  port \"main\" {{ range = \"any\" }}\n}}\n{more}"
        )
    };
    let moved = "moved {\n  from = node.a\n  to = node.b\n}\nmoved {\n  from = node.b\n  to = node.c\n}\nmoved {\n  from = pool.p\n  to = pool.q\n}\n\
                 moved {\n  from = simulator.exec.job\n  to = simulator.exec.work\n}\n";
    let lab = Lab::new(&text("a", "p", "job", ""));
    let ids = || {
        let mut ids: Vec<String> = lab.cloud.objects().iter().map(|object| object.id.clone()).collect();
        ids.sort();
        ids
    };
    lab.complete(Mode::Apply).await;
    let before = ids();
    lab.bench.write(&text("c", "q", "work", moved));
    let plan = lab.complete(Mode::Apply).await;
    assert_eq!(changes(&plan), [""; 0], "nothing is made or deleted");
    let moves: Vec<String> = plan
        .moves
        .iter()
        .map(|it| format!("{} -> {}", it.from, it.to))
        .collect();
    assert_eq!(
        moves,
        [
            "node.a -> node.c",
            "pool.p -> pool.q",
            "pool.p/m1 -> pool.q/m1",
            "simulator.exec.job[0] -> simulator.exec.work[0]",
            "simulator.exec.job[1] -> simulator.exec.work[1]"
        ]
    );
    assert!(!plan.is_empty(), "it is to be agreed to");
    assert_eq!(ids(), before);
    let again = lab.complete(Mode::Apply).await;
    assert!(again.is_empty(), "{again:?}");

    // The old address can be used again beside it, though the object has the name that was made of that.
    lab.bench.write(&text("c", "q", "work", "node \"a\" {}\n"));
    assert_eq!(changes(&lab.complete(Mode::Apply).await), ["create node.a"]);
    let mut names: Vec<String> = lab
        .cloud
        .objects()
        .iter()
        .filter_map(|it| it.fields["name"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), lab.cloud.objects().len(), "{names:?}");
    assert!(lab.complete(Mode::Apply).await.is_empty());
}

#[tokio::test]
async fn a_block_that_gets_a_count_keeps_its_object() {
    let text = |count: &str| {
        format!("provider \"fake\" {{}}\nnode \"a\" {{ {count} }}\nvalue \"all\" {{ input = node.a[*].id }}\n")
    };
    let bench = Bench::new(&text(""));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    bench.write(&text("count = 2"));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), ["create node.a[1]", "update value.all"]);
    assert_eq!(
        (plan.moves[0].from.to_string(), plan.moves[0].to.to_string()),
        ("node.a".into(), "node.a[0]".into())
    );
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());
    bench.write(&text(""));
    assert_eq!(
        changes(&bench.plan(Mode::Apply, &[]).await),
        ["delete node.a[1]", "update value.all"]
    );
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());
    assert!(bench.apply(Mode::Destroy, &[]).await.is_complete());
}

/// Where both addresses have an object, neither takes the place of the other.
#[tokio::test]
async fn what_is_to_move_where_something_is_stays_and_goes() {
    let lab = Lab::new("provider \"fake\" {}\nnode \"a\" {}\nnode \"b\" {}\n");
    lab.complete(Mode::Apply).await;
    let kept = lab.state().await.resources[&"node.b".parse().expect("an address")]
        .object
        .id
        .clone();
    lab.bench
        .write("provider \"fake\" {}\nnode \"b\" {}\nmoved {\n  from = node.a\n  to = node.b\n}\n");
    assert_eq!(changes(&lab.complete(Mode::Apply).await), ["delete node.a"]);
    let left: Vec<String> = lab.cloud.objects().into_iter().map(|object| object.id).collect();
    assert_eq!(left, [kept.to_string()]);
}

/// An object that an earlier run is changing, and nobody finished that, stays where it is found.
#[tokio::test(start_paused = true)]
async fn what_is_in_flight_does_not_move() {
    let lab = Lab::new("provider \"fake\" {}\nnode \"a\" {}\n");
    lab.complete(Mode::Apply).await;
    lab.bench
        .write("provider \"fake\" {}\nnode \"a\" { size = \"large\" }\n");
    lab.set_rules(&json!([{ "fault": { "long_running": { "polls": 0, "ms": 60_000 } } }]));
    let outcome = lab.run_until(Mode::Apply, Duration::from_secs(5)).await;
    assert_eq!(outcome.open.len(), 1, "{outcome:?}");
    lab.bench
        .write("provider \"fake\" {}\nnode \"b\" {}\nmoved {\n  from = node.a\n  to = node.b\n}\n");
    match lab.open(Mode::Apply).plan().await {
        Err(FleetError::Diagnostics(problems)) => assert_eq!(problems.0[0].summary, "Cannot be moved yet"),
        other => panic!("a plan that is to be refused: {:?}", other.map(|planned| planned.plan)),
    }
}

/// What an earlier run began to delete need not become the first instance of a block that has a `count` now.
#[tokio::test(start_paused = true)]
async fn what_is_being_deleted_goes_while_its_block_gets_a_count() {
    let lab = Lab::new("provider \"fake\" {}\nnode \"a\" {}\n");
    lab.complete(Mode::Apply).await;
    lab.bench.write("provider \"fake\" {}\n");
    lab.set_rules(&json!([{ "fault": { "long_running": { "polls": 0, "ms": 60_000 } } }]));
    let outcome = lab.run_until(Mode::Apply, Duration::from_secs(5)).await;
    assert_eq!(outcome.open.len(), 1, "{outcome:?}");
    lab.bench.write("provider \"fake\" {}\nnode \"a\" { count = 1 }\n");
    let fleet = lab.open(Mode::Apply);
    let planned = fleet.plan().await.expect("it is not refused");
    assert!(planned.plan.moves.is_empty());
    assert_eq!(changes(&planned.plan), ["delete node.a", "create node.a[0]"]);
}
