use serde_json::json;
use simfleet_azure_emulator::Options;

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
    assert_eq!(
        arm.get(&machine("a")).await.is(200).body["properties"]["provisioningState"],
        "Deleting"
    );
    assert_eq!(arm.end(&deleted).await["status"], "Succeeded");
    arm.get(&machine("a")).await.fails(404, "ResourceNotFound");
    arm.get(&disk).await.fails(404, "ResourceNotFound");
    arm.get(&network("networkInterfaces/a-nic"))
        .await
        .fails(404, "ResourceNotFound");
    arm.delete(&machine("a")).await.is(204);
}
