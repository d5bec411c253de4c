use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use simfleet_azure_emulator::{Options, Pace, Pass, SUBSCRIPTION, Throttle};

use crate::support::*;

fn slow(milliseconds: u64) -> Options {
    let mut options = Options {
        pass: Pass::OnDemand,
        ..Options::default()
    };
    options.pace = Pace {
        network_ms: milliseconds,
        compute_ms: milliseconds,
        disk_ms: milliseconds,
        delete_ms: milliseconds,
        retry_after: Some(7),
        ..Pace::default()
    };
    options
}

/// Starts an emulator whose time stands, with a group.
async fn standing() -> Arm {
    let arm = Arm::start(slow(10_000)).await;
    arm.put(&group(), json!({"location": "eastus"})).await.is(201);
    arm
}

fn net() -> Value {
    json!({"location": "eastus", "properties": {
        "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
        "subnets": [{"name": "agents", "properties": {"addressPrefix": "10.0.1.0/24"}}],
    }})
}

#[tokio::test]
async fn a_put_is_followed_where_its_header_says() {
    let arm = standing().await;
    let put = arm.put(&network("virtualNetworks/net"), net()).await.is(201);
    assert_eq!(put.body["properties"]["provisioningState"], "Updating");
    assert_eq!(put.header("retry-after"), "7");
    assert_eq!(put.header("location"), "");
    let url = put.header("azure-asyncoperation").to_owned();
    let expected = format!(
        "{}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network/locations/eastus/operations/",
        arm.emulator.url
    );
    assert!(
        url.starts_with(&expected) && url.ends_with(&format!("api-version={VERSION}")),
        "{url}"
    );
    let status = arm.send(Method::GET, &url, None).await.is(200);
    assert_eq!(
        (&status.body, status.header("retry-after")),
        (&json!({"status": "InProgress"}), "7")
    );
    arm.control.advance(Duration::from_secs(9));
    assert_eq!(arm.end_once(&url).await, "InProgress");
    arm.control.advance(Duration::from_secs(1));
    assert_eq!(arm.end_once(&url).await, "Succeeded");
    let got = arm.get(&network("virtualNetworks/net")).await.is(200);
    assert_eq!(got.body["properties"]["provisioningState"], "Succeeded");
    assert_eq!(
        got.body["properties"]["subnets"][0]["properties"]["provisioningState"],
        "Succeeded"
    );
    // The same again is no creation.
    arm.put(&network("virtualNetworks/net"), net()).await.is(200);
}

#[tokio::test]
async fn a_deletion_is_followed_at_its_location() {
    let arm = standing().await;
    arm.put(&network("virtualNetworks/net"), net()).await.is(201);
    arm.control.advance(Duration::from_secs(10));
    let deleted = arm.delete(&network("virtualNetworks/net")).await.is(202);
    assert_eq!(deleted.body, Value::Null);
    let location = deleted.header("location").to_owned();
    assert!(location.contains("/operationResults/"), "{location}");
    let seen = arm.get(&network("virtualNetworks/net")).await.is(200).body;
    assert_eq!(seen["properties"]["provisioningState"], "Deleting");
    let polled = arm.send(Method::GET, &location, None).await.is(202);
    assert_eq!(polled.header("location"), location);
    arm.put(&network("virtualNetworks/net"), net())
        .await
        .fails(429, "RetryableError");
    arm.control.advance(Duration::from_secs(10));
    arm.send(Method::GET, &location, None).await.is(204);
    arm.get(&network("virtualNetworks/net"))
        .await
        .fails(404, "ResourceNotFound");
}

#[tokio::test]
async fn a_disk_answers_202_with_both_urls_and_its_location_gives_it() {
    let arm = standing().await;
    let body =
        json!({"location": "eastus", "properties": {"diskSizeGB": 8, "creationData": {"createOption": "Empty"}}});
    let put = arm.put(&compute("disks/data"), body).await.is(202);
    assert!(put.header("location").contains("monitor=true") && !put.header("azure-asyncoperation").contains("monitor"));
    arm.send(Method::GET, put.header("location"), None).await.is(202);
    arm.control.advance(Duration::from_secs(10));
    let disk = arm.send(Method::GET, put.header("location"), None).await.is(200).body;
    assert_eq!(
        (&disk["name"], &disk["sku"]["name"]),
        (&json!("data"), &json!("Standard_LRS"))
    );
}

