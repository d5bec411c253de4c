//! `--target`, `--exclude` and `--refresh-only`, over a fake cloud.
#![cfg(feature = "fake")]

mod support;

use serde_json::json;
use simfleet::apply::Outcome;
use simfleet::fleet::{Fleet, FleetError};
use simfleet::plan::{Mode, Plan, Selection};
use simfleet_provider_fake::faults::Faults;
use support::bench::{Lab, changes, over};
use tokio::sync::{mpsc, watch};

/// `c` needs `b`, which needs `a`; `d` needs nothing; `job[0]` and `job[1]` run on `d`.
const CHAIN: &str = r#"
provider "fake" {}
variable "size" { default = "small" }
node "a" { size = var.size }
node "b" { labels = { of = node.a.size } }
node "c" { labels = { of = node.b.id } }
node "d" { max_simulators = 2 }
simulator "exec" "job" {
  count     = 2
  placement = node.d
  command   = ["true"]
}
output "size" { value = node.a.size }
"#;

impl Lab {
    fn fleet(&self, mode: Mode, flags: &[&str], vars: &[(&str, &str)]) -> Fleet {
        let mut options = self.bench.options(mode, vars);
        options.selection = selection(flags);
        over(options, &self.store, &self.cloud)
    }

    async fn plan(&self, mode: Mode, flags: &[&str], vars: &[(&str, &str)]) -> Plan {
        let fleet = self.fleet(mode, flags, vars);
        fleet.plan().await.expect("it can be planned").plan
    }

    async fn planned(&self, mode: Mode, flags: &[&str]) -> Vec<String> {
        changes(&self.plan(mode, flags, &[]).await)
    }

    async fn apply(&self, mode: Mode, flags: &[&str]) -> Outcome {
        let (progress, _told) = mpsc::unbounded_channel();
        let (_keep, stop) = watch::channel(false);
        let fleet = self.fleet(mode, flags, &[]);
        let planned = fleet.plan().await.expect("it can be planned");
        let outcome = fleet.apply(planned, &progress, stop).await;
        outcome.expect("nobody has locks")
    }

    async fn object(&self, address: &str) -> String {
        let state = self.state().await;
        let resource = &state.resources[&address.parse().expect("an address")];
        resource.object.id.to_string()
    }
}

/// `+ADDRESS` is a target, `-ADDRESS` is left out.
fn selection(flags: &[&str]) -> Selection {
    let all = |sign: char| {
        let those = flags.iter().filter_map(|flag| flag.strip_prefix(sign));
        those.map(|it| it.parse().expect("a pattern")).collect()
    };
    Selection {
        targets: all('+'),
        excludes: all('-'),
        is_of_plan: false,
    }
}

/// What somebody typed must not look like nothing to do; what an earlier plan was about can be gone since.
#[tokio::test]
async fn what_stands_for_nothing_is_a_mistake_only_of_who_typed_it() {
    let lab = Lab::new(CHAIN);
    let plan = |is_of_plan| {
        let mut options = lab.bench.options(Mode::Apply, &[]);
        options.selection = Selection {
            is_of_plan,
            ..selection(&["+node.gone"])
        };
        over(options, &lab.store, &lab.cloud)
    };
    assert!(plan(false).plan().await.is_err());
    let of_plan = plan(true);
    let planned = of_plan.plan().await.expect("it can be planned").plan;
    assert_eq!(changes(&planned), Vec::<String>::new());
    assert!(planned.is_partial);
}

