//! Machines whose check says that they are not what they are there for.

use std::net::Ipv4Addr;

use simfleet_azure_emulator::Options;

use crate::cloud::{Cloud, IMAGE, KEY};
use crate::support::Fleet;

fn text(cloud: &Cloud, check: &str, ssh: &str) -> String {
    let provider = cloud.provider();
    format!(
        r#"{provider}
network "sim" {{
  provider = azure
  cidr     = "10.0.0.0/16"
  subnet "agents" {{ cidr = "10.0.1.0/24" }}
}}
node "one" {{
  provider = azure
  size     = "Standard_B2ms"
  image    = "{IMAGE}"
  subnet   = network.sim.subnet.agents.id
  ssh {{
    public_key = "{KEY}"
    {ssh}
  }}
  health_check {{
    {check}
    interval            = "1s"
    timeout             = "1s"
    unhealthy_threshold = 1
    start_period        = "1s"
  }}
}}
output "runtime" {{ value = node.one.runtime }}
"#
    )
}

/// Nobody answers at the addresses of these machines.
#[test]
fn a_machine_that_does_not_become_healthy_is_told_with_what_was_seen_last() {
    let cloud = Cloud::empty(Options {
        public_addresses: (Ipv4Addr::new(127, 77, 0, 0), 16),
        ..Options::default()
    });
    let fleet = Fleet::new(&text(&cloud, "type = \"docker\"", "port = 2222"));
    let ended = cloud.run(&fleet, &["apply", "--auto-approve"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    let said = [
        "it is not healthy after 2 s: its Docker engine does not answer: 127.77.",
        "port 2222: Connection refused",
    ];
    for said in said {
        assert!(ended.err.contains(said), "{}", ended.err);
    }
    let checks = [
        ("type = \"ssh\"", "Connection refused"),
        ("type = \"tcp\"\n    port = 22", "127.77."),
        ("http = \"http://{public_ip}:8000/\"", ":8000: "),
    ];
    for (check, said) in checks {
        fleet.write(&text(&cloud, check, "port = 2222"));
        let plan = cloud.ok(&fleet, &["plan"]);
        let all = format!("{}{}", plan.out, plan.err);
        cloud.ok(&fleet, &["apply", "--auto-approve"]);
        let plan = cloud.ok(&fleet, &["plan"]);
        let told = format!("{}{}", plan.out, plan.err);
        assert!(
            told.contains("Not healthy") && told.contains(said),
            "{check}: {told}\n{all}"
        );
    }
    // What the cloud says is enough for this one.
    fleet.write(&text(&cloud, "type = \"cloud\"", "port = 2222"));
    cloud.applied(&fleet);
    let plan = cloud.ok(&fleet, &["plan"]);
    assert!(!plan.err.contains("Not healthy"), "{}", plan.err);
    let runtime = cloud.ok(&fleet, &["output", "runtime", "--json"]).out;
    assert!(
        runtime.contains("ssh://azureuser@127.77.") && runtime.contains(":2222"),
        "{runtime}"
    );
    cloud.ok(&fleet, &["destroy", "--auto-approve"]);
}

#[test]
fn what_is_wrong_with_a_login_or_a_check_is_said_with_its_place() {
    let cloud = Cloud::start();
    let mut report = String::new();
    for (check, ssh) in [
        ("type = \"mavlink_heartbeat\"", ""),
        ("type = \"agent\"", ""),
        ("type = \"docker\"", "key = env(\"AZURE_CLIENT_SECRET\")"),
        ("type = \"docker\"", "host = network.sim.id"),
    ] {
        let fleet = Fleet::new(&text(&cloud, check, ssh));
        let ended = cloud.run(&fleet, &["plan"]);
        assert_eq!(ended.code, Some(1), "{check} {ssh}: {}", ended.out);
        report.push_str(&format!("## {check} {ssh}\n{}\n", ended.err));
    }
    insta::assert_snapshot!("mistakes", report);
}
