//! The same as against the emulator, in Azure itself. It costs a few cents, and leaves nothing.
//!
//! ```sh
//! export AZURE_SUBSCRIPTION_ID=… AZURE_TENANT_ID=… AZURE_CLIENT_ID=… AZURE_CLIENT_SECRET=…   # or log in with `az login`
//! SIMFLEET_TEST_AZURE_GROUP=simfleet-test SIMFLEET_TEST_AZURE_REGION=eastus cargo nextest run --all-features --test azure --run-ignored only -E 'test(live::)'
//! ```
//!
//! `SIMFLEET_TEST_AZURE_GROUP` names a resource group that is there; the identity has to be its Contributor.

use crate::machines::{Machines, SIZE};
use crate::support::Fleet;

/// A fleet in a resource group, which goes whatever happens.
struct Group {
    name: String,
    fleet: Fleet,
}

impl Drop for Group {
    fn drop(&mut self) {
        let destroyed = self.fleet.run(&["destroy", "--auto-approve"]);
        if destroyed.code != Some(0) {
            // The group is not ours to delete.
            eprintln!(
                "look what is left in resource group {}: {}\n{}",
                self.name, destroyed.err, destroyed.out
            );
        }
    }
}

fn variable(name: &str, otherwise: Option<&str>) -> String {
    let found = std::env::var(name).ok().or_else(|| otherwise.map(str::to_owned));
    found.unwrap_or_else(|| panic!("{name} is needed; see tests/azure/live.rs"))
}

#[test]
#[ignore = "needs an account of Azure, and costs money; never run by scripts/test"]
fn a_fleet_is_made_changed_and_deleted_in_azure() {
    let subscription = variable("AZURE_SUBSCRIPTION_ID", None);
    let group = variable("SIMFLEET_TEST_AZURE_GROUP", None);
    let region = variable("SIMFLEET_TEST_AZURE_REGION", Some("eastus"));
    let size = variable("SIMFLEET_TEST_AZURE_SIZE", Some(SIZE));
    let provider = format!(
        "provider \"azure\" {{\n  subscription_id = \"{subscription}\"\n  resource_group  = \"{group}\"\n  region          = \"{region}\"\n}}\n"
    );
    let text = |members| {
        let machines = Machines { nodes: 1, members };
        machines.text_for(&provider).replace(SIZE, &size)
    };
    let live = Group {
        fleet: Fleet::new(&text(1)),
        name: group,
    };
    live.fleet.applied();
    // Another member, and a rule that lets nobody in.
    live.fleet.write(&text(2).replace("192.0.2.0/24", "198.51.100.0/24"));
    live.fleet.applied();
    live.fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(live.fleet.ok(&["state list"]).out, "", "nothing is left");
}
