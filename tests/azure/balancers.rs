//! Load balancers of Azure before the members of pools.

use serde_json::{Value, json};
use simfleet_azure_emulator::{Fault, FaultEffect};

use crate::cloud::{Cloud, IMAGE, KEY};
use crate::support::Fleet;

const NETWORK: &str = "2024-05-01";

pub fn text(cloud: &Cloud, members: u64, size: &str, balancer: &str) -> String {
    let provider = cloud.provider();
    format!(
        r#"{provider}
network "sim" {{
  provider = azure
  cidr     = "10.0.0.0/16"
  subnet "all" {{ cidr = "10.0.0.0/20" }}
}}
pool "web" {{
  provider = azure
  node {{
    size   = "{size}"
    image  = "{IMAGE}"
    subnet = network.sim.subnet.all.id
    tags   = {{ role = "web" }}
    ssh {{ public_key = "{KEY}" }}
  }}
  autoscale {{
    min = {members}
    max = {members}
  }}
  {balancer}
}}
output "at" {{ value = pool.web.public_ip }}
"#
    )
}

pub const PLAIN: &str = r#"load_balancer "azure" { port = 80 }"#;
pub const CHECKED: &str = r#"load_balancer "azure" {
    port      = 80
    algorithm = "source_ip"
    health_check {
      http                = "http://{private_ip}:8080/health"
      interval            = "10s"
      unhealthy_threshold = 2
    }
  }"#;

/// Returns what begins so, as Azure shows it.
fn seen(cloud: &Cloud, collection: &str, name: &str) -> Value {
    let ids = cloud.ids(name);
    let id = ids.iter().find(|id| id.contains(collection)).expect("it is there");
    cloud.az("GET", id, NETWORK, &json!({}))
}

/// Returns the members whose interfaces are in the pool of the load balancer.
pub fn behind(cloud: &Cloud) -> Vec<String> {
    let mut members = Vec::new();
    for id in cloud
        .ids("web-m")
        .iter()
        .filter(|id| id.contains("/networkInterfaces/"))
    {
        let nic = cloud.az("GET", id, NETWORK, &json!({}));
        let pools = &nic["properties"]["ipConfigurations"][0]["properties"]["loadBalancerBackendAddressPools"];
        if pools.as_array().is_some_and(|pools| !pools.is_empty()) {
            let name = id.rsplit('/').next().expect("a name");
            members.push(name.split('-').nth(1).expect("a member").to_owned());
        }
    }
    members.sort();
    members
}

#[test]
fn members_are_behind_a_load_balancer_from_when_they_are_there_until_they_go() {
    let cloud = Cloud::start();
    let fleet = Fleet::new(&text(&cloud, 2, "Standard_B2ms", PLAIN));
    insta::assert_snapshot!("first_plan", cloud.planned(&fleet).join("\n"));
    cloud.applied(&fleet);
    assert_eq!(behind(&cloud), ["m1", "m2"]);
    let ip = seen(&cloud, "/publicIPAddresses/", "web-azure-ip")["properties"]["ipAddress"].take();
    assert_eq!(
        cloud.ok(&fleet, &["output", "at", "--raw"]).out.trim(),
        ip.as_str().expect("a text")
    );
    let document: Value = serde_json::from_str(&cloud.ok(&fleet, &["plan", "--json"]).out).expect("JSON");
    assert_eq!(
        document["drift"],
        json!([]),
        "what joined is no drift of the interfaces"
    );

    // Azure asks for what the check says, and sends what a client does to one member.
    fleet.write(&text(&cloud, 2, "Standard_B2ms", CHECKED));
    assert_eq!(cloud.planned(&fleet), ["update pool.web/azure"]);
    cloud.applied(&fleet);
    let properties = seen(&cloud, "/loadBalancers/", "web-azure")["properties"].take();
    let (probe, rule) = (
        &properties["probes"][0]["properties"],
        &properties["loadBalancingRules"][0]["properties"],
    );
    assert_eq!(
        (
            &probe["protocol"],
            &probe["port"],
            &probe["requestPath"],
            &probe["intervalInSeconds"]
        ),
        (&json!("Http"), &json!(8080), &json!("/health"), &json!(10))
    );
    assert_eq!(
        (&rule["frontendPort"], &rule["loadDistribution"]),
        (&json!(80), &json!("SourceIP"))
    );
    assert_eq!(behind(&cloud), ["m1", "m2"], "the members are still there");

    // Who comes enters, who goes leaves first.
    fleet.write(&text(&cloud, 3, "Standard_B2ms", CHECKED));
    assert_eq!(
        cloud.planned(&fleet),
        [
            "create pool.web/azure/m3",
            "create pool.web/m3",
            "create pool.web/m3/ip",
            "create pool.web/m3/nic"
        ]
    );
    cloud.applied(&fleet);
    assert_eq!(behind(&cloud), ["m1", "m2", "m3"]);
    let before = cloud.control().log().len();
    fleet.write(&text(&cloud, 1, "Standard_B2ms", CHECKED));
    cloud.applied(&fleet);
    assert_eq!(behind(&cloud), ["m1"]);
    let log = cloud.control().log();
    let place = |method: &str, what: &str| {
        let mut calls = log.iter().skip(before);
        calls
            .position(|call| call.method == method && call.path.to_lowercase().contains(what))
            .expect("it was called")
    };
    let (left, gone) = (
        place("PUT", "/networkinterfaces/web-m3"),
        place("DELETE", "/virtualmachines/web-m3"),
    );
    assert!(left < gone, "{left} {gone}");

    // One that somebody took out is put back in.
    let mut nic = seen(&cloud, "/networkInterfaces/", "web-m1");
    nic["properties"]["ipConfigurations"][0]["properties"]["loadBalancerBackendAddressPools"] = json!([]);
    let id = nic["id"].as_str().expect("an id").to_owned();
    cloud.az("PUT", &id, NETWORK, &nic);
    assert_eq!(behind(&cloud), Vec::<String>::new());
    assert_eq!(cloud.planned(&fleet), ["create pool.web/azure/m1"]);
    cloud.applied(&fleet);
    assert_eq!(behind(&cloud), ["m1"]);

    cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(cloud.names(), Vec::<String>::new());
}

