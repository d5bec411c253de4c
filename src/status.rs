//! What runs now: the recorded nodes and simulators, with what was just seen of them.
//!
//! - [`Health`]: how one of them is; [`Asked`]: what agents tell beside what was seen

mod asked;
mod health;

use std::collections::BTreeMap;

use jiff::Timestamp;
use simfleet_provider_api::{Address, Attributes, Observed, Value};
use simfleet_state::{Allocation, Hold, Resource, State};

pub use self::asked::Asked;
pub use self::health::Health;
use crate::health::Verdict;
use crate::lower::{number_of, waits, with_parts};
use crate::plan::{PoolSize, STOPPED_BECAUSE};
use crate::refresh::Observations;

/// What runs now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    /// The sizes of the pools, by address; empty where nobody asked.
    pub pools: Vec<PoolSize>,
    /// The nodes, by address.
    pub nodes: Vec<Node>,
    /// The simulators, by address.
    pub simulators: Vec<Simulator>,
    /// The services, by address.
    pub services: Vec<Service>,
    /// Operations whose end is not recorded: in flight, or left by a run that died.
    pub open: Vec<(Address, &'static str)>,
}

/// A node: a machine, or what stands for one.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its address.
    pub address: Address,
    /// Its provider.
    pub provider: String,
    /// How it is, with what it runs itself.
    pub health: Health,
    /// What it runs itself, by address.
    pub processes: Vec<Process>,
    /// The host name or IP address to reach it at.
    pub endpoint: Option<String>,
    /// Where its agent or engine listens.
    pub runtime: Option<String>,
    /// The process that it is, where it is one.
    pub pid: Option<u64>,
    /// How many simulators are recorded on it.
    pub simulators: usize,
    /// How many it takes; `None` where that is not limited.
    pub max_simulators: Option<u64>,
    /// Its load; `None` where nobody measures it.
    pub load: Option<Load>,
    /// Since when nothing new is placed on it, where it is a member of a pool that a run was about to remove.
    pub cordoned: Option<Timestamp>,
    /// Whether it is a member of a pool that waits, and is there sooner than a new one.
    pub waits: bool,
}

/// A process that a node runs itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Its address: that of its node, and its name.
    pub address: Address,
    /// How it is.
    pub health: Health,
    /// Its process, while it lives.
    pub pid: Option<u64>,
    /// How often it was started again by itself.
    pub restarts: Option<u64>,
    /// How it last ended, where it does not run.
    pub exit: Option<String>,
    /// The last line of its log, where it does not run.
    pub last_line: Option<String>,
}

/// The load of a node, in percent of what it declares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Of its cpus.
    pub cpu: f64,
    /// Of its memory.
    pub memory: f64,
}

/// A simulator.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulator {
    /// Its address.
    pub address: Address,
    /// Its kind, as it is declared: `vehicle`, `exec`.
    pub kind: String,
    /// How it is.
    pub health: Health,
    /// The node that it runs on.
    pub node: Option<Address>,
    /// Its ports on that node, by name.
    pub ports: BTreeMap<String, u16>,
    /// Where to reach it, by the names of its ports: `udp://127.0.0.2:14560`.
    pub endpoints: BTreeMap<String, String>,
    /// Its process, while it lives.
    pub pid: Option<u64>,
    /// How often it was started again by itself.
    pub restarts: Option<u64>,
    /// How its process last ended, where it does not run: `exit code 1`, `signal 9`.
    pub exit: Option<String>,
    /// The last line of its log, where it does not run.
    pub last_line: Option<String>,
    /// Why it does not run although it is to run, and is as it should be: `idle for 30m`.
    pub asleep: Option<String>,
    /// Who stopped or paused it by hand.
    pub hold: Option<Hold>,
    /// Who has it for themselves.
    pub allocation: Option<Allocation>,
}

/// A service: a container that others need.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its address.
    pub address: Address,
    /// How it is.
    pub health: Health,
    /// Where its published ports are reached, by the port within: `80/tcp` at `tcp://127.0.0.1:8080`.
    pub endpoints: BTreeMap<String, String>,
    /// How it last ended, where it does not run.
    pub exit: Option<String>,
}

