//! What is sent, held against the models of Microsoft's clients for Python: they are made of the API descriptions.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use simfleet_azure_emulator::Entry;
use simfleet_provider_api::conformance;

use crate::conformance::AzureHarness;

/// Returns the writes of the provider in a log, one in a line, with whether it is the first to its path.
fn lines(log: &[Entry]) -> String {
    let mut seen = BTreeSet::new();
    let mut lines = String::new();
    let writes = log
        .iter()
        .filter(|call| ["PUT", "PATCH"].contains(&call.method.as_str()));
    for call in writes.filter(|call| call.user_agent.starts_with("simfleet/")) {
        let is_first = seen.insert(call.path.to_lowercase());
        let line = json!({ "method": call.method, "path": call.path, "is_first": is_first, "body": call.body });
        lines.push_str(&format!("{line}\n"));
    }
    lines
}

/// Returns what is said of bodies.
fn held_against_microsofts_models(lines: &str) -> String {
    let python = std::env::var_os("SIMFLEET_TEST_AZURE_PYTHON");
    let python = python.expect("scripts/test names a Python with Azure's clients");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), lines).expect("it can be written");
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/bodies.py");
    let ran = Command::new(python).arg(program).arg(file.path()).output();
    let ran = ran.expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[tokio::test]
#[ignore = "needs azure-mgmt-compute, -network and -resource; scripts/test installs them"]
async fn all_bodies_are_as_the_api_describes_them() {
    let mut all = String::new();
    // Those that make and change objects of all kinds.
    for case in ["create_then_read", "update_in_place"] {
        let harness = Arc::new(AzureHarness::fair().await);
        let control = harness.rig.control();
        conformance::run(case, harness).await.expect(case);
        all.push_str(&lines(&control.log()));
    }
    let said = held_against_microsofts_models(&all);
    let (problems, count) = said.trim_end().rsplit_once('\n').unwrap_or(("", said.trim_end()));
    assert_eq!(problems, "", "{count}");
    // Groups, networks, subnets, rules, addresses, interfaces, load balancers, scale sets, machines.
    assert!(count.ends_with("bodies of 9 kinds"), "{count}");

    // What is wrong is found.
    let wrong = json!({
        "location": 1, "zones": "1", "properties": { "hardwareProfile": { "size": "B" }, "vmId": "x" },
    });
    let path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/x";
    let wrong = json!({ "method": "PUT", "path": path, "is_first": true, "body": wrong });
    let rule = json!({ "properties": { "securityRules": [{ "properties": { "access": "Perhaps" } }] } });
    let path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/x";
    let rule = json!({ "method": "PUT", "path": path, "is_first": true, "body": rule });
    let said = held_against_microsofts_models(&format!("{wrong}\n{rule}\n"));
    for expected in [
        "PUT virtualmachines.location: must be str, but is 1",
        "PUT virtualmachines.zones: must be a list, but is '1'",
        "PUT virtualmachines.properties.hardwareProfile.size: HardwareProfile has no such member",
        "PUT virtualmachines.properties.vmId: only Azure sets it",
        "securityRules[0].properties.access: 'Perhaps' is none of Allow, Deny",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