#[tokio::test]
async fn a_part_of_a_fleet_comes_with_what_it_needs() {
    let lab = Lab::new(CHAIN);
    for (flags, planned) in [
        (&["+node.b"][..], &["create node.a", "create node.b"][..]),
        (&["+node.a", "+node.d"], &["create node.a", "create node.d"]),
        (
            &["+simulator.*"],
            &[
                "create node.d",
                "create simulator.exec.job[0]",
                "create simulator.exec.job[1]",
            ],
        ),
        (
            &["+simulator.exec.job[1]"],
            &["create node.d", "create simulator.exec.job[1]"],
        ),
        (
            &["-node.b"],
            &[
                "create node.a",
                "create node.d",
                "create simulator.exec.job[0]",
                "create simulator.exec.job[1]",
            ],
        ),
        (&["-node.d"], &["create node.a", "create node.b", "create node.c"]),
        (&["+node.*", "-node.b"], &["create node.a", "create node.d"]),
        (&["+node.c", "-node.a"], &[]),
    ] {
        assert_eq!(lab.planned(Mode::Apply, flags).await, planned, "{flags:?}");
    }
    let outcome = lab.apply(Mode::Apply, &["+node.b"]).await;
    assert!(outcome.is_complete() && outcome.done.len() == 2, "{outcome:?}");
    let state = lab.state().await;
    assert!(state.outputs.is_empty(), "outputs are for runs of the whole fleet");
    assert_eq!(state.resources.len(), 2);
    // The rest is still to be done, and is done by a run of the whole fleet.
    assert!(lab.plan(Mode::Apply, &["+node.b"], &[]).await.is_empty());
    assert_eq!(lab.planned(Mode::Apply, &[]).await.len(), 4);
    assert!(lab.apply(Mode::Apply, &[]).await.is_complete());
    assert_eq!(lab.state().await.outputs.len(), 1);
}

