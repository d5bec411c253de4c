//! Networks, services and simulators in containers: what is told of them before there is an engine.

use crate::lab::Lab;

/// A network, services that need each other, and simulators on a node whose ports come from a range of it.
const FLEET: &str = r#"provider "docker" { host = "unix:///nowhere/docker.sock" }
provider "local" {}

network "lab" {
  cidr   = "10.20.0.0/24"
  labels = { team = "flight" }
}

service "store" {
  image    = "postgres:15"
  networks = [network.lab.id]
  env      = { POSTGRES_PASSWORD = var.key }
  volume "data" { target = "/var/lib/postgresql/data/" }
  health_check {
    command  = ["pg_isready", "-U", "postgres"]
    interval = "5s"
  }
}

service "broker" {
  image       = "eclipse-mosquitto:2.0"
  networks    = [network.lab.id]
  aliases     = ["mqtt"]
  publish     = ["1883:1883", "127.0.0.1:9001-9002:9001-9002", "53:5353/udp", "8883"]
  cap_add     = ["CAP_NET_ADMIN"]
  cap_drop    = ["all"]
  devices     = ["/dev/null"]
  ulimits     = { nofile = 1024 }
  tmpfs       = { "/run" = "size=16m" }
  stop_grace  = "5s"
  stop_signal = "SIGINT"
  log_driver  = "json-file"
  log_options = { max-size = "10m" }
  volume "conf" {
    target    = "/mosquitto/config"
    source    = "./mosquitto"
    read_only = true
  }
  file "acl" {
    target  = "/mosquitto/acl"
    content = "topic readwrite #\n"
  }
}

service "dashboard" {
  image      = "grafana/grafana:10.0.0"
  read_only  = true
  networks   = [network.lab.id]
  env        = { BROKER = "mqtt://${service.broker.name}:1883" }
  publish    = ["3000:3000"]
  depends_on = [service.store]
}

node "bench" {
  provider       = local
  max_simulators = 5
  port_range "mavlink" {
    from = 14560
    to   = 14570
  }
}

simulator "container" "rover" {
  count     = 3
  placement = node.bench
  image     = "example.org/rover:1.2"
  networks  = [network.lab.id]
  resources = { cpu = 0.5, memory = "256MiB" }
  port "gcs" {
    range     = "mavlink"
    container = 14550
  }
}

simulator "px4" "iris" {
  count     = 2
  placement = node.bench
  image     = "px4io/px4-sitl:v1.17.0"
  model     = "sihsim_quadx"
  instance  = count.index
  home      = { latitude = 47.397742, longitude = 8.545594, altitude_m = 488 }
  env       = { PX4_SIM_SPEED_FACTOR = 2 }
  port "gcs" { range = "mavlink" }
  health_check { type = "mavlink_heartbeat" }
}

variable "key" { sensitive = true }

output "ports" { value = { for iris in simulator.px4.iris : iris.name => iris.ports.gcs } }
output "gcs" { value = simulator.px4.iris[*].endpoints.gcs }
output "broker" { value = "mqtt://${service.broker.address}:1883" }
"#;

#[test]
fn a_first_plan_needs_no_engine() {
    let lab = Lab::new(FLEET);
    for (name, line) in [
        ("plan_of_containers", "plan"),
        ("graph_of_containers", "graph"),
        ("why_a_service", "why service.dashboard"),
        ("why_a_volume", "why service.store/data"),
    ] {
        insta::assert_snapshot!(name, lab.run(line).exits(0));
    }
    let plan = lab.run("plan --json").exits(0).json();
    let changes = plan["changes"].as_array().expect("changes");
    let of = |address: &str| {
        changes
            .iter()
            .find(|change| change["address"] == address)
            .expect("planned")
    };
    insta::assert_snapshot!("plan_of_a_px4_json", format!("{:#}", of("simulator.px4.iris[1]")));
    lab.run("fmt --check").exits(0);
}

#[test]
fn simulators_in_containers_need_no_agent_on_this_machine() {
    let lab = Lab::new(
        "simulator \"container\" \"a\" {\n  placement = \"local\"\n  image     = \"busybox:1\"\n  port \"web\" {\n    host     \
         = 8080\n    protocol = \"tcp\"\n  }\n}\noutput \"node\" { value = simulator.container.a.node.name }\noutput \"web\" { \
         value = simulator.container.a.ports.web }\n",
    );
    // The one engine there is, without a provider block.
    insta::assert_snapshot!("plan_of_a_container_on_local", lab.run("plan").exits(0));
}