impl Status {
    /// Puts together what is recorded, what was seen and what was measured.
    pub fn of(state: &State, seen: &Observations, asked: &Asked) -> Self {
        let ports = state.ports();
        let mut hosted: BTreeMap<&Address, usize> = BTreeMap::new();
        for (address, resource) in &state.resources {
            if let Some(host) = resource
                .declared
                .hosted_on
                .as_ref()
                .filter(|_| address.child_name().is_none())
            {
                *hosted.entry(host).or_default() += 1;
            }
        }
        let mut status = Status {
            open: state
                .intents
                .iter()
                .map(|(address, intent)| (address.clone(), intent.operation.verb()))
                .collect(),
            ..Status::default()
        };
        for (address, resource) in &state.resources {
            let observed = seen.get(address);
            if is_node(address) {
                let simulators = hosted.get(address).copied().unwrap_or(0);
                let load = asked.loads.get(address).copied();
                let mut node = node(address, resource, observed, simulators, load);
                node.reached(&with_parts(address, &resource.object.attributes, state));
                if waits(state, address) {
                    node.waits();
                }
                node.looked_at(asked.verdicts.get(address));
                status.nodes.push(node);
            } else if let Some(node) = of_node(resource, address).and_then(|node| status.node(&node)) {
                let mut process = process(address, resource, observed);
                process.last_line = asked.last_lines.get(address).cloned();
                node.runs(process);
            } else if address.block() == "simulator" && address.child_name().is_none() {
                let mut simulator = simulator(address, resource, observed);
                simulator.hold = state.holds.get(address).cloned();
                let allocation = state.allocations.get(address).filter(|it| it.lasts(asked.at));
                simulator.allocation = allocation.cloned();
                simulator.last_line = asked.last_lines.get(address).cloned();
                for (name, (host, port)) in ports.get(address).into_iter().flatten() {
                    simulator.ports.insert(name.to_string(), port.number);
                    // A container is reached where its engine is.
                    let at_node = state.resources.contains_key(*host).then(|| (*host).clone());
                    simulator.node = simulator.node.or(at_node);
                    if let Some(at) = reached_at(state, resource, host) {
                        let protocol = port.to_string();
                        let protocol = protocol.rsplit('/').next().unwrap_or("tcp");
                        let endpoint = format!("{protocol}://{at}:{}", port.number);
                        simulator.endpoints.insert(name.to_string(), endpoint);
                    }
                }
                status.simulators.push(simulator);
            } else if address.block() == "service" && address.child_name().is_none() {
                status.services.push(service(address, resource, observed));
            }
        }
        status
    }

    /// Returns a node that was put in before: parts of one come after it.
    fn node(&mut self, address: &Address) -> Option<&mut Node> {
        self.nodes.iter_mut().rev().find(|node| node.address == *address)
    }
}

/// Returns the address at which the ports of a simulator are reached: its own, where it has one, else that of its host.
pub fn reached_at(state: &State, simulator: &Resource, host: &Address) -> Option<String> {
    if let Some(own) = simulator.object.attributes.str("address") {
        return Some(own.to_owned());
    }
    let host_attributes = with_parts(host, &state.resources.get(host)?.object.attributes, state);
    let at = host_attributes.str("address").or(host_attributes.str("public_ip"));
    at.map(str::to_owned)
}

impl Node {
    /// Notes where a machine is reached whose parts know that.
    fn reached(&mut self, whole: &Attributes) {
        let text = |name| whole.str(name).map(str::to_owned);
        self.endpoint = self.endpoint.take().or_else(|| text("public_ip"));
        self.runtime = self.runtime.take().or_else(|| text("runtime"));
    }

    /// Notes that it waits: it does what it is there for, nothing, and is not about to go.
    fn waits(&mut self) {
        self.waits = true;
        self.cordoned = None;
        if matches!(self.health, Health::Present(_) | Health::Unhealthy(_)) {
            self.health = Health::Present(Some("waiting".to_owned()));
        }
    }

    /// Takes in what a look at it found.
    fn looked_at(&mut self, verdict: Option<&Verdict>) {
        if let (true, Some(Verdict::Unhealthy(problem))) = (self.health.is_good(), verdict) {
            self.health = Health::Unhealthy(format!("its check says: {problem}"));
        }
    }

    /// Takes in a process that it runs itself. It is no healthier than what it runs.
    fn runs(&mut self, process: Process) {
        // What ended is rather the cause than what its check says.
        if !process.health.is_good() && (self.health.is_good() || matches!(self.health, Health::Unhealthy(_))) {
            self.health = Health::Unhealthy(process.trouble());
        }
        self.processes.push(process);
    }
}

impl Process {
    /// Returns in words what is wrong with it.
    fn trouble(&self) -> String {
        let address = &self.address;
        match (&self.exit, &self.health, &self.last_line) {
            (Some(exit), _, Some(line)) => format!("{address} has ended: {exit}; its log ends with: {line}"),
            (Some(exit), _, None) => format!("{address} has ended: {exit}"),
            (None, Health::Unreachable(reason), _) => format!("{address} cannot be reached: {reason}"),
            (None, Health::Unhealthy(reason), _) => format!("{address} is unhealthy: {reason}"),
            (None, health, _) => format!("{address} is {}", health.word()),
        }
    }
}

/// Whether an address is that of a machine: a node, or a member of a pool.
fn is_node(address: &Address) -> bool {
    match address.block() {
        "node" => address.child_name().is_none(),
        "pool" => number_of(address).is_some(),
        _ => false,
    }
}