#[tokio::test]
async fn a_group_is_deleted_with_all_that_is_in_it() {
    let arm = standing().await;
    arm.put(&network("virtualNetworks/net"), net()).await.is(201);
    arm.control.advance(Duration::from_secs(10));
    let deleted = arm.delete(&group()).await.is(202);
    let location = deleted.header("location").to_owned();
    assert!(
        location.contains(&format!("/subscriptions/{SUBSCRIPTION}/operationresults/")),
        "{location}"
    );
    assert_eq!(
        arm.get(&group()).await.is(200).body["properties"]["provisioningState"],
        "Deleting"
    );
    arm.put(&network("virtualNetworks/other"), net())
        .await
        .fails(409, "ResourceGroupBeingDeleted");
    arm.control.advance(Duration::from_secs(10));
    arm.send(Method::GET, &location, None).await.is(200);
    arm.get(&group()).await.fails(404, "ResourceGroupNotFound");
    arm.get(&network("virtualNetworks/net"))
        .await
        .fails(404, "ResourceGroupNotFound");
    assert_eq!(arm.control.ids(), Vec::<String>::new());
}

#[tokio::test]
async fn a_later_put_preempts_the_one_before() {
    let arm = standing().await;
    arm.put(&network("virtualNetworks/net"), net()).await.is(201);
    arm.control.advance(Duration::from_secs(10));
    let nic = arm
        .put(&network("networkInterfaces/nic"), interface_body())
        .await
        .is(201);
    arm.control.advance(Duration::from_secs(10));
    let id = nic.body["id"].as_str().expect("an id");
    let first = arm.put(&machine("a"), machine_body(id)).await.is(201);
    arm.control.advance(Duration::from_secs(1));
    let second = arm.put(&machine("a"), machine_body(id)).await.is(200);
    let failed = arm
        .send(Method::GET, first.header("azure-asyncoperation"), None)
        .await
        .is(200)
        .body;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("Failed"), &json!("OperationPreempted"))
    );
    arm.control.advance(Duration::from_secs(10));
    assert_eq!(arm.end(&second).await["status"], "Succeeded");
}

#[tokio::test]
async fn etags_guard_changes() {
    let arm = Arm::with_network(Options::default()).await;
    let path = versioned(&network("virtualNetworks/net"));
    let got = arm.get(&network("virtualNetworks/net")).await.is(200);
    let etag = got.header("etag").to_owned();
    assert_eq!(got.body["etag"], json!(etag));
    let put = |headers: Vec<(&'static str, String)>| {
        let (arm, path) = (&arm, path.clone());
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            arm.try_send(Method::PUT, &path, &headers, Some(&net()))
                .await
                .expect("an answer")
        }
    };
    put(vec![("if-none-match", "*".to_owned())])
        .await
        .fails(412, "PreconditionFailed");
    put(vec![("if-match", "W/\"other\"".to_owned())])
        .await
        .fails(412, "PreconditionFailed");
    let changed = put(vec![("if-match", etag.clone())]).await.is(200);
    arm.end(&changed).await;
    put(vec![("if-match", etag)]).await.fails(412, "PreconditionFailed");
    let missing = versioned(&network("virtualNetworks/missing"));
    let got = arm
        .try_send(Method::PUT, &missing, &[("if-match", "*")], Some(&net()))
        .await
        .expect("an answer");
    got.fails(412, "PreconditionFailed");
    let made = arm
        .try_send(Method::PUT, &missing, &[("if-none-match", "*")], Some(&net()))
        .await
        .expect("an answer");
    made.is(201);
}

#[tokio::test]
async fn every_answer_can_be_traced_and_says_what_is_left() {
    let arm = Arm::start(Options::default()).await;
    let headers = [
        ("x-ms-client-request-id", "mine"),
        ("x-ms-correlation-request-id", "ours"),
    ];
    let path = versioned(&format!("/subscriptions/{SUBSCRIPTION}/resourceGroups"));
    let got = arm
        .try_send(Method::GET, &path, &headers, None)
        .await
        .expect("an answer")
        .is(200);
    assert_eq!(got.header("x-ms-client-request-id"), "mine");
    assert_eq!(got.header("x-ms-correlation-request-id"), "ours");
    assert_eq!(got.header("x-ms-request-id").len(), 36);
    assert_eq!(got.header("x-ms-ratelimit-remaining-subscription-reads"), "11999");
    let put = arm.put(&group(), json!({"location": "eastus"})).await.is(201);
    assert_eq!(put.header("x-ms-ratelimit-remaining-subscription-writes"), "11999");
}

