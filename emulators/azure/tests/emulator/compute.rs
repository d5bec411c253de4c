use std::time::Duration;

use serde_json::{Value, json};
use simfleet_azure_emulator::{Options, Order, Pass, Restricted, SUBSCRIPTION};

use crate::support::*;

#[tokio::test]
async fn a_machine_from_create_to_delete() {
    let arm = Arm::with_network(Options::default()).await;
    let interface = arm.interface("a-nic").await;
    let created = arm.put(&machine("a"), machine_body(&interface)).await.is(201);
    assert_eq!(created.body["properties"]["provisioningState"], "Creating");
    let ended = arm.end(&created).await;
    assert_eq!(ended["status"], "Succeeded");
    assert!(
        ended["startTime"].is_string() && ended["endTime"].is_string() && ended["name"].is_string(),
        "{ended}"
    );
    let seen = arm.get(&machine("a")).await.is(200).body;
    let properties = &seen["properties"];
    assert_eq!(properties["provisioningState"], "Succeeded");
    assert_eq!(
        properties["storageProfile"]["imageReference"]["exactVersion"],
        "24.04.202511050"
    );
    assert_eq!(properties["storageProfile"]["osDisk"]["caching"], "ReadWrite");
    assert_eq!(properties["storageProfile"]["dataDisks"], json!([]));
    assert_eq!(properties["osProfile"]["allowExtensionOperations"], true);
    assert!(properties["vmId"].is_string() && properties["timeCreated"].is_string());
    assert!(!seen.to_string().contains("customData"), "{seen}");
    let view = arm.get(&format!("{}/instanceView", machine("a"))).await.is(200).body;
    let codes: Vec<&str> = view["statuses"]
        .as_array()
        .expect("statuses")
        .iter()
        .filter_map(|it| it["code"].as_str())
        .collect();
    assert_eq!(codes, ["ProvisioningState/succeeded", "PowerState/running"]);
    let interface = arm.get(&network("networkInterfaces/a-nic")).await.is(200).body;
    assert_eq!(interface["properties"]["virtualMachine"]["id"], seen["id"]);
    assert!(interface["properties"]["macAddress"].is_string());
    arm.delete(&network("networkInterfaces/a-nic"))
        .await
        .fails(400, "NicInUse");
    let disk = properties["storageProfile"]["osDisk"]["managedDisk"]["id"]
        .as_str()
        .expect("a disk")
        .to_owned();
    assert_eq!(arm.get(&disk).await.is(200).body["properties"]["diskState"], "Attached");
    arm.delete(&disk).await.fails(409, "OperationNotAllowed");

    let deleted = arm.delete(&machine("a")).await.is(202);
    assert!(!deleted.header("location").is_empty());
    assert_eq!(arm.end(&deleted).await["status"], "Succeeded");
    arm.get(&machine("a")).await.fails(404, "ResourceNotFound");
    arm.get(&disk).await.fails(404, "ResourceNotFound");
    arm.get(&network("networkInterfaces/a-nic"))
        .await
        .fails(404, "ResourceNotFound");
    arm.delete(&machine("a")).await.is(204);
}

#[tokio::test]
async fn machines_are_checked_before_they_are_made() {
    let arm = Arm::with_network(Options::default()).await;
    let interface = arm.interface("nic").await;
    let cases: [(&str, Value, u16, &str); 12] = [
        (
            "/properties/hardwareProfile/vmSize",
            json!("Standard_X1"),
            400,
            "InvalidParameter",
        ),
        (
            "/properties/storageProfile/imageReference/sku",
            json!("none"),
            404,
            "PlatformImageNotFound",
        ),
        (
            "/properties/storageProfile/osDisk/managedDisk/storageAccountType",
            json!("Fast"),
            400,
            "InvalidParameter",
        ),
        (
            "/properties/osProfile/adminUsername",
            json!("root"),
            400,
            "InvalidParameter",
        ),
        (
            "/properties/osProfile/computerName",
            json!("a_b"),
            400,
            "InvalidParameter",
        ),
        (
            "/properties/osProfile/customData",
            json!("not base64!"),
            400,
            "InvalidParameter",
        ),
        (
            "/properties/osProfile/linuxConfiguration/ssh/publicKeys",
            json!([]),
            400,
            "InvalidParameter",
        ),
        (
            "/properties/osProfile/linuxConfiguration/ssh/publicKeys/0/keyData",
            json!("ssh-dss x"),
            400,
            "InvalidParameter",
        ),
        (
            "/properties/networkProfile/networkInterfaces",
            json!([]),
            400,
            "InvalidParameter",
        ),
        ("/properties/evictionPolicy", json!("Delete"), 400, "InvalidParameter"),
        ("/properties/colour", json!("red"), 400, "BadRequest"),
        ("/zones", json!(["7"]), 400, "InvalidAvailabilityZone"),
    ];
    for (at, value, status, code) in cases {
        let mut body = machine_body(&interface);
        let (parent, member) = at.rsplit_once('/').expect("a path");
        body.pointer_mut(parent)
            .expect("a parent")
            .as_object_mut()
            .expect("an object")
            .insert(member.to_owned(), value);
        let got = arm.put(&machine("a"), body).await;
        assert_eq!((got.status, got.code()), (status, code), "{at}: {}", got.body);
    }
    arm.put(&machine("a!"), machine_body(&interface))
        .await
        .fails(400, "InvalidParameter");
    assert_eq!(arm.control.ids().len(), 2);
}