/// Returns the node that runs a resource itself.
fn of_node(resource: &Resource, address: &Address) -> Option<Address> {
    address
        .whole()
        .filter(|whole| resource.declared.hosted_on.as_ref() == Some(whole))
}

/// Returns the attributes as last seen, and how the object is.
fn looked_at<'a>(resource: &'a Resource, observed: Option<&'a Observed>) -> (&'a Attributes, Health) {
    let recorded = &resource.object.attributes;
    match observed {
        Some(Observed::Present(object)) => (&object.attributes, Health::told(&object.attributes)),
        Some(Observed::Absent) => (recorded, Health::Gone),
        Some(Observed::Unreachable { reason }) => (recorded, Health::Unreachable(reason.clone())),
        None => (recorded, Health::Recorded),
    }
}

/// Returns a number that says something of a living object only.
fn live(attributes: &Attributes, health: &Health, name: &str) -> Option<u64> {
    match health {
        Health::Present(_) | Health::Unhealthy(_) | Health::Recorded => attributes.get(name).and_then(Value::as_u64),
        Health::Gone | Health::Unreachable(_) => None,
    }
}

fn node(
    address: &Address,
    resource: &Resource,
    observed: Option<&Observed>,
    simulators: usize,
    load: Option<Load>,
) -> Node {
    let (attributes, health) = looked_at(resource, observed);
    let text = |name| attributes.str(name).map(str::to_owned);
    Node {
        address: address.clone(),
        provider: resource.declared.provider.name.to_string(),
        endpoint: text("address"),
        runtime: text("runtime"),
        pid: live(attributes, &health, "pid"),
        simulators,
        max_simulators: attributes.get("max_simulators").and_then(Value::as_u64),
        load,
        cordoned: resource.cordoned,
        waits: false,
        processes: Vec::new(),
        health,
    }
}

fn process(address: &Address, resource: &Resource, observed: Option<&Observed>) -> Process {
    let (attributes, health) = looked_at(resource, observed);
    Process {
        address: address.clone(),
        pid: live(attributes, &health, "pid"),
        restarts: live(attributes, &health, "restarts"),
        exit: exit(attributes, &health),
        last_line: None,
        health,
    }
}

fn simulator(address: &Address, resource: &Resource, observed: Option<&Observed>) -> Simulator {
    let (attributes, health) = looked_at(resource, observed);
    let debugger = debugger(attributes, &health).map(|url| ("gdb".to_owned(), url));
    Simulator {
        address: address.clone(),
        kind: address.labels().first().map(ToString::to_string).unwrap_or_default(),
        node: resource.declared.hosted_on.clone(),
        ports: BTreeMap::new(),
        endpoints: debugger.into_iter().collect(),
        pid: live(attributes, &health, "pid"),
        restarts: live(attributes, &health, "restarts"),
        exit: exit(attributes, &health),
        last_line: None,
        asleep: asleep(attributes, &health),
        hold: None,
        allocation: None,
        health,
    }
}

fn service(address: &Address, resource: &Resource, observed: Option<&Observed>) -> Service {
    let (attributes, health) = looked_at(resource, observed);
    let published = attributes.get("published").and_then(Value::as_fields);
    let endpoints = published.into_iter().flatten().filter_map(|(within, at)| {
        let protocol = within.rsplit('/').next().unwrap_or("tcp");
        let (host, port) = at.as_str()?.rsplit_once(':')?;
        // What listens everywhere is reached at its host.
        let host = match host {
            "0.0.0.0" | "::" | "[::]" => attributes.str("address").unwrap_or(host),
            host => host,
        };
        Some((within.to_string(), format!("{protocol}://{host}:{port}")))
    });
    Service {
        address: address.clone(),
        endpoints: endpoints.collect(),
        exit: exit(attributes, &health),
        health,
    }
}

/// Returns where a debugger finds a machine.
fn debugger(attributes: &Attributes, health: &Health) -> Option<String> {
    let port = live(attributes, health, "gdb_port")?;
    let bind = attributes.get("gdb")?.get("bind")?.as_str()?;
    Some(format!("tcp://{bind}:{port}"))
}

/// Returns why something does not run that is as it should be.
fn asleep(attributes: &Attributes, health: &Health) -> Option<String> {
    let is_seen = matches!(health, Health::Present(_));
    let why = attributes.str(STOPPED_BECAUSE).filter(|_| is_seen);
    why.map(str::to_owned)
}

/// Returns how a process ended that is there no more, although it should be.
fn exit(attributes: &Attributes, health: &Health) -> Option<String> {
    match health {
        Health::Present(_) if !health.is_good() && asleep(attributes, health).is_none() => {
            let code = || attributes.get("exit_code").and_then(Value::as_u64);
            let exit = attributes.str("exit").map(str::to_owned);
            exit.or_else(|| Some(format!("exit code {}", code()?)))
        }
        _ => None,
    }
}
