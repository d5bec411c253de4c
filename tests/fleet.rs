//! Whole fleets over the fake cloud, from text to objects and back to nothing.
#![cfg(feature = "fake")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use simfleet::fleet::{Fleet, FleetError};
use simfleet::plan::{Mode, Plan, PlanFile, Reason};
use simfleet_provider_api::{Address, Attributes, Kind, Object, ObjectId};
use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{Declaration, Event, Holder, LockSet, MemoryStore, ProviderConfig, StateStore, System};
use support::bench::{Bench, Lab, changes, on, over};
use tokio::sync::{mpsc, watch};

const QUADS: &str = r#"
provider "fake" {}
variable "vehicles" {
  type    = number
  default = 3
}
pool "field" {
  node {
    max_simulators = 4
    port_range "mavlink" {
      from = 14560
      to   = 14570
    }
  }
  autoscale {
    min = 2
    max = 4
    check "free_slots" {
      strategy "buffer" { min_ready = 1 }
    }
  }
}
simulator "vehicle" "quad" {
  count     = var.vehicles
  placement = pool.field
  instance  = count.index
  port "gcs" { range = "mavlink" }
}
output "vehicles" {
  value = { for v in simulator.vehicle.quad : v.name => "udp://${v.node.address}:${v.ports.gcs}" }
}
"#;

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

