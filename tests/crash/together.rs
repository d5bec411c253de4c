//! Two runs at once: on disjoint parts of a fleet both work; on the same part one waits, and is told for whom.

use std::collections::BTreeMap;

use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::faults::{Fault, Faults, Pattern, Rule, When};
use simfleet_provider_fake::gateway::{Hold, HoldId, Moment};

use crate::cloud::Cloud;
use crate::processes::finish;
use crate::support::{Ended, Fleet};
use crate::{APPLY, DESTROY};

/// Two nodes, each with what runs on it.
const HALVES: &str = r#"
node "a" {}
node "b" {}
simulator "exec" "on_a" {
  placement = node.a
  command   = ["run"]
}
simulator "exec" "on_b" {
  placement = node.b
  command   = ["run"]
}
"#;

/// Stops the first call of a kind that is about an object.
fn hold(cloud: &Cloud, call: Call, name: &str) -> HoldId {
    let to = Pattern {
        call: Some(call),
        name: Some(name.to_owned()),
        ..Pattern::default()
    };
    let (nth, at) = (1, Moment::Before);
    cloud.gateway.hold(Hold { to, nth, at })
}

/// Runs `simfleet state …`; returns what it prints.
#[track_caller]
fn state(fleet: &Fleet, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_simfleet"));
    let command = command.current_dir(fleet.path()).arg("state").args(arguments);
    let ended = Ended::from(command.arg("fleet.hcl").output().expect("simfleet runs"));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    ended.out
}

fn once(names: &[&str]) -> BTreeMap<String, usize> {
    names.iter().map(|name| ((*name).to_owned(), 1)).collect()
}

#[test]
fn runs_on_disjoint_parts_work_at_once_and_others_wait() {
    let cloud = Cloud::new(Faults::default());
    let fleet = Fleet::new(&format!("{}{HALVES}", cloud.provider()));
    let held = hold(&cloud, Call::Create, "node.a");
    let part = |name| ["apply", "--auto-approve", "--target", name];
    let first = fleet.start(&part("simulator.exec.on_a"), &[]);
    cloud.wait_held(held);

    // The other half is made meanwhile, and says nothing of the first.
    let plan = fleet.ok(&["plan", "--target", "simulator.exec.on_b"]);
    assert!(!plan.out.contains("node.a"), "{}", plan.out);
    fleet.ok(&part("simulator.exec.on_b"));
    assert_eq!(cloud.objects(), once(&["node.b", "simulator.exec.on_b"]));

    // Who wants the same is told who has it, and waits if it may.
    let refused = fleet.run(&part("node.a"));
    assert_eq!(refused.code, Some(3), "{}", refused.err);
    assert!(refused.err.contains("node.a"), "{}", refused.err);
    assert!(refused.err.contains("--target simulator.exec.on_a"), "{}", refused.err);
    let waiting = fleet.start(
        &["apply", "--auto-approve", "--target", "node.a", "--lock-timeout", "60s"],
        &[],
    );
    let everything = fleet.start(&["apply", "--auto-approve", "--lock-timeout", "60s"], &[]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    cloud.gateway.release(held);
    for run in [first, waiting, everything] {
        let ended = Ended::from(run.wait_with_output().expect("it ends"));
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    }
    let all = ["node.a", "node.b", "simulator.exec.on_a", "simulator.exec.on_b"];
    assert_eq!(cloud.objects(), once(&all));
    assert!(fleet.ok(&["plan"]).out.contains("No changes."));
    state(&fleet, &["check"]);

    // Each has recorded what it did, and nothing else.
    let history: serde_json::Value = serde_json::from_str(&state(&fleet, &["history", "--json"])).expect("JSON");
    let of_run = |run: &serde_json::Value| {
        let changes = run["changes"].as_array().expect("changes").iter();
        let made = changes.filter(|change| change["what"] == "created");
        made.map(|change| change["address"].as_str().expect("an address").to_owned())
            .collect::<Vec<_>>()
    };
    let runs: Vec<Vec<String>> = history["runs"].as_array().expect("runs").iter().map(of_run).collect();
    assert_eq!(runs[0], ["node.a", "simulator.exec.on_a"], "{history:#}");
    assert_eq!(runs[1], ["node.b", "simulator.exec.on_b"], "{history:#}");
}

/// Whoever comes second plans anew from what the first one made, unless somebody has agreed to a plan already.
#[test]
fn two_first_runs_at_once_both_end_well() {
    for _ in 0..5 {
        let cloud = Cloud::new(Faults::default());
        let fleet = Fleet::new(&format!("{}{HALVES}", cloud.provider()));
        let apply = ["apply", "--auto-approve", "--lock-timeout", "60s"];
        let runs = [0, 1, 2].map(|_| fleet.start(&apply, &[]));
        for run in runs {
            let ended = finish(run);
            assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
        }
        let names = ["node.a", "node.b", "simulator.exec.on_a", "simulator.exec.on_b"];
        assert_eq!(cloud.objects(), once(&names));
    }
}

/// The time-outs of a block hold where it is destroyed, and for whoever finishes what another run began, too.
#[test]
fn what_was_begun_is_waited_for_as_long_as_its_block_says() {
    for (call, verb) in [(Call::Create, APPLY), (Call::Delete, DESTROY)] {
        let cloud = Cloud::new(Faults::default());
        let fleet = Fleet::new(&format!(
            "{}node \"a\" {{\n  timeouts {{\n    create = \"1s\"\n    delete = \"1s\"\n  }}\n}}\n",
            cloud.provider()
        ));
        if call == Call::Delete {
            fleet.ok(&APPLY);
        }
        let endless = Rule {
            fault: Fault::LongRunning {
                polls: 0,
                ms: 3_600_000,
            },
            to: Pattern {
                call: Some(call),
                ..Pattern::default()
            },
            when: When::Always,
        };
        cloud.gateway.set_faults(Faults {
            rules: vec![endless],
            ..Faults::default()
        });
        let late = "did not end within its time-out of 1 s";
        let first = fleet.run(&verb);
        assert_eq!(first.code, Some(4), "{call:?}: {}\n{}", first.out, first.err);
        assert!(first.out.contains(late), "{call:?}: {}\n{}", first.out, first.err);
        for verb in [APPLY, DESTROY] {
            let next = fleet.run(&verb);
            assert_eq!(next.code, Some(4), "{call:?}: {}\n{}", next.out, next.err);
            assert!(next.out.contains(late), "{call:?}: {}\n{}", next.out, next.err);
        }
    }
}

/// A run that looked at the fleet before another one changed it does not end with a plan that is stale.
#[test]
fn a_plan_that_another_run_overtook_is_made_anew() {
    let cloud = Cloud::new(Faults::default());
    let text = |cpus: u32| format!("{}node \"a\" {{ cpus = {cpus} }}\n", cloud.provider());
    let fleet = Fleet::new(&text(1));
    let apply = ["apply", "--auto-approve"];
    fleet.ok(&apply);
    fleet.write(&text(2));
    let to = Pattern {
        call: Some(Call::Read),
        ..Pattern::default()
    };
    let (nth, at) = (1, Moment::After);
    let held = cloud.gateway.hold(Hold { to, nth, at });
    let slow = fleet.start(&apply, &[]);
    cloud.wait_held(held);
    fleet.ok(&apply);
    cloud.gateway.release(held);
    let ended = finish(slow);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    let told = "Another run changed node.a after this plan was made. Planning anew.";
    assert!(ended.err.contains(told), "{}", ended.err);
    assert!(ended.out.contains("No changes."), "{}", ended.out);
}
