//! Networks, nodes and pools: from nothing to nothing.

use serde_json::json;
use simfleet_azure_emulator::{Fault, FaultEffect};

use crate::cloud::{Cloud, IMAGE, KEY};
use crate::support::Fleet;

/// Too long with what simfleet adds.
const LONG: &str = "\"a-name-that-goes-on-and-on-until-it-does-not-fit-into-azure\"";

fn text(cloud: &Cloud, members: u64, size: &str, sources: &str) -> String {
    let provider = cloud.provider();
    format!(
        r#"{provider}
network "sim" {{
  provider = azure
  cidr     = "10.0.0.0/16"
  subnet "agents" {{ cidr = "10.0.1.0/24" }}
  subnet "control" {{ cidr = "10.0.2.0/24" }}
  rule "ssh" {{
    ports   = ["22"]
    sources = {sources}
  }}
  rule "mavlink" {{
    protocol = "udp"
    ports    = ["14560-14570"]
    sources  = ["10.0.1.0/24", "10.0.2.0/24"]
  }}
}}
node "control" {{
  provider = azure
  size     = "{size}"
  image    = "{IMAGE}"
  subnet   = network.sim.subnet.control.id
  disk     = {{ size = "64GiB", type = "Premium_LRS" }}
  tags     = {{ role = "control" }}
  ssh {{ public_key = "{KEY}\n" }}
  bootstrap {{
    docker  = true
    prepull = ["busybox:1"]
  }}
}}
pool "agents" {{
  provider = azure
  zones    = ["1", "2"]
  node {{
    size   = "Standard_B2ms"
    image  = "{IMAGE}"
    subnet = network.sim.subnet.agents.id
    ssh {{
      user       = "ann"
      public_key = "{KEY}"
    }}
  }}
  autoscale {{
    min = {members}
    max = 10
  }}
}}
output "control" {{ value = node.control.public_ip }}
output "engine" {{ value = node.control.runtime }}
output "agents" {{ value = [for m in pool.agents.members : m.private_ip] }}
"#
    )
}

#[test]
fn a_fleet_is_made_changed_and_deleted() {
    let cloud = Cloud::start();
    let fleet = Fleet::new(&text(&cloud, 2, "Standard_B2ms", "[]"));
    insta::assert_snapshot!("first_plan", cloud.planned(&fleet).join("\n"));
    cloud.applied(&fleet);
    insta::assert_snapshot!("objects", cloud.names().join("\n"));
    let outputs = cloud.ok(&fleet, &["output", "--json"]).out;
    let outputs: serde_json::Value = serde_json::from_str(&outputs).expect("JSON");
    let outputs = outputs.to_string();
    assert!(outputs.contains("ssh://azureuser@"), "{outputs}");
    assert!(outputs.contains("10.0.1."), "{outputs}");

    // A rule gets sources, a machine another size, the pool a member.
    fleet.write(&text(&cloud, 3, "Standard_B4ms", "[\"192.0.2.0/24\"]"));
    insta::assert_snapshot!("edited_plan", cloud.planned(&fleet).join("\n"));
    cloud.applied(&fleet);

    // Everything goes, each object after those that need it.
    let destroyed = cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(cloud.names(), Vec::<String>::new(), "{}", destroyed.out);
}

#[test]
fn what_somebody_else_changed_is_drift_and_is_put_right() {
    let cloud = Cloud::start();
    let fleet = Fleet::new(&text(&cloud, 1, "Standard_B2ms", "[]"));
    cloud.applied(&fleet);
    let machine = cloud
        .ids("control-")
        .into_iter()
        .find(|id| id.contains("virtualMachines"))
        .expect("a machine");
    let mut tags = cloud.az("GET", &machine, "2024-07-01", &json!({}))["tags"].take();
    tags["role"] = json!("other");
    cloud.az("PATCH", &machine, "2024-07-01", &json!({ "tags": tags }));
    assert_eq!(cloud.planned(&fleet), ["update node.control"]);
    cloud.applied(&fleet);
    // A machine that somebody deleted is made anew, with the interface that is left.
    cloud.az("DELETE", &machine, "2024-07-01", &json!({}));
    assert_eq!(cloud.planned(&fleet), ["create node.control"]);
    cloud.applied(&fleet);
    cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(cloud.names(), Vec::<String>::new());
}

