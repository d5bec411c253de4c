//! `lifecycle` and `timeouts`, `moved`, `removed` and `import`, from text to objects.
//!
//! - [`conditions`]: `precondition` and `postcondition`
//! - [`importing`]: `import` blocks and the command
//! - [`moving`]: `moved` blocks, and blocks that get or lose a `count`
//! - [`made_first`]: what is replaced with `create_before_destroy`
#![cfg(feature = "fake")]

mod conditions;
mod importing;
mod made_first;
mod moving;
#[path = "../support/mod.rs"]
mod support;

use serde_json::json;
use simfleet::fleet::FleetError;
use simfleet::plan::{Action, Mode, Plan};
use support::bench::{Bench, Lab, changes};
use tokio::time::Instant;

/// Two nodes: `a` with what stands for its `lifecycle`, and `b`.
fn nodes(size: &str, lifecycle: &str) -> String {
    format!(
        "provider \"fake\" {{}}\nnode \"a\" {{\n  size = \"{size}\"\n  labels = {{ of = \"{size}\" }}\n  {lifecycle}\n}}\nnode \"b\" {{\n  \
         labels = {{ of = node.a.size }}\n}}\n"
    )
}

async fn refused(bench: &Bench, mode: Mode) -> String {
    let fleet = bench.open(mode, &[]).expect("the fleet is sound");
    match fleet.plan().await {
        Err(FleetError::Diagnostics(problems)) => {
            let tell = |it: &simfleet::diagnostic::Diagnostic| format!("{}: {}", it.summary, it.detail);
            problems.0.iter().map(tell).collect::<Vec<_>>().join("\n")
        }
        other => panic!("a plan that is to be refused: {other:?}"),
    }
}

fn reasons(plan: &Plan, address: &str) -> Vec<String> {
    let change = plan.changes.iter().find(|change| change.address.to_string() == address);
    change
        .expect("it is planned")
        .reasons
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[tokio::test]
async fn what_is_protected_is_not_deleted_until_that_is_taken_back_and_applied() {
    let protected = "lifecycle { prevent_destroy = true }";
    let bench = Bench::new(&nodes("small", protected));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    let by_destroy = refused(&bench, Mode::Destroy).await;
    assert_eq!(
        by_destroy,
        "Protected from deletion: node.a would be deleted, as everything is destroyed; it has prevent_destroy."
    );
    // The block is gone; what was applied of it counts.
    bench.write("provider \"fake\" {}\n");
    let undeclared = refused(&bench, Mode::Apply).await;
    assert!(undeclared.contains("as it is no longer declared"), "{undeclared}");
    // A protection that was added and not applied yet protects from a replacement all the same.
    bench.write(&nodes("small", ""));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    bench.write(&nodes("small", protected).replace("node \"a\" {", "node \"a\" {\n  image = \"other\""));
    let replaced = refused(&bench, Mode::Apply).await;
    assert!(replaced.contains("node.a would be made anew"), "{replaced}");
    bench.write(&nodes("small", "lifecycle { prevent_destroy = false }"));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert!(bench.apply(Mode::Destroy, &[]).await.is_complete());
}

/// What cannot be asked to end goes with its node, which is a deletion, too.
#[tokio::test]
async fn what_is_protected_is_not_lost_with_its_node() {
    let lab = Lab::new(
        "provider \"fake\" {}\nnode \"a\" {}\nsimulator \"exec\" \"job\" {\n  placement = node.a\n  command = [\"work\"]\n  \
         lifecycle { prevent_destroy = true }\n}\n",
    );
    lab.complete(Mode::Apply).await;
    lab.set_rules(&json!([{ "fault": { "unreachable": { "reason": "it is off" } } }]));
    lab.bench.write("provider \"fake\" {}\n");
    for mode in [Mode::Apply, Mode::Destroy] {
        let refused = lab.open(mode).plan().await.map(|_| ());
        let Err(FleetError::Diagnostics(problems)) = refused else {
            panic!("it is to be refused: {refused:?}")
        };
        let detail = &problems.0[0].detail;
        assert!(
            detail.starts_with("simulator.exec.job would be lost with its node, as "),
            "{mode:?}: {detail}"
        );
    }
    let given_up = "provider \"fake\" {}\nremoved {\n  from = simulator.exec.job\n  lifecycle { destroy = false }\n}\n";
    lab.bench.write(given_up);
    let fleet = lab.open(Mode::Apply);
    let plan = fleet.plan().await.expect("it is given up").plan;
    assert_eq!(changes(&plan), ["delete node.a", "forget simulator.exec.job"]);
}

#[tokio::test]
async fn what_is_ignored_stays_as_it_is_and_all_else_changes() {
    let bench = Bench::new(&nodes("small", "lifecycle { ignore_changes = [labels] }"));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    let labels = |plan: &Plan| {
        let change = &plan.changes[0];
        let after = change.after.as_ref().and_then(|after| after.get("labels")).cloned();
        format!("{:?}", after.expect("labels"))
    };
    bench.write(&nodes("medium", "lifecycle { ignore_changes = [labels] }"));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), ["update node.a", "update node.b"]);
    assert!(labels(&plan).contains("\"small\""), "{}", labels(&plan));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert!(plan.is_empty(), "{:?}", changes(&plan));
    assert!(labels(&plan).contains("\"small\""), "{}", labels(&plan));
    bench.write(&nodes("large", "lifecycle { ignore_changes = all }"));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(
        changes(&plan),
        ["update node.b"],
        "what is declared of it is what others read"
    );
    bench.write(&nodes("large", ""));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), ["update node.a", "update node.b"]);
    bench.write(&nodes("large", "lifecycle { ignore_changes = [bootstrap] }"));
    let alone = refused(&bench, Mode::Apply).await;
    assert!(alone.starts_with("Cannot be ignored"), "{alone}");
    bench.write(&nodes("large", ""));
    assert!(bench.apply(Mode::Destroy, &[]).await.is_complete());
}

