use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use simfleet_azure_emulator::{Fault, FaultEffect, Options, Pass};

use crate::support::*;

#[tokio::test]
async fn a_reply_is_lost_after_what_it_answers_was_done() {
    let arm = Arm::with_network(Options::default()).await;
    arm.control.fault(
        Fault::new(FaultEffect::LoseReply)
            .on("PUT", "networkInterfaces/")
            .nth(2),
    );
    arm.interface("first").await;
    let path = versioned(&network("networkInterfaces/second"));
    let lost = arm.try_send(Method::PUT, &path, &[], Some(&interface_body())).await;
    assert!(lost.is_none(), "{lost:?}");
    arm.get(&network("networkInterfaces/second")).await.is(200);
    arm.interface("third").await;
    let log = arm.control.log();
    let second = log
        .iter()
        .find(|entry| entry.path.ends_with("/second"))
        .expect("it was asked");
    assert_eq!((second.status, second.answered), (201, false));
    assert_eq!(second.body, interface_body());
    assert_eq!(second.api_version, VERSION);
}

#[tokio::test]
async fn a_request_is_lost_before_anything_is_done() {
    let arm = Arm::with_network(Options::default()).await;
    arm.control.fault(
        Fault::new(FaultEffect::LoseRequest)
            .on("PUT", "networkInterfaces/")
            .times(1),
    );
    let path = versioned(&network("networkInterfaces/a"));
    assert!(
        arm.try_send(Method::PUT, &path, &[], Some(&interface_body()))
            .await
            .is_none()
    );
    arm.get(&network("networkInterfaces/a"))
        .await
        .fails(404, "ResourceNotFound");
    assert_eq!(arm.control.faults(), []);
}

#[tokio::test]
async fn a_storm_of_429_and_5xx() {
    let arm = Arm::with_network(Options::default()).await;
    arm.control
        .fault(Fault::new(FaultEffect::Throttle { retry_after: Some(3) }).times(2));
    for _ in 0..2 {
        let got = arm.get(&group()).await;
        assert_eq!(got.header("retry-after"), "3");
        got.fails(429, "TooManyRequests");
    }
    arm.get(&group()).await.is(200);
    for (status, code) in [(500, "InternalServerError"), (503, "ServiceUnavailable")] {
        arm.control.fault(
            Fault::new(FaultEffect::Status {
                status,
                code: None,
                message: None,
            })
            .times(1),
        );
        arm.get(&group()).await.fails(status, code);
    }
    arm.get(&group()).await.is(200);
}

#[tokio::test]
async fn an_operation_fails_late_with_what_is_inside() {
    let arm = Arm::with_network(Options::default()).await;
    let interface = arm.interface("nic").await;
    arm.control.fault(
        Fault::new(FaultEffect::FailOperation {
            code: "AllocationFailed".to_owned(),
            message: Some("Allocation failed.".to_owned()),
            details: vec![("ZonalAllocationFailed".to_owned(), "zone 1 is full".to_owned())],
            inner: Some("fabric".to_owned()),
        })
        .on("PUT", "virtualMachines/a")
        .times(1),
    );
    let put = arm.put(&machine("a"), machine_body(&interface)).await.is(201);
    let ended = arm.end(&put).await;
    assert_eq!(ended["status"], "Failed");
    assert_eq!(ended["error"]["code"], "AllocationFailed");
    assert_eq!(ended["error"]["innererror"]["errordetail"], "fabric");
    assert_eq!(
        ended["error"]["details"],
        json!([{"code": "ZonalAllocationFailed", "message": "zone 1 is full"}])
    );
    assert_eq!(
        arm.get(&machine("a")).await.is(200).body["properties"]["provisioningState"],
        "Failed"
    );
    let view = arm.get(&format!("{}/instanceView", machine("a"))).await.is(200).body;
    assert_eq!(view["statuses"][0]["code"], "ProvisioningState/failed/AllocationFailed");
    // The same put again mends it.
    let again = arm.put(&machine("a"), machine_body(&interface)).await.is(200);
    assert_eq!(arm.end(&again).await["status"], "Succeeded");
}

