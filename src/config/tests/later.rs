//! What this version checks and does not act on: every word of it is known, and a plan refuses it.

use super::{load_text, snapshot};
use crate::diagnostic::Diagnostics;
use crate::view::{Theme, diagnostics};

/// A block of each kind, with some of what may stand in it, and references between them.
const ALL: &str = r#"
simfleet {
  backend "postgres" { url = env("STATE_URL") }
}
provider "azure" {
  subscription_id = "s"
  resource_group  = "g"
  region          = "eastus"
  retry           = { on = [429, 503], base = "2s" }
}
provider "oci" {
  alias  = "home"
  region = "eu-frankfurt-1"
}
provider "docker" { host = "ssh://ann@lab" }
provider "virtualbox" {}

network "lab" {
  provider = docker
  cidr     = "10.0.0.0/16"
  subnet "a" { cidr = "10.0.1.0/24" }
  rule "web" { ports = ["80", "8000-8100"] }
}
service "broker" {
  image    = "eclipse-mosquitto:2.0"
  networks = [network.lab.id]
  publish  = ["1883:1883"]
  volume "data" { target = "/data" }
  file "config" {
    target  = "/mosquitto.conf"
    content = "listener 1883"
  }
  health_check {
    command = ["true"]
    retries = 5
  }
}
program "blinky" { path = "examples/firmware/blinky.elf" }
peripheral "lamp" {
  backend = "renode"
  repl    = "lamp.repl"
}
mqtt_broker "floor" {
  urls       = ["mqtts://a:8883", "mqtts://b:8883"]
  username   = "fleet"
  password   = env("BROKER_PASSWORD")
  depends_on = [service.broker]
}
robot "arm-1" {
  broker  = mqtt_broker.floor
  profile = "vda5050"
  topic "state" { kind = "state" }
  command {
    request = "{robot_id}/do"
    allow   = ["stop"]
  }
  emergency_stop { topic = "{robot_id}/stop" }
  twin { simulator = simulator.px4.iris[0] }
}
metrics "prom" {
  type = "prometheus"
  url  = "http://localhost:9090"
}
telemetry "influx" {
  type   = "influxdb2"
  url    = "http://localhost:8086"
  token  = env("INFLUX_TOKEN")
  bucket = "robots"
}
webhook "ops" {
  url    = "https://example.net/"
  events = ["alert.*"]
}
alert "low" {
  on        = robot.arm-1
  metric    = "battery"
  direction = "below"
  warning   = 30
  critical  = 10
  notify    = [webhook.ops]
}
report "weekly" {
  every  = "cron(0 8 * * 1)"
  format = ["json"]
  path   = "reports/{date}"
}
pool "cloud" {
  provider = azure
  node {
    size   = "Standard_B4ms"
    subnet = network.lab.subnet.a.id
    spot   = { max_price = 0.1 }
    ssh { user = "ann" }
    bootstrap { docker = true }
    deploy { compose = "compose.yml" }
    forward "ssh" {
      host  = 2200 + member.number
      guest = 22
    }
  }
  autoscale {
    min = 1
    max = 3
    check "load" {
      source = metrics.prom
      query  = "load of {member}"
      strategy "target" { target = 1 }
    }
  }
  warm { state = "stopped" }
  load_balancer "azure" { port = 80 }
}
simulator "px4" "iris" {
  count     = 2
  placement = pool.cloud
  image     = "px4io/px4-sitl:v1.17.0"
  instance  = count.index
  home      = { latitude = 1, longitude = 2 }
}
simulator "container" "any" {
  placement    = "local"
  image        = "busybox:1.36"
  max_lifetime = "8h"
}
simulator "qemu" "arm" {
  placement = "local"
  binary    = "qemu-system-arm"
  machine   = "virt"
  memory    = "16MiB"
  program   = program.blinky
  console "uart0" {}
}
simulator "renode" "stm" {
  placement   = "local"
  platform    = "board.repl"
  peripherals = [peripheral.lamp]
  coverage {
    format = ["lcov", "html"]
    path   = "coverage"
  }
}
test "boots" {
  simulator = simulator.qemu.arm
  expect {
    console = "uart0"
    matches = "READY"
  }
}
access {
  token "ops" {
    role   = "operator"
    secret = env("OPS_TOKEN")
  }
}
serve { listen = ":8000" }
limits { max_simulators = 10 }
log "file" { path = "watch.log" }
node_agent "hub" {
  hub     = "https://hub.example.net"
  api_key = env("HUB_KEY")
}
"#;

