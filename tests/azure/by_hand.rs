//! What somebody does by hand with azure-cli is seen by the plan, and healed by an apply.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use simfleet_azure_emulator::{CLIENT, CLIENT_SECRET, Options, Pace, TENANT, Tls};

use crate::cloud::{CREDENTIALS, Cloud};
use crate::machines::Machines;
use crate::support::Fleet;

/// The client of Microsoft, logged in to a cloud.
struct Cli {
    folder: tempfile::TempDir,
}

impl Cli {
    fn login(folder: tempfile::TempDir, endpoint: &str) -> Self {
        let cli = Cli { folder };
        cli.az("config set core.instance_discovery=false core.collect_telemetry=false");
        cli.az(&format!(
            "cloud register --name emulated --endpoint-resource-manager {endpoint}"
        ));
        cli.az("cloud set --name emulated");
        cli.az(&format!(
            "login --service-principal --username {CLIENT} --password {CLIENT_SECRET} --tenant {TENANT}"
        ));
        cli
    }

    /// Runs a command; returns what it prints.
    #[track_caller]
    fn az(&self, line: &str) -> Value {
        let python = std::env::var_os("SIMFLEET_TEST_AZURE_PYTHON");
        let python = python.expect("scripts/test names a Python with azure-cli");
        let ran = Command::new(python)
            .args(["-m", "azure.cli"])
            .args(line.split(' '))
            .args(["--only-show-errors", "--output", "json"])
            .env("AZURE_CONFIG_DIR", self.folder.path())
            .env("REQUESTS_CA_BUNDLE", certificate(self.folder.path()))
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .expect("it runs");
        assert!(
            ran.status.success(),
            "az {line}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        serde_json::from_slice(&ran.stdout).unwrap_or_default()
    }
}

fn certificate(folder: &Path) -> std::path::PathBuf {
    folder.join("ca.pem")
}

#[test]
#[ignore = "needs azure-cli; scripts/test installs it"]
fn what_azure_cli_changes_is_drift_and_is_put_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let cloud = Cloud::with(Options {
        tls: Some(Tls::SelfMade {
            ca_file: certificate(folder.path()),
        }),
        pace: Pace {
            // Without one, azure-cli waits for 30 s between two looks at an operation.
            retry_after: Some(1),
            ..Pace::default()
        },
        ..Options::default()
    });
    let machines = Machines { nodes: 1, members: 1 };
    let fleet = Fleet::new(&machines.text(&cloud)).with_environment(CREDENTIALS);
    fleet.applied();
    let whole = cloud.names();
    let cli = Cli::login(folder, &cloud.secure_url());
    let name = |start: &str, collection: &str| {
        let ids = cloud.ids(start);
        let id = ids.iter().find(|id| id.contains(collection)).expect("it is there");
        id.rsplit('/').next().unwrap_or_default().to_owned()
    };

    // A tag of a machine, and one of a network.
    let machine = name("single-0-", "/virtualMachines/");
    let seen = cli.az(&format!("vm update -g fleet -n {machine} --set tags.owner=somebody"));
    assert_eq!(seen["tags"]["owner"], "somebody");
    assert_eq!(fleet.planned(), ["update node.single[0]"]);
    fleet.applied();
    let seen = cli.az(&format!("vm show -g fleet -n {machine}"));
    assert!(
        seen["tags"]["owner"].is_null() && seen["tags"]["simfleet-name"].is_string(),
        "{seen}"
    );

    // A rule is opened to the world, and one is added.
    let rules = name("sim-rules-", "/networkSecurityGroups/");
    cli.az(&format!(
        "network nsg rule update -g fleet --nsg-name {rules} -n ssh --source-address-prefixes *"
    ));
    cli.az(&format!(
        "network nsg rule create -g fleet --nsg-name {rules} -n door --priority 200 --access Allow --protocol Tcp \
         --destination-port-ranges 23"
    ));
    let plan = fleet.ok(&["plan"]).out;
    assert!(plan.contains("192.0.2.0/24") && plan.contains("door"), "{plan}");
    assert_eq!(fleet.planned(), ["update network.sim/rules"]);
    fleet.applied();
    let left = cli.az(&format!("network nsg rule list -g fleet --nsg-name {rules}"));
    let left: Vec<_> = left
        .as_array()
        .into_iter()
        .flatten()
        .map(|rule| &rule["name"])
        .collect();
    assert_eq!(left, ["ssh"]);

    // A machine is deleted, and a member of the pool is.
    let member = name("agents-m1-", "/virtualMachines/");
    cli.az(&format!("vm delete -g fleet -n {machine} --yes"));
    cli.az(&format!("vm delete -g fleet -n {member} --yes"));
    assert_eq!(fleet.planned(), ["create node.single[0]", "create pool.agents/m1"]);
    fleet.applied();
    assert_eq!(cloud.names(), whole);
    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(cli.az("resource list -g fleet"), serde_json::json!([]));
}
