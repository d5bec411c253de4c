//! The resource group of a provider block: made where there is none, and left alone where there is.

use serde_json::json;
use simfleet_azure_emulator::Options;

use crate::cloud::Cloud;
use crate::support::Fleet;

fn text(cloud: &Cloud, network: &str) -> String {
    let provider = cloud.provider();
    format!("{provider}\nnetwork \"{network}\" {{\n  provider = azure\n  cidr     = \"10.0.0.0/16\"\n}}\n")
}

/// Returns what the cloud says of the group; `null` where there is none.
fn group(cloud: &Cloud) -> serde_json::Value {
    let groups = format!("{}/..", Cloud::group()).replace("/fleet/..", "");
    let all = cloud.az("GET", &groups, "2022-09-01", &json!({}));
    let mut all = all["value"].as_array().expect("a list").iter();
    all.find(|group| group["name"] == "fleet").cloned().unwrap_or_default()
}

#[test]
fn a_group_that_is_not_there_is_made_and_goes_last() {
    let cloud = Cloud::empty(Options::default());
    let fleet = Fleet::new(&text(&cloud, "a"));
    assert_eq!(
        cloud.planned(&fleet),
        ["create network.a/net", "create provider.azure/group"]
    );
    cloud.applied(&fleet);
    assert_eq!(group(&cloud)["location"], "eastus");
    // It stays while something is in it.
    fleet.write(&text(&cloud, "b"));
    assert_eq!(cloud.planned(&fleet), ["delete network.a/net", "create network.b/net"]);
    cloud.applied(&fleet);
    // Somebody has put something else into it: it is not deleted with that.
    let other = format!(
        "{}/providers/Microsoft.Network/networkSecurityGroups/other",
        Cloud::group()
    );
    cloud.az("PUT", &other, "2024-05-01", &json!({ "location": "eastus" }));
    let ended = cloud.run(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.contains("1 objects are in it: other"), "{}", ended.err);
    cloud.az("DELETE", &other, "2024-05-01", &json!({}));
    std::thread::sleep(std::time::Duration::from_millis(200));
    cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(group(&cloud), json!(null));
}

#[test]
fn a_group_that_is_there_is_used_and_left() {
    let cloud = Cloud::empty(Options::default());
    let body = json!({ "location": "westeurope", "tags": { "owner": "somebody" } });
    cloud.az("PUT", &Cloud::group(), "2022-09-01", &body);
    let before = group(&cloud);
    let fleet = Fleet::new(&text(&cloud, "a"));
    cloud.applied(&fleet);
    assert_eq!(group(&cloud), before);
    let ended = cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert!(ended.out.contains("1 deleted, 1 forgotten"), "{}", ended.out);
    assert_eq!(group(&cloud), before);
}
