//! Which simulator runs on which host, and on which ports. What was decided once stays: a simulator keeps its host and
//! its ports for as long as they are allowed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simfleet_provider_api::Address;
use simfleet_state::Protocol;

/// A range of ports of a host, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// Its protocol.
    pub protocol: Protocol,
    /// The first port.
    pub from: u16,
    /// The last port.
    pub to: u16,
}

/// A host that simulators can be placed on.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// The node or pool member.
    pub address: Address,
    /// How many simulators it takes; without one, as many as fit otherwise.
    pub slots: Option<u64>,
    /// Processors, in thousandths; without one they do not count.
    pub cpu_millis: Option<u64>,
    /// Memory, in bytes; without one it does not count.
    pub memory: Option<u64>,
    /// The ranges that it publishes, by name.
    pub ranges: BTreeMap<Arc<str>, PortRange>,
    /// Ports that something uses now, and what: to others they are free in a later plan only.
    pub in_use: BTreeMap<(Protocol, u16), Address>,
}

/// A port that a simulator needs on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortNeed {
    /// Its name.
    pub name: Arc<str>,
    /// Its protocol, where no range says it.
    pub protocol: Protocol,
    /// Where it comes from.
    pub source: PortSource,
}

/// Where a port comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortSource {
    /// The lowest free one of a range of the host.
    Range(Arc<str>),
    /// This one or none.
    Given(u16),
}

/// A simulator that needs a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// The simulator.
    pub address: Address,
    /// The group of hosts that it may run on: all simulators of a pool share one.
    pub group: usize,
    /// The ports that it needs.
    pub ports: Vec<PortNeed>,
    /// Processors, in thousandths.
    pub cpu_millis: u64,
    /// Memory, in bytes.
    pub memory: u64,
    /// Its number among the vehicles of its host, of which no two have the same.
    pub instance: Option<u64>,
}

/// Where a simulator is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its host.
    pub host: Address,
    /// Its ports by name.
    pub ports: BTreeMap<Arc<str>, u16>,
}

/// The places that were found, and why the others were not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Placement {
    /// Where each simulator is.
    pub places: BTreeMap<Address, Place>,
    /// Those without a place, in the order in which they were asked for, and why.
    pub unplaced: Vec<(Address, String)>,
}

/// Finds a place for every simulator: first those that have one keep it, then the others go where most slots are free,
/// then most processors, then most memory, then to the first host.
///
/// `groups` are the hosts that simulators of a group may run on; no host is in two groups.
pub fn place(groups: &[Vec<Host>], needs: &[Need], recorded: &BTreeMap<Address, Place>) -> Placement {
    let mut placement = Placement::default();
    let mut rooms: Vec<Group> = groups.iter().map(|hosts| Group::new(hosts)).collect();
    let mut waiting = Vec::new();
    for need in needs {
        let kept = recorded
            .get(&need.address)
            .and_then(|place| rooms[need.group].keep(need, place));
        match kept {
            Some(place) => drop(placement.places.insert(need.address.clone(), place)),
            None => waiting.push(need),
        }
    }
    for need in waiting {
        match rooms[need.group].find(need) {
            Ok(place) => drop(placement.places.insert(need.address.clone(), place)),
            Err(reason) => placement.unplaced.push((need.address.clone(), reason)),
        }
    }
    placement
}

/// The hosts of one group, the one with the most room first.
struct Group<'a> {
    rooms: Vec<Room<'a>>,
    by_room: BTreeSet<(Reverse<Free>, usize)>,
    index: BTreeMap<&'a Address, usize>,
}

/// What is free on a host, in the order in which it counts. What is unlimited is counted from as much as can be, which is
/// more than anything that is limited has.
type Free = (u64, u64, u64);

struct Room<'a> {
    host: &'a Host,
    free: Free,
    taken: BTreeSet<(Protocol, u16)>,
    instances: BTreeSet<u64>,
}

impl<'a> Group<'a> {
    fn new(hosts: &'a [Host]) -> Self {
        let rooms: Vec<_> = hosts.iter().map(Room::new).collect();
        Group {
            by_room: rooms
                .iter()
                .enumerate()
                .map(|(i, room)| (Reverse(room.free), i))
                .collect(),
            index: rooms
                .iter()
                .enumerate()
                .map(|(i, room)| (&room.host.address, i))
                .collect(),
            rooms,
        }
    }

    /// Keeps a simulator where it is, if its host still has it and its ports are still what is asked for.
    fn keep(&mut self, need: &Need, place: &Place) -> Option<Place> {
        let at = *self.index.get(&place.host)?;
        let room = &self.rooms[at];
        room.tells_apart(need).ok()?;
        let ports = room.ports(need, Some(&place.ports)).ok()?;
        // Room is not asked for: lowering a limit does not move what already runs.
        Some(self.take(at, need, ports))
    }

