//! Rules between blocks: what each of them allows by itself, and what does not go together.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::{Address, Number, Value};

use super::declaration::Declaration;
use super::eval::evaluate;
use super::meta::Instances;
use super::record::Record;
use super::scope::Instance;
use super::units::Written;
use super::values::Names;
use super::{Config, declaration, published};
use crate::diagnostic::{Diagnostic, Diagnostics, Span, nearest};

/// A declaration as far as it is known without a state.
pub(super) struct Checked<'c> {
    pub(super) declaration: &'c Declaration,
    /// Its values, where no instance is known.
    pub(super) record: Record,
    /// Its instances, where they are known.
    pub(super) instances: Option<Instances>,
}

/// Checks the declarations of a fleet and all its modules against each other. A module stands for all its instances.
pub(super) fn check(config: &Config, names: &Names<'_>, all: &BTreeMap<Address, Checked<'_>>, found: &mut Diagnostics) {
    debugger_ports(all, found);
    published_ports(all, found);
    kill_notice(config, all, found);
    consoles(config, names, all, found);
    instances(names, all, found);
    topics(all, found);
    overrides(all, found);
}

/// E20: of several instances only one can have a port that is given.
fn debugger_ports(all: &BTreeMap<Address, Checked<'_>>, found: &mut Diagnostics) {
    for (address, checked) in all {
        let count = checked.instances.as_ref().map_or(1, Instances::len);
        for gdb in checked.record.blocks("gdb") {
            let port = gdb.get("port").and_then(Value::as_u64).filter(|port| *port > 0);
            if let Some(port) = port.filter(|_| count > 1) {
                let detail = format!("There are {count} instances, and each is to have the debugger's port {port}.");
                let span = gdb.attribute_span("port").cloned();
                let diagnostic = Diagnostic::error("E20 one debugger port for several", detail).at(span);
                found.push(
                    diagnostic
                        .hint("set port = 0, and each gets one of its own")
                        .on(address.clone()),
                );
            }
        }
    }
}

/// E13: a port of an engine's host leads to one service.
fn published_ports(all: &BTreeMap<Address, Checked<'_>>, found: &mut Diagnostics) {
    let mut seen: BTreeMap<_, Vec<(IpAddr, &Address, Span)>> = BTreeMap::new();
    for (address, checked) in all.iter().filter(|(address, _)| address.block() == "service") {
        let provider = checked.declaration.meta.provider.as_ref();
        let engine = provider.map(|provider| (&provider.name, &provider.alias));
        let engine = engine.filter(|(name, alias)| ***name != *"docker" || alias.is_some());
        let several = checked.instances.as_ref().map_or(1, Instances::len) > 1;
        let publish = checked
            .record
            .get("publish")
            .and_then(Value::as_slice)
            .unwrap_or_default();
        let span = checked
            .record
            .attribute_span("publish")
            .unwrap_or(checked.record.span());
        let ports = publish
            .iter()
            .filter_map(Value::as_str)
            .filter_map(published::parse)
            .flatten();
        for (port, host) in ports.filter_map(|port| Some((port, port.host?))) {
            let overlap = |detail: String| {
                let diagnostic = Diagnostic::error("E13 ports overlap", detail).at(span.clone());
                let hint = format!(
                    "of {:?} the engine chooses the port of the host",
                    port.container.to_string()
                );
                diagnostic.on(address.clone()).hint(hint)
            };
            if several {
                found.push(overlap(format!("Each of its instances is to publish port {host}.")));
                break;
            }
            let same = seen.entry((engine, port.protocol, host)).or_default();
            let meets = |at: &IpAddr| *at == port.address || at.is_unspecified() || port.address.is_unspecified();
            if let Some((_, other, first)) = same.iter().find(|(at, ..)| meets(at)) {
                let (detail, diagnostic) = match *other == address {
                    true => (format!("It publishes port {host} twice."), None),
                    false => (format!("Port {host} is published by {other} too."), Some(first.clone())),
                };
                let told = overlap(detail);
                found.push(match diagnostic {
                    Some(first) => told.related(first, "the other one"),
                    None => told,
                });
                break;
            }
            same.push((port.address, address, span.clone()));
        }
    }
}

/// For how long a cloud warns before it takes a spot machine away.
const NOTICE: &[(&str, Duration)] = &[("azure", Duration::from_secs(30)), ("oci", Duration::from_secs(30))];

