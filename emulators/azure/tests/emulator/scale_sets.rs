use serde_json::{Value, json};
use simfleet_azure_emulator::{Fault, FaultEffect, Options};

use crate::support::*;

fn set(name: &str) -> String {
    compute(&format!("virtualMachineScaleSets/{name}"))
}

fn profile() -> Value {
    json!({
        "storageProfile": {"imageReference": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"}},
        "osProfile": {"computerNamePrefix": "agent", "adminUsername": "azureuser", "customData": "I2Nsb3VkLWNvbmZpZwo=",
            "linuxConfiguration": {"disablePasswordAuthentication": true, "ssh": {"publicKeys": [key()]}}},
        "networkProfile": {"networkApiVersion": "2020-11-01", "networkInterfaceConfigurations": [{"name": "nic", "properties": {
            "primary": true, "deleteOption": "Delete",
            "ipConfigurations": [{"name": "a", "properties": {"subnet": {"id": subnet()}}}]}}]},
    })
}

fn uniform(capacity: u64) -> Value {
    json!({"location": "eastus", "zones": ["1", "2"], "sku": {"name": "Standard_B2s", "capacity": capacity}, "properties": {
        "orchestrationMode": "Uniform", "upgradePolicy": {"mode": "Manual"}, "virtualMachineProfile": profile()}})
}

impl Arm {
    async fn instances(&self, name: &str) -> Vec<String> {
        let list = self.get(&format!("{}/virtualMachines", set(name))).await.is(200).body;
        list["value"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| it["instanceId"].as_str().expect("an id").to_owned())
            .collect()
    }

    async fn wait_for_instances(&self, name: &str, wanted: &[&str]) {
        for _ in 0..500 {
            if self.instances(name).await == wanted {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{:?} and not {wanted:?}", self.instances(name).await);
    }

    async fn resize(&self, name: &str, capacity: u64) {
        let got = self
            .patch(
                &set(name),
                json!({"sku": {"name": "Standard_B2s", "capacity": capacity}}),
            )
            .await
            .is(200);
        assert_eq!(self.end(&got).await["status"], "Succeeded");
    }
}

#[tokio::test]
async fn a_uniform_set_grows_and_shrinks() {
    let arm = Arm::with_network(Options::default()).await;
    let made = arm.made(&set("set"), uniform(2)).await;
    assert_eq!(
        (&made["sku"]["capacity"], &made["sku"]["tier"]),
        (&json!(2), &json!("Standard"))
    );
    assert!(!made.to_string().contains("customData"), "{made}");
    assert_eq!(arm.instances("set").await, ["0", "1"]);
    arm.resize("set", 4).await;
    assert_eq!(arm.instances("set").await, ["0", "1", "2", "3"]);
    let instance = arm.get(&format!("{}/virtualMachines/3", set("set"))).await.is(200).body;
    assert_eq!(
        (&instance["name"], &instance["zones"]),
        (&json!("set_3"), &json!(["2"]))
    );
    assert_eq!(instance["properties"]["provisioningState"], "Succeeded");

    // A protected one is left when the set shrinks; who names it deletes it all the same.
    let policy = json!({"location": "eastus", "properties": {"protectionPolicy": {"protectFromScaleIn": true}}});
    let put = arm
        .put(&format!("{}/virtualMachines/3", set("set")), policy)
        .await
        .is(200);
    arm.end(&put).await;
    arm.resize("set", 2).await;
    arm.wait_for_instances("set", &["0", "3"]).await;
    let missing = arm
        .post(&format!("{}/delete", set("set")), json!({"instanceIds": ["7"]}))
        .await;
    missing.fails(400, "InvalidParameter");
    arm.post(&format!("{}/delete", set("set")), json!({}))
        .await
        .fails(400, "InvalidParameter");
    let named = arm
        .post(&format!("{}/delete", set("set")), json!({"instanceIds": ["0"]}))
        .await
        .is(202);
    assert_eq!(arm.end(&named).await["status"], "Succeeded");
    assert_eq!(arm.instances("set").await, ["3"]);
    assert_eq!(arm.get(&set("set")).await.is(200).body["sku"]["capacity"], 1);
    // A number is not used twice.
    arm.resize("set", 2).await;
    assert_eq!(arm.instances("set").await, ["3", "4"]);
    arm.resize("set", 1).await;
    arm.wait_for_instances("set", &["3"]).await;
    let view = arm.get(&format!("{}/instanceView", set("set"))).await.is(200).body;
    let summary = view["virtualMachine"]["statusesSummary"]
        .as_array()
        .expect("a list")
        .clone();
    assert!(
        summary.contains(&json!({"code": "PowerState/running", "count": 1})),
        "{view}"
    );
    arm.delete(&subnet()).await.fails(400, "InUseSubnetCannotBeDeleted");

    let deleted = arm.delete(&set("set")).await.is(202);
    arm.end(&deleted).await;
    assert_eq!(arm.control.ids(), [network("virtualNetworks/net")]);
}

#[tokio::test]
async fn a_put_with_a_size_alone_keeps_the_rest() {
    let arm = Arm::with_network(Options::default()).await;
    let before = arm.made(&set("set"), uniform(1)).await;
    let body = json!({"location": "eastus", "sku": {"name": "Standard_B2s", "tier": "Standard", "capacity": 2}});
    let after = arm.made(&set("set"), body).await;
    assert_eq!(after["properties"], before["properties"]);
    assert_eq!(
        (&after["zones"], &after["sku"]["capacity"]),
        (&json!(["1", "2"]), &json!(2))
    );
}

#[tokio::test]
async fn a_flexible_set_is_the_frame_of_machines_that_are_named() {
    let arm = Arm::with_network(Options::default()).await;
    let frame = json!({"location": "eastus", "zones": ["1", "2", "3"], "properties": {
        "orchestrationMode": "Flexible", "platformFaultDomainCount": 1}});
    let made = arm.made(&set("pool"), frame).await;
    assert_eq!(made["properties"]["singlePlacementGroup"], false);
    for (name, zone) in [("pool-1", "1"), ("pool-2", "2")] {
        let interface = arm.interface(&format!("{name}-nic")).await;
        let mut body = machine_body(&interface);
        body["properties"]["virtualMachineScaleSet"] = json!({"id": set("pool")});
        arm.put(&machine(name), body.clone()).await.fails(400, "BadRequest");
        body["zones"] = json!([zone]);
        arm.made(&machine(name), body).await;
    }
    let names: Vec<String> = arm.instances("pool").await;
    assert_eq!(names, ["pool-1", "pool-2"]);
    let policy = json!({"location": "eastus", "properties": {"protectionPolicy": {"protectFromScaleIn": true}}});
    let put = arm
        .put(&format!("{}/virtualMachines/pool-1", set("pool")), policy)
        .await;
    put.fails(409, "OperationNotAllowed");
    arm.delete(&set("pool")).await.fails(409, "OperationNotAllowed");
    let named = arm
        .post(&format!("{}/delete", set("pool")), json!({"instanceIds": ["pool-1"]}))
        .await
        .is(202);
    arm.end(&named).await;
    arm.get(&machine("pool-1")).await.fails(404, "ResourceNotFound");
    arm.get(&machine("pool-2")).await.is(200);
    let lost = json!({"properties": {"virtualMachineScaleSet": {"id": set("none")}}});
    arm.patch(&machine("pool-2"), lost)
        .await
        .fails(409, "PropertyChangeNotAllowed");
    let forced = format!("{}?forceDeletion=true", set("pool"));
    let deleted = arm.delete(&forced).await.is(202);
    arm.end(&deleted).await;
    arm.get(&machine("pool-2")).await.fails(404, "ResourceNotFound");
    let interface = arm.interface("lost-nic").await;
    let mut body = machine_body(&interface);
    body["properties"]["virtualMachineScaleSet"] = json!({"id": set("none")});
    arm.put(&machine("lost"), body).await.fails(404, "ResourceNotFound");
}

#[tokio::test]
async fn a_flexible_set_with_a_profile_makes_its_machines() {
    let arm = Arm::with_network(Options::default()).await;
    let body = json!({"location": "eastus", "sku": {"name": "Standard_B2s", "capacity": 2}, "properties": {
        "orchestrationMode": "Flexible", "platformFaultDomainCount": 1, "virtualMachineProfile": profile()}});
    arm.made(&set("pool"), body).await;
    let machines = arm.get(&compute("virtualMachines")).await.is(200).body;
    assert_eq!(machines["value"].as_array().expect("a list").len(), 2);
    let interfaces = arm.get(&network("networkInterfaces")).await.is(200).body;
    let interfaces = interfaces["value"].as_array().expect("a list").clone();
    let addresses: Vec<&Value> = interfaces
        .iter()
        .map(|it| &it["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"])
        .collect();
    assert_eq!(addresses.len(), 2);
    assert_ne!(addresses[0], addresses[1]);
    arm.resize("pool", 1).await;
    let mut left = 2;
    for _ in 0..500 {
        left = arm.instances("pool").await.len();
        if left == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(left, 1);
    let interfaces = arm.get(&network("networkInterfaces")).await.is(200).body;
    assert_eq!(interfaces["value"].as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn sets_are_checked() {
    let arm = Arm::with_network(Options::default()).await;
    let cases = [
        ("/sku/name", json!("Standard_X1"), 400, "InvalidParameter"),
        ("/sku/capacity", json!(2_000), 400, "InvalidParameter"),
        (
            "/properties/platformFaultDomainCount",
            json!(9),
            400,
            "InvalidParameter",
        ),
        ("/properties/colour", json!("red"), 400, "BadRequest"),
        (
            "/properties/orchestrationMode",
            json!("Loose"),
            400,
            "InvalidRequestFormat",
        ),
    ];
    for (at, value, status, code) in cases {
        let mut body = uniform(1);
        let (parent, member) = at.rsplit_once('/').expect("a path");
        body.pointer_mut(parent)
            .expect("a parent")
            .as_object_mut()
            .expect("an object")
            .insert(member.to_owned(), value);
        let got = arm.put(&set("set"), body).await;
        assert_eq!((got.status, got.code()), (status, code), "{at}: {}", got.body);
    }
    arm.control.set_quota("eastus", "standardBSFamily", 5);
    arm.put(&set("set"), uniform(3)).await.fails(409, "OperationNotAllowed");
    arm.made(&set("set"), uniform(2)).await;
    arm.patch(&set("set"), json!({"sku": {"name": "Standard_B2s", "capacity": 3}}))
        .await
        .fails(409, "OperationNotAllowed");
    arm.patch(&set("set"), json!({"properties": {"orchestrationMode": "Flexible"}}))
        .await
        .fails(409, "PropertyChangeNotAllowed");
}

#[tokio::test]
async fn a_change_of_size_can_fail_late() {
    let arm = Arm::with_network(Options::default()).await;
    arm.made(&set("set"), uniform(2)).await;
    let fails = FaultEffect::FailOperation {
        code: "AllocationFailed".to_owned(),
        message: None,
        details: Vec::new(),
        inner: None,
    };
    for capacity in [1, 3] {
        arm.control.fault(
            Fault::new(fails.clone())
                .on("PATCH", "virtualMachineScaleSets/set")
                .times(1),
        );
        let body = json!({"sku": {"name": "Standard_B2s", "capacity": capacity}});
        let got = arm.patch(&set("set"), body).await.is(200);
        assert_eq!(arm.end(&got).await["error"]["code"], "AllocationFailed", "{capacity}");
        assert_eq!(
            arm.get(&set("set")).await.is(200).body["properties"]["provisioningState"],
            "Failed"
        );
    }
}
