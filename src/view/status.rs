//! What runs now, as tables and as JSON.

use serde_json::{Value as Json, json};
use simfleet_provider_api::Address;

use super::document::{Document, Line, Theme, Tone};
use super::table::fill;
use crate::plan::{PoolSize, allocated, described};
use crate::status::{Health, Node, Process, Service, Simulator, Status};

/// Returns the whole: counts, nodes, simulators, and what is wrong with any of them.
pub fn render(status: &Status, theme: Theme) -> String {
    let mut document = Document::new();
    document.line(counts(status));
    for (title, table) in [
        ("Pools", pool_table(&status.pools)),
        ("Nodes", node_table(&status.nodes)),
        ("Simulators", simulator_table(&status.simulators)),
        ("Services", service_table(&status.services)),
    ] {
        if !table.is_empty() {
            document.blank();
            document.line(Line::new().tone(Tone::Strong, title));
            document.nest(2, |document| fill(&table, document));
        }
    }
    let services = status
        .services
        .iter()
        .map(|service| (&service.address, &service.health));
    let nodes = status.nodes.iter().map(|node| (&node.address, &node.health));
    let simulators = status
        .simulators
        .iter()
        .map(|simulator| (&simulator.address, &simulator.health));
    document.blank();
    for (address, health) in nodes.chain(simulators).chain(services) {
        let trouble = match health {
            Health::Unreachable(reason) => format!(" cannot be reached: {reason}"),
            Health::Unhealthy(reason) => format!(" is unhealthy: {reason}"),
            _ => continue,
        };
        document.line(Line::new().tone(Tone::Bad, address.to_string()).text(trouble));
    }
    ended(&status.simulators, &mut document);
    for service in &status.services {
        if let Some(exit) = &service.exit {
            document.line(has_ended(&service.address, exit));
        }
    }
    held(&status.simulators, &mut document);
    taken(&status.simulators, &mut document);
    asleep(&status.simulators, &mut document);
    cordoned(&status.nodes, &mut document);
    for (address, verb) in &status.open {
        let text = format!(": its {verb} is in flight, or was left by an earlier run; apply finishes it");
        document.line(Line::new().tone(Tone::Change, address.to_string()).text(text));
    }
    let text = document.render(theme);
    text.trim_end().to_owned() + "\n"
}

/// Says how many run of what should.
pub(super) fn counts(status: &Status) -> Line {
    let (waiting, nodes): (Vec<&Node>, Vec<&Node>) = status.nodes.iter().partition(|node| node.waits);
    let nodes: Vec<&Health> = nodes.iter().map(|node| &node.health).collect();
    let services: Vec<&Health> = status.services.iter().map(|service| &service.health).collect();
    let (held, others): (Vec<&Simulator>, Vec<&Simulator>) =
        status.simulators.iter().partition(|simulator| simulator.hold.is_some());
    let (asleep, others): (Vec<&Simulator>, Vec<&Simulator>) =
        others.into_iter().partition(|simulator| simulator.asleep.is_some());
    let simulators: Vec<&Health> = others.iter().map(|simulator| &simulator.health).collect();
    let all = [(&nodes, "node"), (&simulators, "simulator"), (&services, "service")];
    let is_good = all
        .iter()
        .all(|(healths, _)| healths.iter().all(|health| health.is_good()));
    let counted = all.iter().filter(|(healths, _)| !healths.is_empty());
    let mut counted: Vec<String> = counted
        .map(|(healths, noun)| {
            let good = healths.iter().filter(|health| health.is_good()).count();
            format!("{good} of {} {noun}s", healths.len())
        })
        .collect();
    let beside = |count: usize, how: &str| match count {
        0 => String::new(),
        1 => format!(" 1 simulator is {how}."),
        count => format!(" {count} simulators are {how}."),
    };
    let waiting = match waiting.len() {
        0 => String::new(),
        1 => " 1 node waits.".to_owned(),
        count => format!(" {count} nodes wait."),
    };
    let held = waiting + &beside(held.len(), "held") + &beside(asleep.len(), "stopped until started");
    let last = counted.pop();
    let text = match (counted.is_empty(), last) {
        (_, None) if held.is_empty() => return Line::new().text("Nothing runs."),
        (_, None) => held.trim_start().to_owned(),
        (true, Some(last)) => format!("{last} run.{held}"),
        (false, Some(last)) => format!("{} and {last} run.{held}", counted.join(", ")),
    };
    Line::new().tone(if is_good { Tone::Good } else { Tone::Bad }, text)
}