#[tokio::test]
async fn quotas_and_sizes_run_out() {
    let arm = Arm::with_network(Options::default()).await;
    arm.control.set_quota("eastus", "standardBSFamily", 6);
    arm.machine("a").await;
    let interface = arm.interface("nic").await;
    let got = arm.put(&machine("b"), machine_body(&interface)).await;
    let message = got.body["error"]["message"].as_str().expect("a message").to_owned();
    got.fails(409, "OperationNotAllowed");
    assert!(
        message.contains("standardBSFamily") && message.contains("New Limit Required: 8"),
        "{message}"
    );
    arm.control.set_quota("eastus", "standardBSFamily", 8);
    arm.control
        .set_size("eastus", "Standard_B4ms", Restricted::NotAvailable);
    arm.put(&machine("b"), machine_body(&interface))
        .await
        .fails(409, "SkuNotAvailable");
    let skus = arm
        .get(&format!(
            "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/skus?$filter=location%20eq%20%27eastus%27"
        ))
        .await
        .is(200);
    let restricted: Vec<&Value> = skus.body["value"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|sku| sku["restrictions"] != json!([]))
        .collect();
    assert_eq!((restricted.len(), &restricted[0]["name"]), (1, &json!("Standard_B4ms")));
    let usages = arm
        .get(&format!(
            "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/locations/eastus/usages"
        ))
        .await
        .is(200);
    let of = |name: &str| {
        usages.body["value"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|it| it["name"]["value"] == name)
            .cloned()
            .expect("a usage")
    };
    assert_eq!(
        (
            &of("standardBSFamily")["currentValue"],
            &of("standardBSFamily")["limit"]
        ),
        (&json!(4), &json!(8))
    );
    arm.control.set_size("eastus", "Standard_B4ms", Restricted::Available);
    arm.made(&machine("b"), machine_body(&interface)).await;
}

#[tokio::test]
async fn a_machine_is_stopped_and_started() {
    let arm = Arm::with_network(Options::default()).await;
    arm.machine("a").await;
    for (action, code) in [
        ("powerOff", "PowerState/stopped"),
        ("start", "PowerState/running"),
        ("restart", "PowerState/running"),
        ("deallocate", "PowerState/deallocated"),
    ] {
        let got = arm
            .post(&format!("{}/{action}", machine("a")), Value::Null)
            .await
            .is(202);
        assert!(!got.header("location").is_empty());
        assert_eq!(arm.end(&got).await["status"], "Succeeded");
        let view = arm.get(&format!("{}/instanceView", machine("a"))).await.is(200).body;
        assert_eq!(view["statuses"][1]["code"], code, "{action}");
    }
    arm.post(&format!("{}/restart", machine("a")), Value::Null)
        .await
        .fails(409, "OperationNotAllowed");
    arm.post(&format!("{}/explode", machine("a")), Value::Null)
        .await
        .is(404);
}

#[tokio::test]
async fn what_cannot_be_changed_is_told() {
    let arm = Arm::with_network(Options::default()).await;
    arm.machine("a").await;
    let cases = [
        json!({"properties": {"osProfile": {"computerName": "other"}}}),
        json!({"properties": {"osProfile": {"customData": "b3RoZXI="}}}),
        json!({"properties": {"priority": "Spot"}}),
        json!({"zones": ["1"]}),
    ];
    for change in cases {
        let got = arm.patch(&machine("a"), change.clone()).await;
        assert_eq!(
            (got.status, got.code()),
            (409, "PropertyChangeNotAllowed"),
            "{change}: {}",
            got.body
        );
    }
    let sized = arm
        .patch(
            &machine("a"),
            json!({"tags": {"x": "y"}, "properties": {"hardwareProfile": {"vmSize": "Standard_B8ms"}}}),
        )
        .await
        .is(200);
    arm.end(&sized).await;
    let seen = arm.get(&machine("a")).await.is(200).body;
    assert_eq!(
        (&seen["tags"], &seen["properties"]["hardwareProfile"]["vmSize"]),
        (&json!({"x": "y"}), &json!("Standard_B8ms"))
    );
    assert!(seen["properties"]["osProfile"]["linuxConfiguration"]["ssh"].is_object());
}

