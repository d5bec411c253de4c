use serde_json::json;

use super::*;
use crate::calls::Answer;
use crate::faults::{Lag, Rule};

fn request(kind: &str, action: Action) -> Request {
    Request {
        lineage: "l".into(),
        kind: kind.into(),
        action,
    }
}

fn fields(json: serde_json::Value) -> Fields {
    json.as_object().cloned().unwrap_or_default()
}

fn create(token: &str, name: &str) -> Request {
    request(
        "node",
        Action::Create {
            token: token.into(),
            fields: fields(json!({ "name": name })),
        },
    )
}

fn update(record: &Record, token: &str, change: serde_json::Value) -> Request {
    let mut wanted = fields(json!({ "name": record.fields["name"] }));
    wanted.extend(fields(change));
    let (id, version) = (record.id.clone(), Some(record.version.clone()));
    request(
        "node",
        Action::Update {
            id,
            version,
            token: token.into(),
            fields: wanted,
            keep: Vec::new(),
        },
    )
}

fn delete(id: &str) -> Request {
    request("node", Action::Delete { id: id.into() })
}

fn poll(operation: &str) -> Request {
    request(
        "node",
        Action::Poll {
            operation: operation.into(),
        },
    )
}

fn find(token: &str) -> Request {
    request("node", Action::Find { token: token.into() })
}

fn faulty(fault: Fault, to: Call, when: When) -> Cloud {
    let to = Pattern {
        call: Some(to),
        ..Pattern::default()
    };
    Cloud::new(Faults {
        rules: vec![Rule { fault, to, when }],
        ..Faults::default()
    })
}