/// E21: a spot machine is gone before a drain that takes longer than its cloud waits.
fn kill_notice(config: &Config, all: &BTreeMap<Address, Checked<'_>>, found: &mut Diagnostics) {
    for (address, checked) in all {
        let provider = match (&checked.declaration.meta.provider, config.providers.as_slice()) {
            (Some(named), _) => &named.name,
            (None, [only]) => &only.name,
            _ => continue,
        };
        let notice = NOTICE.iter().find(|(name, _)| *name == &**provider);
        let is_spot = checked.record.blocks("node").any(|node| node.get("spot").is_some());
        let drain = checked.record.blocks("drain").next();
        let Some((drain, (_, notice))) = drain.zip(notice).filter(|_| is_spot) else {
            continue;
        };
        let timeout = drain.get("timeout").and_then(Value::as_number).map(Number::as_f64);
        let timeout = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if let Some(timeout) = timeout.filter(|timeout| timeout > notice) {
            let detail = format!(
                "`timeout` is {}, but {provider} takes a spot machine away {} after it says so.",
                Written(timeout),
                Written(*notice)
            );
            let span = drain.attribute_span("timeout").unwrap_or(drain.span()).clone();
            let diagnostic = Diagnostic::error("E21 drain longer than the notice", detail).at(span);
            found.push(diagnostic.on(address.clone()));
        }
    }
}

/// E11: a test reads a console that its simulator has.
fn consoles(config: &Config, names: &Names<'_>, all: &BTreeMap<Address, Checked<'_>>, found: &mut Diagnostics) {
    for module in config.modules() {
        let Some(scope) = names.scope_in(&declaration::steps(&module.path), Instance::default()) else {
            continue;
        };
        for test in module.sections.iter().filter(|section| section.schema.name == "test") {
            let simulator = test.expr("simulator").and_then(super::meta::reference);
            let simulator = simulator.and_then(|it| super::names::declaration(module, &it).ok());
            let simulator = simulator.and_then(|(declared, _)| all.get(&declared.address));
            let wanted = test
                .blocks("expect")
                .next()
                .and_then(|expect| expect.attribute("console"));
            let (Some(simulator), Some(wanted)) = (simulator, wanted) else {
                continue;
            };
            // An expression that fails was reported.
            let Ok(value) = evaluate(&wanted.expr, &scope) else {
                continue;
            };
            let there: Vec<_> = simulator
                .record
                .blocks("console")
                .map(|console| console.label(0))
                .collect();
            let Some(name) = value
                .as_str()
                .filter(|name| there.iter().all(|label| **label != **name))
            else {
                continue;
            };
            let detail = format!("{} has no console {name:?}.", simulator.declaration.address);
            let diagnostic = Diagnostic::error("E11 unknown reference", detail).at(wanted.value_span.clone());
            found.push(match nearest(name, there.iter().map(|label| &**label)) {
                Some(near) => diagnostic.hint(format!("did you mean {near:?}?")),
                None => diagnostic.hint(format!("add to it: console {name:?} {{ … }}")),
            });
        }
    }
}

/// The first of the numbers from which on PX4 sends to the same port for offboard control: 14549.
const LAST_OFFBOARD: u64 = 9;

/// E15 and W05: the numbers of the vehicles that share a node.
fn instances(names: &Names<'_>, all: &BTreeMap<Address, Checked<'_>>, found: &mut Diagnostics) {
    let mut seen: BTreeMap<(String, u64), (Address, Span)> = BTreeMap::new();
    let mut sharing: BTreeMap<String, Vec<(u64, Span)>> = BTreeMap::new();
    // Of two blocks, one pair is told.
    let mut told: HashSet<(Span, Span)> = HashSet::new();
    for (address, checked) in all {
        let labels = address.labels();
        let is_px4 = labels.first().is_some_and(|kind| &**kind == "px4");
        let is_vehicle = is_px4 || labels.first().is_some_and(|kind| &**kind == "vehicle");
        if address.block() != "simulator" || !is_vehicle {
            continue;
        }
        let Some(place) = placement(&checked.record) else {
            continue;
        };
        for (one, number, span) in numbers(names, address, checked) {
            if is_px4 && number >= LAST_OFFBOARD {
                sharing.entry(place.clone()).or_default().push((number, span.clone()));
            }
            // Members of a pool have a network each.
            if place.contains("pool.") {
                continue;
            }
            match seen.entry((place.clone(), number)) {
                Entry::Vacant(entry) => drop(entry.insert((one, span))),
                Entry::Occupied(entry) => {
                    let (other, first) = entry.get();
                    if !told.insert((span.clone(), first.clone())) {
                        continue;
                    }
                    let detail = format!(
                        "{other} and {one} both have the instance {number} on {place}: a ground station takes them for one \
                         vehicle, the MAVLink system {}.",
                        number + 1
                    );
                    let diagnostic = Diagnostic::error("E15 equal instances on one node", detail).at(span.clone());
                    found.push(match *first == span {
                        true => diagnostic.hint("with count, write instance = count.index"),
                        false => diagnostic.related(first.clone(), "the other one"),
                    });
                }
            }
        }
    }
    for (place, mut vehicles) in sharing {
        vehicles.sort_by_key(|(number, _)| *number);
        if let [(first, _), .., (last, span)] = vehicles.as_slice() {
            let detail = format!(
                "The PX4 instances {first} to {last} on {place} all send to port 14549 for offboard control; those below \
                 {LAST_OFFBOARD} have a port each."
            );
            found.push(Diagnostic::warning("W05 shared offboard port", detail).at(span.clone()));
        }
    }
}

