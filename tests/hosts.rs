//! Machines that exist, each with an agent that is reached over ssh, as nodes. The `ssh` of these tests leads to agents of this
//! machine: whoever is logged in there runs the far end of a login, as on another machine.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::Fleet;

#[path = "support/mod.rs"]
mod support;

/// Machines with agents, and an `ssh` that leads to them.
struct Benches {
    folder: tempfile::TempDir,
    agents: Vec<Child>,
}

/// Leads to the machine whose folder is called as its destination.
const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done
at=$2; shift 2
[ -d "$BENCHES/$at" ] || { echo "ssh: connect to host $at port 22: Connection refused" >&2; exit 255; }
[ "$*" = "simfleet agent dial" ] || { echo "sh: $1: not found" >&2; exit 127; }
echo "Welcome to $at"
exec "$SIMFLEET" agent dial --data "$BENCHES/$at"
"#;

impl Benches {
    fn start(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut benches = Benches {
            agents: Vec::new(),
            folder,
        };
        let ssh = benches.at("bin/ssh");
        std::fs::create_dir(benches.at("bin")).expect("a folder");
        std::fs::write(&ssh, SSH).expect("a file");
        std::fs::set_permissions(&ssh, PermissionsExt::from_mode(0o755)).expect("it is ours");
        for name in names {
            std::fs::create_dir(benches.at(name)).expect("a folder");
            benches.serve(name);
        }
        benches
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the agent of a machine, and waits until it listens.
    fn serve(&mut self, name: &str) {
        let folder = self.at(name);
        let _ = std::fs::remove_file(folder.join("agent.json"));
        let agent = Command::new(env!("CARGO_BIN_EXE_simfleet"))
            .args(["agent", "--listen", "127.0.0.1:0", "--data"])
            .arg(&folder)
            .stderr(Stdio::null())
            .spawn();
        self.agents.push(agent.expect("it runs"));
        let end = Instant::now() + Duration::from_secs(30);
        while !listens(&folder) {
            assert!(Instant::now() < end, "{name} never listens");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns a fleet whose runs find this `ssh`.
    fn fleet(&self, text: &str) -> Fleet {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.at("bin").display());
        let folder = self.folder.path().to_string_lossy();
        let variables = [
            ("PATH", &*path),
            ("BENCHES", &*folder),
            ("SIMFLEET", env!("CARGO_BIN_EXE_simfleet")),
        ];
        Fleet::new(text).with_environment(variables)
    }

    /// Returns the names of what an agent runs, by what it keeps.
    fn runs(&self, name: &str) -> Vec<String> {
        let kept = std::fs::read_dir(self.at(name).join("simulators"))
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = kept
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Benches {
    /// An agent whose folder is deleted ends, and what it runs with it.
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.folder.path());
        for agent in &mut self.agents {
            let _ = agent.wait();
        }
    }
}

fn listens(folder: &Path) -> bool {
    let record = std::fs::read_to_string(folder.join("agent.json")).unwrap_or_default();
    record.contains("listens") && folder.join("token").exists()
}

fn text(placement: &str) -> String {
    format!(
        r#"
node "one" {{
  runtime        = "agent+ssh://ann@bench-1"
  max_simulators = 3
  port_range "mavlink" {{
    protocol = "udp"
    from     = 24560
    to       = 24570
  }}
  health_check {{
    type     = "agent"
    interval = "1s"
  }}
}}
node "two" {{ runtime = "agent+ssh://ann@bench-2" }}
simulator "vehicle" "quad" {{
  placement = node.one
  port "gcs" {{ range = "mavlink" }}
}}
simulator "exec" "job" {{
  count     = 2
  placement = {placement}
  command   = ["sh", "-c", "echo begun; exec sleep 1000"]
  ready {{ pattern = "begun" }}
}}
"#
    )
}

#[test]
fn simulators_run_on_machines_that_exist() {
    let mut benches = Benches::start(&["ann@bench-1", "ann@bench-2"]);
    let fleet = benches.fleet(&text("node.one"));
    fleet.applied();
    let jobs = ["simulator.exec.job%5B0%5D", "simulator.exec.job%5B1%5D"];
    assert_eq!(
        benches.runs("ann@bench-1"),
        [&jobs[..], &["simulator.vehicle.quad"]].concat()
    );
    assert_eq!(benches.runs("ann@bench-2"), Vec::<String>::new());

    let status: Value = serde_json::from_str(&fleet.ok(&["status", "-o", "json"]).out).expect("JSON");
    let node = &status["nodes"][0];
    assert_eq!(
        (&node["address"], &node["endpoint"]),
        (&"node.one".into(), &"bench-1".into())
    );
    assert!(node["cpu"].is_number(), "its agent is asked: {node}");
    let mut simulators = status["simulators"].as_array().expect("a list").iter();
    let quad = simulators
        .find(|it| it["address"] == "simulator.vehicle.quad")
        .expect("it is told");
    assert_eq!(quad["endpoints"]["gcs"], "udp://bench-1:24560");
    let said = fleet.ok(&["simulator logs", "simulator.exec.job[1]"]).out;
    assert_eq!(said.trim(), "begun");

    // What moves is stopped here and started there.
    fleet.write(&text("node.two"));
    let moves = [0, 1].map(|it| format!("replace simulator.exec.job[{it}]"));
    assert_eq!(fleet.planned(), moves);
    fleet.applied();
    assert_eq!(benches.runs("ann@bench-1"), ["simulator.vehicle.quad"]);
    assert_eq!(benches.runs("ann@bench-2"), jobs);

    // A machine that is off is told, and nothing is made elsewhere for it.
    let (there, away) = (benches.at("ann@bench-2"), benches.at("off"));
    std::fs::rename(&there, &away).expect("it is ours");
    assert_eq!(fleet.planned(), Vec::<String>::new());
    let status = fleet.run(&["status"]);
    assert!(
        status.out.contains("Connection refused"),
        "{}{}",
        status.out,
        status.err
    );
    std::fs::rename(&away, &there).expect("it is ours");
    assert_eq!(fleet.planned(), Vec::<String>::new());

    // One that lost all that it kept is another one, and what it ran is not looked for any more.
    let mut second = benches.agents.pop().expect("it runs");
    second.kill().expect("it is ours");
    second.wait().expect("it ends");
    std::fs::rename(&there, &away).expect("it is ours");
    benches.serve("off");
    std::fs::create_dir(&there).expect("a folder");
    benches.serve("ann@bench-2");
    let planned = fleet.planned();
    assert!(planned.iter().any(|change| change == "create node.two"), "{planned:?}");
    fleet.applied();
    assert_eq!(benches.runs("ann@bench-2"), jobs);

    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(benches.runs("ann@bench-1"), Vec::<String>::new());
    let status: Value = serde_json::from_str(&fleet.ok(&["status", "-o", "json"]).out).expect("JSON");
    assert_eq!(status["nodes"], Value::Array(Vec::new()));
    assert!(
        benches.agents[0].try_wait().expect("it is ours").is_none(),
        "a machine that exists is left alone"
    );
}