/// Returns the nodes as a table, and what is out of the ordinary; a line that says so where there are none.
pub fn nodes(nodes: &[Node]) -> String {
    let mut document = Document::new();
    for node in nodes {
        if let Health::Unhealthy(reason) = &node.health {
            let text = format!(" is unhealthy: {reason}");
            document.line(Line::new().tone(Tone::Bad, node.address.to_string()).text(text));
        }
    }
    cordoned(nodes, &mut document);
    followed(bare(&node_table(nodes), "There are no nodes."), &document)
}

/// Returns the simulators as a table; a line that says so where there are none.
pub fn simulators(simulators: &[Simulator]) -> String {
    let mut document = Document::new();
    ended(simulators, &mut document);
    held(simulators, &mut document);
    taken(simulators, &mut document);
    asleep(simulators, &mut document);
    followed(
        bare(&simulator_table(simulators), "There are no simulators."),
        &document,
    )
}

/// Returns a table with remarks below it.
fn followed(table: String, remarks: &Document) -> String {
    match remarks.is_empty() {
        true => table,
        false => format!("{table}\n{}", remarks.render(Theme::Plain)),
    }
}

/// Says of each member that is about to go since when nothing is placed on it.
fn cordoned(nodes: &[Node], document: &mut Document) {
    for node in nodes {
        let Some(since) = node.cordoned else { continue };
        let text = format!(
            " takes nothing new since {since:.0}: a run is about to remove it, or was and did not end; apply goes on"
        );
        document.line(Line::new().tone(Tone::Change, node.address.to_string()).text(text));
    }
}

/// Says of each simulator that ended how it did.
fn ended(simulators: &[Simulator], document: &mut Document) {
    for simulator in simulators {
        let Some(exit) = &simulator.exit else { continue };
        if simulator.hold.is_some() {
            continue;
        }
        let head = has_ended(&simulator.address, exit);
        let log = match &simulator.last_line {
            Some(line) => format!("; its log ends with: {line}"),
            None => String::new(),
        };
        document.line(head.text(log));
    }
}

fn has_ended(address: &Address, exit: &str) -> Line {
    let head = Line::new().tone(Tone::Bad, address.to_string());
    head.text(format!(" has ended: {exit}"))
}

/// Says of each simulator that was stopped or paused by hand who did that.
fn held(simulators: &[Simulator], document: &mut Document) {
    for simulator in simulators {
        let Some(hold) = &simulator.hold else { continue };
        let head = Line::new().tone(Tone::Change, simulator.address.to_string());
        document.line(head.text(format!(" is held {}", described(hold))));
    }
}

/// Says of each simulator that somebody has for themselves who that is.
fn taken(simulators: &[Simulator], document: &mut Document) {
    for simulator in simulators {
        let Some(allocation) = &simulator.allocation else {
            continue;
        };
        let head = Line::new().tone(Tone::Strong, simulator.address.to_string());
        document.line(head.text(format!(" is {}", allocated(allocation))));
    }
}

/// Says of each simulator that is stopped, as it should be, why it is.
fn asleep(simulators: &[Simulator], document: &mut Document) {
    for simulator in simulators.iter().filter(|simulator| simulator.hold.is_none()) {
        let Some(why) = &simulator.asleep else { continue };
        let address = simulator.address.to_string();
        let text = format!(" is stopped: {why}; `simfleet simulator start {address}` starts it");
        document.line(Line::new().tone(Tone::Change, address).text(text));
    }
}

fn bare(table: &[Vec<String>], nothing: &str) -> String {
    let mut document = Document::new();
    match table.is_empty() {
        true => document.line(nothing),
        false => fill(table, &mut document),
    }
    document.render(Theme::Plain)
}

fn pool_table(pools: &[PoolSize]) -> Vec<Vec<String>> {
    if pools.is_empty() {
        return Vec::new();
    }
    let rows = pools.iter().map(|pool| {
        let bounds = &pool.bounds;
        vec![
            pool.address.to_string(),
            pool.members.to_string(),
            format!("{} to {}{}", bounds.min, bounds.max, bounds.by()),
            pool.because.clone(),
        ]
    });
    std::iter::once(["POOL", "MEMBERS", "BOUNDS", "BECAUSE"].map(str::to_owned).to_vec())
        .chain(rows)
        .collect()
}

