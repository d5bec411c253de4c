//! What has to be settled for a fleet as a whole before any resource is lowered: how many members each pool has, and
//! where each simulator is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use simfleet_provider_api::Address;
use simfleet_state::{Declaration, Operation, Port, Protocol, State};

use super::adopted::{Adopted, Set};
use super::autoscale;
use super::placement::{Host, Need, Place, PortNeed, PortRange, PortSource, place};
use super::recorded::{
    self, is_hosted, is_in_use, is_recorded, is_taken_along, ports_in_use, recorded_places, reserved,
};
use super::size::{self, Bounds, Ruling};
use crate::config::blocks::{self, Block, Node, Placement, Pool, Simulator};
use crate::plan::{PortChange, STATE, Unplaced};
use crate::refresh::Observations;
use crate::scale::Reason;

/// The node that `placement = "local"` stands for.
pub const LOCAL_NODE: &str = "local";

/// Members of pools and places of simulators.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// The members of each pool.
    pub pools: BTreeMap<Address, Members>,
    /// Where each simulator is.
    pub places: BTreeMap<Address, Place>,
    /// Those without a place, and why.
    pub unplaced: Vec<Unplaced>,
    /// The simulators that do not run now, by their schedules.
    pub off_schedule: BTreeSet<Address>,
    /// The simulators that have run for as long as they may.
    pub outlived: BTreeSet<Address>,
    /// When a simulator next begins or ends to run, by its schedule or at the end of its time.
    pub next_change: Option<Timestamp>,
    /// The transport protocol of each port that a simulator has.
    protocols: BTreeMap<(Address, Arc<str>), Protocol>,
    /// Whether a simulator is placed on the implied node of this machine.
    pub needs_local_node: bool,
    /// Whether there is such a node, or one is declared by its name.
    has_local_node: bool,
    /// The members that are not healthy, as far as the scaler knows.
    pub unhealthy: BTreeSet<Address>,
}

/// What is decided elsewhere of a layout.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// By the scaler.
    pub ruling: &'a Ruling,
    /// The instant, for bounds that hold at some times only.
    pub at: Timestamp,
    /// What was seen: of a pool that is adopted, which instances it has.
    pub seen: &'a Observations,
}

/// The members of a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Members {
    /// Their numbers, sorted.
    pub members: Vec<u64>,
    /// The numbers of those that wait, beside them.
    pub waiting: Vec<u64>,
    /// The highest number that one ever had.
    pub numbered: u64,
    /// Why there are so many.
    pub because: String,
    /// How many there may be.
    pub bounds: Bounds,
    /// How many may be away at once for a replacement.
    pub at_once: usize,
    /// What is declared.
    pub declared: Arc<Pool>,
    /// Of a pool that adopts one: which instances the members are.
    pub adopted: Option<Adopted>,
}

/// Returns the addresses of what belongs to an instance of a block.
fn children<'m, T>(map: &'m BTreeMap<Address, T>, parent: &'m Address) -> impl Iterator<Item = &'m Address> {
    let from = map.range(parent..).map(|(address, _)| address);
    from.skip_while(move |address| *address == parent)
        .take_while(move |address| address.is_child_of(parent))
}

/// Whether something is a member of a pool that waits: what it was last told to be says so.
pub fn waits(state: &State, address: &Address) -> bool {
    let recorded = || state.resources.get(address).map(|resource| &resource.declared);
    let begun = state.intents.get(address).and_then(|intent| match &intent.operation {
        Operation::Create { declared } | Operation::Update { declared, .. } => Some(declared),
        Operation::Delete { .. } => None,
    });
    let is_told = |declared: &Declaration| matches!(declared.inputs.str(STATE), Some("stopped" | "saved"));
    address.block() == "pool" && number_of(address).is_some() && begun.or_else(recorded).is_some_and(is_told)
}

