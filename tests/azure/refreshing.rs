//! How often Azure is asked: by lists, and not for each object.

use serde_json::json;
use simfleet_azure_emulator::{Entry, Options, Pace};

use crate::cloud::Cloud;
use crate::machines::Machines;
use crate::support::Fleet;

/// As many objects as a page of a list has in this cloud.
const PAGE: usize = 20;

/// Returns the calls to Resource Manager so far, and forgets them.
fn calls(cloud: &Cloud) -> Vec<Entry> {
    let mut calls = cloud.control().log();
    cloud.control().clear_log();
    calls.retain(|call| call.path.starts_with("/subscriptions/"));
    calls
}

#[test]
fn a_refresh_takes_a_list_for_each_kind_and_no_look_at_a_machine() {
    let half = match std::env::var_os("SIMFLEET_TEST_LONG") {
        Some(_) => 200,
        None => 40,
    };
    let cloud = Cloud::with(Options {
        page: PAGE,
        pace: Pace {
            retry_after: Some(0),
            ..Pace::default()
        },
        ..Options::default()
    });
    let machines = Machines {
        nodes: half,
        members: half,
    };
    // All calls are to the emulator, which has no limit of its own.
    let text = machines.text(&cloud).replacen(
        "resource_group",
        "rate_limit = { per_second = 10000, burst = 10000 }\n  resource_group",
        1,
    );
    let fleet = Fleet::new(&text);
    cloud.ok(&fleet, &["apply", "--auto-approve", "--parallelism", "32"]);
    assert_eq!(cloud.names().len(), machines.objects());

    let pages = (2 * half).div_ceil(PAGE);
    // Machines, interfaces and addresses by lists; of resource group, network, subnet, security group and scale set there is
    // one each.
    let most = 3 * pages + 5;
    for arguments in [
        &["apply", "--refresh-only", "--auto-approve"][..],
        &["plan", "--detailed-exitcode"],
        &["apply", "--auto-approve"],
    ] {
        calls(&cloud);
        cloud.ok(&fleet, arguments);
        let calls = calls(&cloud);
        assert_eq!(calls.len(), most, "{arguments:?}: {calls:#?}");
        assert!(calls.iter().all(|call| call.method == "GET"), "{arguments:?}");
    }

    // What a list shows otherwise is looked at, and nothing beside it.
    let changed = cloud.ids("single-7-");
    let machine = changed
        .iter()
        .find(|id| id.contains("/virtualMachines/"))
        .expect("it is there");
    let mut tags = cloud.az("GET", machine, "2024-07-01", &json!({}))["tags"].take();
    tags["owner"] = json!("somebody");
    cloud.az("PATCH", machine, "2024-07-01", &json!({ "tags": tags }));
    calls(&cloud);
    assert_eq!(cloud.planned(&fleet), ["update node.single[7]"]);
    let looks = calls(&cloud);
    assert_eq!(looks.len(), most + 1, "{looks:#?}");
}