fn node_table(nodes: &[Node]) -> Vec<Vec<String>> {
    if nodes.is_empty() {
        return Vec::new();
    }
    let header = [
        "NODE",
        "PROVIDER",
        "STATUS",
        "ADDRESS",
        "SIMULATORS",
        "CPU",
        "MEMORY",
        "PID",
    ];
    let rows = nodes.iter().map(|node| {
        let percent = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0} %"));
        let places = match node.max_simulators {
            Some(most) => format!("{}/{most}", node.simulators),
            None => node.simulators.to_string(),
        };
        vec![
            node.address.to_string(),
            node.provider.clone(),
            match node.cordoned {
                Some(_) => format!("{}, cordoned", node.health.word()),
                None => node.health.word().to_owned(),
            },
            or_dash(node.endpoint.as_ref()),
            places,
            percent(node.load.map(|load| load.cpu)),
            percent(node.load.map(|load| load.memory)),
            or_dash(node.pid.as_ref()),
        ]
    });
    std::iter::once(header.map(str::to_owned).to_vec())
        .chain(rows)
        .collect()
}

fn simulator_table(simulators: &[Simulator]) -> Vec<Vec<String>> {
    if simulators.is_empty() {
        return Vec::new();
    }
    let header = ["SIMULATOR", "NODE", "STATUS", "ENDPOINTS", "RESTARTS", "PID"];
    let rows = simulators.iter().map(|simulator| {
        let endpoints: Vec<String> = simulator
            .endpoints
            .iter()
            .map(|(name, endpoint)| format!("{name} {endpoint}"))
            .collect();
        let endpoints = endpoints.join(", ");
        vec![
            simulator.address.to_string(),
            or_dash(simulator.node.as_ref()),
            match simulator.hold {
                Some(_) => format!("{}, held", simulator.health.word()),
                None => simulator.health.word().to_owned(),
            },
            or_dash(Some(&endpoints).filter(|text| !text.is_empty())),
            or_dash(simulator.restarts.as_ref()),
            or_dash(simulator.pid.as_ref()),
        ]
    });
    std::iter::once(header.map(str::to_owned).to_vec())
        .chain(rows)
        .collect()
}

fn service_table(services: &[Service]) -> Vec<Vec<String>> {
    if services.is_empty() {
        return Vec::new();
    }
    let rows = services.iter().map(|service| {
        let endpoints = service.endpoints.iter();
        let endpoints: Vec<String> = endpoints.map(|(within, at)| format!("{within} {at}")).collect();
        vec![
            service.address.to_string(),
            service.health.word().to_owned(),
            or_dash(Some(&endpoints.join(", ")).filter(|text| !text.is_empty())),
        ]
    });
    let header = ["SERVICE", "STATUS", "ENDPOINTS"].map(str::to_owned).to_vec();
    std::iter::once(header).chain(rows).collect()
}

fn or_dash(value: Option<&impl ToString>) -> String {
    value.map_or("-".to_owned(), ToString::to_string)
}

/// Returns the whole as JSON.
pub fn json(status: &Status) -> Json {
    json!({
        "pools": status.pools.iter().map(pool_json).collect::<Vec<_>>(),
        "nodes": nodes_json(&status.nodes),
        "simulators": simulators_json(&status.simulators),
        "services": services_json(&status.services),
        "open": status
            .open
            .iter()
            .map(|(address, verb)| json!({"address": address, "action": verb}))
            .collect::<Vec<_>>(),
    })
}

/// Returns the size that a pool is to have as JSON, with the schedules that set its bounds at the moment.
pub(super) fn pool_json(pool: &PoolSize) -> Json {
    json!({
        "address": pool.address,
        "members": pool.members,
        "min": pool.bounds.min,
        "max": pool.bounds.max,
        "schedules": pool.bounds.schedules,
        "because": pool.because,
    })
}

