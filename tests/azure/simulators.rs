//! Simulators on machines in Azure: the fleet of the examples, with machines that are stood in for by networks, logins and Docker
//! engines of this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use simfleet_azure_emulator::{Options, SUBSCRIPTION};
use simfleet_provider_agent::real_time_factor;

use crate::cloud::Cloud;
use crate::support::Fleet;
use crate::support::engine::{docker, image_of_vehicles};
use crate::watcher::Watcher;

/// A cloud whose machines run, and the `ssh` of somebody who can log in to them.
struct Real {
    cloud: Cloud,
    image: String,
    _folder: tempfile::TempDir,
}

impl Real {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let image = format!("simfleet-test/px4:{}", std::process::id());
        image_of_vehicles(&image);
        let key = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", &at("key")])
            .status();
        assert!(key.expect("ssh-keygen runs").success());
        std::fs::create_dir(at("bin")).expect("a folder");
        let ssh = format!(
            "#!/bin/sh\nexec /usr/bin/ssh -i {} -o UserKnownHostsFile={} \"$@\"\n",
            at("key"),
            at("known")
        );
        std::fs::write(at("bin/ssh"), ssh).expect("a file");
        std::fs::set_permissions(at("bin/ssh"), PermissionsExt::from_mode(0o755)).expect("it is ours");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/azure/machine.sh");
        let machine = [
            "env",
            &format!("SIMFLEET_TEST_IMAGE={image}"),
            "PREPULLED=px4io/px4-sitl:v1.17.0",
            "sh",
            &script.display().to_string(),
        ];
        // A network for tests of devices, of which each test has a part.
        let part = u8::try_from(std::process::id() % 250).expect("it is small");
        let mut cloud = Cloud::empty(Options {
            machine_command: Some(machine.map(str::to_owned).into()),
            public_addresses: (Ipv4Addr::new(198, 19, part, 0), 24),
            ..Options::default()
        });
        let path = std::env::var("PATH").unwrap_or_default();
        let public_key = std::fs::read_to_string(at("key.pub")).expect("a key");
        cloud.environment.extend([
            ("PATH", format!("{}:{path}", at("bin"))),
            ("SIMFLEET_VAR_ssh_public_key", public_key),
            ("AZURE_SUBSCRIPTION_ID", SUBSCRIPTION.to_owned()),
            ("SIMFLEET_OPS_TOKEN", "o".repeat(40)),
            ("SIMFLEET_VIEW_TOKEN", "v".repeat(40)),
        ]);
        Real {
            cloud,
            image,
            _folder: folder,
        }
    }

    /// Returns the fleet of the examples, at this cloud.
    fn fleet(&self) -> String {
        let example = include_str!("../../examples/px4_azure.hcl");
        let region = "region          = \"eastus\"\n";
        assert!(example.contains(region));
        example.replacen(
            region,
            &format!("{region}  endpoint        = \"{}\"\n", self.cloud.url()),
            1,
        )
    }

    /// Returns where each vehicle is reached, by the output of the example.
    fn endpoints(&self, fleet: &Fleet) -> Vec<(String, SocketAddr)> {
        let output = self.cloud.ok(fleet, &["output", "mavlink_endpoints", "--json"]).out;
        let output: serde_json::Value = serde_json::from_str(&output).expect("JSON");
        let output = output.get("value").unwrap_or(&output);
        let each = output.as_object().expect("an object").iter();
        each.map(|(name, at)| {
            let at = at.as_str().expect("a text").parse();
            (name.clone(), at.expect("an address and a port"))
        })
        .collect()
    }

    /// Demands that time passes for every vehicle.
    #[track_caller]
    fn all_fly(&self, fleet: &Fleet, count: usize) {
        let endpoints = self.endpoints(fleet);
        assert_eq!(endpoints.len(), count, "{endpoints:?}");
        for (name, at) in endpoints {
            let factor = self.cloud.wait(real_time_factor(at, Duration::from_secs(5)));
            let factor = factor.unwrap_or_else(|problem| panic!("{name} at {at}: {problem}"));
            assert!(factor > 0.1, "{name}: {factor}");
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            docker(&["rmi", "-f", &self.image]);
        }
    }
}

/// Waits for something, each turn of which takes its time.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < end, "never so: {what}");
    }
}

#[test]
#[ignore = "needs a Docker engine, and root"]
fn the_fleet_of_px4_lives_and_goes() {
    let real = Real::start();
    let cloud = &real.cloud;
    let fleet = Fleet::new(&real.fleet());
    let said = cloud.ok(&fleet, &["validate"]).out;
    assert!(
        said.contains("The fleet is valid.") && !said.contains("not available"),
        "{said}"
    );
    assert_eq!(cloud.planned(&fleet).len(), 15);
    cloud.applied(&fleet);
    let status = cloud.ok(&fleet, &["status"]).out;
    assert!(status.contains("2 of 2 nodes and 4 of 4 simulators run."), "{status}");
    real.all_fly(&fleet, 4);

    // What is edited: one member more, sources for a rule, and a vehicle.
    let text = real.fleet();
    let edited = text
        .replacen("default = 2", "default = 3", 1)
        .replacen("default = []", "default = [\"192.0.2.0/24\"]", 1)
        .replacen("count        = 4", "count        = 5", 1);
    fleet.write(&edited);
    assert_eq!(
        cloud.planned(&fleet),
        [
            "update network.sim/rules",
            "create pool.agents/m3",
            "create pool.agents/m3/ip",
            "create pool.agents/m3/nic",
            "create simulator.px4.iris[4]",
        ]
    );
    cloud.applied(&fleet);
    real.all_fly(&fleet, 5);

    // A machine that somebody deletes is made anew, with what was on it.
    let machine = cloud
        .ids("agents-m1-")
        .into_iter()
        .find(|id| id.contains("virtualMachines"));
    cloud.az("DELETE", &machine.expect("a machine"), "2024-07-01", &json!({}));
    let planned = cloud.planned(&fleet);
    assert!(planned.contains(&"create pool.agents/m1".to_owned()), "{planned:?}");
    cloud.applied(&fleet);
    real.all_fly(&fleet, 5);

    // The time of the vehicles is over: an apply stops them, and a watch those that were started by hand.
    fleet.write(&edited.replacen("max_lifetime = \"8h\"", "max_lifetime = \"1s\"", 1));
    cloud.applied(&fleet);
    let none_runs = || cloud.ok(&fleet, &["status"]).out.contains("0 of 5 simulators run.");
    assert!(none_runs());
    fleet.write(&edited.replacen("max_lifetime = \"8h\"", "max_lifetime = \"10s\"", 1));
    cloud.ok(&fleet, &["apply", "--auto-approve"]);
    cloud.ok(&fleet, &["simulator start", "simulator.px4.iris"]);
    let environment: Vec<(&str, &str)> = cloud.environment.iter().map(|(name, text)| (*name, &**text)).collect();
    let mut watcher = Watcher::start_in(&fleet, &[], &environment);
    until("a watch has stopped them", || {
        watcher.wait_for_type("ran");
        none_runs()
    });
    let ended = watcher.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);

    // They run again with more of it.
    fleet.write(&edited);
    cloud.applied(&fleet);
    real.all_fly(&fleet, 5);

    let ended = cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(cloud.names(), Vec::<String>::new(), "{}", ended.out);
}
