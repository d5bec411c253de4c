//! `create_before_destroy`: what is made before the old object goes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use simfleet::plan::{Action, Mode};
use simfleet_provider_fake::cloud::{Cause, Effect, Heard};
use simfleet_provider_fake::gateway::Gateway;

use crate::support::bench::{Lab, changes};

/// What happened to the objects of a cloud after so many calls, in order: `+ a` for one that was made for `node.a`, `~ a`
/// for one that was changed, `- a`. Members of a pool are told by the name of their pool.
fn happened(cloud: &Gateway, from: usize) -> Vec<String> {
    let mut names = BTreeMap::new();
    let mut steps = Vec::new();
    for (number, entry) in cloud.log().into_iter().enumerate() {
        for effect in entry.effects {
            let (sign, id) = match effect {
                Effect::Made(id) => ("+", id),
                Effect::Changed(id) => ("~", id),
                Effect::Deleted(id) => ("-", id),
                Effect::Accepted(_) => continue,
            };
            if let ("+", Cause::Called { name: Some(name), .. }) = (sign, &entry.cause) {
                let block = name.split(['.', '/', '-', '[']).nth(1).expect("a kind and a name");
                names.insert(id.clone(), block.to_owned());
            }
            if number >= from {
                steps.push(format!("{sign} {}", names[&id]));
            }
        }
    }
    steps
}

/// The names of all objects that were ever made.
fn made(cloud: &Gateway) -> Vec<String> {
    let log = cloud.log().into_iter();
    let made = log.filter(|entry| entry.effects.iter().any(|effect| matches!(effect, Effect::Made(_))));
    made.filter_map(|entry| match entry.cause {
        Cause::Called { name, .. } => name,
        _ => None,
    })
    .collect()
}

#[tokio::test]
async fn a_replacement_is_made_before_the_old_object_goes() {
    // `b` reads `a`; `c`, which is made first, reads `b`: so all are.
    let text = |image: &str, c: &str| {
        format!(
            "provider \"fake\" {{}}\nnode \"a\" {{ image = \"{image}\" }}\nnode \"b\" {{ labels = {{ of = node.a.id }} }}\n\
             node \"c\" {{\n  image = node.b.labels.of\n  {c}\n}}\nnode \"d\" {{ labels = {{ of = node.a.id }} }}\n"
        )
    };
    let first = "lifecycle { create_before_destroy = true }";
    let lab = Lab::new(&text("one", first));
    let run = async |mode| lab.run(mode).await;
    let state = async || lab.state().await;
    assert!(run(Mode::Apply).await.1.is_complete());
    let began = lab.cloud.log().len();
    lab.bench.write(&text("two", first));
    let (plan, outcome) = run(Mode::Apply).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(
        changes(&plan),
        ["replace node.a", "update node.b", "replace node.c", "update node.d"]
    );
    let order = happened(&lab.cloud, began);
    let at = |what: &str| {
        order
            .iter()
            .position(|it| it == what)
            .unwrap_or_else(|| panic!("{what} in {order:?}"))
    };
    assert!(at("+ a") < at("~ b") && at("~ b") < at("+ c"), "{order:?}");
    assert!(
        at("+ c") < at("- c") && at("- c") < at("- a") && at("~ d") < at("- a"),
        "{order:?}"
    );
    let names: BTreeSet<String> = made(&lab.cloud).into_iter().collect();
    assert_eq!(
        names.len(),
        made(&lab.cloud).len(),
        "no two objects ever have one name: {names:?}"
    );
    assert_eq!(lab.cloud.objects().len(), 4);
    let (plan, _) = run(Mode::Apply).await;
    assert!(plan.is_empty(), "{:?}", changes(&plan));
    // A replacement that comes to nothing leaves the old object as it was.
    lab.bench.write(&text("three", first));
    lab.set_rules(&json!([{ "fault": { "rejected": { "message": "no" } }, "to": { "call": "create" } }]));
    let before = state().await.resources;
    let (_, outcome) = run(Mode::Apply).await;
    assert_eq!((outcome.done.len(), outcome.failed.len()), (0, 1), "{outcome:?}");
    let after = state().await;
    assert!(after.deposed.is_empty());
    let ids = |all: &std::collections::BTreeMap<_, simfleet_state::Resource>| {
        all.values().map(|it| it.object.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&after.resources), ids(&before));
    // An old object that cannot be deleted is deleted by the next run, and what reads the resource is not touched again.
    lab.set_rules(
        &json!([{ "fault": { "rejected": { "message": "no" } }, "to": { "call": "delete", "kind": "node" } }]),
    );
    let (_, outcome) = run(Mode::Apply).await;
    assert!(
        !outcome.failed.is_empty() && lab.cloud.objects().len() > 4,
        "{outcome:?}"
    );
    let left = state().await.deposed.len();
    assert!(left > 0);
    lab.set_rules(&json!([]));
    let (plan, outcome) = run(Mode::Apply).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let deposed = plan.changes.iter().filter(|change| change.deposed.is_some());
    assert!(deposed.clone().all(|change| change.action == Action::Delete));
    assert_eq!(deposed.count(), left);
    assert_eq!((lab.cloud.objects().len(), state().await.deposed.len()), (4, 0));
    assert!(run(Mode::Apply).await.0.is_empty());
    // What is left over is removed with everything else.
    lab.bench.write(&text("four", first));
    lab.set_rules(
        &json!([{ "fault": { "rejected": { "message": "no" } }, "to": { "call": "delete", "kind": "node" } }]),
    );
    run(Mode::Apply).await;
    lab.set_rules(&json!([]));
    let (_, outcome) = run(Mode::Destroy).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(lab.cloud.objects().is_empty() && state().await.is_empty());
}

