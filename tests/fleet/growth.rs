//! A fleet from text to objects, larger, smaller, and back to nothing.

use std::time::Duration;

use simfleet::plan::{Mode, Plan, Reason};

use crate::support::bench::{Bench, Lab, changes};
use crate::{QUADS, apply_in_turn};

#[tokio::test]
async fn a_fleet_grows_keeps_its_places_and_goes() {
    let bench = Bench::new(QUADS);
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(
        changes(&plan),
        [
            "create pool.field/m1",
            "create pool.field/m2",
            "create simulator.vehicle.quad[0]",
            "create simulator.vehicle.quad[1]",
            "create simulator.vehicle.quad[2]"
        ]
    );
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert!(plan.is_empty(), "a plan after an apply is empty: {plan:#?}");
    let outputs = plan.outputs["vehicles"].after.as_ref().expect("it is declared");
    let endpoint = |name: &str| {
        outputs
            .get(name)
            .and_then(|value| value.as_str())
            .expect("an endpoint")
            .to_owned()
    };
    assert!(endpoint("quad-0").ends_with(":14560"), "{outputs:?}");
    assert!(endpoint("quad-2").ends_with(":14561"), "{outputs:?}");
    let kept = [endpoint("quad-0"), endpoint("quad-1"), endpoint("quad-2")];

    let plan = bench.plan(Mode::Apply, &[("vehicles", "10")]).await;
    let member = plan
        .changes
        .iter()
        .find(|change| change.address.to_string() == "pool.field/m3");
    let reasons = &member.expect("a third member").reasons;
    assert_eq!(
        *reasons,
        [Reason::Size {
            because: "10 simulators need 3 members".into()
        }]
    );
    assert_eq!(changes(&plan).len(), 8, "{:?}", changes(&plan));
    assert!(bench.apply(Mode::Apply, &[("vehicles", "10")]).await.is_complete());
    let plan = bench.plan(Mode::Apply, &[("vehicles", "10")]).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let outputs = plan.outputs["vehicles"].after.as_ref().expect("it is declared");
    for (name, endpoint) in ["quad-0", "quad-1", "quad-2"].iter().zip(kept) {
        assert_eq!(
            outputs.get(name).and_then(|value| value.as_str()),
            Some(&*endpoint),
            "{name} moved"
        );
    }

    let plan = bench.plan(Mode::Apply, &[("vehicles", "2")]).await;
    assert_eq!(
        changes(&plan),
        (2..10)
            .map(|i| format!("delete simulator.vehicle.quad[{i}]"))
            .collect::<Vec<_>>()
    );
    assert!(bench.apply(Mode::Apply, &[("vehicles", "2")]).await.is_complete());
    assert!(bench.plan(Mode::Apply, &[("vehicles", "2")]).await.is_empty());

    let outcome = bench.apply(Mode::Destroy, &[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(bench.plan(Mode::Destroy, &[]).await.is_empty());
    let fleet = bench.open(Mode::Apply, &[]).expect("sound");
    let state = fleet.snapshot().await.expect("a state").state;
    assert!(
        state.is_empty() && state.reservations.is_empty() && state.pools.is_empty(),
        "{state:#?}"
    );
}

#[tokio::test]
async fn a_plan_is_the_same_twice() {
    let bench = Bench::new(QUADS);
    let show = |plan: &Plan| format!("{plan:?}");
    let first = show(&bench.plan(Mode::Apply, &[]).await);
    assert_eq!(first, show(&bench.plan(Mode::Apply, &[]).await));
    bench.apply(Mode::Apply, &[]).await;
    let first = show(&bench.plan(Mode::Apply, &[("vehicles", "9")]).await);
    assert_eq!(first, show(&bench.plan(Mode::Apply, &[("vehicles", "9")]).await));
}

/// Limits say how a provider is asked, not what its resources are: to change them changes nothing.
#[tokio::test]
async fn limits_of_a_provider_are_no_change_of_its_resources() {
    let text = |limits: &str| format!("provider \"fake\" {{\n{limits}\n}}\nnode \"a\" {{}}\nnode \"b\" {{}}\n");
    let limits = "parallelism = 1\nrate_limit = { per_second = 1000 }";
    apply_in_turn(&[&text(""), &text(limits), &text("")]).await;
}

/// A run that is asked to stop begins nothing more. What the far side has accepted it leaves; what the far side refused for
/// now it does not send again.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_asked_to_stop_ends_its_calls_and_begins_no_other() {
    let nodes = "provider \"fake\" { parallelism = 1 }\nnode \"a\" {}\nnode \"b\" { cpus = node.a.cpus }\n";
    let accepted = serde_json::json!({ "fault": { "long_running": { "polls": 0, "ms": 60_000 } } });
    let asks_for_a_pause = serde_json::json!({
        "fault": { "throttled": { "retry_after_ms": 20_000 } }, "to": { "call": "create" }, "when": { "nth": [1] }
    });
    for (rule, failed, open) in [(accepted, 0, 1), (asks_for_a_pause, 1, 0)] {
        let lab = Lab::new(nodes);
        lab.set_rules(&serde_json::json!([rule]));
        let outcome = lab.run_until(Mode::Apply, Duration::from_secs(5)).await;
        assert!(outcome.interrupted, "{outcome:?}");
        assert_eq!(
            (outcome.failed.len(), outcome.open.len(), outcome.skipped.len()),
            (failed, open, 1),
            "{outcome:?}"
        );
        assert!(lab.state().await.intents.len() == open && lab.cloud.objects().is_empty());
    }
}
