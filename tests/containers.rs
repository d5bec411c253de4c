//! Networks, services and simulators in containers, by the schemas of the Docker provider and without an engine: what is
//! asked of one, in which order, and what is recorded.
#![cfg(all(feature = "fake", feature = "docker", feature = "local"))]

mod support;

use std::sync::Arc;

use simfleet::apply;
use simfleet::config::Endpoint;
use simfleet::fleet::Fleet;
use simfleet::plan::{Action, Mode, Plan, PortChange};
use simfleet::providers::Registry;
use simfleet::refresh::recorded;
use simfleet::status::{Asked, Status};
use simfleet_provider_api::{Address, Value};
use simfleet_provider_docker::DockerType;
use simfleet_provider_local::LocalType;
use simfleet_state::{MemoryStore, State, StateStore, System};
use support::bench::{Bench, changes};
use support::memory::{Memory, World};
use tokio::sync::{mpsc, watch};

/// A node that stands for this machine, so that simulators on `"local"` have ranges of ports; a service with a volume.
const FLEET: &str = r#"
provider "docker" {}
provider "local" {}
variable "rovers" { default = 2 }
variable "image" { default = "rover:1" }
network "lab" {}
service "broker" {
  image    = "mosquitto:2"
  networks = [network.lab.id]
  publish  = ["1883:1883"]
  volume "data" { target = "/data" }
}
node "local" {
  provider       = local
  max_simulators = 3
  port_range "mavlink" {
    from = 14560
    to   = 14564
  }
}
simulator "container" "rover" {
  count     = var.rovers
  placement = "local"
  image     = var.image
  networks  = [network.lab.id]
  env       = { BROKER = service.broker.name }
  port "gcs" {
    range     = "mavlink"
    container = 14550
  }
}
output "gcs" { value = simulator.container.rover[*].endpoints.gcs }
"#;

struct Lab {
    bench: Bench,
    store: MemoryStore,
    world: Arc<World>,
}

impl Lab {
    fn new(text: &str) -> Self {
        Lab {
            bench: Bench::new(text),
            store: MemoryStore::new(Arc::new(System)),
            world: Arc::default(),
        }
    }

    fn fleet(&self, mode: Mode, vars: &[(&str, &str)]) -> Fleet {
        let fleet = Fleet::open(self.bench.options(mode, vars)).expect("sound");
        let mut registry = Registry::built_in();
        registry.add(Arc::new(Memory::new(Arc::new(DockerType), &self.world)));
        registry.add(Arc::new(Memory::new(Arc::new(LocalType), &self.world)));
        fleet.over(Arc::new(self.store.clone()), registry, apply::Options::default())
    }

    async fn plan(&self, mode: Mode, vars: &[(&str, &str)]) -> Plan {
        let fleet = self.fleet(mode, vars);
        fleet.plan().await.expect("it can be planned").plan
    }

    /// Applies; returns what was asked of the far side. The next plan is empty.
    async fn apply(&self, mode: Mode, vars: &[(&str, &str)]) -> Vec<String> {
        let (progress, _told) = mpsc::unbounded_channel();
        let (_keep, stop) = watch::channel(false);
        let fleet = self.fleet(mode, vars);
        let planned = fleet.plan().await.expect("it can be planned");
        let outcome = fleet.apply(planned, &progress, stop).await.expect("nobody has locks");
        assert!(outcome.is_complete(), "{outcome:?}");
        assert_eq!(
            changes(&self.plan(mode, vars).await),
            Vec::<String>::new(),
            "the next plan is empty"
        );
        self.world.calls()
    }

    async fn state(&self) -> State {
        self.store.load().await.expect("a state").state
    }

    /// The reserved ports: `14560/udp simulator.container.rover[0]`.
    async fn ports(&self) -> Vec<String> {
        let state = self.state().await;
        let all = state.reservations.values().flatten();
        all.map(|(port, by)| format!("{port} {}", by.address)).collect()
    }
}