/// Of the fleet of the TonyPi robots, what runs in containers: the rest is for versions to come.
#[test]
fn the_services_of_the_robots_can_be_planned() {
    let whole = include_str!("../../examples/tonypi.hcl");
    let (services, rest) = whole.split_once("telemetry \"influx\"").expect("services come first");
    let (_, rest) = rest.split_once("simulator \"px4\"").expect("a twin");
    let (twin, _) = rest.split_once("\n}").expect("its end");
    let lab = Lab::new(&format!("{services}simulator \"px4\"{twin}\n}}\n"));
    let secrets = "--var pg_password=hunter2 --var influx_token=hunter2";
    let plan = lab.run(&format!("plan {secrets}")).exits(0);
    assert!(!plan.stdout.contains("hunter2"), "{plan}");
    insta::assert_snapshot!("plan_of_tonypi", plan);
}

/// What a plan refuses, by name.
const REFUSED: [(&str, &str); 22] = [
    (
        "two_nodes_of_one_host",
        "node \"a\" { runtime = \"ssh://ann@lab\" }\nnode \"b\" { runtime = \"ssh://ann@lab\" }\n",
    ),
    (
        "members_of_one_host",
        "pool \"rack\" {\n  node { runtime = \"ssh://ann@rack\" }\n  autoscale {\n    min = 2\n    max = 3\n  }\n}\n",
    ),
    (
        "program_on_an_engine",
        "node \"lab\" { runtime = \"ssh://ann@lab\" }\nsimulator \"exec\" \"s\" {\n  placement = node.lab\n  command   = \
         [\"true\"]\n}\n",
    ),
    (
        "file_where_nothing_can_be_written",
        "provider \"docker\" {}\nservice \"s\" {\n  image     = \"x:1\"\n  read_only = true\n  file \"conf\" {\n    target  = \"/etc/x\"\n    \
         content = \"x\"\n  }\n  volume \"data\" { target = \"/data\" }\n  file \"data\" {\n    target  = \"/data/x\"\n    \
         content = \"x\"\n  }\n}\n",
    ),
    (
        "signal_that_is_none",
        "provider \"docker\" {}\nservice \"s\" {\n  image       = \"x:1\"\n  stop_signal = \"SIGTREM\"\n}\n",
    ),
    (
        "engine_of_another_provider",
        "provider \"local\" {}\nnode \"lab\" {\n  provider = local\n  runtime  = \"ssh://ann@lab\"\n}\n",
    ),
    (
        "engine_with_a_size",
        "node \"lab\" {\n  runtime = \"ssh://ann@lab\"\n  size    = \"large\"\n}\n",
    ),
    (
        "engine_that_is_none",
        "node \"lab\" { runtime = \"agent+https://lab:8443\" }\n",
    ),
    (
        "agent_of_another_provider",
        "provider \"local\" {}\nnode \"lab\" {\n  provider = local\n  runtime  = \"agent+ssh://ann@lab\"\n}\n",
    ),
    (
        "container_where_an_agent_is",
        "node \"lab\" {\n  runtime        = \"agent+ssh://ann@lab\"\n  max_simulators = 1\n}\nsimulator \"container\" \"s\" {\n  \
         placement = node.lab\n  image     = \"busybox:1\"\n}\n",
    ),
    (
        "machine_twice",
        "node \"a\" { runtime = \"agent+ssh://ann@lab\" }\nnode \"b\" { runtime = \"agent+ssh://ann@lab\" }\n",
    ),
    (
        "login_of_a_machine_that_exists",
        "node \"lab\" {\n  runtime = \"agent+ssh://ann@lab\"\n  ssh { key = \"~/.ssh/lab\" }\n}\n",
    ),
    (
        "agent_with_a_size",
        "node \"lab\" {\n  runtime = \"agent+ssh://ann@lab\"\n  size    = \"large\"\n}\n",
    ),
    (
        "aliases_without_networks",
        "provider \"docker\" {}\nservice \"web\" {\n  image   = \"nginx:1.27\"\n  aliases = [\"www\"]\n}\n",
    ),
    (
        "alias_that_dns_does_not_take",
        "provider \"docker\" {}\nnetwork \"lab\" {}\nservice \"web\" {\n  image    = \"nginx:1.27\"\n  networks = \
         [network.lab.id]\n  aliases  = [\"my web\"]\n}\n",
    ),
    (
        "subnet_of_docker",
        "provider \"docker\" {}\nnetwork \"lab\" {\n  subnet \"a\" { cidr = \"10.0.1.0/24\" }\n  rule \"web\" { ports = \
         [\"80\"] }\n}\n",
    ),
    (
        "service_without_provider",
        "service \"web\" { image = \"nginx:1.27\" }\n",
    ),
    (
        "service_of_an_alias",
        "provider \"docker\" {\n  alias = \"lab\"\n  host  = \"ssh://ann@lab\"\n}\nservice \"web\" { image = \"nginx:1.27\" }\n",
    ),
    (
        "simulator_of_several_engines",
        "provider \"docker\" {\n  alias = \"a\"\n}\nprovider \"docker\" {\n  alias = \"b\"\n}\nsimulator \"container\" \"s\" {\n  \
         placement = \"local\"\n  image     = \"busybox:1\"\n}\n",
    ),
    (
        "container_on_a_pool",
        "provider \"local\" {}\nprovider \"docker\" {}\npool \"p\" {\n  node {}\n  autoscale {\n    min = 1\n    max = 2\n  \
         }\n}\nsimulator \"container\" \"s\" {\n  placement = pool.p\n  image     = \"busybox:1\"\n}\n",
    ),
    (
        "service_of_a_provider_without_containers",
        "provider \"local\" {}\nservice \"web\" {\n  provider = local\n  image    = \"nginx:1.27\"\n}\n",
    ),
    (
        "service_made_first_with_ports",
        "provider \"docker\" {}\nservice \"web\" {\n  image   = \"nginx:1.27\"\n  publish = [\"80:80\"]\n  lifecycle { \
         create_before_destroy = true }\n}\n",
    ),
];