    fn find(&mut self, need: &Need) -> Result<Place, String> {
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let mut found = None;
        for &(_, at) in &self.by_room {
            let room = &self.rooms[at];
            match room.fits(need).and_then(|()| room.ports(need, None)) {
                Ok(ports) => {
                    found = Some((at, ports));
                    break;
                }
                Err(reason) => *reasons.entry(reason).or_default() += 1,
            }
        }
        match found {
            Some((at, ports)) => Ok(self.take(at, need, ports)),
            None if self.rooms.is_empty() => Err("there is no host for it".to_owned()),
            None => Err(reasons
                .into_iter()
                .map(|(reason, hosts)| format!("{reason} on {hosts} of {} hosts", self.rooms.len()))
                .collect::<Vec<_>>()
                .join("; ")),
        }
    }

    fn take(&mut self, at: usize, need: &Need, ports: BTreeMap<Arc<str>, u16>) -> Place {
        let room = &mut self.rooms[at];
        self.by_room.remove(&(Reverse(room.free), at));
        let (slots, cpu, memory) = room.free;
        // What is unlimited is counted down too: so those without limits are spread over hosts without limits.
        room.free = (
            slots.saturating_sub(1),
            cpu.saturating_sub(need.cpu_millis),
            memory.saturating_sub(need.memory),
        );
        for port in &need.ports {
            room.taken.insert((room.protocol(port), ports[&port.name]));
        }
        room.instances.extend(need.instance);
        self.by_room.insert((Reverse(room.free), at));
        Place {
            host: room.host.address.clone(),
            ports,
        }
    }
}

impl<'a> Room<'a> {
    fn new(host: &'a Host) -> Self {
        let free = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        Room {
            host,
            free: (free(host.slots), free(host.cpu_millis), free(host.memory)),
            taken: BTreeSet::new(),
            instances: BTreeSet::new(),
        }
    }

    fn protocol(&self, port: &PortNeed) -> Protocol {
        match &port.source {
            PortSource::Range(name) => self.host.ranges.get(name).map_or(port.protocol, |range| range.protocol),
            PortSource::Given(_) => port.protocol,
        }
    }

    fn fits(&self, need: &Need) -> Result<(), String> {
        let (slots, cpu, memory) = self.free;
        if slots == 0 {
            return Err("every place is taken".to_owned());
        }
        if cpu < need.cpu_millis {
            return Err("too little cpu is free".to_owned());
        }
        if memory < need.memory {
            return Err("too little memory is free".to_owned());
        }
        self.tells_apart(need)
    }

    /// A ground station takes two vehicles of one number for one.
    fn tells_apart(&self, need: &Need) -> Result<(), String> {
        match need.instance.filter(|instance| self.instances.contains(instance)) {
            Some(instance) => Err(format!("there is a vehicle with `instance` {instance} already")),
            None => Ok(()),
        }
    }