#[tokio::test]
async fn what_is_needed_is_made_first_and_goes_last() {
    let lab = Lab::new(FLEET);
    let calls = lab.apply(Mode::Apply, &[]).await;
    let at = |call: &str| calls.iter().position(|it| it == call).expect(call);
    assert!(at("create network.lab") < at("create service.broker"), "{calls:?}");
    assert!(
        at("create service.broker/data") < at("create service.broker"),
        "{calls:?}"
    );
    assert!(
        at("create service.broker") < at("create simulator.container.rover[0]"),
        "{calls:?}"
    );
    let state = lab.state().await;
    let broker = &state.resources[&"service.broker".parse().expect("an address")];
    let mounts = broker
        .object
        .attributes
        .get("mounts")
        .and_then(Value::as_slice)
        .expect("mounts");
    assert_eq!(
        mounts[0].get("source").and_then(Value::as_str),
        Some("id of service.broker/data")
    );
    let endpoints = state.outputs["gcs"].as_slice().expect("endpoints");
    let endpoints: Vec<_> = endpoints.iter().filter_map(Value::as_str).collect();
    assert_eq!(endpoints, ["udp://192.0.2.1:14560", "udp://192.0.2.1:14561"]);
    let status = Status::of(&state, &recorded(&state), &Asked::default());
    let rover = &status.simulators[0];
    assert_eq!(rover.endpoints["gcs"], "udp://192.0.2.1:14560");
    assert_eq!(rover.node.as_ref().map(|node| node.name()), Some("local"));
    assert_eq!(rover.health.word(), "healthy");

    // The far side refuses to delete what is in use.
    let calls = lab.apply(Mode::Destroy, &[]).await;
    assert_eq!(calls.len(), 6, "{calls:?}");
    assert_eq!(lab.world.names(), Vec::<String>::new());
    assert_eq!(lab.ports().await, Vec::<String>::new(), "no port is left reserved");
}

#[tokio::test]
async fn a_service_that_goes_takes_its_volume_along() {
    let lab = Lab::new(FLEET);
    lab.apply(Mode::Apply, &[]).await;
    lab.bench
        .write(&FLEET.replace("  volume \"data\" { target = \"/data\" }\n", ""));
    let planned = changes(&lab.plan(Mode::Apply, &[]).await);
    assert_eq!(planned, ["replace service.broker", "delete service.broker/data"]);
    let plan = lab.plan(Mode::Apply, &[]).await;
    let lost: Vec<String> = plan.irreversible().map(|it| it.address.to_string()).collect();
    assert_eq!(lost, ["service.broker/data"]);
    let calls = lab.apply(Mode::Apply, &[]).await;
    assert_eq!(
        calls,
        [
            "delete service.broker",
            "create service.broker",
            "delete service.broker/data"
        ]
    );
}

#[tokio::test]
async fn what_makes_a_container_anew_leaves_its_volume() {
    let lab = Lab::new(FLEET);
    lab.apply(Mode::Apply, &[]).await;
    lab.bench.write(&FLEET.replace("mosquitto:2", "mosquitto:3"));
    let plan = lab.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), ["replace service.broker"]);
    let calls = lab.apply(Mode::Apply, &[]).await;
    assert_eq!(calls, ["delete service.broker", "create service.broker"]);
}

#[tokio::test]
async fn simulators_keep_their_ports_and_places() {
    let lab = Lab::new(FLEET);
    lab.apply(Mode::Apply, &[]).await;
    let (first, second) = (
        "14560/udp simulator.container.rover[0]",
        "14561/udp simulator.container.rover[1]",
    );
    assert_eq!(lab.ports().await, [first, second]);
    // What replaces one has its port.
    let plan = lab.plan(Mode::Apply, &[("image", "rover:2")]).await;
    let stops: Vec<String> = plan.interrupts.iter().map(|it| it.address.to_string()).collect();
    assert_eq!(stops, ["simulator.container.rover[0]", "simulator.container.rover[1]"]);
    assert_eq!(plan.ports, []);
    lab.apply(Mode::Apply, &[("image", "rover:2")]).await;
    assert_eq!(lab.ports().await, [first, second]);
    // The third takes the last place; a fourth has none, and takes nobody's.
    lab.apply(Mode::Apply, &[("image", "rover:2"), ("rovers", "3")]).await;
    let plan = lab.plan(Mode::Apply, &[("image", "rover:2"), ("rovers", "4")]).await;
    assert_eq!(plan.unplaced.len(), 1, "{:?}", plan.unplaced);
    assert_eq!(plan.unplaced[0].address.to_string(), "simulator.container.rover[3]");
    assert!(
        plan.changes.iter().all(|change| change.action == Action::NoOp),
        "{:?}",
        changes(&plan)
    );
    // One that goes gives its port back.
    lab.apply(Mode::Apply, &[("image", "rover:2"), ("rovers", "1")]).await;
    assert_eq!(lab.ports().await, [first]);
}