/// A machine that is made anew takes no part meanwhile: it leaves with the old one, and enters with the new.
#[test]
fn a_machine_that_is_made_anew_leaves_and_enters() {
    let cloud = Cloud::start();
    let fleet = Fleet::new(&text(&cloud, 2, "Standard_B2ms", PLAIN));
    cloud.applied(&fleet);
    let before = cloud.control().log().len();
    cloud.ok(&fleet, &["apply", "--auto-approve", "--replace", "pool.web/m1"]);
    assert_eq!(behind(&cloud), ["m1", "m2"]);
    let log = cloud.control().log();
    let calls = log
        .iter()
        .skip(before)
        .filter(|call| ["PUT", "DELETE"].contains(&&*call.method));
    let calls: Vec<String> = calls
        .filter_map(|call| {
            let path = call.path.to_lowercase();
            let kind = ["networkinterfaces", "virtualmachines"]
                .into_iter()
                .find(|kind| path.contains(&format!("/{kind}/web-m1")))?;
            Some(format!("{} {kind}", call.method))
        })
        .collect();
    assert_eq!(
        calls,
        [
            "PUT networkinterfaces",
            "DELETE virtualmachines",
            "PUT virtualmachines",
            "PUT networkinterfaces"
        ]
    );
    assert_eq!(cloud.planned(&fleet), Vec::<String>::new());
    // Without the block the members stay, and nothing is before them.
    fleet.write(&text(&cloud, 2, "Standard_B2ms", ""));
    cloud.applied(&fleet);
    assert_eq!((behind(&cloud), cloud.ids("web-azure")), (Vec::new(), Vec::new()));
}

#[test]
fn a_load_balancer_is_made_in_foul_weather() {
    let cloud = Cloud::start();
    let fleet = Fleet::new(&text(&cloud, 3, "Standard_B2ms", CHECKED));
    for (effect, chance) in [
        (FaultEffect::LoseReply, 0.1),
        (FaultEffect::LoseRequest, 0.05),
        (FaultEffect::Throttle { retry_after: Some(0) }, 0.05),
    ] {
        let mut fault = Fault::new(effect).chance(chance);
        fault.path = Some("/subscriptions/".to_owned());
        cloud.control().fault(fault);
    }
    let mut runs = Vec::new();
    while runs.len() < 6 && runs.last() != Some(&Some(0)) {
        runs.push(cloud.run(&fleet, &["apply", "--auto-approve"]).code);
    }
    assert_eq!(runs.last(), Some(&Some(0)), "{runs:?}");
    cloud.control().clear_faults();
    assert_eq!(cloud.planned(&fleet), Vec::<String>::new());
    assert_eq!(behind(&cloud), ["m1", "m2", "m3"]);
    cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(cloud.names(), Vec::<String>::new());
}

#[test]
fn what_is_no_probe_is_said_with_its_place() {
    let cloud = Cloud::start();
    let sound = text(&cloud, 1, "Standard_B2ms", CHECKED);
    let mut report = String::new();
    for (from, to) in [
        ("http://{private_ip}:8080/health", "http://example.com/health"),
        ("interval            = \"10s\"", "interval            = \"2s\""),
        (
            "http                = \"http://{private_ip}:8080/health\"",
            "type = \"command\"\n      command = [\"true\"]",
        ),
        ("algorithm = \"source_ip\"", "algorithm = \"ip_hash\""),
    ] {
        assert!(sound.contains(from), "{from}");
        let ended = cloud.run(&Fleet::new(&sound.replacen(from, to, 1)), &["plan"]);
        assert_eq!(ended.code, Some(1), "{to}: {}", ended.out);
        report.push_str(&format!("## {to}\n{}\n", ended.err));
    }
    let local = "provider \"local\" {}\npool \"web\" {\n  provider = local\n  node {}\n  autoscale {\n    min = 1\n    max = 1\n  }\n  \
                 load_balancer \"azure\" { port = 80 }\n}\n";
    let ended = cloud.run(&Fleet::new(local), &["plan"]);
    report.push_str(&format!("## provider = local\n{}\n", ended.err));
    insta::assert_snapshot!("no_probe", report);
}