impl Layout {
    /// Settles the sizes of pools and the places of simulators. What was decided before is kept where it can be.
    pub fn of(declared: &[(Address, Block)], state: &State, decided: Decided<'_>) -> Self {
        let mut recorded = recorded_places(state);
        let simulators: Vec<(&Address, &Simulator)> = declared
            .iter()
            .filter_map(|(address, block)| match block {
                Block::Simulator(simulator) => Some((address, &**simulator)),
                _ => None,
            })
            .collect();
        let local = local_node();
        let has_local_node = declared.iter().any(|(address, _)| *address == local);
        let target_of = |simulator: &Simulator| match &simulator.placement {
            Placement::Local if has_local_node => Placement::On(local_node()),
            placement => placement.clone(),
        };
        for (address, simulator) in simulators.iter().filter(|(_, it)| it.kind.is_container()) {
            let host = match target_of(simulator) {
                Placement::Local => local_node(),
                Placement::On(node) => node,
            };
            // No host is recorded with a container of this machine's engine, but on a node there is only one that it can be on.
            if host.block() == "node" && is_recorded(state, address) && !is_hosted(state, address) {
                let ports = reserved(state, &host, address);
                recorded.insert((*address).clone(), Place { host, ports });
            }
        }
        let in_use = ports_in_use(state);
        let scheduled = simulators.iter().filter(|(_, it)| !it.schedules.is_empty());
        let scheduled = scheduled.map(|(address, it)| (*address, autoscale::holds(&it.schedules, decided.at)));
        let scheduled: Vec<(&Address, (bool, Option<Timestamp>))> = scheduled.collect();
        let lives = simulators.iter().filter_map(|(address, it)| {
            // An agent sees to that by itself.
            let length = it.max_lifetime.filter(|_| it.kind.is_container())?;
            Some((*address, recorded::end_of_life(state, address, length)?))
        });
        let (outlived, alive): (Vec<_>, Vec<_>) = lives.partition(|(_, end)| *end <= decided.at);
        let ends = alive.into_iter().map(|(_, end)| end);
        let mut layout = Layout {
            next_change: scheduled.iter().filter_map(|(_, (_, next))| *next).chain(ends).min(),
            outlived: outlived.into_iter().map(|(address, _)| address.clone()).collect(),
            off_schedule: scheduled
                .into_iter()
                // Who has one for himself has it to its end.
                .filter(|(address, (holds, _))| {
                    let allocation = state.allocations.get(*address);
                    !holds && !allocation.is_some_and(|allocation| allocation.lasts(decided.at))
                })
                .map(|(address, _)| address.clone())
                .collect(),
            unhealthy: decided.ruling.unhealthy.clone(),
            ..Layout::default()
        };
        let mut settle = |target: Placement, hosts: &dyn Fn(&mut Layout, &[Need]) -> Vec<Host>| {
            let on_target = simulators
                .iter()
                .filter(|(_, simulator)| target_of(simulator) == target);
            let needs: Vec<Need> = on_target.map(|(address, simulator)| need(address, simulator)).collect();
            let mut hosts = hosts(&mut layout, &needs);
            for host in &mut hosts {
                host.in_use = in_use.get(&host.address).cloned().unwrap_or_default();
            }
            let on = match target {
                Placement::On(address) => address,
                Placement::Local => local_node(),
            };
            layout.add(&on, &hosts, &needs, &recorded);
        };
        for (address, block) in declared {
            match block {
                Block::Node(node) => settle(Placement::On(address.clone()), &|_, _| {
                    vec![host(address.clone(), node)]
                }),
                Block::Pool(pool) => settle(Placement::On(address.clone()), &|layout, needs| {
                    layout.size((address, pool), needs, &recorded, state, decided)
                }),
                Block::Simulator(_)
                | Block::Network(_)
                | Block::Service(_)
                | Block::Program(_)
                | Block::Metrics(_)
                | Block::Webhook(_)
                | Block::Alert(_)
                | Block::Value(_) => {}
            }
        }
        let on_local = || {
            let all = simulators.iter();
            all.filter(|(_, simulator)| target_of(simulator) == Placement::Local)
        };
        if on_local().next().is_some() {
            settle(Placement::Local, &|_, _| vec![unlimited(local_node())]);
        }
        // Containers need no agent.
        layout.needs_local_node = on_local().any(|(_, simulator)| !simulator.kind.is_container());
        layout.has_local_node = has_local_node || layout.needs_local_node;
        layout
    }