#[tokio::test]
async fn a_change_of_something_has_something_else_made_anew() {
    let text = |input: u32, trigger: &str| {
        format!(
            "provider \"fake\" {{}}\nvalue \"version\" {{ input = {input} }}\nvalue \"other\" {{\n  count = 2\n  input = {input}\n}}\n\
             node \"a\" {{\n  lifecycle {{ replace_triggered_by = [{trigger}] }}\n}}\n"
        )
    };
    let bench = Bench::new(&text(1, "value.version"));
    assert_eq!(changes(&bench.plan(Mode::Apply, &[]).await).len(), 4);
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());
    for (trigger, by) in [
        ("value.version", Some("value.version")),
        ("value.version.output", Some("value.version")),
        ("value.version.id", None),
        ("value.other", Some("value.other[0]")),
        ("value.other[1]", Some("value.other[1]")),
        ("value.other[1].input", Some("value.other[1]")),
    ] {
        bench.write(&text(2, trigger));
        let plan = bench.plan(Mode::Apply, &[]).await;
        let expected = by.map_or("no-op", |_| "replace");
        assert_eq!(plan.changes[0].action.as_str(), expected, "{trigger}");
        if let Some(by) = by {
            assert_eq!(
                reasons(&plan, "node.a"),
                [format!("{by} changes, which has it made anew")],
                "{trigger}"
            );
        }
    }
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());
    assert!(bench.apply(Mode::Destroy, &[]).await.is_complete());
}

#[tokio::test]
async fn what_a_removed_block_names_is_forgotten_or_deleted() {
    let bench = Bench::new(&nodes("small", "lifecycle { prevent_destroy = true }"));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    let removed = |destroy: bool| {
        format!(
            "provider \"fake\" {{}}\nremoved {{\n  from = node.a\n  lifecycle {{ destroy = {destroy} }}\n}}\nremoved {{\n  from = node.b\n  \
             lifecycle {{ destroy = true }}\n}}\n"
        )
    };
    bench.write(&removed(true));
    let protected = refused(&bench, Mode::Apply).await;
    assert!(protected.contains("node.a would be deleted"), "{protected}");
    bench.write(&removed(false));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), ["forget node.a", "delete node.b"]);
    assert_eq!(
        reasons(&plan, "node.a"),
        ["a `removed` block says that it is managed no more"]
    );
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert!(plan.is_empty() && plan.changes.iter().all(|change| change.action == Action::NoOp));
}

#[tokio::test(start_paused = true)]
async fn an_operation_may_take_as_long_as_its_block_says() {
    let lab = Lab::new("provider \"fake\" {}\nnode \"a\" {\n  timeouts { create = \"90s\" }\n}\n");
    let for_ever = json!({ "long_running": { "polls": 1_000_000, "ms": 0 } });
    lab.set_rules(&json!([{ "fault": for_ever, "to": { "call": "create" } }]));
    let began = Instant::now();
    let (_, outcome) = lab.run(Mode::Apply).await;
    let took = began.elapsed();
    let error = &outcome.failed[0].2;
    assert!(error.contains("did not end within its time-out of 90 s"), "{error}");
    assert!(
        (90..120).contains(&took.as_secs()),
        "by the clock of the test it took {took:?}"
    );
    assert!(outcome.is_only_late(), "{outcome:?}");
    // What was begun is not lost by that: the next run asks after it.
    assert_eq!(outcome.open.len(), 1);
}

/// What its block said last is recorded, also where nothing else changed, and holds once the block is gone.
#[tokio::test(start_paused = true)]
async fn a_delete_may_take_as_long_as_the_block_said_that_is_gone() {
    let lab = Lab::new("provider \"fake\" {}\nnode \"a\" {}\n");
    assert!(lab.run(Mode::Apply).await.1.is_complete());
    lab.bench
        .write("provider \"fake\" {}\nnode \"a\" {\n  timeouts { delete = \"90s\" }\n}\n");
    assert!(lab.run(Mode::Apply).await.1.is_complete());

    lab.bench.write("provider \"fake\" {}\n");
    let for_ever = json!({ "long_running": { "polls": 1_000_000, "ms": 0 } });
    lab.set_rules(&json!([{ "fault": for_ever, "to": { "call": "delete" } }]));
    let (_, outcome) = lab.run(Mode::Apply).await;
    let error = &outcome.failed[0].2;
    assert!(error.contains("did not end within its time-out of 90 s"), "{error}");
}