#[tokio::test]
async fn spot_machines_are_evicted_by_their_policy() {
    let arm = Arm::with_network(Options::default()).await;
    for (name, policy) in [("kept", "Deallocate"), ("gone", "Delete")] {
        let interface = arm.interface(&format!("{name}-nic")).await;
        let mut body = machine_body(&interface);
        body["properties"]["priority"] = json!("Spot");
        body["properties"]["evictionPolicy"] = json!(policy);
        let made = arm.made(&machine(name), body).await;
        assert_eq!(made["properties"]["billingProfile"], json!({"maxPrice": -1}));
        arm.post(&format!("{}/simulateEviction", machine(name)), Value::Null)
            .await
            .is(204);
    }
    let view = arm.get(&format!("{}/instanceView", machine("kept"))).await.is(200).body;
    assert_eq!(view["statuses"][1]["code"], "PowerState/deallocated");
    arm.get(&machine("gone")).await.fails(404, "ResourceNotFound");
    arm.get(&network("networkInterfaces/gone-nic"))
        .await
        .fails(404, "ResourceNotFound");
}

#[tokio::test]
async fn data_disks_stay_or_go_with_their_machine() {
    let arm = Arm::with_network(Options::default()).await;
    let interface = arm.interface("nic").await;
    let mut body = machine_body(&interface);
    body["properties"]["storageProfile"]["dataDisks"] = json!([
        {"lun": 0, "createOption": "Empty", "diskSizeGB": 8, "name": "stays"},
        {"lun": 1, "createOption": "Empty", "diskSizeGB": 8, "name": "goes", "deleteOption": "Delete"},
    ]);
    body["properties"]["networkProfile"]["networkInterfaces"][0]["properties"]["deleteOption"] = json!("Detach");
    arm.made(&machine("a"), body).await;
    assert_eq!(
        arm.get(&compute("disks/goes")).await.is(200).body["managedBy"],
        machine("a")
    );
    let deleted = arm.delete(&machine("a")).await.is(202);
    arm.end(&deleted).await;
    assert_eq!(
        arm.get(&compute("disks/stays")).await.is(200).body["properties"]["diskState"],
        "Unattached"
    );
    arm.get(&compute("disks/goes")).await.fails(404, "ResourceNotFound");
    arm.get(&network("networkInterfaces/nic")).await.is(200);
}

#[tokio::test]
async fn lists_of_machines_are_loud_and_user_data_is_only_for_who_asks() {
    let arm = Arm::with_network(Options::default()).await;
    let interface = arm.interface("nic").await;
    let mut body = machine_body(&interface);
    body["properties"]["userData"] = json!("aGVsbG8=");
    body["identity"] = json!({"type": "SystemAssigned"});
    let made = arm.made(&machine("a"), body).await;
    assert!(made["identity"]["principalId"].is_string());
    assert!(made["properties"].get("userData").is_none());
    let asked = arm
        .get(&format!("{}?$expand=userData", machine("a")))
        .await
        .is(200)
        .body;
    assert_eq!(asked["properties"]["userData"], "aGVsbG8=");
    let list = arm.get(&compute("virtualMachines")).await.is(200).body;
    assert!(
        list["value"][0]["id"]
            .as_str()
            .expect("an id")
            .contains("/resourceGroups/SIM/"),
        "{list}"
    );
    let all = arm
        .get(&format!(
            "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines?statusOnly=true"
        ))
        .await
        .is(200)
        .body;
    assert_eq!(
        all["value"][0]["properties"]["instanceView"]["statuses"][1]["code"],
        "PowerState/running"
    );
    let hidden = arm
        .control
        .objects()
        .into_iter()
        .find(|it| it["name"] == "a")
        .expect("a machine");
    assert_eq!(hidden["hidden"]["customData"], "I2Nsb3VkLWNvbmZpZwo=");
}