#[tokio::test]
async fn a_container_that_moves_to_another_node_of_this_machine_takes_its_port_along() {
    let lab = Lab::new(FLEET);
    lab.apply(Mode::Apply, &[]).await;
    let moved = FLEET
        .replace("node \"local\"", "node \"other\"")
        .replace("placement = \"local\"", "placement = node.other");
    lab.bench.write(&moved);
    // Its engine is the same, and so are its ports: nothing of it changes but the node that they are reserved on.
    assert_eq!(
        changes(&lab.plan(Mode::Apply, &[]).await),
        ["delete node.local", "create node.other"]
    );
    lab.apply(Mode::Apply, &[]).await;
    let plan = lab.plan(Mode::Apply, &[]).await;
    let released = plan
        .ports
        .iter()
        .filter(|it| matches!(it, PortChange::Release { host, .. } if host.name() == "local"));
    assert_eq!((released.count(), plan.ports.len()), (2, 2), "{:?}", plan.ports);
    let fleet = lab.fleet(Mode::Apply, &[]);
    let (progress, _told) = mpsc::unbounded_channel();
    let planned = fleet.plan().await.expect("it can be planned");
    fleet.settle(&planned, &progress).await.expect("nobody has locks");
    let state = lab.state().await;
    let hosts: Vec<&str> = state.reservations.keys().map(|host| host.name()).collect();
    assert_eq!(hosts, ["other"]);
}

#[tokio::test]
async fn a_service_of_another_name_keeps_its_volume() {
    let lab = Lab::new(FLEET);
    lab.apply(Mode::Apply, &[]).await;
    let moved = "moved {\n  from = service.broker\n  to   = service.bus\n}\n";
    let renamed = FLEET
        .replace("service \"broker\"", "service \"bus\"")
        .replace("service.broker", "service.bus");
    lab.bench.write(&format!("{renamed}{moved}"));
    let plan = lab.plan(Mode::Apply, &[]).await;
    let moves: Vec<String> = plan
        .moves
        .iter()
        .map(|it| format!("{} to {}", it.from, it.to))
        .collect();
    assert_eq!(
        moves,
        [
            "service.broker to service.bus",
            "service.broker/data to service.bus/data"
        ]
    );
    // What others call it is its name, which it gets without being made anew; they are told the new one.
    let rovers = [0, 1].map(|index| format!("replace simulator.container.rover[{index}]"));
    let [first, second] = rovers;
    assert_eq!(changes(&plan), ["update service.bus".to_owned(), first, second]);
    lab.apply(Mode::Apply, &[]).await;
}

#[tokio::test]
async fn a_service_that_was_forgotten_comes_back_with_its_volume() {
    let lab = Lab::new(FLEET);
    lab.apply(Mode::Apply, &[]).await;
    let (progress, _told) = mpsc::unbounded_channel();
    let names = |all: Vec<String>| all.join(", ");
    let broker: Address = "service.broker".parse().expect("an address");
    let fleet = lab.fleet(Mode::Apply, &[]);
    let forgotten = fleet
        .forget(&[Endpoint::Resource(broker.clone())], &progress)
        .await
        .expect("nobody has locks");
    let forgotten = forgotten.objects.iter().map(ToString::to_string).collect();
    assert_eq!(names(forgotten), "service.broker, service.broker/data");
    let adopted = fleet.import(&broker, &"id of service.broker".into(), &progress).await;
    let adopted = adopted.expect("it is there").into_iter();
    let adopted = adopted.map(|(address, id)| format!("{address} is {id}")).collect();
    assert_eq!(
        names(adopted),
        "service.broker is id of service.broker, service.broker/data is id of service.broker/data"
    );
    assert_eq!(changes(&lab.plan(Mode::Apply, &[]).await), Vec::<String>::new());
}