#[tokio::test]
async fn members_are_replaced_before_the_old_ones_go() {
    let text = |image: &str| {
        format!(
            "provider \"fake\" {{}}\npool \"p\" {{\n  lifecycle {{ create_before_destroy = true }}\n  node {{\n    image = \"{image}\"\n    \
             max_simulators = 2\n    port_range \"any\" {{\n      from = 100\n      to = 110\n    }}\n  }}\n  autoscale {{\n    min = 2\n    max = 2\n  }}\n}}\n\
             simulator \"exec\" \"job\" {{\n  count = 3\n  placement = pool.p\n  command = [\"true\"]\n  port \"main\" {{ range = \"any\" }}\n}}\n"
        )
    };
    let lab = Lab::new(&text("one"));
    lab.complete(Mode::Apply).await;
    let began = lab.cloud.log().len();
    lab.bench.write(&text("two"));
    let plan = lab.complete(Mode::Apply).await;
    assert!(
        plan.changes.iter().all(|change| change.action == Action::Replace),
        "{:?}",
        changes(&plan)
    );
    assert_eq!(plan.changes.iter().filter(|change| change.is_made_first()).count(), 2);
    let order = happened(&lab.cloud, began);
    // They go in turn, and none before its replacement is there.
    let there = order.iter().scan(0, |there, step| {
        *there += i32::from(step == "+ p") - i32::from(step == "- p");
        Some(*there)
    });
    assert!(there.into_iter().all(|there| there >= 0), "{order:?}");
    assert_eq!(lab.cloud.objects().len(), 5, "{order:?}");
    let plan = lab.complete(Mode::Apply).await;
    assert!(plan.is_empty(), "{:?}", changes(&plan));
    // No simulator was asked to go of a node that was not its own.
    let refused = lab.cloud.log().split_off(began);
    assert!(refused.iter().all(|entry| entry.heard != Heard::Refusal), "{refused:?}");
}

/// A run made the new node, and could neither make what runs there nor delete the old one: the next run does it in that order.
#[tokio::test]
async fn an_old_node_that_was_left_over_goes_once_what_runs_there_is_back() {
    let text = |image: &str| {
        format!(
            "provider \"fake\" {{}}\nnode \"a\" {{\n  image = \"{image}\"\n  lifecycle {{ create_before_destroy = true }}\n  \
             port_range \"any\" {{\n    from = 100\n    to = 110\n  }}\n}}\n\
             simulator \"exec\" \"s\" {{\n  placement = node.a\n  command = [\"true\"]\n}}\n"
        )
    };
    let lab = Lab::new(&text("one"));
    lab.complete(Mode::Apply).await;
    lab.bench.write(&text("two"));
    let refused = |to: serde_json::Value| json!({ "fault": { "rejected": { "message": "no" } }, "to": to });
    lab.set_rules(&json!([
        refused(json!({ "call": "delete", "kind": "node" })),
        refused(json!({ "call": "create", "name": "simulator.exec.s" })),
    ]));
    lab.run(Mode::Apply).await;
    assert_eq!(lab.state().await.deposed.len(), 1);
    assert_eq!(lab.cloud.objects().len(), 2, "two nodes, and nothing runs there");
    lab.set_rules(&json!([]));
    let began = lab.cloud.log().len();
    lab.complete(Mode::Apply).await;
    assert_eq!(happened(&lab.cloud, began), ["+ exec", "- a"]);
}

/// A run made `b` anew, which read `a`, and could not delete the old object: that goes before `a`, which is no longer declared.
#[tokio::test]
async fn an_old_object_that_was_left_over_goes_before_what_it_needed() {
    let text = |a: &str, image: &str, of: &str| {
        format!(
            "provider \"fake\" {{}}\n{a}\nnode \"b\" {{\n  image = \"{image}\"\n  labels = {{ of = {of} }}\n  \
             lifecycle {{ create_before_destroy = true }}\n}}\n"
        )
    };
    let a = "node \"a\" {}";
    let lab = Lab::new(&text(a, "one", "node.a.id"));
    lab.complete(Mode::Apply).await;
    lab.bench.write(&text(a, "two", "node.a.id"));
    lab.set_rules(
        &json!([{ "fault": { "rejected": { "message": "no" } }, "to": { "call": "delete", "kind": "node" } }]),
    );
    lab.run(Mode::Apply).await;
    assert_eq!(lab.state().await.deposed.len(), 1);
    lab.set_rules(&json!([]));
    let began = lab.cloud.log().len();
    lab.bench.write(&text("", "two", "\"nothing\""));
    lab.complete(Mode::Apply).await;
    assert_eq!(happened(&lab.cloud, began), ["~ b", "- b", "- a"]);
}