#[tokio::test]
async fn a_version_a_subscription_and_a_path_must_be_known() {
    let arm = Arm::start(Options::default()).await;
    let path = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups");
    send_fails(
        arm.try_send(Method::GET, &path, &[], None).await,
        400,
        "MissingApiVersionParameter",
    );
    let latest = format!("{path}?api-version=latest");
    arm.send(Method::GET, &latest, None)
        .await
        .fails(400, "InvalidApiVersionParameter");
    arm.get("/subscriptions/00000000-0000-0000-0000-000000000000")
        .await
        .fails(404, "SubscriptionNotFound");
    arm.get(&network("virtualNetworks/net"))
        .await
        .fails(404, "ResourceGroupNotFound");
    arm.put(&group(), json!({})).await.fails(400, "LocationRequired");
    arm.put(&group(), json!({"location": "moon"}))
        .await
        .fails(400, "LocationNotAvailableForResourceGroup");
    arm.put(&group(), json!({"location": "East US"})).await.is(201);
    arm.put(&group(), json!({"location": "westus"}))
        .await
        .fails(409, "InvalidResourceGroupLocation");
    arm.get(&compute("toasters/a")).await.fails(404, "InvalidResourceType");
    arm.put(
        &format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/a!"),
        json!({"location": "eastus"}),
    )
    .await
    .fails(400, "InvalidResourceGroup");
}

fn send_fails(got: Option<Got>, status: u16, code: &str) {
    got.expect("an answer").fails(status, code);
}

