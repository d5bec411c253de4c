//! `lifecycle`, `timeouts`, `moved`, `removed` and `import`, from text to objects.
#![cfg(feature = "fake")]

mod support;

use std::sync::Arc;

use simfleet::fleet::{Fleet, FleetError};
use simfleet::plan::{Action, Mode, Plan, PlanFile};
use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{MemoryStore, StateStore, System};
use support::bench::{Bench, changes, on, over};
use tokio::sync::{mpsc, watch};
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
    let text = |timeouts: &str| format!("provider \"fake\" {{}}\nnode \"a\" {{\n  {timeouts}\n}}\n");
    let bench = Bench::new(&text("timeouts { create = \"90s\" }"));
    let store = MemoryStore::new(Arc::new(System));
    let cloud = Gateway::new(Faults::default());
    let slow = serde_json::json!({ "rules": [{ "fault": { "long_running": { "polls": 1000000, "ms": 0 } }, "to": { "call": "create" } }] });
    cloud.set_faults(serde_json::from_value(slow).expect("faults"));
    let run = async || {
        let (progress, _told) = mpsc::unbounded_channel();
        let (_keep, stop) = watch::channel(false);
        let fleet = over(bench.options(Mode::Apply, &[]), &store, &cloud);
        let planned = fleet.plan().await.expect("it can be planned");
        let began = Instant::now();
        let outcome = fleet.apply(planned, &progress, stop).await.expect("nobody has locks");
        (outcome, began.elapsed())
    };
    let (outcome, took) = run().await;
    let error = &outcome.failed[0].2;
    assert!(error.contains("did not end within its time-out of 90 s"), "{error}");
    assert!(
        (90..120).contains(&took.as_secs()),
        "by the clock of the test it took {took:?}"
    );
    // What was begun is not lost by that: the next run asks after it.
    assert_eq!(outcome.open.len(), 1);
}

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
    let bench = Bench::new(&text("a", "p", "job", ""));
    let store = MemoryStore::new(Arc::new(System));
    let cloud = Gateway::new(Faults::default());
    let run = async || {
        let (progress, _told) = mpsc::unbounded_channel();
        let (_keep, stop) = watch::channel(false);
        let fleet = over(bench.options(Mode::Apply, &[]), &store, &cloud);
        let planned = fleet.plan().await.expect("it can be planned");
        let plan = planned.plan.clone();
        assert!(
            fleet
                .apply(planned, &progress, stop)
                .await
                .expect("nobody has locks")
                .is_complete()
        );
        plan
    };
    let ids = || {
        let mut ids: Vec<String> = cloud.objects().iter().map(|object| object.id.clone()).collect();
        ids.sort();
        ids
    };
    run().await;
    let before = ids();
    bench.write(&text("c", "q", "work", moved));
    let plan = run().await;
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
    let again = run().await;
    assert!(again.is_empty(), "{again:?}");

    // The old address can be used again beside it, though the object has the name that was made of that.
    bench.write(&text("c", "q", "work", "node \"a\" {}\n"));
    assert_eq!(changes(&run().await), ["create node.a"]);
    let mut names: Vec<String> = cloud
        .objects()
        .iter()
        .filter_map(|it| it.fields["name"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cloud.objects().len(), "{names:?}");
    assert!(run().await.is_empty());
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

#[tokio::test]
async fn what_exists_becomes_the_object_of_a_resource() {
    let fleet = |size: &str, more: &str| {
        format!(
            "provider \"fake\" {{}}\nnode \"a\" {{ size = \"{size}\" }}\nnode \"b\" {{\n  count = 2\n  labels = {{ of = node.a.size }}\n}}\n{more}"
        )
    };
    let imports = |a: &str, b: &[String]| {
        let each: Vec<String> = b
            .iter()
            .enumerate()
            .map(|(index, id)| format!("\"{index}\" = \"{id}\""))
            .collect();
        format!(
            "import {{\n  to = node.a\n  id = \"{a}\"\n}}\nimport {{\n  for_each = {{ {} }}\n  to = node.b[tonumber(each.key)]\n  id = each.value\n}}\n",
            each.join(", ")
        )
    };
    let bench = Bench::new(&fleet("small", ""));
    let store = MemoryStore::new(Arc::new(System));
    let cloud = Gateway::new(Faults::default());
    let (progress, _told) = mpsc::unbounded_channel();
    let open = |mode| over(bench.options(mode, &[]), &store, &cloud);
    let run = async |mode| {
        let (_keep, stop) = watch::channel(false);
        let fleet = open(mode);
        let planned = fleet.plan().await.expect("it can be planned");
        let plan = planned.plan.clone();
        let outcome = fleet.apply(planned, &progress, stop).await.expect("nobody has locks");
        assert!(outcome.is_complete(), "{outcome:?}");
        plan
    };
    let told = async || match open(Mode::Apply).plan().await {
        Err(FleetError::Diagnostics(problems)) => problems.0.iter().map(|it| it.detail.clone()).collect::<Vec<_>>(),
        other => panic!("a plan that is to be refused: {other:?}"),
    };
    let state = async || store.load().await.expect("a state").state;
    run(Mode::Apply).await;
    let ids: Vec<String> = state()
        .await
        .resources
        .values()
        .map(|it| it.object.id.to_string())
        .collect();
    let all: Vec<_> = state().await.resources.keys().cloned().collect();
    open(Mode::Apply)
        .forget(&all, &progress)
        .await
        .expect("they are recorded");
    // With blocks: one differs from what is declared.
    bench.write(&fleet("large", &imports(&ids[0], &ids[1..])));
    let calls = cloud.log().len();
    let plan = run(Mode::Apply).await;
    let word = |change: &simfleet::plan::Change| format!("{} {}", change.word(), change.address);
    assert_eq!(
        plan.changes.iter().map(word).collect::<Vec<_>>(),
        ["update node.a", "update node.b[0]", "update node.b[1]"]
    );
    assert_eq!(plan.imports.len(), 3);
    let made = cloud.log()[calls..]
        .iter()
        .filter(|entry| format!("{:?}", entry.effects).contains("Made"))
        .count();
    assert_eq!(made, 0, "nothing is made");
    let now: Vec<String> = state()
        .await
        .resources
        .values()
        .map(|it| it.object.id.to_string())
        .collect();
    assert_eq!(now, ids);
    let plan = open(Mode::Apply).plan().await.expect("it can be planned").plan;
    assert!(
        plan.is_empty() && plan.imports.is_empty(),
        "the blocks have done their work"
    );
    // As it is declared, only the record changes. A kept plan has what was seen of the object.
    open(Mode::Apply)
        .forget(&all[..1], &progress)
        .await
        .expect("it is recorded");
    let file = bench.path().join("import.plan");
    let fleet_now = open(Mode::Apply);
    let planned = fleet_now.plan().await.expect("it can be planned");
    fleet_now.save_plan(&planned, &file).expect("it is kept");
    let kept = PlanFile::read(&file).expect("it is whole");
    let of_plan = Fleet::of_plan(&kept, bench.options(Mode::Apply, &[])).expect("sound");
    let of_plan = on(of_plan, &store, &cloud);
    assert_eq!(of_plan.replan(&kept).await.expect("it is the same").plan, planned.plan);
    let plan = run(Mode::Apply).await;
    assert_eq!(plan.changes.iter().map(word).collect::<Vec<_>>()[0], "import node.a");
    assert_eq!(changes(&plan), [""; 0]);
    // With the command.
    open(Mode::Apply)
        .forget(&all[..1], &progress)
        .await
        .expect("it is recorded");
    bench.write(&fleet("large", ""));
    let by_hand = async |address: &str, id: &str| {
        let fleet = open(Mode::Apply);
        fleet
            .import(&address.parse().expect("an address"), &id.into(), &progress)
            .await
    };
    for (address, id, problem) in [
        ("node.a", "node-none", "There is no node with the id `node-none`."),
        ("node.a", &*ids[1], "is that of node.b[0] already"),
        ("node.b[0]", &*ids[0], "node.b[0] has an object already"),
        ("node.c", &*ids[0], "node.c is not declared"),
    ] {
        match by_hand(address, id).await {
            Err(FleetError::Diagnostics(problems)) => assert!(problems.0[0].detail.contains(problem), "{problems:?}"),
            other => panic!("an import that is to be refused: {other:?}"),
        }
    }
    by_hand("node.a", &ids[0]).await.expect("it is there");
    assert!(
        open(Mode::Apply)
            .plan()
            .await
            .expect("it can be planned")
            .plan
            .is_empty()
    );
    // What is not there cannot be imported.
    open(Mode::Apply)
        .forget(&all[..1], &progress)
        .await
        .expect("it is recorded");
    bench.write(&fleet("large", &imports("node-none", &[])));
    assert_eq!(told().await, ["There is no node with the id `node-none`."]);
    bench.write(&fleet("large", &imports(&ids[1], &[])));
    assert_eq!(
        told().await,
        [format!("The object `{}` is that of node.b[0] already.", ids[1])]
    );
    bench.write(&fleet("large", &imports(&ids[0], &[])));
    run(Mode::Apply).await;
    run(Mode::Destroy).await;
    assert!(cloud.objects().is_empty());
}

/// What happened to the objects of a cloud, in order: `+ a` for one that was made for `node.a`, `~ a`, `- a`.
fn happened(cloud: &Gateway, from: usize) -> Vec<String> {
    let objects = |effect: &str| -> String {
        let sign = match effect {
            it if it.starts_with("Made") => "+",
            it if it.starts_with("Deleted") => "-",
            _ => "~",
        };
        sign.to_owned()
    };
    let log = cloud.log();
    let mut names: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    let mut all = Vec::new();
    for entry in &log {
        let text = format!("{:?}", entry.cause);
        let name = text
            .split("name: Some(\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or_default();
        for effect in &entry.effects {
            let effect = format!("{effect:?}");
            let id = effect.split('"').nth(1).unwrap_or_default().to_owned();
            if effect.starts_with("Made") {
                names.insert(id.clone(), name.to_owned());
            }
            let of = names.get(&id).cloned().unwrap_or_default();
            let of = of
                .strip_prefix("node.")
                .unwrap_or(&of)
                .chars()
                .next()
                .map(String::from)
                .unwrap_or_default();
            all.push((entry.number, format!("{} {of}", objects(&effect))));
        }
    }
    let all = all.into_iter().filter(|(number, _)| *number as usize > from);
    all.map(|(_, text)| text).collect()
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
    let bench = Bench::new(&text("one", first));
    let store = MemoryStore::new(Arc::new(System));
    let cloud = Gateway::new(Faults::default());
    let (progress, _told) = mpsc::unbounded_channel();
    let run = async |mode| {
        let (_keep, stop) = watch::channel(false);
        let fleet = over(bench.options(mode, &[]), &store, &cloud);
        let planned = fleet.plan().await.expect("it can be planned");
        let plan = planned.plan.clone();
        (
            plan,
            fleet.apply(planned, &progress, stop).await.expect("nobody has locks"),
        )
    };
    let faults = |rules: serde_json::Value| {
        let faults = serde_json::json!({ "rules": rules });
        cloud.set_faults(serde_json::from_value(faults).expect("faults"));
    };
    let state = async || store.load().await.expect("a state").state;
    assert!(run(Mode::Apply).await.1.is_complete());
    let began = cloud.log().len();
    bench.write(&text("two", first));
    let (plan, outcome) = run(Mode::Apply).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(
        changes(&plan),
        ["replace node.a", "update node.b", "replace node.c", "update node.d"]
    );
    let order = happened(&cloud, began);
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
    assert_eq!(cloud.objects().len(), 4);
    let (plan, _) = run(Mode::Apply).await;
    assert!(plan.is_empty(), "{:?}", changes(&plan));
    // A replacement that comes to nothing leaves the old object as it was.
    bench.write(&text("three", first));
    faults(serde_json::json!([{ "fault": { "rejected": { "message": "no" } }, "to": { "call": "create" } }]));
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
    faults(
        serde_json::json!([{ "fault": { "rejected": { "message": "no" } }, "to": { "call": "delete", "kind": "node" } }]),
    );
    let (_, outcome) = run(Mode::Apply).await;
    assert!(!outcome.failed.is_empty() && cloud.objects().len() > 4, "{outcome:?}");
    let left = state().await.deposed.len();
    assert!(left > 0);
    faults(serde_json::json!([]));
    let (plan, outcome) = run(Mode::Apply).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let deposed = plan.changes.iter().filter(|change| change.deposed.is_some());
    assert!(deposed.clone().all(|change| change.action == Action::Delete));
    assert_eq!(deposed.count(), left);
    assert_eq!((cloud.objects().len(), state().await.deposed.len()), (4, 0));
    assert!(run(Mode::Apply).await.0.is_empty());
    // What is left over is removed with everything else.
    bench.write(&text("four", first));
    faults(
        serde_json::json!([{ "fault": { "rejected": { "message": "no" } }, "to": { "call": "delete", "kind": "node" } }]),
    );
    run(Mode::Apply).await;
    faults(serde_json::json!([]));
    let (_, outcome) = run(Mode::Destroy).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(cloud.objects().is_empty() && state().await.is_empty());
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
    let bench = Bench::new(&text("one"));
    let store = MemoryStore::new(Arc::new(System));
    let cloud = Gateway::new(Faults::default());
    let (progress, _told) = mpsc::unbounded_channel();
    let run = async || {
        let (_keep, stop) = watch::channel(false);
        let fleet = over(bench.options(Mode::Apply, &[]), &store, &cloud);
        let planned = fleet.plan().await.expect("it can be planned");
        let plan = planned.plan.clone();
        let outcome = fleet.apply(planned, &progress, stop).await.expect("nobody has locks");
        assert!(outcome.is_complete(), "{outcome:?}");
        plan
    };
    run().await;
    let began = cloud.log().len();
    bench.write(&text("two"));
    let plan = run().await;
    assert!(
        plan.changes.iter().all(|change| change.action == Action::Replace),
        "{:?}",
        changes(&plan)
    );
    assert_eq!(plan.changes.iter().filter(|change| change.is_made_first()).count(), 2);
    let order = happened(&cloud, began);
    // They go in turn, and none before its replacement is there.
    let there = order.iter().scan(0, |there, step| {
        *there += i32::from(step == "+ p") - i32::from(step == "- p");
        Some(*there)
    });
    assert!(there.into_iter().all(|there| there >= 0), "{order:?}");
    assert_eq!(cloud.objects().len(), 5, "{order:?}");
    let plan = run().await;
    assert!(plan.is_empty(), "{:?}", changes(&plan));
    // No simulator was asked to go of a node that was not its own.
    let refusals = cloud.log()[began..]
        .iter()
        .filter(|entry| format!("{:?}", entry.heard) == "Refusal")
        .count();
    assert_eq!(refusals, 0);
}