fn placement(record: &Record) -> Option<String> {
    let placement = record.get("placement")?;
    match placement.origin() {
        Some(address) => Some(address.to_string()),
        None => placement.as_str().map(|word| format!("{word:?}")),
    }
}

/// Returns the number of each instance, as far as it is known; one mistake of all is found with the second.
fn numbers(names: &Names<'_>, address: &Address, checked: &Checked<'_>) -> Vec<(Address, u64, Span)> {
    let (Some(attribute), Some(instances)) = (checked.declaration.body.attribute("instance"), &checked.instances)
    else {
        return Vec::new();
    };
    let of = |instance: Instance| {
        let one = match &instance.key {
            Some(key) => address.with_key(key.clone()),
            None => address.clone(),
        };
        let scope = names.scope_in(address.modules(), instance)?;
        let number = evaluate(&attribute.expr, &scope).ok()?.as_u64()?;
        Some((one, number, attribute.value_span.clone()))
    };
    Instance::all(instances.clone()).into_iter().filter_map(of).collect()
}

/// E16: of each message it is known which robot it comes from.
fn topics(all: &BTreeMap<Address, Checked<'_>>, found: &mut Diagnostics) {
    let mut ids: BTreeMap<Arc<str>, &Address> = BTreeMap::new();
    let mut topics: BTreeMap<(String, String), (&Address, Span)> = BTreeMap::new();
    for (address, robot) in all.iter().filter(|(address, _)| address.block() == "robot") {
        let id = robot.record.label(0);
        if let Some(other) = ids.insert(Arc::clone(&id), address) {
            let detail = format!("It and {other} have the same id, {id:?}.");
            let diagnostic = Diagnostic::error("E16 robot not unique", detail).at(robot.record.span().clone());
            found.push(diagnostic.on(address.clone()));
        }
        let (Some(prefix), Some(broker)) = (
            robot.record.get("prefix").and_then(Value::as_str),
            robot.record.get("broker").and_then(Value::origin),
        ) else {
            continue;
        };
        let span = robot
            .record
            .attribute_span("prefix")
            .unwrap_or(robot.record.span())
            .clone();
        let several = robot.instances.as_ref().map_or(1, Instances::len) > 1;
        if several && !prefix.contains("{robot_id}") {
            let detail = format!("All instances have the same topics, {prefix}/….");
            let diagnostic = Diagnostic::error("E16 robot not unique", detail).at(span);
            found.push(diagnostic.on(address.clone()).hint("put {robot_id} into the prefix"));
            continue;
        }
        for topic in robot.record.blocks("topic") {
            let expanded = format!("{}/{}", prefix.replace("{robot_id}", &id), &*topic.label(0));
            match topics.entry((broker.to_string(), expanded)) {
                Entry::Vacant(entry) => drop(entry.insert((address, span.clone()))),
                Entry::Occupied(entry) => {
                    let ((_, topic), (other, first)) = (entry.key(), entry.get());
                    let detail = format!("It and {other} both have the topic {topic}.");
                    let diagnostic = Diagnostic::error("E16 robot not unique", detail).at(span.clone());
                    let diagnostic = diagnostic.related(first.clone(), "the other one").on(address.clone());
                    found.push(diagnostic.hint("put {robot_id} into the prefix"));
                    break;
                }
            }
        }
    }
}

/// E11: other limits are those of a robot that there is.
fn overrides(all: &BTreeMap<Address, Checked<'_>>, found: &mut Diagnostics) {
    let robots = || all.iter().filter(|(address, _)| address.block() == "robot");
    let ids: Vec<Arc<str>> = robots().map(|(_, robot)| robot.record.label(0)).collect();
    for (_, alert) in all.iter().filter(|(address, _)| address.block() == "alert") {
        for one in alert.record.blocks("override") {
            let id = one.label(0);
            if !ids.contains(&id) && !robots().any(|(_, robot)| has_key(&robot.instances)) {
                let detail = format!("There is no robot {id:?} of which the limits could be others.");
                let diagnostic = Diagnostic::error("E11 unknown reference", detail).at(one.span().clone());
                let near = nearest(&id, ids.iter().map(|id| &**id)).map(|near| format!("did you mean {near:?}?"));
                found.push(match near {
                    Some(near) => diagnostic.hint(near),
                    None => diagnostic,
                });
            }
        }
    }
}

/// Whether there are robots whose ids the blocks do not say.
fn has_key(instances: &Option<Instances>) -> bool {
    !matches!(instances, Some(Instances::Single))
}