#[test]
fn what_no_engine_can_do_is_told_by_the_plan() {
    for (name, fleet) in REFUSED {
        insta::assert_snapshot!(name, Lab::new(fleet).run("plan").exits(1));
    }
}

#[test]
fn an_instance_of_any_key_has_a_name_that_others_can_look_up() {
    let lab = Lab::new(
        "provider \"docker\" {}\nnetwork \"lab\" {}\nservice \"web\" {\n  for_each = toset([\"a\", \"b c\", \"b/c\"])\n  image    = \
         \"nginx:1.27\"\n  networks = [network.lab.id]\n}\noutput \"names\" { value = [for it in service.web : it.name] }\n",
    );
    insta::assert_snapshot!("names_of_instances", lab.run("plan --expand").exits(0));
}

#[test]
fn a_first_plan_of_hosts_with_engines() {
    let lab = Lab::new(
        r#"node "lab" {
  runtime        = "ssh://ann@lab"
  max_simulators = 2
  port_range "mavlink" {
    from = 14560
    to   = 14561
  }
}

simulator "px4" "iris" {
  count     = 3
  placement = node.lab
  image     = "px4io/px4-sitl:v1.17.0"
  instance  = count.index
  port "gcs" { range = "mavlink" }
}

output "gcs" { value = [for it in simulator.px4.iris : it.endpoints.gcs] }
"#,
    );
    insta::assert_snapshot!("plan_of_engines", lab.run("plan").exits(0));
    lab.run("fmt --check").exits(0);
}

#[test]
fn a_host_that_is_no_engine_is_told_where_it_stands() {
    let lab = Lab::new("provider \"docker\" { host = \"lab:2375\" }\nservice \"s\" { image = \"x\" }\n");
    insta::assert_snapshot!("no_engine", lab.run("validate").exits(1));
    lab.write("fleet.hcl", "provider \"docker\" { host = \"tcp://lab\" }\n");
    lab.run("validate").exits(0);
}

#[test]
fn surroundings_that_lead_to_no_engine_are_told_by_the_plan() {
    let lab = Lab::new("provider \"docker\" {}\nservice \"s\" { image = \"x:1\" }\n");
    let planned = |name: &str, value: &str| {
        let ended = lab.command("plan").env(name, value).output().expect("it runs");
        assert_eq!(ended.status.code(), Some(1));
        String::from_utf8(ended.stderr).expect("UTF-8")
    };
    insta::assert_snapshot!("docker_host_that_is_no_engine", planned("DOCKER_HOST", "nonsense"));
    let told = planned("DOCKER_CONTEXT", "lab");
    assert!(told.contains("the Docker context \"lab\" cannot be read: "), "{told}");
    lab.run("plan").exits(0);
}
