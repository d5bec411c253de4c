//! A cloud whose machines run: they are stood in for by networks, logins and, where they are told to install them, Docker engines
//! and agents of this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use simfleet_azure_emulator::{Options, SUBSCRIPTION};
use simfleet_provider_agent::real_time_factor;

use crate::cloud::Cloud;
use crate::support::Fleet;
use crate::support::engine::{docker, image_of_vehicles};

/// A cloud whose machines run, and the `ssh` of somebody who can log in to them.
pub struct Real {
    pub cloud: Cloud,
    /// What the engines of the machines are given.
    image: Option<String>,
    _folder: tempfile::TempDir,
}

impl Real {
    /// Starts one whose machines have engines, with an image for vehicles.
    pub fn with_engines() -> Self {
        let image = format!("simfleet-test/px4:{}", std::process::id());
        image_of_vehicles(&image);
        Self::start(Some(image))
    }

    /// Starts one whose machines have no engines.
    pub fn bare() -> Self {
        Self::start(None)
    }

    fn start(image: Option<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
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
            &format!("SIMFLEET_TEST_IMAGE={}", image.as_deref().unwrap_or_default()),
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
    pub fn all_fly(&self, fleet: &Fleet, count: usize) {
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
        if let Some(image) = self.image.as_deref().filter(|_| !std::thread::panicking()) {
            docker(&["rmi", "-f", image]);
        }
    }
}