#[tokio::test]
async fn a_machine_that_never_boots_is_told_when_its_operation_gives_up() {
    let mut options = Options {
        pass: Pass::OnDemand,
        ..Options::default()
    };
    options.pace.boot_timeout_ms = 1_200_000;
    let arm = Arm::start(options).await;
    arm.put(&group(), json!({"location": "eastus"})).await.is(201);
    let body = json!({"location": "eastus", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
        "subnets": [{"name": "agents", "properties": {"addressPrefix": "10.0.1.0/24"}}]}});
    arm.put(&network("virtualNetworks/net"), body).await.is(201);
    arm.control.advance(Duration::from_secs(1));
    let nic = arm
        .put(&network("networkInterfaces/nic"), interface_body())
        .await
        .is(201);
    arm.control.fault(
        Fault::new(FaultEffect::NeverBoot)
            .on("PUT", "virtualMachines/")
            .times(1),
    );
    let put = arm
        .put(&machine("a"), machine_body(nic.body["id"].as_str().expect("an id")))
        .await
        .is(201);
    arm.control.advance(Duration::from_secs(1_199));
    assert_eq!(arm.end_once(put.header("azure-asyncoperation")).await, "InProgress");
    assert_eq!(
        arm.get(&machine("a")).await.is(200).body["properties"]["provisioningState"],
        "Creating"
    );
    arm.control.advance(Duration::from_secs(1));
    let ended = arm.end(&put).await;
    assert_eq!(ended["error"]["code"], "OSProvisioningTimedOut");
    let view = arm.get(&format!("{}/instanceView", machine("a"))).await.is(200).body;
    assert_eq!(
        view["statuses"][0]["code"],
        "ProvisioningState/failed/OSProvisioningTimedOut"
    );
    // It can be deleted, with what it has.
    let deleted = arm.delete(&machine("a")).await.is(202);
    arm.control.advance(Duration::from_secs(1));
    assert_eq!(arm.end(&deleted).await["status"], "Succeeded");
    assert_eq!(arm.control.ids(), [network("virtualNetworks/net")]);
}

#[tokio::test]
async fn operations_and_answers_can_be_slow() {
    let options = Options {
        pass: Pass::OnDemand,
        ..Options::default()
    };
    let arm = Arm::start(options).await;
    arm.put(&group(), json!({"location": "eastus"})).await.is(201);
    arm.control.fault(
        Fault::new(FaultEffect::SlowOperation { milliseconds: 60_000 })
            .on("PUT", "disks/")
            .times(1),
    );
    arm.control
        .fault(Fault::new(FaultEffect::Delay { milliseconds: 30 }).on("GET", "disks/"));
    let body =
        json!({"location": "eastus", "properties": {"diskSizeGB": 8, "creationData": {"createOption": "Empty"}}});
    let put = arm.put(&compute("disks/a"), body).await.is(202);
    arm.control.advance(Duration::from_secs(60));
    assert_eq!(arm.end_once(put.header("azure-asyncoperation")).await, "InProgress");
    arm.control.advance(Duration::from_secs(1));
    assert_eq!(arm.end_once(put.header("azure-asyncoperation")).await, "Succeeded");
    let begun = std::time::Instant::now();
    arm.get(&compute("disks/a")).await.is(200);
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn a_chance_meets_the_same_calls_for_the_same_seed() {
    let mut met = Vec::new();
    for seed in [3, 3, 4] {
        let options = Options {
            seed,
            ..Options::default()
        };
        let arm = Arm::start(options).await;
        arm.put(&group(), json!({"location": "eastus"})).await.is(201);
        let status = FaultEffect::Status {
            status: 500,
            code: None,
            message: None,
        };
        arm.control
            .fault(Fault::new(status).on("GET", "resourceGroups/sim").chance(0.3));
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(arm.get(&group()).await.status);
        }
        met.push(statuses);
    }
    assert_eq!(met[0], met[1]);
    assert_ne!(met[0], met[2]);
    let failed = met[0].iter().filter(|status| **status == 500).count();
    assert!((4..=22).contains(&failed), "{failed}");
}

#[tokio::test]
async fn a_test_in_another_process_rules_over_http() {
    let arm = Arm::start(Options::default()).await;
    let control = |path: &str| format!("/_emulator/{path}");
    let before: Value = arm.send(Method::GET, &control("clock"), None).await.is(200).body;
    arm.send(
        Method::POST,
        &control("clock/advance"),
        Some(&json!({"milliseconds": 86_400_000})),
    )
    .await
    .is(200);
    let after = arm.send(Method::GET, &control("clock"), None).await.is(200).body;
    assert!(after["now"].as_str() > before["now"].as_str(), "{before} {after}");
    // A day later the token has expired.
    arm.get("/subscriptions").await.fails(401, "ExpiredAuthenticationToken");
    let fault = json!({"method": "GET", "path": "subscriptions", "times": 1, "effect": {"status": {"status": 503}}});
    arm.send(Method::POST, &control("faults"), Some(&fault)).await.is(204);
    let faults = arm.send(Method::GET, &control("faults"), None).await.is(200).body;
    assert_eq!(
        faults[0]["effect"],
        json!({"status": {"status": 503, "code": null, "message": null}})
    );
    arm.get("/subscriptions").await.fails(503, "ServiceUnavailable");
    let log = arm.send(Method::GET, &control("log"), None).await.is(200).body;
    let last = log.as_array().expect("a list").last().expect("an entry").clone();
    assert_eq!(
        (&last["path"], &last["status"]),
        (&json!("/subscriptions"), &json!(503))
    );
    let wrong = arm
        .send(Method::POST, &control("faults"), Some(&json!({"effect": "explode"})))
        .await
        .is(400)
        .body;
    assert!(wrong["error"].as_str().expect("why").contains("explode"), "{wrong}");
    arm.send(Method::GET, &control("nothing"), None).await.is(404);
}