    /// Sizes a pool for its simulators; returns its members.
    fn size(
        &mut self,
        (address, pool): (&Address, &Pool),
        needs: &[Need],
        recorded: &BTreeMap<Address, Place>,
        state: &State,
        decided: Decided<'_>,
    ) -> Vec<Host> {
        let recorded_members = children(&state.resources, address).chain(children(&state.intents, address));
        let recorded_members: BTreeSet<u64> = recorded_members.filter_map(number_of).collect();
        let highest = recorded_members.last().copied().unwrap_or(0);
        let (waiting, existing): (Vec<u64>, Vec<u64>) = recorded_members
            .into_iter()
            .partition(|number| waits(state, &member(address, *number)));
        let set = pool.import.as_ref().map(|_| Set::of(address, state, decided.seen));
        let occupied = needs
            .iter()
            .filter_map(|need| number_of(&recorded.get(&need.address)?.host));
        // Who is protected there goes as late as who has something to do.
        let protected = set.iter().flat_map(|set| &set.protected).copied();
        let occupied: BTreeSet<u64> = occupied.chain(protected).collect();
        let is_cordoned = |number: &u64| {
            let recorded = state.resources.get(&member(address, *number));
            recorded.is_some_and(|resource| resource.cordoned.is_some())
        };
        let known = state.pools.get(address);
        let wanted = decided.ruling.sizes.get(address);
        let leaving: BTreeSet<u64> = match wanted {
            Some(wanted) => wanted.leaving.clone(),
            None => existing.iter().copied().filter(is_cordoned).collect(),
        };
        // What is planned counts once it is begun: a number that no member ever had is still free.
        let numbered = known.map_or(0, |pool| pool.numbered).max(highest);
        let is_removed = |number: &u64| {
            let intent = state.intents.get(&member(address, *number));
            intent.is_some_and(|intent| matches!(intent.operation, Operation::Delete { .. }))
        };
        let bounds = bounds(pool, decided.at);
        let kept = wanted.into_iter().flat_map(|wanted| &wanted.kept).copied();
        let there = size::Known {
            existing,
            waiting,
            leaving,
            kept: kept.filter(|number| !is_removed(number)).collect(),
            resumed: wanted.map(|wanted| wanted.resumed.clone()).unwrap_or_default(),
            occupied,
            numbered,
            warm: pool.warm.members(),
            max: bounds.max,
        };
        let hosts = |numbers: &[u64]| -> Vec<Host> {
            numbers
                .iter()
                .map(|number| host(member(address, *number), &pool.node))
                .collect()
        };
        let fits = |size: u64| {
            let members = there.members(size).members;
            place(&[hosts(&members)], needs, recorded).unplaced.is_empty()
        };
        let capacity = pool.node.max_simulators.unwrap_or(u64::MAX).max(1);
        let least = (needs.len() as u64).div_ceil(capacity);
        let before = wanted.map(|wanted| wanted.members).or(known.map(|pool| pool.size));
        let before = before.or_else(|| set.as_ref()?.size());
        let size = size::size(&bounds, before, least, needs.len(), fits);
        let size::Numbers { members, waiting } = there.members(size.members);
        let hosts = hosts(&members);
        let because = match known {
            // The reason for a size stays the one that it got when it was decided.
            Some(known) if known.size == size.members => known.reason.to_string(),
            _ => match wanted.filter(|wanted| wanted.members == size.members) {
                Some(wanted) => wanted.because.clone(),
                None => size.because,
            },
        };
        self.pools.insert(
            address.clone(),
            Members {
                adopted: set.map(|set| set.adopted(&members)),
                members,
                waiting,
                numbered,
                because,
                bounds,
                at_once: size::at_once(pool.disruption_budget, size.members),
                declared: Arc::new(pool.clone()),
            },
        );
        hosts
    }

    fn add(&mut self, on: &Address, hosts: &[Host], needs: &[Need], recorded: &BTreeMap<Address, Place>) {
        let placement = place(&[hosts.to_vec()], needs, recorded);
        let unplaced = placement.unplaced.into_iter();
        self.unplaced.extend(unplaced.map(|(address, reason)| Unplaced {
            address,
            on: on.clone(),
            reason,
        }));
        let ranges: BTreeMap<&Address, &Host> = hosts.iter().map(|host| (&host.address, host)).collect();
        for need in needs {
            let Some(place) = placement.places.get(&need.address) else {
                continue;
            };
            for port in &need.ports {
                let range = match &port.source {
                    PortSource::Range(range) => ranges.get(&place.host).and_then(|host| host.ranges.get(range)),
                    PortSource::Given(_) => None,
                };
                let protocol = range.map_or(port.protocol, |range| range.protocol);
                self.protocols
                    .insert((need.address.clone(), port.name.clone()), protocol);
            }
        }
        self.places.extend(placement.places);
    }

    /// Whether there is an object for a host: the one that stands for this machine can be only a name.
    pub fn has_node(&self, host: &Address) -> bool {
        self.has_local_node || *host != local_node()
    }

