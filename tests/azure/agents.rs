//! Machines with an agent: cloud-init installs it, and processes run under it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::cloud::{Cloud, IMAGE};
use crate::real::Real;
use crate::support::Fleet;

/// Where the machines reach this one.
const GATEWAY: &str = "169.254.171.1";

/// Serves the program of simfleet to whoever asks. Returns where, and its SHA-256.
fn served() -> (String, String) {
    let program = std::fs::read(env!("CARGO_BIN_EXE_simfleet")).expect("it is built");
    let sha256 = hex::encode(Sha256::digest(&program));
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                program.len()
            );
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&program));
        }
    });
    (format!("http://{GATEWAY}:{port}/simfleet"), sha256)
}

/// Returns a node with a vehicle and a program on it; `bootstrap` is what the node is told.
fn text(cloud: &Cloud, bootstrap: &str) -> String {
    let provider = cloud.provider();
    format!(
        r#"{provider}
variable "ssh_public_key" {{ type = string }}
network "sim" {{
  provider = azure
  cidr     = "10.0.0.0/16"
  subnet "benches" {{ cidr = "10.0.1.0/24" }}
}}
node "bench" {{
  provider       = azure
  size           = "Standard_B2ms"
  image          = "{IMAGE}"
  subnet         = network.sim.subnet.benches.id
  max_simulators = 4
  ssh {{ public_key = var.ssh_public_key }}
  port_range "mavlink" {{
    protocol = "udp"
    from     = 14560
    to       = 14570
  }}
  bootstrap {{
    {bootstrap}
  }}
  health_check {{
    type         = "agent"
    interval     = "1s"
    start_period = "2m"
  }}
}}
simulator "vehicle" "quad" {{
  count     = 2
  placement = node.bench
  instance  = count.index
  port "gcs" {{ range = "mavlink" }}
}}
simulator "exec" "count" {{
  placement   = node.bench
  command     = ["sh", "-c", "echo begun in $PWD at $SIMFLEET_ADDRESS; exec sleep 1000"]
  ready {{ pattern = "begun" }}
}}
output "mavlink_endpoints" {{
  value = {{ for s in simulator.vehicle.quad : s.name => "${{s.node.public_ip}}:${{s.ports.gcs}}" }}
}}
"#
    )
}

/// Returns the file with what cloud-init of the only machine is told.
fn told() -> PathBuf {
    let prefix = format!("azure-emulator-{}-", std::process::id());
    let all = std::fs::read_dir(std::env::temp_dir()).expect("it is there").flatten();
    let mut emulators = all.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let folder = emulators.next().expect("it has a folder").path();
    let mut machines = std::fs::read_dir(folder).expect("it is there").flatten();
    machines.next().expect("a machine runs").path().join("custom-data")
}

/// Demands that cloud-init itself takes it.
fn is_cloud_config(file: &Path) {
    let checked = Command::new("cloud-init")
        .args(["schema", "--config-file"])
        .arg(file)
        .output();
    let checked = checked.expect("cloud-init is installed");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(
        checked.status.success() && said.contains("Valid"),
        "{said}{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

/// Returns the processes of a verb that run as the program which cloud-init has installed.
fn processes(verb: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").expect("it is there").flatten();
    let of_a_machine = all.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let program = std::fs::read_link(entry.path().join("exe")).ok()?;
        let words = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let is_it = program.as_os_str() == "/usr/local/bin/simfleet" && words.split('\0').nth(1) == Some(verb);
        is_it.then_some(pid)
    });
    let mut found: Vec<u32> = of_a_machine.collect();
    found.sort_unstable();
    found
}

#[test]
#[ignore = "needs root and cloud-init"]
fn what_runs_under_an_agent_of_a_machine_lives_and_goes() {
    let (url, sha256) = served();
    let real = Real::bare();
    let cloud = &real.cloud;
    cloud.az(
        "PUT",
        &Cloud::group(),
        "2022-09-01",
        &serde_json::json!({ "location": "eastus" }),
    );
    let fleet = Fleet::new(&text(
        cloud,
        &format!("agent_url = \"{url}\"\n agent_sha256 = \"{sha256}\""),
    ));
    cloud.applied(&fleet);
    is_cloud_config(&told());
    real.all_fly(&fleet, 2);
    let status = cloud.ok(&fleet, &["status"]).out;
    assert!(status.contains("1 of 1 nodes and 3 of 3 simulators run."), "{status}");
    let status = cloud.ok(&fleet, &["status", "-o", "json"]).out;
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    let node = &status["nodes"][0];
    assert!(
        node["endpoint"].as_str().is_some_and(|at| at.starts_with("198.19.")),
        "{node}"
    );
    assert!(
        node["memory"].as_f64().is_some_and(|percent| percent > 0.0),
        "its agent tells: {node}"
    );
    let said = cloud.ok(&fleet, &["simulator logs", "simulator.exec.count"]).out;
    assert!(
        said.contains("begun in /var/lib/simfleet") && said.contains("at 0.0.0.0"),
        "{said}"
    );

    // What dies is started anew by the agent there; what somebody stops is seen, and put back.
    cloud.ok(&fleet, &["simulator stop", "simulator.exec.count"]);
    let status = cloud.ok(&fleet, &["status"]).out;
    assert!(status.contains("1 simulator is held."), "{status}");
    cloud.ok(&fleet, &["simulator start", "simulator.exec.count"]);

    // An agent that is killed is started anew, and takes over what it ran.
    let before = processes("vehicle");
    assert_eq!(before.len(), 2, "{before:?}");
    for agent in processes("agent") {
        let killed = Command::new("kill").args(["-KILL", &agent.to_string()]).status();
        assert!(killed.expect("kill runs").success());
    }
    real.all_fly(&fleet, 2);
    cloud.applied(&fleet);
    assert_eq!(processes("vehicle"), before, "they fly on");

    let ended = cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(cloud.names(), Vec::<String>::new(), "{}", ended.out);
}