#[track_caller]
fn reply(cloud: &mut Cloud, request: &Request) -> Reply {
    match cloud.call(0, request) {
        Delivery::Replied(reply) => reply,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn done(cloud: &mut Cloud, request: &Request) -> Record {
    match reply(cloud, request) {
        Ok(Answer::Done(record)) => record,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn running(cloud: &mut Cloud, request: &Request) -> String {
    match reply(cloud, request) {
        Ok(Answer::Running { operation, .. }) => operation,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn listed(cloud: &mut Cloud, now: u64) -> Vec<String> {
    match cloud.call(now, &request("node", Action::List)) {
        Delivery::Replied(Ok(Answer::Objects(records))) => records
            .iter()
            .map(|r| r.fields["name"].as_str().unwrap_or("").to_owned())
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_makes_one_object() {
    let mut cloud = Cloud::default();
    let first = done(&mut cloud, &create("t", "a"));
    assert_eq!(done(&mut cloud, &create("t", "a")), first);
    assert_ne!(done(&mut cloud, &create("u", "a")).id, first.id);
    assert_eq!(cloud.objects().len(), 2);
    let made = |entry: &&Entry| entry.effects.iter().any(|effect| matches!(effect, Effect::Made(_)));
    assert_eq!(cloud.log().iter().filter(made).count(), 2);
}

#[test]
fn the_token_of_a_deleted_object_makes_nothing_and_its_id_does_not_come_back() {
    let mut cloud = Cloud::default();
    let first = done(&mut cloud, &create("t", "a"));
    assert_eq!(reply(&mut cloud, &delete(&first.id)), Ok(Answer::Gone));
    assert_eq!(reply(&mut cloud, &delete(&first.id)), Ok(Answer::Gone));
    assert!(matches!(
        reply(&mut cloud, &create("t", "a")),
        Err(Refusal::Rejected { .. })
    ));
    assert!(matches!(reply(&mut cloud, &find("t")), Ok(Answer::Failed(_))));
    assert!(cloud.objects().is_empty());
    assert_ne!(done(&mut cloud, &create("u", "a")).id, first.id);
}

#[test]
fn an_update_is_done_once_a_token_and_only_on_the_version_that_was_seen() {
    let mut cloud = Cloud::default();
    let first = done(&mut cloud, &create("t", "a"));
    let second = done(&mut cloud, &update(&first, "u1", json!({ "size": "large" })));
    assert_eq!(second.fields["size"], "LARGE");
    let again = done(&mut cloud, &update(&first, "u1", json!({ "size": "large" })));
    assert_eq!(again.version, second.version, "a repeated call changes nothing");
    let stale = reply(&mut cloud, &update(&first, "u2", json!({ "size": "small" })));
    assert!(matches!(stale, Err(Refusal::Conflict { .. })), "{stale:?}");
    let third = done(&mut cloud, &update(&second, "u3", json!({})));
    assert_eq!(third.fields["size"], "SMALL", "what is not given has its default");
    assert_eq!(
        third.fields["address"], first.fields["address"],
        "what was computed stays"
    );
    let late = done(&mut cloud, &update(&first, "u1", json!({ "size": "large" })));
    assert_eq!(late.version, third.version, "a call that comes late changes nothing");
}

#[test]
fn what_cannot_be_is_refused_and_names_the_attribute() {
    let mut cloud = Cloud::default();
    let node = done(&mut cloud, &create("t", "a"));
    let create = |kind, json| {
        request(
            kind,
            Action::Create {
                token: "x".into(),
                fields: fields(json),
            },
        )
    };
    let process = |host: &str| json!({ "name": "p", "host": host, "command": ["true"] });
    for (case, request, attribute) in [
        ("required", create("node", json!({})), "name"),
        ("required but null", create("node", json!({ "name": null })), "name"),
        (
            "unknown",
            create("node", json!({ "name": "a", "colour": "red" })),
            "colour",
        ),
        (
            "computed",
            create("node", json!({ "name": "a", "address": "1.2.3.4" })),
            "address",
        ),
        ("no such host", create("process", process("node-0")), "host"),
        (
            "no such network",
            create("node", json!({ "name": "a", "networks": ["network-0"] })),
            "networks",
        ),
        ("replaces", update(&node, "u", json!({ "image": "other" })), "image"),
    ] {
        match reply(&mut cloud, &request) {
            Err(Refusal::Rejected { attribute: named, .. }) => assert_eq!(named.as_deref(), Some(attribute), "{case}"),
            other => panic!("{case}: {other:?}"),
        }
    }
    assert_eq!(cloud.objects().len(), 1);
    let unknown = request("robot", Action::List);
    assert!(matches!(reply(&mut cloud, &unknown), Err(Refusal::Malformed { .. })));
}

#[test]
fn processes_go_with_their_node_and_a_network_in_use_stays() {
    let mut cloud = Cloud::default();
    let name = fields(json!({ "name": "n" }));
    let network = done(
        &mut cloud,
        &request(
            "network",
            Action::Create {
                token: "n".into(),
                fields: name,
            },
        ),
    );
    let node = fields(json!({ "name": "a", "networks": [network.id] }));
    let node = done(
        &mut cloud,
        &request(
            "node",
            Action::Create {
                token: "a".into(),
                fields: node,
            },
        ),
    );
    let process = fields(json!({ "name": "p", "host": node.id, "command": ["true"] }));
    done(
        &mut cloud,
        &request(
            "process",
            Action::Create {
                token: "p".into(),
                fields: process,
            },
        ),
    );

    let delete_network = request("network", Action::Delete { id: network.id });
    assert!(matches!(
        reply(&mut cloud, &delete_network),
        Err(Refusal::Rejected { .. })
    ));
    assert_eq!(reply(&mut cloud, &delete(&node.id)), Ok(Answer::Gone));
    assert_eq!(cloud.objects().len(), 1, "only the network is left");
    assert_eq!(reply(&mut cloud, &delete_network), Ok(Answer::Gone));
}

#[test]
fn objects_of_another_state_are_not_changed() {
    let mut cloud = Cloud::default();
    let node = done(&mut cloud, &create("t", "a"));
    let foreign = Request {
        lineage: "other".into(),
        ..delete(&node.id)
    };
    assert!(matches!(reply(&mut cloud, &foreign), Err(Refusal::Denied { .. })));
    let foreign = Request {
        lineage: "other".into(),
        ..update(&node, "u", json!({}))
    };
    assert!(matches!(reply(&mut cloud, &foreign), Err(Refusal::Denied { .. })));
    let foreign = Request {
        lineage: "other".into(),
        ..request("node", Action::List)
    };
    assert_eq!(reply(&mut cloud, &foreign), Ok(Answer::Objects(Vec::new())));
}

#[test]
fn a_lost_reply_has_its_effect_and_a_lost_request_has_none() {
    for (fault, objects) in [(Fault::LostReply, 1), (Fault::LostRequest, 0)] {
        let mut cloud = faulty(fault.clone(), Call::Create, When::Nth(vec![1]));
        assert_eq!(cloud.call(0, &create("t", "a")), Delivery::Lost, "{fault:?}");
        assert_eq!(cloud.objects().len(), objects, "{fault:?}");
        assert_eq!(cloud.log()[0].heard, Heard::Nothing);
        done(&mut cloud, &create("t", "a"));
        assert_eq!(cloud.objects().len(), 1, "{fault:?}");
    }
    let mut cloud = faulty(Fault::Hang, Call::Create, When::Always);
    assert_eq!(cloud.call(0, &create("t", "a")), Delivery::Hangs);
}

#[test]
fn faults_before_the_call_have_no_effect() {
    let throttled = Refusal::Throttled { retry_after_ms: 50 };
    let unreachable = Refusal::Unreachable { reason: "off".into() };
    for (fault, refusal) in [
        (Fault::Throttled { retry_after_ms: 50 }, throttled),
        (Fault::Unreachable { reason: "off".into() }, unreachable),
        (
            Fault::Denied,
            Refusal::Denied {
                message: "the credentials do not allow to create a node".into(),
            },
        ),
        (
            Fault::Rejected {
                message: "quota".into(),
                attribute: Some("size".into()),
            },
            Refusal::Rejected {
                message: "quota".into(),
                attribute: Some("size".into()),
            },
        ),
    ] {
        let mut cloud = faulty(fault, Call::Create, When::Nth(vec![2]));
        done(&mut cloud, &create("t", "a"));
        assert_eq!(reply(&mut cloud, &create("u", "b")), Err(refusal));
        assert_eq!(cloud.objects().len(), 1);
    }
}

#[test]
fn a_server_error_is_carried_out_or_not() {
    let mut cloud = faulty(Fault::ServerError, Call::Create, When::Always);
    for number in 0..20 {
        let answer = reply(&mut cloud, &create(&format!("t{number}"), &format!("n{number}")));
        assert_eq!(answer, Err(Refusal::Internal));
    }
    assert!(
        (1..20).contains(&cloud.objects().len()),
        "{} of 20",
        cloud.objects().len()
    );
}

#[test]
fn a_long_create_is_done_after_its_polls() {
    let mut cloud = faulty(Fault::LongRunning { polls: 2, ms: 0 }, Call::Create, When::Always);
    let operation = running(&mut cloud, &create("t", "a"));
    assert_eq!(cloud.pending(), std::slice::from_ref(&operation));
    assert_eq!(reply(&mut cloud, &find("t")), Ok(Answer::InProgress(operation.clone())));
    assert_eq!(
        running(&mut cloud, &create("t", "a")),
        operation,
        "the same token, the same operation"
    );
    assert!(cloud.objects().is_empty());
    assert_eq!(running(&mut cloud, &poll(&operation)), operation);
    assert_eq!(running(&mut cloud, &poll(&operation)), operation);
    let made = done(&mut cloud, &poll(&operation));
    assert_eq!(done(&mut cloud, &create("t", "a")), made);
    assert_eq!(reply(&mut cloud, &find("t")), Ok(Answer::Ready(made)));
    assert!(cloud.pending().is_empty());
}

#[test]
fn a_long_change_is_done_when_its_time_has_come() {
    let mut cloud = Cloud::default();
    let node = done(&mut cloud, &create("t", "a"));
    let rule = |call| Rule {
        fault: Fault::LongRunning { polls: 0, ms: 100 },
        to: Pattern {
            call: Some(call),
            ..Pattern::default()
        },
        when: When::Always,
    };
    cloud.set_faults(Faults {
        rules: vec![rule(Call::Update), rule(Call::Delete)],
        ..Faults::default()
    });

    let change = update(&node, "u", json!({ "size": "large" }));
    let operation = running(&mut cloud, &change);
    let busy = reply(&mut cloud, &update(&node, "v", json!({})));
    assert!(matches!(busy, Err(Refusal::Busy { .. })), "{busy:?}");
    assert_eq!(running(&mut cloud, &change), operation);
    assert!(matches!(
        cloud.call(99, &poll(&operation)),
        Delivery::Replied(Ok(Answer::Running { .. }))
    ));
    assert!(matches!(
        cloud.call(100, &poll(&operation)),
        Delivery::Replied(Ok(Answer::Done(_)))
    ));

    let operation = running(&mut cloud, &delete(&node.id));
    assert_eq!(
        running(&mut cloud, &delete(&node.id)),
        operation,
        "deleting twice is one operation"
    );
    assert_eq!(cloud.objects().len(), 1);
    assert_eq!(cloud.call(200, &poll(&operation)), Delivery::Replied(Ok(Answer::Gone)));
    assert!(cloud.objects().is_empty());
}

#[test]
fn what_fails_late_leaves_nothing() {
    let fails = Fault::FailsLate {
        polls: 1,
        ms: 0,
        message: "no capacity".into(),
    };
    let mut cloud = faulty(fails, Call::Create, When::Nth(vec![1]));
    let operation = running(&mut cloud, &create("t", "a"));
    running(&mut cloud, &poll(&operation));
    let failed = Err(Refusal::Rejected {
        message: "no capacity".into(),
        attribute: None,
    });
    assert_eq!(reply(&mut cloud, &poll(&operation)), failed);
    assert_eq!(
        reply(&mut cloud, &create("t", "a")),
        failed,
        "the token stays that of the failed call"
    );
    assert_eq!(reply(&mut cloud, &find("t")), Ok(Answer::Failed("no capacity".into())));
    assert!(cloud.objects().is_empty());
}

#[test]
fn an_operation_whose_ground_goes_away_fails() {
    let mut cloud = faulty(Fault::LongRunning { polls: 1, ms: 0 }, Call::Create, When::Nth(vec![2]));
    let node = done(&mut cloud, &create("t", "a"));
    let process = fields(json!({ "name": "p", "host": node.id, "command": ["true"] }));
    let operation = running(
        &mut cloud,
        &request(
            "process",
            Action::Create {
                token: "p".into(),
                fields: process,
            },
        ),
    );
    assert!(cloud.destroy(0, &node.id));
    running(&mut cloud, &poll(&operation));
    let end = reply(&mut cloud, &poll(&operation));
    assert!(matches!(end, Err(Refusal::Rejected { .. })), "{end:?}");
    assert!(cloud.objects().is_empty());
}

#[test]
fn lists_and_finds_lag_and_reads_do_not() {
    let lag = Lag { calls: 1, ms: 100 };
    let mut cloud = Cloud::new(Faults {
        list_lag: lag,
        find_lag: lag,
        ..Faults::default()
    });
    let node = done(&mut cloud, &create("t", "a"));
    let read = request("node", Action::Read { id: node.id.clone() });
    assert_eq!(reply(&mut cloud, &read), Ok(Answer::Object(Some(node.clone()))));
    assert_eq!(reply(&mut cloud, &find("t")), Ok(Answer::Nothing));
    assert!(listed(&mut cloud, 0).is_empty());
    assert!(listed(&mut cloud, 99).is_empty(), "the time has not come");
    assert_eq!(listed(&mut cloud, 100), ["a"]);
    assert_eq!(reply(&mut cloud, &find("t")), Ok(Answer::Ready(node)));
}

#[test]
fn a_stale_list_shows_what_was() {
    let mut cloud = Cloud::new(Faults {
        stale_list: Lag { calls: 1, ms: 0 },
        ..Faults::default()
    });
    let node = done(&mut cloud, &create("t", "a"));
    assert_eq!(listed(&mut cloud, 0), ["a"]);
    assert!(cloud.destroy(0, &node.id));
    assert_eq!(listed(&mut cloud, 0), ["a"]);
    assert!(listed(&mut cloud, 0).is_empty());
}

#[test]
fn drift_shows_and_raises_the_version() {
    let mut cloud = Cloud::default();
    let node = done(&mut cloud, &create("t", "a"));
    assert!(cloud.change(0, &node.id, &fields(json!({ "size": "large", "zone": null }))));
    assert!(!cloud.change(0, "node-0", &Fields::new()));
    let read = request("node", Action::Read { id: node.id.clone() });
    let Ok(Answer::Object(Some(drifted))) = reply(&mut cloud, &read) else {
        panic!("it is there")
    };
    assert_eq!(drifted.fields["size"], "LARGE");
    assert!(!drifted.fields.contains_key("zone"));
    assert_ne!(drifted.version, node.version);
    let stale = reply(&mut cloud, &update(&node, "u", json!({})));
    assert!(matches!(stale, Err(Refusal::Conflict { .. })), "{stale:?}");
}

/// Which of 50 creates are lost, in this order of calls.
fn lost(seed: u64, order: impl Iterator<Item = u32>) -> Vec<String> {
    let rule = Rule {
        fault: Fault::LostReply,
        to: Pattern::default(),
        when: When::Rate(0.3),
    };
    let mut cloud = Cloud::new(Faults {
        seed,
        rules: vec![rule],
        ..Faults::default()
    });
    let mut lost: Vec<String> = order
        .map(|number| format!("n{number}"))
        .filter(|name| cloud.call(0, &create(name, name)) == Delivery::Lost)
        .collect();
    lost.sort();
    lost
}

#[test]
fn faults_are_those_of_the_seed_in_any_order_of_calls() {
    let there = lost(7, 0..50);
    assert_eq!(lost(7, (0..50).rev()), there);
    assert_ne!(lost(8, 0..50), there);
    assert!((5..30).contains(&there.len()), "{} of 50", there.len());
}