    /// Returns the protocol of a simulator's port, as URLs have it.
    pub fn protocol(&self, address: &Address, port: &Arc<str>) -> &'static str {
        match self.protocols.get(&(address.clone(), port.clone())) {
            Some(Protocol::Tcp) => "tcp",
            Some(Protocol::Udp) | None => "udp",
        }
    }

    /// Returns the ports that are to be reserved, and those that nothing has any more.
    pub fn port_changes(&self, state: &State) -> Vec<PortChange> {
        let mut changes = Vec::new();
        for (host, ports) in &state.reservations {
            for (port, reservation) in ports {
                let address = &reservation.address;
                let place = self.places.get(address);
                let is_kept = place.is_some_and(|place| {
                    place.host == *host && place.ports.get(&reservation.name) == Some(&port.number)
                });
                let moved = place.filter(|place| place.host != *host);
                let is_moved = moved.is_some_and(|place| is_taken_along(state, address, *port, &place.host));
                if !is_kept && (is_moved || !is_in_use(state, host, *port, address)) {
                    changes.push(PortChange::Release {
                        address: address.clone(),
                        host: host.clone(),
                        port: *port,
                    });
                }
            }
        }
        for (address, place) in &self.places {
            for (name, number) in &place.ports {
                let protocol = self.protocols.get(&(address.clone(), name.clone())).copied();
                let port = Port {
                    number: *number,
                    protocol: protocol.unwrap_or(Protocol::Udp),
                };
                let has = state.reservations.get(&place.host).and_then(|ports| ports.get(&port));
                let is_own = has.filter(|reservation| reservation.address == *address);
                if is_own.is_none_or(|reservation| reservation.name != *name) {
                    let (address, name, host) = (address.clone(), name.clone(), place.host.clone());
                    if is_own.is_some() {
                        // It has the port by another name.
                        let (address, host) = (address.clone(), host.clone());
                        changes.push(PortChange::Release { address, host, port });
                    }
                    changes.push(PortChange::Reserve {
                        address,
                        name,
                        host,
                        port,
                    });
                }
            }
        }
        changes
    }
}

/// Returns the bounds of a pool at an instant: those of schedules are others, and no budget pays for more than its cap.
fn bounds(pool: &Pool, at: Timestamp) -> Bounds {
    let spec = autoscale::spec(pool, 0, at);
    let bounds = crate::scale::bounds(&spec, autoscale::seconds(at));
    let count = |bound: i64| u64::try_from(bound).unwrap_or(0);
    let schedule = |reason| match reason {
        Reason::Schedule(name) => Some(name),
        _ => None,
    };
    Bounds {
        min: count(bounds.min),
        max: count(bounds.cap),
        schedules: bounds.reasons.into_iter().filter_map(schedule).collect(),
    }
}

/// Returns the address of a member of a pool.
pub fn member(pool: &Address, number: u64) -> Address {
    pool.child(format!("m{number}"))
}

/// Returns the number of a member of a pool.
pub fn number_of(member: &Address) -> Option<u64> {
    member.child_name()?.strip_prefix('m')?.parse().ok()
}

/// Returns the address of the implied node of this machine.
pub fn local_node() -> Address {
    Address::new("node", [LOCAL_NODE])
}

fn unlimited(address: Address) -> Host {
    Host {
        address,
        slots: None,
        cpu_millis: None,
        memory: None,
        ranges: BTreeMap::new(),
        in_use: BTreeMap::new(),
    }
}

fn host(address: Address, node: &Node) -> Host {
    let range = |range: &blocks::PortRange| PortRange {
        protocol: protocol(range.protocol),
        from: range.from,
        to: range.to,
    };
    Host {
        slots: node.max_simulators,
        cpu_millis: node.cpus.map(millis),
        memory: node.memory,
        ranges: node
            .port_ranges
            .iter()
            .map(|(name, ports)| (name.clone(), range(ports)))
            .collect(),
        ..unlimited(address)
    }
}

fn need(address: &Address, simulator: &Simulator) -> Need {
    let port = |(name, port): (&Arc<str>, &blocks::Port)| PortNeed {
        name: name.clone(),
        protocol: port.protocol.map_or(Protocol::Udp, protocol),
        source: match &port.source {
            blocks::PortSource::Range(range) => PortSource::Range(range.clone()),
            blocks::PortSource::Host(port) => PortSource::Given(*port),
        },
    };
    let resources = &simulator.workload.resources;
    Need {
        address: address.clone(),
        group: 0,
        ports: simulator.ports.iter().map(port).collect(),
        cpu_millis: resources.cpu.map_or(0, millis),
        memory: resources.memory.unwrap_or(0),
        // One that says none has no number of its own.
        instance: simulator.instance.filter(|_| simulator.kind.is_vehicle()),
    }
}

fn protocol(protocol: blocks::Protocol) -> Protocol {
    match protocol {
        blocks::Protocol::Tcp => Protocol::Tcp,
        blocks::Protocol::Udp => Protocol::Udp,
    }
}

/// Thousandths of a processor; the language allows no negative ones.
fn millis(cpus: f64) -> u64 {
    (cpus * 1000.0).round() as u64
}