/// One call in five meets something, and each run goes on where the last one stopped.
#[test]
fn a_fleet_is_made_in_foul_weather() {
    let cloud = Cloud::start();
    let fleet = Fleet::new(&text(&cloud, 2, "Standard_B2ms", "[]"));
    for (effect, chance) in [
        (FaultEffect::LoseReply, 0.07),
        (FaultEffect::LoseRequest, 0.05),
        (FaultEffect::Throttle { retry_after: Some(0) }, 0.05),
        (
            FaultEffect::Status {
                status: 500,
                code: None,
                message: None,
            },
            0.05,
        ),
    ] {
        let mut fault = Fault::new(effect).chance(chance);
        fault.path = Some("/subscriptions/".to_owned());
        cloud.control().fault(fault);
    }
    let mut runs = Vec::new();
    while runs.len() < 5 && runs.last() != Some(&Some(0)) {
        runs.push(cloud.run(&fleet, &["apply", "--auto-approve"]).code);
    }
    assert_eq!(runs.last(), Some(&Some(0)), "{runs:?}");
    cloud.control().clear_faults();
    assert_eq!(cloud.planned(&fleet), Vec::<String>::new());
    insta::assert_snapshot!("objects", cloud.names().join("\n"));
    cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(cloud.names(), Vec::<String>::new());
}

#[test]
fn what_a_node_lacks_is_said_with_its_place() {
    let cloud = Cloud::start();
    let mut report = String::new();
    let provider = cloud.provider();
    let sound = format!(
        "node \"a\" {{\n  provider = azure\n  size = \"Standard_B2ms\"\n  image = \"{IMAGE}\"\n  subnet = \"/subscriptions/s/x\"\n  \
         ssh {{ public_key = \"{KEY}\" }}\n}}\n"
    );
    for (from, to) in [
        ("  size = \"Standard_B2ms\"\n", ""),
        ("ssh {", "bootstrap { agent = true }\n  ssh {"),
        (
            "ssh {",
            "bootstrap { agent_url = \"https://x.example/simfleet\" }\n  ssh {",
        ),
        (
            "ssh {",
            "bootstrap {\n    agent_url = \"https://x.example/simfleet\"\n    agent_sha256 = \"12\"\n  }\n  ssh {",
        ),
        (
            "ssh {",
            "bootstrap {\n    agent_url = \"simfleet\"\n    agent_sha256 = \"12\"\n  }\n  ssh {",
        ),
        (
            "ssh {",
            "bootstrap {\n    packages = [\"htop\"]\n    user_data = \"#!/bin/sh\"\n  }\n  ssh {",
        ),
        ("ssh {", "health_check { type = \"agent\" }\n  ssh {"),
        (IMAGE, "ubuntu"),
        ("ssh-ed25519 ", "ssh-dss "),
        ("  size = ", "  cpus = 2\n  publish = [\"80:80\"]\n  size = "),
        ("provider = azure", "provider = local"),
        ("\"a\"", LONG),
    ] {
        assert!(sound.contains(from), "{from}");
        let fleet = Fleet::new(&format!(
            "provider \"local\" {{}}\n{}{}",
            sound.replacen(from, to, 1),
            provider
        ));
        let ended = cloud.run(&fleet, &["plan"]);
        assert_eq!(ended.code, Some(1), "{to}: {}", ended.out);
        report.push_str(&format!("## {to}\n{}\n", ended.err.replace(KEY, "KEY")));
    }
    // What runs there needs an agent, or an engine.
    for bootstrap in ["", "bootstrap { docker = true }\n  "] {
        let simulator = "simulator \"exec\" \"s\" {\n  placement = node.a\n  command = [\"true\"]\n}\n";
        let text = sound.replacen("ssh {", &format!("max_simulators = 1\n  {bootstrap}ssh {{"), 1);
        let fleet = Fleet::new(&format!("{text}{simulator}{provider}"));
        let ended = cloud.run(&fleet, &["plan"]);
        assert_eq!(ended.code, Some(1), "{bootstrap}: {}", ended.out);
        report.push_str(&format!(
            "## a program, {bootstrap}\n{}\n",
            ended.err.replace(KEY, "KEY")
        ));
    }
    insta::assert_snapshot!("mistakes", report);
}