#[tokio::test]
async fn a_block_that_imports_a_service_imports_its_volume() {
    let lab = Lab::new(FLEET);
    lab.apply(Mode::Apply, &[]).await;
    let (progress, _told) = mpsc::unbounded_channel();
    let broker: Address = "service.broker".parse().expect("an address");
    let forgotten = lab
        .fleet(Mode::Apply, &[])
        .forget(&[Endpoint::Resource(broker)], &progress)
        .await;
    forgotten.expect("nobody has locks");
    let import = "import {\n  to = service.broker\n  id = \"id of service.broker\"\n}\n";
    lab.bench.write(&format!("{FLEET}{import}"));
    let plan = lab.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), Vec::<String>::new());
    let imports: Vec<String> = plan.imports.keys().map(ToString::to_string).collect();
    assert_eq!(imports, ["service.broker", "service.broker/data"]);
    assert_eq!(lab.apply(Mode::Apply, &[]).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_ignored_of_a_container_is_no_matter_of_its_volume() {
    let ignore = |what: &str| {
        let lifecycle =
            format!("  volume \"data\" {{ target = \"/data\" }}\n  lifecycle {{ ignore_changes = [{what}] }}\n");
        FLEET.replace("  volume \"data\" { target = \"/data\" }\n", &lifecycle)
    };
    let lab = Lab::new(&ignore("restart, volume"));
    lab.apply(Mode::Apply, &[]).await;
    lab.world.change("service.broker", "restart", "no");
    lab.bench
        .write(&ignore("restart, volume").replace("\"/data\"", "\"/other\""));
    assert_eq!(changes(&lab.plan(Mode::Apply, &[]).await), Vec::<String>::new());
    // What is not ignored counts.
    lab.bench.write(&ignore("restart").replace("\"/data\"", "\"/other\""));
    assert_eq!(changes(&lab.plan(Mode::Apply, &[]).await), ["replace service.broker"]);
}

#[tokio::test]
async fn what_was_changed_by_hand_is_put_back() {
    let lab = Lab::new(FLEET);
    lab.apply(Mode::Apply, &[]).await;
    lab.world.change("service.broker", "restart", "no");
    lab.world.change("simulator.container.rover[0]", "state", "stopped");
    let planned = changes(&lab.plan(Mode::Apply, &[]).await);
    assert_eq!(
        planned,
        ["update service.broker", "update simulator.container.rover[0]"]
    );
    let mut calls = lab.apply(Mode::Apply, &[]).await;
    calls.sort();
    assert_eq!(calls, ["update service.broker", "update simulator.container.rover[0]"]);
}

/// Hosts that exist, each with an engine: two nodes, and a pool of them.
const ENGINES: &str = r#"
variable "place" { default = "a" }
variable "rovers" { default = 5 }
variable "rack" { default = "rack" }
node "a" { runtime = "unix:///run/a.sock" }
node "b" {
  runtime        = "ssh://sim@b"
  max_simulators = 1
}
pool "rack" {
  node {
    runtime        = "ssh://sim@${var.rack}-${member.number}"
    max_simulators = 4
    cpus           = 4
    memory         = "8GiB"
    port_range "mavlink" {
      from = 14560
      to   = 14569
    }
  }
  autoscale {
    min = 1
    max = 3
  }
}
simulator "container" "store" {
  placement = var.place == "a" ? node.a : node.b
  image     = "store:1"
  restart   = "always"
  volume "data" { target = "/data" }
}
simulator "container" "rover" {
  count     = var.rovers
  placement = pool.rack
  image     = "rover:1"
  resources = { cpu = 2, memory = "1GiB" }
  port "gcs" {
    range     = "mavlink"
    container = 14550
  }
}
"#;

impl Lab {
    /// Where each resource but nodes is: `simulator.container.store on node.a at unix:///run/a.sock`.
    async fn engines(&self) -> Vec<String> {
        let state = self.state().await;
        let told = state.resources.iter().filter_map(|(address, resource)| {
            let declared = &resource.declared;
            let host = declared.hosted_on.as_ref()?;
            let engine = declared.provider.settings.str("host")?;
            Some(format!("{address} on {host} at {engine}"))
        });
        told.collect()
    }
}

#[tokio::test]
async fn containers_are_placed_on_hosts_with_engines_by_what_is_free_there() {
    let lab = Lab::new(ENGINES);
    lab.apply(Mode::Apply, &[]).await;
    // Two at a time by their processors, so the pool has grown to three members.
    assert_eq!(
        lab.engines().await,
        [
            "simulator.container.rover[0] on pool.rack/m1 at ssh://sim@rack-1",
            "simulator.container.rover[1] on pool.rack/m2 at ssh://sim@rack-2",
            "simulator.container.rover[2] on pool.rack/m3 at ssh://sim@rack-3",
            "simulator.container.rover[3] on pool.rack/m1 at ssh://sim@rack-1",
            "simulator.container.rover[4] on pool.rack/m2 at ssh://sim@rack-2",
            "simulator.container.store on node.a at unix:///run/a.sock",
            "simulator.container.store/data on node.a at unix:///run/a.sock",
        ]
    );
    let ports = lab.ports().await;
    let of = |index: usize| format!("simulator.container.rover[{index}]");
    assert_eq!(
        ports,
        [
            format!("14560/udp {}", of(0)),
            format!("14561/udp {}", of(3)),
            format!("14560/udp {}", of(1)),
            format!("14561/udp {}", of(4)),
            format!("14560/udp {}", of(2)),
        ]
    );
    let plan = lab.plan(Mode::Apply, &[("rovers", "7")]).await;
    let unplaced: Vec<String> = plan.unplaced.iter().map(|it| it.reason.clone()).collect();
    assert_eq!(unplaced, ["too little cpu is free on 3 of 3 hosts"]);
    assert_eq!(changes(&plan), ["create simulator.container.rover[5]"]);
    // What has no place has no engine that could have its volume.
    let volume = "  volume \"log\" { target = \"/log\" }\n  port \"gcs\"";
    lab.bench.write(&ENGINES.replace("  port \"gcs\"", volume));
    let volumes = changes(&lab.plan(Mode::Apply, &[("rovers", "7")]).await);
    let volumes: Vec<&String> = volumes.iter().filter(|change| change.ends_with("/log")).collect();
    assert_eq!(volumes.len(), 6, "{volumes:?}");
}

#[tokio::test]
async fn a_container_moves_to_another_host_by_the_plan() {
    let lab = Lab::new(ENGINES);
    lab.apply(Mode::Apply, &[("rovers", "0")]).await;
    let there = [("rovers", "0"), ("place", "b")];
    let plan = lab.plan(Mode::Apply, &there).await;
    assert_eq!(
        changes(&plan),
        [
            "replace simulator.container.store",
            "replace simulator.container.store/data"
        ]
    );
    let because: Vec<String> = plan
        .changes
        .iter()
        .flat_map(|it| &it.reasons)
        .map(ToString::to_string)
        .collect();
    assert_eq!(because, ["it moves from node.a to node.b"; 2]);
    // A volume does not move: the plan says that what is in it is lost.
    let lost: Vec<String> = plan.irreversible().map(|it| it.address.to_string()).collect();
    assert_eq!(lost, ["simulator.container.store/data"]);
    lab.apply(Mode::Apply, &there).await;
    assert_eq!(
        lab.engines().await,
        [
            "simulator.container.store on node.b at ssh://sim@b",
            "simulator.container.store/data on node.b at ssh://sim@b",
        ]
    );
    // A host is only forgotten, and what simfleet made there goes before.
    let plan = lab.plan(Mode::Destroy, &there).await;
    let words: Vec<String> = plan
        .changes
        .iter()
        .map(|it| format!("{} {}", it.word(), it.address))
        .collect();
    assert_eq!(
        words,
        [
            "forget node.a",
            "forget node.b",
            "forget pool.rack/m1",
            "delete simulator.container.store",
            "delete simulator.container.store/data",
        ]
    );
    let calls = lab.apply(Mode::Destroy, &there).await;
    assert_eq!(
        calls,
        [
            "delete simulator.container.store",
            "delete simulator.container.store/data"
        ]
    );
}

#[tokio::test]
async fn the_host_of_a_node_becomes_another_one() {
    let lab = Lab::new(ENGINES);
    lab.apply(Mode::Apply, &[("rovers", "1")]).await;
    let plan = lab.plan(Mode::Apply, &[("rovers", "1"), ("rack", "new")]).await;
    assert_eq!(
        changes(&plan),
        ["replace pool.rack/m1", "replace simulator.container.rover[0]"]
    );
    lab.apply(Mode::Apply, &[("rovers", "1"), ("rack", "new")]).await;
    assert_eq!(
        lab.engines().await[0],
        "simulator.container.rover[0] on pool.rack/m1 at ssh://sim@new-1"
    );
}