#[tokio::test]
async fn what_has_no_order_may_come_in_another() {
    let arm = Arm::with_network(Options {
        order: Order::Turned,
        ..Options::default()
    })
    .await;
    arm.machine("a").await;
    let interface = arm.get(&network("networkInterfaces/a-nic")).await.is(200).body;
    let subnet = interface["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert!(subnet.contains("/resourceGroups/SIM/"), "{subnet}");
    let body = json!({"location": "eastus", "properties": {
        "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
        "subnets": [
            {"name": "agents", "properties": {"addressPrefix": "10.0.1.0/24"}},
            {"name": "more", "properties": {"addressPrefix": "10.0.2.0/24"}},
        ],
    }});
    let seen = arm.made(&network("virtualNetworks/net"), body).await;
    assert_eq!(seen["properties"]["subnets"][0]["name"], "more");
}

#[tokio::test]
async fn members_of_a_set_are_listed_by_a_filter() {
    let arm = Arm::with_network(Options::default()).await;
    let set = compute("virtualMachineScaleSets/pool");
    let frame =
        json!({"location": "eastus", "properties": {"orchestrationMode": "Flexible", "platformFaultDomainCount": 1}});
    arm.made(&set, frame).await;
    arm.machine("alone").await;
    let interface = arm.interface("nic").await;
    let mut body = machine_body(&interface);
    body["properties"]["virtualMachineScaleSet"] = json!({"id": set});
    arm.made(&machine("member"), body).await;
    let filter = format!(
        "{}?$filter='virtualMachineScaleSet/id' eq '{set}'",
        compute("virtualMachines")
    )
    .replace(' ', "%20");
    let list = arm.get(&filter).await.is(200).body;
    assert_eq!(
        (list["value"].as_array().map(Vec::len), &list["value"][0]["name"]),
        (Some(1), &json!("member"))
    );
}

#[tokio::test]
async fn metrics_are_what_a_test_says() {
    let arm = Arm::start(Options {
        pass: Pass::OnDemand,
        ..Options::default()
    })
    .await;
    arm.put(&group(), json!({"location": "eastus"})).await.is(201);
    let set =
        json!({"location": "eastus", "properties": {"orchestrationMode": "Flexible", "platformFaultDomainCount": 1}});
    let id = compute("virtualMachineScaleSets/pool");
    arm.put(&id, set).await.is(201);
    arm.control.set_metric(&id, "Percentage CPU", 20.0);
    arm.control.advance(Duration::from_secs(120));
    arm.control.set_metric(&id, "Percentage CPU", 80.0);
    arm.control.advance(Duration::from_secs(60));
    let path = format!(
        "{id}/providers/Microsoft.Insights/metrics?metricnames=Percentage%20CPU&timespan=2026-01-01T00:00:00Z/2026-01-01T00:04:00Z&interval=PT1M&aggregation=Average"
    );
    let got = arm.get(&path).await.is(200).body;
    let points: Vec<Value> = got["value"][0]["timeseries"][0]["data"]
        .as_array()
        .expect("points")
        .iter()
        .map(|it| it["average"].clone())
        .collect();
    assert_eq!(points, [json!(20.0), json!(80.0), json!(80.0), json!(80.0)]);
    arm.get(&format!("{id}/providers/Microsoft.Insights/metrics?metricnames=Mood"))
        .await
        .fails(400, "BadRequest");
}

#[tokio::test]
async fn a_command_stands_for_a_machine() {
    let directory = tempfile::tempdir().expect("a directory");
    let seen = directory.path().join("seen");
    // It says that it runs, with what it was given, and notes that it does as long as it does.
    let script = format!(
        "cat $0/custom-data $0/name >> {0}; while :; do date +%s%N > {0}.alive; sleep 0.02; done",
        seen.display()
    );
    let options = Options {
        machine_command: Some(vec!["sh".to_owned(), "-c".to_owned(), script]),
        ..Options::default()
    };
    let arm = Arm::with_network(options).await;
    arm.machine("a").await;
    let alive = directory.path().join("seen.alive");
    let wait_for = |what: &'static str, is: Box<dyn Fn() -> bool>| async move {
        for _ in 0..500 {
            if is() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}");
    };
    let path = seen.clone();
    wait_for(
        "it runs",
        Box::new(move || std::fs::read_to_string(&path).is_ok_and(|text| text == "#cloud-config\na")),
    )
    .await;
    let path = alive.clone();
    wait_for("it notes that", Box::new(move || path.exists())).await;
    let deleted = arm.delete(&machine("a")).await.is(202);
    arm.end(&deleted).await;
    let path = alive.clone();
    wait_for(
        "it ends",
        Box::new(move || {
            let before = std::fs::read(&path).ok();
            std::thread::sleep(Duration::from_millis(200));
            before == std::fs::read(&path).ok()
        }),
    )
    .await;
}