    /// Returns a port for each need: the one it had, the given one, or the lowest free one of its range.
    fn ports(&self, need: &Need, had: Option<&BTreeMap<Arc<str>, u16>>) -> Result<BTreeMap<Arc<str>, u16>, String> {
        let mut taken = BTreeSet::new();
        let mut ports = BTreeMap::new();
        for port in &need.ports {
            let is_free = |protocol, number: u16| {
                let port = (protocol, number);
                let used_by = self.host.in_use.get(&port);
                let is_anothers = used_by.is_some_and(|address| *address != need.address);
                !is_anothers && !self.taken.contains(&port) && !taken.contains(&port)
            };
            let number = match &port.source {
                PortSource::Given(number) if is_free(port.protocol, *number) => *number,
                PortSource::Given(number) => return Err(format!("port {number} is taken")),
                PortSource::Range(name) => {
                    let Some(range) = self.host.ranges.get(name) else {
                        return Err(format!("there is no port range \"{name}\""));
                    };
                    let had = had.and_then(|ports| ports.get(&port.name).copied());
                    let kept = had.filter(|had| (range.from..=range.to).contains(had) && is_free(range.protocol, *had));
                    let lowest = || (range.from..=range.to).find(|number| is_free(range.protocol, *number));
                    kept.or_else(lowest)
                        .ok_or_else(|| format!("port range \"{name}\" is used up"))?
                }
            };
            taken.insert((self.protocol(port), number));
            ports.insert(port.name.clone(), number);
        }
        Ok(ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, slots: u64, ports: std::ops::RangeInclusive<u16>) -> Host {
        let range = PortRange {
            protocol: Protocol::Udp,
            from: *ports.start(),
            to: *ports.end(),
        };
        Host {
            address: name.parse().expect("an address"),
            slots: Some(slots),
            cpu_millis: None,
            memory: None,
            ranges: BTreeMap::from([("mavlink".into(), range)]),
            in_use: BTreeMap::new(),
        }
    }

    fn need(index: u64) -> Need {
        Need {
            address: format!("simulator.vehicle.quad[{index}]").parse().expect("an address"),
            group: 0,
            ports: vec![PortNeed {
                name: "gcs".into(),
                protocol: Protocol::Udp,
                source: PortSource::Range("mavlink".into()),
            }],
            cpu_millis: 0,
            memory: 0,
            instance: None,
        }
    }

    fn summary(placement: &Placement) -> Vec<(String, u16)> {
        placement
            .places
            .values()
            .map(|place| (place.host.to_string(), place.ports["gcs"]))
            .collect()
    }

    #[test]
    fn hosts_without_limits_have_one_after_the_other() {
        let host = |name| Host {
            slots: None,
            ..host(name, 0, 100..=110)
        };
        let hosts = vec![host("node.a"), host("node.b"), host("node.c")];
        let placement = place(&[hosts], &[need(0), need(1), need(2), need(3)], &BTreeMap::new());
        let expected = [("node.a", 100), ("node.b", 100), ("node.c", 100), ("node.a", 101)];
        assert_eq!(
            summary(&placement),
            expected.map(|(host, port)| (host.to_owned(), port))
        );
    }

    #[test]
    fn simulators_spread_over_the_hosts_with_the_lowest_free_port_on_each() {
        let hosts = vec![host("pool.p/m1", 4, 100..=110), host("pool.p/m2", 4, 100..=110)];
        let placement = place(&[hosts], &[need(0), need(1), need(2)], &BTreeMap::new());
        let expected = [("pool.p/m1", 100), ("pool.p/m2", 100), ("pool.p/m1", 101)];
        assert_eq!(
            summary(&placement),
            expected.map(|(host, port)| (host.to_owned(), port))
        );
    }

    #[test]
    fn what_has_a_place_keeps_it_and_its_port() {
        let hosts = vec![host("pool.p/m1", 4, 100..=110), host("pool.p/m2", 4, 100..=110)];
        let kept = Place {
            host: hosts[1].address.clone(),
            ports: BTreeMap::from([("gcs".into(), 105)]),
        };
        let recorded = BTreeMap::from([(need(2).address, kept.clone())]);
        let placement = place(&[hosts], &[need(0), need(2)], &recorded);
        assert_eq!(placement.places[&need(2).address], kept);
        assert_eq!(placement.places[&need(0).address].host.to_string(), "pool.p/m1");
    }

    #[test]
    fn a_place_on_a_host_that_is_no_more_is_given_up() {
        let gone = Place {
            host: "pool.p/m9".parse().expect("valid"),
            ports: BTreeMap::new(),
        };
        let recorded = BTreeMap::from([(need(0).address, gone)]);
        let placement = place(&[vec![host("pool.p/m1", 4, 100..=110)]], &[need(0)], &recorded);
        assert_eq!(placement.places[&need(0).address].host.to_string(), "pool.p/m1");
    }

    #[test]
    fn a_port_outside_a_changed_range_is_given_up_but_the_host_is_kept() {
        let hosts = vec![host("pool.p/m1", 4, 200..=210), host("pool.p/m2", 4, 200..=210)];
        let had = Place {
            host: hosts[1].address.clone(),
            ports: BTreeMap::from([("gcs".into(), 105)]),
        };
        let placement = place(&[hosts], &[need(0)], &BTreeMap::from([(need(0).address, had)]));
        assert_eq!(summary(&placement), [("pool.p/m2".to_owned(), 200)]);
    }

    #[test]
    fn what_does_not_fit_says_why() {
        let full = place(
            &[vec![host("pool.p/m1", 1, 100..=110)]],
            &[need(0), need(1)],
            &BTreeMap::new(),
        );
        assert_eq!(
            full.unplaced,
            [(need(1).address, "every place is taken on 1 of 1 hosts".to_owned())]
        );
        let narrow = place(
            &[vec![host("pool.p/m1", 4, 100..=100)]],
            &[need(0), need(1)],
            &BTreeMap::new(),
        );
        assert_eq!(
            narrow.unplaced[0].1,
            "port range \"mavlink\" is used up on 1 of 1 hosts"
        );
        let none = place(&[vec![]], &[need(0)], &BTreeMap::new());
        assert_eq!(none.unplaced[0].1, "there is no host for it");
    }

    #[test]
    fn a_given_port_is_honoured_or_refused() {
        let given = |index| Need {
            ports: vec![PortNeed {
                name: "gcs".into(),
                protocol: Protocol::Udp,
                source: PortSource::Given(500),
            }],
            ..need(index)
        };
        let placement = place(
            &[vec![host("node.a", 4, 100..=110)]],
            &[given(0), given(1)],
            &BTreeMap::new(),
        );
        assert_eq!(summary(&placement), [("node.a".to_owned(), 500)]);
        assert_eq!(placement.unplaced[0].1, "port 500 is taken on 1 of 1 hosts");
    }

    #[test]
    fn vehicles_of_one_number_are_on_different_hosts() {
        let same = |index| Need {
            instance: Some(0),
            ..need(index)
        };
        let hosts = vec![host("pool.p/m1", 4, 100..=110), host("pool.p/m2", 2, 100..=110)];
        let needs = [same(0), same(1), same(2)];
        let placement = place(&[hosts], &needs, &BTreeMap::new());
        let expected = [("pool.p/m1", 100), ("pool.p/m2", 100)];
        assert_eq!(
            summary(&placement),
            expected.map(|(host, port)| (host.to_owned(), port))
        );
        let why = "there is a vehicle with `instance` 0 already on 2 of 2 hosts";
        assert_eq!(placement.unplaced, [(same(2).address, why.to_owned())]);
    }
}