#[tokio::test]
async fn ids_are_found_in_any_case() {
    let arm = Arm::with_network(Options::default()).await;
    let loud = network("virtualNetworks/net")
        .to_uppercase()
        .replace("/SUBSCRIPTIONS", "/Subscriptions");
    let got = arm.get(&loud).await.is(200).body;
    assert_eq!(got["id"], network("virtualNetworks/net"));
    arm.put(&loud, net()).await.is(200);
    assert_eq!(arm.control.ids().len(), 1);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let options = Options {
        page: 2,
        ..Options::default()
    };
    let arm = Arm::start(options).await;
    arm.put(&group(), json!({"location": "eastus"})).await.is(201);
    for number in 0..5 {
        arm.put(&network(&format!("virtualNetworks/net{number}")), net())
            .await
            .is(201);
    }
    let mut names = Vec::new();
    let mut pages = 0;
    let mut url = versioned(&network("virtualNetworks"));
    loop {
        let page = arm.send(Method::GET, &url, None).await.is(200).body;
        names.extend(
            page["value"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|it| it["name"].as_str().expect("a name").to_owned()),
        );
        pages += 1;
        match page["nextLink"].as_str() {
            Some(next) => url = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(
        (pages, names),
        (3, (0..5).map(|number| format!("net{number}")).collect::<Vec<_>>())
    );
    assert!(url.contains("$skiptoken="), "{url}");
    arm.send(Method::GET, &format!("{url}!"), None)
        .await
        .fails(400, "InvalidSkipToken");
}

#[tokio::test]
async fn lists_lag_behind_and_a_get_may_too() {
    let mut options = slow(0);
    options.pace.list_lag_ms = 5_000;
    options.pace.get_lag_ms = 1_000;
    let arm = Arm::start(options).await;
    arm.put(&group(), json!({"location": "eastus"})).await.is(201);
    arm.put(&network("virtualNetworks/net"), net()).await.is(201);
    let listed = || async {
        let list = arm.get(&network("virtualNetworks")).await.is(200).body;
        list["value"].as_array().expect("a list").len()
    };
    arm.get(&network("virtualNetworks/net"))
        .await
        .fails(404, "ResourceNotFound");
    arm.control.advance(Duration::from_secs(1));
    arm.get(&network("virtualNetworks/net")).await.is(200);
    assert_eq!(listed().await, 0);
    arm.control.advance(Duration::from_secs(4));
    assert_eq!(listed().await, 1);
    arm.delete(&network("virtualNetworks/net")).await.is(202);
    arm.get(&network("virtualNetworks/net"))
        .await
        .fails(404, "ResourceNotFound");
    assert_eq!(listed().await, 1);
    arm.control.advance(Duration::from_secs(5));
    assert_eq!(listed().await, 0);
}

#[tokio::test]
async fn a_subscription_is_throttled_as_a_whole() {
    let mut options = slow(0);
    options.throttle = Some(Throttle { bucket: 3, refill: 1 });
    let arm = Arm::start(options).await;
    let groups = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups");
    for left in ["2", "1", "0"] {
        let got = arm.get(&groups).await.is(200);
        assert_eq!(got.header("x-ms-ratelimit-remaining-subscription-reads"), left);
    }
    let refused = arm.get(&groups).await;
    assert_eq!(refused.header("retry-after"), "1");
    refused.fails(429, "SubscriptionRequestsThrottled");
    // Writes have a bucket of their own.
    arm.put(&group(), json!({"location": "eastus"})).await.is(201);
    arm.control.advance(Duration::from_secs(2));
    arm.get(&groups).await.is(200);
    arm.get(&groups).await.is(200);
    arm.get(&groups).await.is(429);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answers() {
    let mut seen = Vec::new();
    for seed in [5, 5, 6] {
        let mut options = slow(0);
        options.seed = seed;
        let arm = Arm::start(options).await;
        arm.put(&group(), json!({"location": "eastus"})).await.is(201);
        let body = json!({"location": "eastus", "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}});
        seen.push(arm.put(&network("publicIPAddresses/ip"), body).await.is(201).body);
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0]["properties"]["ipAddress"], seen[2]["properties"]["ipAddress"]);
}

#[tokio::test]
async fn providers_are_registered_once() {
    let arm = Arm::start(Options::default()).await;
    arm.put(&group(), json!({"location": "eastus"})).await.is(201);
    arm.control.unregister("Microsoft.Network");
    arm.put(&network("virtualNetworks/net"), net())
        .await
        .fails(409, "MissingSubscriptionRegistration");
    let path = format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network");
    assert_eq!(arm.get(&path).await.is(200).body["registrationState"], "NotRegistered");
    let registered = arm.post(&format!("{path}/register"), Value::Null).await.is(200).body;
    assert_eq!(registered["registrationState"], "Registered");
    arm.put(&network("virtualNetworks/net"), net()).await.is(201);
}

#[tokio::test]
async fn what_is_not_made_yet_cannot_be_referred_to() {
    let arm = standing().await;
    arm.put(&network("virtualNetworks/net"), net()).await.is(201);
    let early = arm.put(&network("networkInterfaces/nic"), interface_body()).await;
    let inside = early.body["error"]["details"][0]["code"].clone();
    early.fails(429, "RetryableError");
    assert_eq!(inside, "ReferencedResourceNotProvisioned");
    arm.control.advance(Duration::from_secs(10));
    arm.put(&network("networkInterfaces/nic"), interface_body())
        .await
        .is(201);
}

#[tokio::test]
async fn whatever_is_sent_is_answered() {
    let arm = Arm::with_network(Options::default()).await;
    let interface = arm.interface("nic").await;
    let bodies = [
        json!([]),
        json!("text"),
        json!({}),
        json!({"location": 7}),
        json!({"location": "eastus"}),
        json!({"location": "eastus", "tags": []}),
        json!({"location": "eastus", "properties": []}),
        json!({"location": "eastus", "sku": [], "zones": {}, "properties": {"addressSpace": 1, "securityRules": {}, "ipConfigurations": [1]}}),
        json!({"location": "eastus", "properties": {"hardwareProfile": [], "storageProfile": 1, "osProfile": "x", "networkProfile": []}}),
        json!({"location": "eastus", "properties": {"ipConfigurations": [{"name": "a", "properties": []}]}}),
        json!({"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": -1}}),
        json!({"location": "eastus", "sku": {"capacity": -1}, "properties": {"orchestrationMode": 1, "virtualMachineProfile": 1}}),
        json!({"location": "eastus", "properties": {"loadBalancingRules": [{"name": 1}], "probes": [{"name": "a"}]}}),
    ];
    let paths = [
        network("virtualNetworks/x"),
        network("virtualNetworks/net/subnets/x"),
        network("networkInterfaces/x"),
        network("publicIPAddresses/x"),
        compute("disks/x"),
        compute("virtualMachines/x"),
        compute("virtualMachineScaleSets/x"),
    ];
    for path in &paths {
        for body in &bodies {
            let got = arm.put(path, body.clone()).await;
            assert!(
                (400..500).contains(&got.status),
                "{path} {body}: {} {}",
                got.status,
                got.body
            );
            assert!(!got.code().is_empty(), "{path} {body}: {}", got.body);
        }
    }
    // What has no required members takes an empty body, or refuses it, but answers.
    for path in [network("networkSecurityGroups/x"), network("loadBalancers/x")] {
        for body in &bodies {
            let got = arm.put(&path, body.clone()).await;
            assert!(got.status < 500, "{path} {body}: {} {}", got.status, got.body);
        }
    }
    for method in [Method::POST, Method::PATCH, Method::HEAD, Method::OPTIONS] {
        for path in [
            interface.as_str(),
            "/",
            "/subscriptions",
            &group(),
            &network("virtualNetworks"),
            &subnet(),
        ] {
            let got = arm.send(method.clone(), &versioned(path), Some(&json!({}))).await;
            assert!(got.status < 500, "{method} {path}: {} {}", got.status, got.body);
        }
    }
}
