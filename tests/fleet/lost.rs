//! What failed, cannot be reached, or went with its node.

use std::sync::Arc;

use simfleet::plan::Mode;
use simfleet_provider_api::{Address, Attributes, Kind, Object, ObjectId};
use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{Declaration, Event, Holder, LockSet, MemoryStore, ProviderConfig, StateStore, System, Timeouts};
use tokio::sync::{mpsc, watch};

use crate::support::bench::{Bench, changes, over};

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
            health_check: None,
            agent: None,
            timeouts: Timeouts::default(),
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
