//! Plans that are refused: what they were made from is not so any more.

use simfleet::fleet::{Fleet, FleetError};
use simfleet::plan::{Mode, PlanFile};
use tokio::sync::{mpsc, watch};

use crate::QUADS;
use crate::support::bench::{Bench, Lab, changes, on};

#[tokio::test]
async fn a_saved_plan_is_applied_as_it_was_shown_or_refused() {
    let bench = Bench::new(QUADS);
    let saved = bench.path().join("plan");
    let fleet = bench.open(Mode::Apply, &[("vehicles", "2")]).expect("sound");
    let planned = fleet.plan().await.expect("it can be planned");
    fleet.save_plan(&planned, &saved).expect("it can be written");
    assert!(PlanFile::is_one(&saved) && !PlanFile::is_one(&bench.path().join("fleet.hcl")));

    // What the files say now does not matter: the plan has them.
    bench.write("provider \"fake\" {}\n");
    let file = PlanFile::read(&saved).expect("it was written whole");
    let again = Fleet::of_plan(&file, bench.options(Mode::Apply, &[])).expect("the plan has all that it needs");
    let replanned = again.replan(&file).await.expect("nothing changed");
    assert_eq!(replanned.plan, planned.plan);
    let (progress, _told) = mpsc::unbounded_channel();
    let (_keep, stop) = watch::channel(false);
    let outcome = again
        .apply(replanned, &progress, stop)
        .await
        .expect("nobody else has locks");
    assert!(outcome.is_complete(), "{outcome:?}");

    // Applied once, it is stale.
    let again = Fleet::of_plan(&file, bench.options(Mode::Apply, &[])).expect("the plan has all that it needs");
    let refused = again.replan(&file).await.expect_err("the state has moved").to_string();
    assert_eq!(refused, "saved plan is stale: the state has changed since it was made");
}

#[tokio::test]
async fn a_plan_is_refused_when_the_state_moves_before_it_is_applied() {
    let bench = Bench::new(QUADS);
    let slow = bench.open(Mode::Apply, &[]).expect("sound");
    let planned = slow.plan().await.expect("it can be planned");
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    let (progress, _told) = mpsc::unbounded_channel();
    let (_keep, stop) = watch::channel(false);
    let refused = slow
        .apply(planned, &progress, stop)
        .await
        .expect_err("another run was faster");
    assert!(matches!(refused, FleetError::Stale { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_plan_is_refused_when_an_instance_of_what_it_reads_moves() {
    let nodes = "provider \"fake\" {}\nnode \"a\" {\n  count = 2\n}\n";
    let bench = Bench::new(nodes);
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    bench.write(&format!(
        "{nodes}value \"all\" {{\n  input = [for node in node.a : node.id]\n}}\n"
    ));
    let slow = bench.open(Mode::Apply, &[]).expect("sound");
    let planned = slow.plan().await.expect("it can be planned");
    bench.write(nodes);
    let mut options = bench.options(Mode::Apply, &[]);
    options.replace.insert("node.a[0]".parse().expect("an address"));
    let fast = Fleet::open(options).expect("sound");
    let (progress, _told) = mpsc::unbounded_channel();
    let (_keep, stop) = watch::channel(false);
    let replacing = fast.plan().await.expect("it can be planned");
    let outcome = fast
        .apply(replacing, &progress, stop.clone())
        .await
        .expect("nobody has locks");
    assert!(outcome.is_complete(), "{outcome:?}");
    let refused = slow
        .apply(planned, &progress, stop)
        .await
        .expect_err("another run was faster");
    assert!(matches!(refused, FleetError::Stale { .. }), "{refused:?}");
}

/// Runs share the nodes on which they place simulators. One of them takes a port first.
#[tokio::test]
async fn a_plan_is_refused_when_its_port_is_taken_meanwhile() {
    let node = "node \"a\" {\n  port_range \"any\" {\n    from = 20000\n    to   = 20009\n  }\n}\n";
    let with = |name: &str| {
        format!(
            "provider \"fake\" {{}}\n{node}simulator \"exec\" \"{name}\" {{\n  placement = node.a\n  command = [\"run\"]\n  \
             port \"main\" {{ range = \"any\" }}\n}}\n"
        )
    };
    let bench = Bench::new(&format!("provider \"fake\" {{}}\n{node}"));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    bench.write(&with("slow"));
    let slow = bench.open(Mode::Apply, &[]).expect("sound");
    let planned = slow.plan().await.expect("it can be planned");
    bench.write(&with("fast"));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    let (progress, _told) = mpsc::unbounded_channel();
    let (_keep, stop) = watch::channel(false);
    let refused = slow.apply(planned, &progress, stop).await;
    let refused = refused.expect_err("another run was faster").to_string();
    assert_eq!(refused, "the plan is stale: node.a has changed since it was made");
}

#[tokio::test]
async fn facts_of_a_plan_are_not_recorded_once_the_state_has_moved() {
    let text = "provider \"fake\" {}\nnode \"a\" {}\nvalue \"x\" {\ninput = 1\n}\n";
    let bench = Bench::new(text);
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    bench.write(&text.replace("input = 1", "input = 1\ndepends_on = [node.a]"));
    let slow = bench.open(Mode::Apply, &[]).expect("sound");
    let planned = slow.plan().await.expect("it can be planned");
    assert!(planned.plan.is_empty(), "{:?}", changes(&planned.plan));
    bench.write(&text.replace("input = 1", "input = 2"));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    let (progress, _told) = mpsc::unbounded_channel();
    let refused = slow
        .settle(&planned, &progress)
        .await
        .expect_err("another run was faster");
    assert!(matches!(refused, FleetError::Stale { .. }), "{refused:?}");
    bench.apply(Mode::Apply, &[]).await;
}

/// A plan that was kept is carried out only where what it was made from is as it was.
#[tokio::test]
async fn a_kept_plan_is_stale_once_the_state_or_a_file_has_changed() {
    let lab = Lab::new("provider \"fake\" {}\nnode \"a\" { size = file(\"${path.module}/size\") }\n");
    let size = lab.bench.path().join("size");
    std::fs::write(&size, "small").expect("a file");
    let kept = lab.bench.path().join("kept.plan");
    let replan = async || {
        let kept = PlanFile::read(&kept).expect("it is whole");
        let fleet = Fleet::of_plan(&kept, lab.bench.options(Mode::Apply, &[])).expect("sound");
        let replanned = on(fleet, &lab.store, &lab.cloud).replan(&kept).await.map(drop);
        replanned
            .map_err(|error| std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
    };
    let keep = async || {
        let fleet = lab.open(Mode::Apply);
        let planned = fleet.plan().await.expect("it can be planned");
        fleet.save_plan(&planned, &kept).expect("it is kept");
    };
    keep().await;
    assert_eq!(replan().await, Ok(()));
    std::fs::write(&size, "large").expect("a file");
    let told = replan().await.expect_err("a file has changed");
    assert!(told.contains("a file that the fleet reads has changed"), "{told}");
    keep().await;
    lab.complete(Mode::Apply).await;
    let told = replan().await.expect_err("the state has changed");
    assert!(told.contains("the state has changed"), "{told}");
}
