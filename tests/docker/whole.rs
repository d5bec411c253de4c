//! A fleet of a network, a volume, three services and twenty simulators, from its first plan to its end.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::engine::{IMAGE, WAITS, container, docker, image_of_vehicles, lineage, objects, provider};
use crate::support::{Ended, Fleet};

fn fleet() -> String {
    provider()
        + &format!(
            r#"
network "lab" {{}}

service "store" {{
  image    = "{IMAGE}"
  command  = ["sh", "-c", "trap 'exit 0' TERM; sleep 1; touch /data/ready; sleep 86400 & wait"]
  networks = [network.lab.id]
  volume "data" {{ target = "/data" }}
  health_check {{
    command             = ["test", "-e", "/data/ready"]
    interval            = "1s"
    unhealthy_threshold = 30
  }}
}}
service "broker" {{
  image      = "{IMAGE}"
  # It ends at once where the store is not there yet, or cannot be found by its name.
  command    = ["sh", "-c", "nslookup store > /found && grep -q Address /found && mkdir -p /w && echo hello > /w/index.html && exec httpd -f -p 80 -h /w"]
  networks   = [network.lab.id]
  depends_on = [service.store]
  health_check {{
    command             = ["wget", "-qO-", "http://127.0.0.1/index.html"]
    interval            = "1s"
    unhealthy_threshold = 30
  }}
}}
service "page" {{
  image      = "{IMAGE}"
  command    = ["sh", "-c", "wget -qO- http://broker/index.html > /got && exec sleep 600"]
  networks   = [network.lab.id]
  depends_on = [service.broker]
  restart    = "no"
  stop_grace = "1s"
}}
simulator "container" "sim" {{
  count     = 20
  placement = "local"
  image     = "{IMAGE}"
  command   = {WAITS}
  env       = {{ NUMBER = count.index }}
  restart   = "unless-stopped"
  resources = {{ cpu = 0.1, memory = "32MiB" }}
}}
"#
        )
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_fleet_of_services_and_simulators_lives_and_goes() {
    let fleet = Fleet::new(&fleet());
    let first = fleet.planned();
    assert_eq!(first.len(), 25, "{first:?}");
    fleet.applied();
    let lineage = lineage(&fleet);
    let mut expected: Vec<String> = (0..20).map(|i| format!("simulator.container.sim[{i}]")).collect();
    expected.extend(
        [
            "network.lab",
            "service.broker",
            "service.page",
            "service.store",
            "service.store/data",
        ]
        .map(str::to_owned),
    );
    expected.sort();
    assert_eq!(objects(&lineage), expected);
    assert_eq!(
        docker(&["exec", &container(&lineage, "service.page"), "cat", "/got"]),
        "hello"
    );
    assert_eq!(
        docker(&[
            "exec",
            &container(&lineage, "simulator.container.sim[7]"),
            "sh",
            "-c",
            "echo $NUMBER"
        ]),
        "7"
    );

    // What somebody does by hand is seen, and mended.
    let id = |name: &str| container(&lineage, name);
    docker(&["kill", &id("service.broker")]);
    docker(&["stop", "-t", "1", &id("service.page")]);
    docker(&["rm", "-f", &id("simulator.container.sim[3]")]);
    docker(&["pause", &id("simulator.container.sim[4]")]);
    docker(&[
        "rename",
        &id("simulator.container.sim[5]"),
        &format!("renamed-{}", std::process::id()),
    ]);
    docker(&[
        "update",
        "--memory",
        "64m",
        "--memory-swap",
        "128m",
        &id("simulator.container.sim[6]"),
    ]);
    let network = docker(&[
        "network",
        "ls",
        "-q",
        "--filter",
        &format!("label=simfleet.lineage={lineage}"),
    ]);
    docker(&["network", "disconnect", &network, &id("service.store")]);
    let seen = fleet.planned();
    assert_eq!(
        seen,
        [
            "update service.broker",
            "update service.page",
            "update service.store",
            "create simulator.container.sim[3]",
            "update simulator.container.sim[4]",
            "update simulator.container.sim[5]",
            "update simulator.container.sim[6]",
        ]
    );
    fleet.applied();
    assert_eq!(objects(&lineage), expected);

    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(objects(&lineage), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine and pymavlink"]
fn pymavlink_flies_px4_in_containers() {
    let python = std::env::var_os("SIMFLEET_TEST_PYTHON").expect("scripts/test names a Python with pymavlink");
    let image = format!("simfleet-test/vehicle:{}", std::process::id());
    image_of_vehicles(&image);
    let fleet = Fleet::new(&format!(
        r#"{}
node "local" {{
  provider = local
  port_range "mavlink" {{
    from = 25600
    to   = 25610
  }}
}}
provider "local" {{}}
simulator "px4" "iris" {{
  count     = 3
  placement = "local"
  image     = "{image}"
  model     = "sihsim_quadx"
  instance  = count.index
  port "gcs" {{ range = "mavlink" }}
  health_check {{
    type     = "mavlink_heartbeat"
    interval = "1s"
  }}
}}
output "endpoints" {{ value = [for it in simulator.px4.iris : it.endpoints.gcs] }}
"#,
        provider()
    ));
    fleet.applied();
    let endpoints: serde_json::Value =
        serde_json::from_str(&fleet.ok(&["output", "endpoints", "--json"]).out).expect("JSON");
    let endpoints = endpoints
        .get("value")
        .unwrap_or(&endpoints)
        .as_array()
        .expect("a list")
        .clone();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulators/vehicle/tests/pymavlink_session.py");
    let sessions = endpoints.iter().enumerate().map(|(index, endpoint)| {
        let address = endpoint.as_str().expect("an endpoint").replace("udp://", "udpout:");
        let mut command = Command::new(&python);
        command.arg(&script).arg(address).arg((index + 1).to_string());
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Python starts")
    });
    for session in sessions.collect::<Vec<_>>() {
        let ended: Ended = session.wait_with_output().expect("it ends").into();
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    }
    let lineage = lineage(&fleet);
    docker(&["kill", &container(&lineage, "simulator.px4.iris[1]")]);
    assert_eq!(fleet.planned(), ["update simulator.px4.iris[1]"]);
    fleet.applied();
    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(objects(&lineage), Vec::<String>::new());
    docker(&["rmi", &image]);
}