/// Returns the nodes as JSON. `cpu` and `memory` are percents; `cordoned` is since when nothing is placed on a member that
/// is about to go, or null.
pub fn nodes_json(nodes: &[Node]) -> Json {
    nodes
        .iter()
        .map(|node| {
            json!({
                "address": node.address,
                "provider": node.provider,
                "status": node.health.word(),
                "reason": node.health.reason(),
                "processes": node.processes.iter().map(process_json).collect::<Vec<_>>(),
                "cordoned": node.cordoned.map(|since| since.to_string()),
                "endpoint": node.endpoint,
                "runtime": node.runtime,
                "pid": node.pid,
                "simulators": node.simulators,
                "max_simulators": node.max_simulators,
                "cpu": node.load.map(|load| load.cpu),
                "memory": node.load.map(|load| load.memory),
            })
        })
        .collect()
}

/// Returns a process of a node as JSON.
fn process_json(process: &Process) -> Json {
    json!({
        "address": process.address,
        "status": process.health.word(),
        "reason": process.health.reason(),
        "pid": process.pid,
        "restarts": process.restarts,
        "exit": process.exit,
        "last_line": process.last_line,
    })
}

/// Returns the simulators as JSON.
pub fn simulators_json(simulators: &[Simulator]) -> Json {
    simulators
        .iter()
        .map(|simulator| {
            json!({
                "address": simulator.address,
                "kind": simulator.kind,
                "node": simulator.node,
                "status": simulator.health.word(),
                "reason": simulator.health.reason().or(simulator.asleep.as_deref()),
                "ports": simulator.ports,
                "endpoints": simulator.endpoints,
                "pid": simulator.pid,
                "restarts": simulator.restarts,
                "exit": simulator.exit,
                "last_line": simulator.last_line,
                "hold": simulator.hold.as_ref().map(super::state::hold),
                "allocation": simulator.allocation.as_ref().map(super::state::allocation),
            })
        })
        .collect()
}

/// Returns the services as JSON.
fn services_json(services: &[Service]) -> Json {
    services
        .iter()
        .map(|service| {
            json!({
                "address": service.address,
                "status": service.health.word(),
                "reason": service.health.reason(),
                "endpoints": service.endpoints,
                "exit": service.exit,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use simfleet_provider_api::Observed;

    use super::*;
    use crate::status::{Asked, Load};
    use crate::view::fixture::{at, fleet};

    fn status() -> Status {
        let mut state = fleet().state;
        let leaving = state.resources.get_mut(&at("pool.field/m1")).unwrap();
        leaving.cordoned = Some("2026-03-01T10:00:00.25Z".parse().unwrap());
        let seen = |address: &str| Observed::Present(state.resources[&at(address)].object.clone());
        let unreachable = Observed::Unreachable {
            reason: "connection refused".into(),
        };
        let seen = BTreeMap::from([
            (at("pool.field/m1"), seen("pool.field/m1")),
            (at("pool.field/m2"), unreachable),
            (at("simulator.vehicle.quad[0]"), seen("simulator.vehicle.quad[0]")),
            (at("simulator.vehicle.quad[1]"), Observed::Absent),
        ]);
        let loads = BTreeMap::from([(at("pool.field/m1"), Load { cpu: 12.4, memory: 3.0 })]);
        let asked = Asked {
            loads,
            ..Asked::default()
        };
        Status::of(&state, &seen, &asked)
    }

    /// Wide characters take two columns, and what follows them stays in line.
    #[test]
    fn simulators_that_ended() {
        let mut ended = status().simulators.remove(0);
        ended.address = at("simulator.exec.無人機");
        ended.health = Health::Present(Some("exited".to_owned()));
        ended.exit = Some("exit code 3".to_owned());
        let silent = Simulator {
            address: at("simulator.exec.silent"),
            exit: Some("signal 9".to_owned()),
            ..ended.clone()
        };
        ended.last_line = Some("no such world: 海\u{1b}[2J".to_owned());
        insta::assert_snapshot!(simulators(&[ended, silent]));
    }

    #[test]
    fn what_runs() {
        let status = status();
        insta::assert_snapshot!("text", render(&status, Theme::Plain));
        insta::assert_snapshot!("json", format!("{:#}", json(&status)));
        insta::assert_snapshot!("nodes", nodes(&status.nodes));
    }

    #[test]
    fn nothing_runs() {
        assert_eq!(render(&Status::default(), Theme::Plain), "Nothing runs.\n");
        assert_eq!(nodes(&[]), "There are no nodes.\n");
        assert_eq!(simulators(&[]), "There are no simulators.\n");
        assert_eq!(simulators_json(&[]), json!([]));
    }
}