#[tokio::test(start_paused = true)]
async fn an_output_that_reads_what_failed_keeps_its_value_or_is_left_out() {
    let text = |image: &str| {
        format!(
            r#"
provider "fake" {{}}
node "a" {{}}
node "b" {{ image = "{image}" }}
output "first"  {{ value = node.a.address }}
output "second" {{ value = node.b.address }}
output "both"   {{ value = [node.a.address, node.b.address] }}
"#
        )
    };
    let bench = Bench::new(&text("base"));
    let store = MemoryStore::new(Arc::new(System));
    let cloud = Gateway::new(Faults::default());
    let refused = || {
        let rejected = serde_json::json!({ "rejected": { "message": "there is no room", "attribute": null } });
        let rule = serde_json::json!({ "fault": rejected, "to": { "call": "create", "name": "node.b" } });
        cloud.set_faults(serde_json::from_value(serde_json::json!({ "rules": [rule] })).expect("faults"));
    };
    let apply = async || {
        let (progress, _told) = mpsc::unbounded_channel();
        let (_keep, stop) = watch::channel(false);
        let fleet = over(bench.options(Mode::Apply, &[]), &store, &cloud);
        let planned = fleet.plan().await.expect("it can be planned");
        let applied = fleet.apply(planned, &progress, stop).await;
        let outcome = applied.expect("nobody has locks");
        let outputs = fleet.snapshot().await.expect("a state").state.outputs;
        (outcome.is_complete(), outputs)
    };

    refused();
    let (is_complete, outputs) = apply().await;
    assert!(!is_complete);
    let names: Vec<&str> = outputs.keys().map(|name| &**name).collect();
    assert_eq!(
        names,
        ["first"],
        "of what was never made there is no value, not even null"
    );
    assert!(outputs["first"].as_str().is_some(), "{outputs:?}");

    cloud.set_faults(Faults::default());
    let (is_complete, made) = apply().await;
    assert!(
        is_complete && made.len() == 3 && made.values().all(|value| value.is_known()),
        "{made:?}"
    );

    // It is made anew, and the new one is refused.
    bench.write(&text("other"));
    refused();
    let (is_complete, kept) = apply().await;
    assert!(!is_complete);
    assert_eq!(kept, made);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_be_reached_is_made_anew_with_what_runs_on_it() {
    let text = "provider \"fake\" {}\nnode \"a\" {}\nsimulator \"exec\" \"job\" {\n  placement = node.a\n  command = [\"true\"]\n}\n";
    let bench = Bench::new(text);
    let store = MemoryStore::new(Arc::new(System));
    let cloud = Gateway::new(Faults::default());
    let mut options = bench.options(Mode::Apply, &[]);
    let (progress, _told) = mpsc::unbounded_channel();
    let (_keep, stop) = watch::channel(false);
    for replace in [None, Some("node.a")] {
        options
            .replace
            .extend(replace.map(|node| node.parse().expect("an address")));
        let fleet = over(options.clone(), &store, &cloud);
        let planned = fleet.plan().await.expect("it can be planned");
        let outcome = fleet
            .apply(planned, &progress, stop.clone())
            .await
            .expect("nobody has locks");
        assert!(outcome.is_complete(), "{outcome:?}");
        let down = |call: &str| serde_json::json!({ "fault": { "unreachable": { "reason": "it is down" } }, "to": { "call": call, "kind": "process" } });
        let faults = serde_json::json!({ "rules": (["read", "delete"].map(down)) });
        cloud.set_faults(serde_json::from_value(faults).expect("faults"));
    }
    cloud.set_faults(Faults::default());
    options.replace.clear();
    let planned = over(options, &store, &cloud);
    assert!(planned.plan().await.expect("it can be planned").plan.is_empty());
    assert_eq!(cloud.objects().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_began_and_cannot_be_finished_stops_nothing_else() {
    let text = |grace: u32| {
        format!(
            "provider \"fake\" {{}}\nnode \"a\" {{}}\nsimulator \"exec\" \"job\" {{\n  placement = node.a\n  command = [\"true\"]\n  \
             stop_grace = \"{grace}s\"\n}}\nnode \"b\" {{\n  count = {grace}\n}}\n"
        )
    };
    let (job, b) = ("simulator.exec.job", "node.b[1]");
    let bench = Bench::new(&text(1));
    let store = MemoryStore::new(Arc::new(System));
    let cloud = Gateway::new(Faults::default());
    let (progress, _told) = mpsc::unbounded_channel();
    let (_keep, stop) = watch::channel(false);
    let down = |call: &str| serde_json::json!({ "fault": "lost_reply", "to": { "call": call, "kind": "process" } });
    let faults = serde_json::json!({ "rules": (["create", "find"].map(down)) });
    let faulty = || cloud.set_faults(serde_json::from_value(faults.clone()).expect("faults"));
    let run = async |mode: Mode| {
        let fleet = over(bench.options(mode, &[]), &store, &cloud);
        fleet.recover(&progress).await.expect("nobody has locks");
        let planned = fleet.plan().await.expect("it can be planned");
        let planned_changes = changes(&planned.plan);
        let outcome = fleet.apply(planned, &progress, stop.clone()).await;
        (planned_changes, outcome.expect("nobody has locks"))
    };
    faulty();
    let (_, first) = run(Mode::Apply).await;
    assert_eq!(first.open.len(), 1, "{first:?}");

    // The next run makes all the rest, and it is as it was with the job.
    bench.write(&text(2));
    let (planned, second) = run(Mode::Apply).await;
    assert_eq!(planned, [format!("create {b}"), format!("check {job}")]);
    assert_eq!(second.open.len(), 1, "{second:?}");
    let failed = &second.failed[0];
    assert!(
        failed.0.to_string() == job && failed.2.contains("an earlier run's create of it"),
        "{failed:?}"
    );

    // It has an end once the cloud answers: what was made is found, and changed to what is declared by now.
    cloud.set_faults(Faults::default());
    let (_, third) = run(Mode::Apply).await;
    assert!(third.is_complete(), "{third:?}");
    assert_eq!(cloud.objects().len(), 4);
    let planned = over(bench.options(Mode::Apply, &[]), &store, &cloud);
    assert!(planned.plan().await.expect("it can be planned").plan.is_empty());

    // A destroy takes it along: it is finished first, then deleted.
    bench.write(&text(2).replace("[\"true\"]", "[\"false\"]"));
    faulty();
    let (_, replaced) = run(Mode::Apply).await;
    assert_eq!(replaced.open.len(), 1, "{replaced:?}");
    let (planned, stuck) = run(Mode::Destroy).await;
    assert!(planned.contains(&format!("delete {job}")), "{planned:?}");
    assert_eq!(
        (stuck.open.len(), stuck.skipped.len()),
        (1, 1),
        "its node waits for it: {stuck:?}"
    );
    cloud.set_faults(Faults::default());
    assert!(run(Mode::Destroy).await.1.is_complete());
    assert_eq!(cloud.objects().len(), 0);
}

#[tokio::test]
async fn what_went_with_a_node_that_is_gone_is_forgotten() {
    let store = MemoryStore::new(Arc::new(System));
    let cloud = Gateway::new(Faults::default());
    let bench = Bench::new("provider \"fake\" {}\n");
    let fleet = over(bench.options(Mode::Apply, &[]), &store, &cloud);
    let address: Address = "simulator.exec.job".parse().expect("an address");
    let adopted = Event::Adopted {
        address: address.clone(),
        declared: Declaration {
            kind: Kind::new("process"),
            provider: ProviderConfig {
                name: "fake".into(),
                settings: Attributes::new(),
            },
            schema_version: 1,
            inputs: Attributes::new(),
            depends_on: vec![],
            hosted_on: Some("node.gone".parse().expect("an address")),
            prevent_destroy: false,
            create_before_destroy: false,
            drain: None,
        },
        object: Object {
            id: ObjectId("process-1".into()),
            attributes: Attributes::new(),
            token: None,
            version: None,
        },
    };
    let holder = Holder::this_process("test", &System);
    let locks = LockSet::exclusive([address]);
    let mut journal = store.open(&holder, &locks).await.expect("nobody has locks");
    journal.append(&[adopted]).await.expect("it is new");
    journal.close().await.expect("the locks are ours");
    cloud.set_faults(
        serde_json::from_str(r#"{ "rules": [{ "fault": { "unreachable": { "reason": "it is off" } } }] }"#)
            .expect("faults"),
    );
    let planned = fleet.plan().await.expect("it can be planned");
    assert_eq!(changes(&planned.plan), ["forget simulator.exec.job"]);
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

#[tokio::test]
async fn simulators_without_a_place_are_told_and_the_rest_is_made() {
    let bench = Bench::new(QUADS);
    let fleet = bench.open(Mode::Apply, &[("vehicles", "18")]).expect("sound");
    let planned = fleet.plan().await.expect("it can be planned");
    let unplaced: Vec<String> = planned
        .plan
        .unplaced
        .iter()
        .map(|unplaced| unplaced.address.to_string())
        .collect();
    assert_eq!(unplaced, ["simulator.vehicle.quad[16]", "simulator.vehicle.quad[17]"]);
    assert_eq!(planned.plan.unplaced[0].reason, "every place is taken on 4 of 4 hosts");
    assert_eq!(planned.plan.summary().create, 4 + 16);
    // What reads them waits, and is no change for ever.
    let outcome = bench.apply(Mode::Apply, &[("vehicles", "18")]).await;
    assert!(
        !outcome.is_complete() && outcome.failed.is_empty() && outcome.skipped.is_empty(),
        "{outcome:?}"
    );
    let again = bench.plan(Mode::Apply, &[("vehicles", "18")]).await;
    assert!(again.is_empty(), "{:?}", again.outputs);
}

#[tokio::test]
async fn what_reads_an_unknown_value_is_made_once_it_is_known() {
    let bench = Bench::new(
        r#"
provider "fake" {}
node "a" {
  cpus = 2
}
value "copy" {
  input = { address = node.a.address, cpus = node.a.cpus }
}
value "each" {
  for_each = toset(["x", "y"])
  input    = "${each.key} on ${value.copy.output.address}"
}
output "all" { value = [for v in value.each : v.output] }
"#,
    );
    let plan = bench.plan(Mode::Apply, &[]).await;
    let copy = plan
        .changes
        .iter()
        .find(|change| change.address.to_string() == "value.copy")
        .expect("declared");
    let input = copy
        .after
        .as_ref()
        .and_then(|after| after.get("input"))
        .expect("it has an input");
    assert!(
        input.get("address").is_some_and(|address| address.is_unknown()),
        "{input:?}"
    );
    assert_eq!(input.get("cpus").and_then(|cpus| cpus.as_u64()), Some(2));
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let all = plan.outputs["all"]
        .after
        .as_ref()
        .and_then(|all| all.as_slice())
        .expect("a list")
        .to_vec();
    assert!(
        all[0].as_str().is_some_and(|text| text.starts_with("x on 10.")),
        "{all:?}"
    );
}

#[tokio::test]
async fn a_node_that_is_made_anew_takes_its_simulators_along() {
    let fleet = |image: &str| {
        format!(
            r#"
provider "fake" {{}}
node "a" {{ image = "{image}" }}
simulator "exec" "job" {{
  placement = node.a
  command   = ["true"]
}}
value "address" {{ input = node.a.address }}
"#
        )
    };
    let bench = Bench::new(&fleet("one"));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    bench.write(&fleet("two"));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(
        changes(&plan),
        ["replace node.a", "replace simulator.exec.job", "update value.address"]
    );
    assert_eq!(plan.changes[0].replace_because[0].to_string(), "image");
    assert_eq!(plan.interrupts.len(), 1);
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let order: Vec<String> = outcome
        .done
        .iter()
        .map(|(at, verb)| format!("{} {at}", verb.as_str()))
        .collect();
    let place = |step: &str| {
        order
            .iter()
            .position(|done| done == step)
            .unwrap_or_else(|| panic!("{step}: {order:?}"))
    };
    assert!(place("delete simulator.exec.job") < place("delete node.a"), "{order:?}");
    assert!(place("create node.a") < place("create simulator.exec.job"), "{order:?}");
    assert!(place("create node.a") < place("update value.address"), "{order:?}");
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());
}

#[tokio::test]
async fn a_pool_that_may_have_fewer_members_moves_its_simulators() {
    let bench = Bench::new(QUADS);
    let vars = [("vehicles", "9")];
    assert!(bench.apply(Mode::Apply, &vars).await.is_complete());
    bench.write(
        &QUADS
            .replace("max = 4", "max = 3")
            .replace("min = 2", "min = 1")
            .replace("max_simulators = 4", "max_simulators = 5"),
    );
    assert!(bench.apply(Mode::Apply, &vars).await.is_complete());
    bench.write(
        &QUADS
            .replace("max = 4", "max = 2")
            .replace("min = 2", "min = 1")
            .replace("max_simulators = 4", "max_simulators = 5"),
    );
    let plan = bench.plan(Mode::Apply, &vars).await;
    assert!(
        changes(&plan).contains(&"delete pool.field/m3".to_owned()),
        "{:?}",
        changes(&plan)
    );
    let outcome = bench.apply(Mode::Apply, &vars).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let plan = bench.plan(Mode::Apply, &vars).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let state = bench
        .open(Mode::Apply, &vars)
        .expect("sound")
        .snapshot()
        .await
        .expect("a state")
        .state;
    assert_eq!(
        state.reservations.values().map(|ports| ports.len()).sum::<usize>(),
        9,
        "one port each"
    );
}

/// Applies each text in turn: all of it is done, and the plan after it is empty.
async fn apply_in_turn(texts: &[&str]) -> Bench {
    let bench = Bench::new(texts[0]);
    for text in texts {
        bench.write(text);
        let outcome = bench.apply(Mode::Apply, &[]).await;
        assert!(outcome.is_complete(), "{outcome:?}\n{text}");
        let plan = bench.plan(Mode::Apply, &[]).await;
        assert!(plan.is_empty(), "{:?}\n{text}", changes(&plan));
    }
    bench
}

#[tokio::test]
async fn a_range_of_ports_can_be_shifted() {
    let text = |from: u16, count: u64| {
        format!(
            r#"
provider "fake" {{}}
node "a" {{
  port_range "mavlink" {{
    from = {from}
    to   = 110
  }}
}}
simulator "exec" "s" {{
  count     = {count}
  placement = node.a
  command   = ["run"]
  port "gcs" {{ range = "mavlink" }}
}}
"#
        )
    };
    let bench = apply_in_turn(&[&text(100, 2), &text(101, 2), &text(100, 3)]).await;
    let fleet = bench.open(Mode::Apply, &[]).expect("sound");
    let state = fleet.snapshot().await.expect("a state").state;
    let ports: Vec<String> = state
        .reservations
        .values()
        .flatten()
        .map(|(port, by)| format!("{port} {}", by.address))
        .collect();
    let expected = [
        "100/udp simulator.exec.s[2]",
        "101/udp simulator.exec.s[1]",
        "102/udp simulator.exec.s[0]",
    ];
    assert_eq!(ports, expected, "who has a port keeps it, and no port is left behind");
}

#[tokio::test]
async fn what_reads_something_else_than_before_is_changed_in_an_order_that_can_be() {
    let x = |trigger: u64| format!("value \"x\" {{\n  triggers_replace = {trigger}\n}}\n");
    let value = |name: &str, input: &str| format!("value \"{name}\" {{\n  input = {input}\n}}\n");
    for (case, before, after) in [
        (
            "a link between two is taken out while the first is made anew",
            x(1) + &value("y", "value.x.id") + &value("z", "value.y.output"),
            x(2) + &value("z", "value.x.id"),
        ),
        (
            "a link is put between two while the first is made anew",
            x(1) + &value("z", "value.x.id"),
            x(2) + &value("y", "value.x.id") + &value("z", "value.y.output"),
        ),
    ] {
        println!("{case}");
        apply_in_turn(&[&before, &after]).await;
    }
}

#[tokio::test]
async fn what_does_not_change_still_stands_between_what_does() {
    let text = |trigger: u64, more: &str| {
        format!(
            "value \"w\" {{\n  triggers_replace = {trigger}\n}}\nvalue \"u\" {{\n  input = join(\",\", [value.w.id])\n}}\n\
             value \"x\" {{\n  input = value.u.id\n}}\n{more}"
        )
    };
    let more = "value \"v\" {}\nvalue \"t\" {\n  input = [value.x.output, value.v.id]\n}\n";
    apply_in_turn(&[&text(1, ""), &text(2, more)]).await;
}

#[tokio::test]
async fn a_block_that_gets_a_count_is_made_before_what_reads_it() {
    let text = |count: &str, all: &str| {
        format!("provider \"fake\" {{}}\nnode \"a\" {{\n{count}\n}}\nvalue \"all\" {{\ninput = {all}\n}}\n")
    };
    let (one, many) = ("node.a.address", "[for node in node.a : node.address]");
    apply_in_turn(&[&text("", one), &text("count = 2", many), &text("", one)]).await;
}

#[tokio::test]
async fn a_change_of_a_value_reaches_all_that_read_it_at_once() {
    let text =
        |input: u64| format!("value \"a\" {{\n  input = {input}\n}}\nvalue \"b\" {{\n  input = value.a.output\n}}\n");
    let bench = apply_in_turn(&[&text(1)]).await;
    bench.write(&text(2));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), ["update value.a", "update value.b"]);
    apply_in_turn(&[&text(1), &text(2)]).await;
}

#[tokio::test]
async fn a_pool_without_members_is_kept() {
    let text = QUADS
        .replace("min = 2", "min = 0")
        .replace("default = 3", "default = 0");
    let bench = apply_in_turn(&[&text, &text.replace("default = 0", "default = 1"), &text]).await;
    let fleet = bench.open(Mode::Apply, &[]).expect("sound");
    assert_eq!(fleet.snapshot().await.expect("a state").state.pools.len(), 1);
}

#[tokio::test]
async fn a_simulator_waits_for_all_members_of_its_pool_that_it_reads() {
    let text = QUADS.replace(
        "placement = pool.field",
        "placement = pool.field\n  env = { PEERS = join(\",\", [for member in pool.field.members : member.address]) }",
    );
    let plan = Bench::new(&text).plan(Mode::Apply, &[]).await;
    let quad = plan
        .changes
        .iter()
        .find(|change| change.hosted_on.is_some())
        .expect("it is declared");
    assert!(
        quad.depends_on.contains(&"pool.field".parse().expect("an address")),
        "{quad:?}"
    );
    apply_in_turn(&[&text]).await;
}

/// Limits say how a provider is asked, not what its resources are: to change them changes nothing.
#[tokio::test]
async fn limits_of_a_provider_are_no_change_of_its_resources() {
    let text = |limits: &str| format!("provider \"fake\" {{\n{limits}\n}}\nnode \"a\" {{}}\nnode \"b\" {{}}\n");
    let limits = "parallelism = 1\nrate_limit = { per_second = 1000 }";
    apply_in_turn(&[&text(""), &text(limits), &text("")]).await;
}

/// A run that is asked to stop begins nothing more. What the far side has accepted it leaves; a call that is on its way it
/// brings to its end.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_asked_to_stop_ends_its_calls_and_begins_no_other() {
    let nodes = "provider \"fake\" { parallelism = 1 }\nnode \"a\" {}\nnode \"b\" { cpus = node.a.cpus }\n";
    let accepted = serde_json::json!({ "fault": { "long_running": { "polls": 0, "ms": 60_000 } } });
    let asks_for_a_pause = serde_json::json!({
        "fault": { "throttled": { "retry_after_ms": 20_000 } }, "to": { "call": "create" }, "when": { "nth": [1] }
    });
    for (rule, done, open) in [(accepted, 0, 1), (asks_for_a_pause, 1, 0)] {
        let lab = Lab::new(nodes);
        lab.set_rules(&serde_json::json!([rule]));
        let outcome = lab.run_until(Mode::Apply, Duration::from_secs(5)).await;
        assert!(outcome.interrupted, "{outcome:?}");
        assert_eq!(
            (outcome.done.len(), outcome.open.len(), outcome.skipped.len()),
            (done, open, 1),
            "{outcome:?}"
        );
        assert!(lab.state().await.intents.len() == open && lab.cloud.objects().len() == done);
    }
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
