//! Machines in Azure with agents, for tests that need no rights which others lack: a program that stands for `ssh` leads to an
//! agent of this machine.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use simfleet_azure_emulator::Options;
use simfleet_provider_agent::durable;
use simfleet_provider_agent::identity::{ProcessIdentity, marked_with};
use simfleet_provider_agent::layout::{AgentRecord, Claim, DataFolder};
use simfleet_provider_agent::shim::COOKIE;

use crate::cloud::Cloud;
use crate::support::Fleet;

const SIMFLEET: &str = env!("CARGO_BIN_EXE_simfleet");

/// A cloud of which every machine has an agent, and an `ssh` that leads there.
pub struct Lab {
    pub cloud: Cloud,
    folder: tempfile::TempDir,
}

impl Lab {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display();
        // A machine: its agent is started anew whenever it ends. It is found by its address.
        let machine = format!(
            "folder=$1; ln -sfn \"$folder\" {at}/$(cat \"$folder/public-ip\"); mkdir -p \"$folder/agent\"\n\
             echo \"$folder\" >>{at}/machines\n\
             while :; do {SIMFLEET} agent --listen 127.0.0.1:0 --data \"$folder/agent\"; sleep 0.3; done"
        );
        let (_, second, third) = (127, 100 + std::process::id() / 256 % 100, std::process::id() % 256);
        let part = |number: u32| u8::try_from(number).expect("it is small");
        let mut cloud = Cloud::empty(Options {
            machine_command: Some(["sh", "-c", &machine, "machine"].map(str::to_owned).into()),
            public_addresses: (Ipv4Addr::new(127, part(second), part(third), 0), 24),
            ..Options::default()
        });
        cloud.az("PUT", &Cloud::group(), "2022-09-01", &json!({ "location": "eastus" }));
        std::fs::create_dir(folder.path().join("bin")).expect("a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        cloud
            .environment
            .push(("PATH", format!("{}:{path}", folder.path().join("bin").display())));
        let lab = Lab { cloud, folder };
        lab.ssh("exec $dial");
        lab
    }

    /// Has `ssh` do something; `$dial` is what leads to the agent of the machine, `$n` the number of the login.
    pub fn ssh(&self, does: &str) {
        let at = self.folder.path().display();
        let script = format!(
            "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nhost=${{2#*@}}; shift 2\n\
             [ \"$*\" = 'simfleet agent dial' ] || {{ echo \"unexpected: $*\" >&2; exit 255; }}\n\
             echo $$ >>{at}/logins; n=$(wc -l <{at}/logins)\n\
             dial=\"{SIMFLEET} agent dial --data {at}/$host/agent\"\n{does}\n"
        );
        // A script that is being run is not written to.
        let (new, ssh) = (self.folder.path().join("bin/new"), self.folder.path().join("bin/ssh"));
        std::fs::write(&new, script).expect("a file");
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).expect("it is ours");
        std::fs::rename(new, ssh).expect("it is ours");
    }

    pub fn lines(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Returns the folders of the agents that were there.
    pub fn agents(&self) -> Vec<PathBuf> {
        self.lines("machines")
            .iter()
            .map(|it| Path::new(it).join("agent"))
            .collect()
    }

    /// Returns how many simulators run on the only machine: each is a process and its shim.
    pub fn running(&self) -> usize {
        self.agents().last().map_or(0, |agent| processes(agent).len()) / 2
    }

    /// Kills the agents.
    pub fn kill_agents(&self) {
        for agent in self.agents() {
            let record = durable::read_json::<AgentRecord>(&DataFolder::new(agent).agent());
            if let Ok(Some(record)) = record {
                let _ = record.identity.signal(rustix::process::Signal::KILL);
            }
        }
    }

    /// Returns the names of what the agent of the only machine has, sorted.
    pub fn there(&self) -> Vec<String> {
        let agents = self.agents();
        let names = std::fs::read_dir(DataFolder::new(agents.last().expect("a machine")).simulators());
        let names = names.into_iter().flatten().flatten();
        let mut names: Vec<String> = names.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Returns the logins that have not ended.
    pub fn logged_in(&self) -> Vec<u32> {
        let pids = self.lines("logins");
        let pids = pids.iter().filter_map(|it| it.trim().parse().ok());
        pids.filter(|pid| ProcessIdentity::of(*pid).is_some()).collect()
    }

    pub fn applied(&self, fleet: &Fleet) {
        self.cloud.applied(fleet);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let left: Vec<ProcessIdentity> = self.agents().iter().flat_map(|it| processes(it)).collect();
        // The machines go with the cloud, and what has left their process groups does not.
        self.kill_agents();
        for process in left {
            let _ = process.signal(rustix::process::Signal::KILL);
        }
    }
}

/// Returns the processes of an agent's simulators.
fn processes(agent: &Path) -> Vec<ProcessIdentity> {
    let claim = durable::read_json::<Claim>(&DataFolder::new(agent).claim());
    let claim = claim.ok().flatten();
    claim.map_or_else(Vec::new, |it| marked_with(COOKIE, &format!("{}:", it.node)))
}
