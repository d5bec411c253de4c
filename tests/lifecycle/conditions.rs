//! `precondition` and `postcondition`: when the plan is made, and on the way.

use simfleet::fleet::FleetError;
use simfleet::plan::Mode;

use crate::refused;
use crate::support::bench::{Bench, Lab, changes};

/// `a`, whose id is known after it is made, and `b`, which reads `a`.
fn conditions(a: &str, b: &str) -> String {
    format!(
        "provider \"fake\" {{}}\nvariable \"size\" {{ default = \"small\" }}\nnode \"a\" {{\n  size = var.size\n  lifecycle {{\n{a}\n  }}\n}}\n\
         node \"b\" {{\n  labels = {{ of = node.a.id }}\n  lifecycle {{\n{b}\n  }}\n}}\nnode \"c\" {{ labels = {{ of = node.b.id }} }}\n"
    )
}

fn condition(block: &str, condition: &str) -> String {
    format!("{block} {{\n  condition = {condition}\n  error_message = \"It is ${{var.size}}.\"\n}}")
}

#[tokio::test]
async fn what_must_hold_is_checked_when_the_plan_is_made() {
    for (block, told) in [("precondition", "Precondition"), ("postcondition", "Postcondition")] {
        let own = if block == "precondition" {
            "var.size"
        } else {
            "self.size"
        };
        let is_small = condition(block, &format!("{own} == \"small\""));
        let bench = Bench::new(&conditions(&is_small, ""));
        assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
        let fleet = bench
            .open(Mode::Apply, &[("size", "large")])
            .expect("the fleet is sound");
        let Err(FleetError::Diagnostics(problems)) = fleet.plan().await else {
            panic!("it does not hold");
        };
        let problem = &problems.0[0];
        assert_eq!(
            (problems.0.len(), &*problem.summary, &*problem.detail),
            (1, &*format!("{told} failed"), "It is large.")
        );
        assert!(problem.span.is_some());
        assert_eq!(problem.address.as_ref().map(ToString::to_string), Some("node.a".into()));
        // What is there is removed, whatever must hold of it.
        assert!(bench.apply(Mode::Destroy, &[("size", "large")]).await.is_complete());
    }
}

#[tokio::test]
async fn what_must_hold_and_is_not_known_yet_is_checked_on_the_way() {
    let failed = |outcome: &simfleet::apply::Outcome| match &outcome.failed[..] {
        [(address, _, error)] => format!("{address}: {error}"),
        other => panic!("one that failed: {other:?}"),
    };
    // Before `c` is made, all of which is known.
    let all_known = conditions("", "").replace(
        "{ labels = { of = node.b.id } }",
        &format!(
            "{{\n  lifecycle {{\n{}\n  }}\n}}",
            condition("precondition", "node.a.id == \"x\"")
        ),
    );
    let lab = Lab::new(&all_known);
    let (_, outcome) = lab.run(Mode::Apply).await;
    assert_eq!(failed(&outcome), "node.c: Precondition failed: It is small.");
    assert_eq!(lab.cloud.objects().len(), 2, "it is not made");
    // Before `b` is made.
    let bench = Bench::new(&conditions("", &condition("precondition", "node.a.id == \"x\"")));
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert_eq!(failed(&outcome), "node.b: Precondition failed: It is small.");
    assert_eq!((outcome.done.len(), outcome.skipped.len()), (1, 1));
    let plan = refused(&bench, Mode::Apply).await;
    assert_eq!(plan, "Precondition failed: It is small.", "it is known by now");
    bench.write(&conditions("", &condition("precondition", "node.a.id != \"x\"")));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());
    assert!(bench.apply(Mode::Destroy, &[]).await.is_complete());
    // After `b` is made: it stays, and what needs it waits.
    bench.write(&conditions("", &condition("postcondition", "self.id == node.a.id")));
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert_eq!(failed(&outcome), "node.b: Postcondition failed: It is small.");
    assert_eq!((outcome.done.len(), outcome.skipped.len()), (1, 1));
    bench.write(&conditions("", &condition("postcondition", "self.id != node.a.id")));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), ["create node.c"]);
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    // Of what does not change.
    let replaced = conditions(
        "",
        &condition("postcondition", "node.a.image != \"other\" || node.a.id == \"x\""),
    );
    bench.write(
        &replaced
            .replace("node \"a\" {", "node \"a\" {\n  image = \"other\"")
            .replace("of = node.a.id", "of = \"a\""),
    );
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert_eq!(failed(&outcome), "node.b: Postcondition failed: It is small.");
    assert!(bench.apply(Mode::Destroy, &[]).await.is_complete());
}