fn environment() -> crate::config::Inputs {
    let mut inputs = super::inputs();
    for name in ["STATE_URL", "BROKER_PASSWORD", "INFLUX_TOKEN", "OPS_TOKEN", "HUB_KEY"] {
        inputs
            .environment
            .insert(name.to_owned(), "hunter2-hunter2-hunter2".to_owned());
    }
    inputs
}

#[test]
fn every_block_of_the_language_is_checked_and_what_a_plan_refuses_is_known() {
    let (config, warnings) = match super::load_texts(&[("fleet.hcl", ALL)], &environment()) {
        Ok(loaded) => loaded,
        Err(found) => panic!("{}", diagnostics::render(&found, Theme::Plain)),
    };
    assert_eq!(warnings, Diagnostics::new());
    snapshot!(diagnostics::render(&config.unavailable, Theme::Plain));
}

/// What is there already is acted on: a fleet without the new words has nothing that a plan refuses.
#[test]
fn a_fleet_of_this_version_has_nothing_that_is_refused() {
    let (config, _) = load_text(super::QUICKSTART).expect("it is valid");
    assert_eq!(config.unavailable, Diagnostics::new());
}

/// One text of it is replaced by another.
#[test]
fn mistakes_in_what_is_only_checked() {
    let mut report = String::new();
    for (from, to) in [
        ("  cidr     = \"10.0.0.0/16\"", "  cidr     = \"10.0.0.0\""),
        ("ports = [\"80\", \"8000-8100\"]", "ports = [\"80\", \"8100-8000\"]"),
        ("ports = [", "port = ["),
        ("publish  = [\"1883:1883\"]", "publish  = [\"1883:\"]"),
        ("  image    = \"eclipse-mosquitto:2.0\"\n", ""),
        ("retries = 5", "retries = 5\n    unhealthy_threshold = 4"),
        ("    command = [\"true\"]\n    retries", "    retries"),
        ("  repl    = \"lamp.repl\"\n", ""),
        ("urls       = [\"mqtts://a:8883\"", "urls       = [\"http://a:8883\""),
        ("  username   =", "  url        = \"mqtt://a\"\n  username   ="),
        ("profile = \"vda5050\"", "profile = \"vda5051\""),
        ("broker  = mqtt_broker.floor", "broker  = service.broker"),
        ("broker  = mqtt_broker.floor", "broker  = \"floor\""),
        ("kind = \"state\"", "kind = 1"),
        ("  url  = \"http://localhost:9090\"\n", ""),
        ("events = [\"alert.*\"]", "events = [\"alert\", \"a b\"]"),
        (
            "events = [\"alert.*\"]",
            "events = [\"pool.scaled_dwn\", \"webhook.failed\", \"fire\"]",
        ),
        ("  direction = \"below\"\n", ""),
        ("critical  = 10", "critical  = 40"),
        ("notify    = [webhook.ops]", "notify    = [webhook.ops, service.broker]"),
        ("cron(0 8 * * 1)", "cron(0 8 * *)"),
        ("format = [\"json\"]", "format = [\"jsn\"]"),
        ("source = metrics.prom", "source = webhook.ops"),
        ("load_balancer \"azure\" {", "load_balancer \"azur\" {"),
        ("state = \"stopped\"", "state = \"stoped\""),
        ("machine   = \"virt\"", "machine   = \"virt\"\n  cpus      = 2"),
        ("memory    = \"16MiB\"", "memory    = 16"),
        ("role   = \"operator\"", "role   = \"user\""),
        ("listen = \":8000\"", "listen = \"8000\""),
        ("on = [429, 503]", "on = [429, 5030]"),
        (
            "provider \"virtualbox\" {}",
            "provider \"virtualbox\" { binry = \"x\" }",
        ),
        ("robot.arm-1", "robot[\"**\"]"),
        ("simulator.qemu.arm\n", "simulator.qemu\n"),
    ] {
        assert!(ALL.contains(from), "there is no {from:?}");
        match super::load_texts(&[("fleet.hcl", &ALL.replacen(from, to, 1))], &environment()) {
            Err(found) => report.push_str(&format!("{}\n", diagnostics::render(&found, Theme::Plain))),
            Ok(_) => panic!("{to:?} is no mistake"),
        }
    }
    snapshot!(report);
}