#[tokio::test]
async fn a_part_of_a_fleet_is_removed_with_what_needs_it() {
    let lab = Lab::new(CHAIN);
    assert!(lab.apply(Mode::Apply, &[]).await.is_complete());
    for (flags, planned) in [
        (&["+node.c"][..], &["delete node.c"][..]),
        (&["+node.b"], &["delete node.b", "delete node.c"]),
        (
            &["+node.d"],
            &[
                "delete node.d",
                "delete simulator.exec.job[0]",
                "delete simulator.exec.job[1]",
            ],
        ),
        (&["+simulator.exec.job[1]"], &["delete simulator.exec.job[1]"]),
        // What stays keeps what it needs.
        (
            &["-node.c", "-simulator.exec.job[0]"],
            &["delete simulator.exec.job[1]"],
        ),
    ] {
        assert_eq!(lab.planned(Mode::Destroy, flags).await, planned, "{flags:?}");
    }
    let outcome = lab.apply(Mode::Destroy, &["+node.b", "+node.d"]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let state = lab.state().await;
    let left: Vec<String> = state.resources.keys().map(ToString::to_string).collect();
    assert_eq!(
        (left.as_slice(), lab.cloud.objects().len()),
        (&["node.a".to_owned()][..], 1)
    );
    assert!(lab.apply(Mode::Destroy, &[]).await.is_complete());
    assert!(lab.cloud.objects().is_empty());
}

#[tokio::test]
async fn what_is_not_selected_does_not_change_though_something_that_it_reads_does() {
    let lab = Lab::new(CHAIN);
    assert!(lab.apply(Mode::Apply, &[]).await.is_complete());
    let large = [("size", "large")];
    let whole = changes(&lab.plan(Mode::Apply, &[], &large).await);
    assert_eq!(whole, ["update node.a", "update node.b"]);
    let part = lab.plan(Mode::Apply, &["+node.a"], &large).await;
    assert_eq!(changes(&part), ["update node.a"]);
    assert!(part.is_partial && part.outputs.is_empty());
}

#[tokio::test]
async fn a_pattern_that_stands_for_nothing_is_a_mistake() {
    let lab = Lab::new(CHAIN);
    for (flag, told) in [
        ("+node.e", "--target node.e"),
        ("-simulator.vehicle.*", "--exclude simulator.vehicle.*"),
    ] {
        match lab.fleet(Mode::Apply, &[flag], &[]).plan().await {
            Err(FleetError::Diagnostics(problems)) => {
                assert_eq!(problems.0.len(), 1);
                assert!(problems.0[0].detail.contains(told), "{:?}", problems.0[0]);
            }
            other => panic!("a plan that is to be refused: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_there_is_recorded_and_nothing_is_changed() {
    let lab = Lab::new(CHAIN);
    assert!(lab.apply(Mode::Apply, &[]).await.is_complete());
    assert!(lab.plan(Mode::Refresh, &[], &[]).await.is_empty());
    let fields = json!({ "size": "huge" });
    let id = lab.object("node.a").await;
    assert!(lab.cloud.change(&id, fields.as_object().expect("fields")));
    assert!(lab.cloud.destroy(&lab.object("node.c").await));
    assert!(lab.cloud.destroy(&lab.object("node.d").await), "with what runs on it");
    let calls = lab.cloud.log().len();
    let plan = lab.plan(Mode::Refresh, &[], &[("size", "large")]).await;
    assert_eq!((changes(&plan), plan.drift.len(), plan.is_empty()), (vec![], 5, false));
    // A part of it only.
    let part = lab.plan(Mode::Refresh, &["+node.b"], &[]).await;
    assert!(part.is_empty(), "{:?}", part.drift);
    let outcome = lab.apply(Mode::Refresh, &[]).await;
    assert!(outcome.is_complete() && outcome.done.is_empty(), "{outcome:?}");
    let log = lab.cloud.log();
    assert!(log[calls..].iter().all(|entry| entry.effects.is_empty()), "{log:?}");
    let state = lab.state().await;
    let of = |address: &str| state.resources.get(&address.parse().expect("an address"));
    let size = format!("{:?}", of("node.a").map(|a| a.object.attributes.get("size")));
    assert!(size.contains("huge"), "{size}");
    assert!(of("node.c").is_none());
    // It is as recorded now, and what is declared is made of it as ever.
    assert!(lab.plan(Mode::Refresh, &[], &[]).await.is_empty());
    assert_eq!(
        lab.planned(Mode::Apply, &[]).await,
        [
            "update node.a",
            "create node.c",
            "create node.d",
            "create simulator.exec.job[0]",
            "create simulator.exec.job[1]"
        ]
    );
    assert!(lab.apply(Mode::Apply, &[]).await.is_complete());
    assert!(lab.plan(Mode::Apply, &[], &[]).await.is_empty());
}

#[tokio::test]
async fn what_an_earlier_run_left_of_a_part_is_finished_beside_an_import() {
    let lab = Lab::new(CHAIN);
    assert!(lab.apply(Mode::Apply, &[]).await.is_complete());
    let (d, id) = ("node.d".parse().expect("an address"), lab.object("node.a").await);
    // What was begun with `d` is never heard of again.
    let lost = json!([{ "fault": "lost_request", "to": { "call": "update" } }]);
    lab.cloud
        .set_faults(serde_json::from_value(json!({ "rules": lost })).expect("faults"));
    lab.bench
        .write(&CHAIN.replace("max_simulators = 2", "max_simulators = 3"));
    let outcome = lab.apply(Mode::Apply, &["+node.d"]).await;
    lab.cloud.set_faults(Faults::default());
    assert_eq!(outcome.open.len(), 1, "{outcome:?}");
    let (progress, _told) = mpsc::unbounded_channel();
    let forgotten: Vec<_> = ["node.c", "node.b", "node.a"]
        .map(|it| it.parse().expect("an address"))
        .into();
    lab.fleet(Mode::Apply, &[], &[])
        .forget(&forgotten, &progress)
        .await
        .expect("they are recorded");
    lab.bench
        .write(&format!("{CHAIN}import {{\n  to = node.a\n  id = \"{id}\"\n}}\n"));
    let fleet = lab.fleet(Mode::Apply, &["+node.d"], &[]);
    fleet.recover(&progress).await.expect("the import is no obstacle");
    assert!(!lab.state().await.intents.contains_key(&d));
}
