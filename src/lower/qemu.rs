//! Machines under QEMU.

use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Kind, Value};

use super::placement::Place;
use super::workload::{format_value, record};
use super::{Desired, Lowering, name_of, process};
use crate::config::IgnoreChanges;
use crate::config::blocks::Simulator;
use crate::config::blocks::simulator::Qemu;
use crate::config::blocks::simulator::qemu::{Console, Drive, Gdb, SnapshotStore};
use crate::diagnostic::Diagnostics;

/// How many snapshots there may be of a machine that does not say.
const KEEP: u64 = 5;

/// The kind of a machine under QEMU.
const MACHINE: Kind = Kind::new("machine");

/// Returns the machine of a simulator.
pub(super) fn resource(
    lowering: &Lowering<'_>,
    simulator: &Simulator,
    place: &Place,
    qemu: &Qemu,
) -> Result<Desired, Diagnostics> {
    let mut desired = process::of_agent(lowering, simulator, place, MACHINE)?;
    let attributes = &mut desired.attributes;
    let given = |value: &Option<Value>| value.clone().unwrap_or(Value::NULL);
    attributes.set("binary", qemu.binary.clone());
    attributes.set("machine", qemu.machine.clone());
    attributes.set("cpu", given(&qemu.cpu));
    attributes.set("memory", qemu.memory.map_or(Value::NULL, Value::from));
    let (program, file) = match &qemu.program {
        Some(program) => self::program(lowering, program),
        None => (Value::NULL, Value::NULL),
    };
    attributes.set("program", program);
    attributes.set("program_file", file);
    attributes.set("drives", list(qemu.drives.iter().map(|it| drive(lowering, it))));
    attributes.set("semihosting", qemu.semihosting);
    attributes.set("consoles", list(qemu.consoles.iter().map(|it| console(lowering, it))));
    attributes.set("forwards", list(forwards(lowering, simulator, place).into_iter()));
    attributes.set("gdb", qemu.gdb.as_ref().map_or(Value::NULL, gdb));
    attributes.set("snapshot", snapshot(lowering, qemu.snapshot.as_ref()));
    let arguments = qemu.arguments.clone().filter(|arguments| !arguments.is_empty());
    attributes.set("arguments", arguments.unwrap_or(Value::NULL));
    if let IgnoreChanges::Only(names) = &mut desired.policy.ignored
        && names.iter().any(|name| &**name == "program")
    {
        // A program is its content and its file: one that was loaded by hand is another of both.
        names.push("program_file".into());
    }
    Ok(desired)
}

/// Returns the content of a program, by its SHA-256, and the file that has it.
fn program(lowering: &Lowering<'_>, program: &Value) -> (Value, Value) {
    let part = |name: &str| program.get(name).cloned();
    let unknown = |name: &str| Value::unknown(format!("program.{name}"));
    let module: Vec<Arc<str>> = program.origin().map(Address::module_path).unwrap_or_default();
    let path = part("path").unwrap_or_else(|| unknown("path"));
    let file = format_value(&path, |path| lowering.in_fleet(&module, path));
    (part("id").unwrap_or_else(|| unknown("id")), file)
}

/// Returns the ports of a machine that are reached at those of its node.
fn forwards(lowering: &Lowering<'_>, simulator: &Simulator, place: &Place) -> Vec<Value> {
    let forward = |(name, host): (&Arc<str>, &u16)| {
        let guest = simulator.ports.get(name)?.guest?;
        Some(record([
            ("protocol", lowering.layout.protocol(lowering.address, name).into()),
            ("host", u64::from(*host).into()),
            ("guest", u64::from(guest).into()),
        ]))
    };
    place.ports.iter().filter_map(forward).collect()
}

fn drive(lowering: &Lowering<'_>, drive: &Drive) -> Value {
    record([
        ("name", (&*drive.name).into()),
        ("path", format_value(&drive.path, |path| here(lowering, path))),
        ("format", drive.format.clone()),
        ("interface", drive.interface.clone().unwrap_or(Value::NULL)),
    ])
}

fn console(lowering: &Lowering<'_>, console: &Console) -> Value {
    let log = |log: &Value| format_value(log, |log| here(lowering, log));
    record([
        ("name", (&*console.name).into()),
        ("stream", console.stream.into()),
        ("log", console.log.as_ref().map_or(Value::NULL, log)),
        ("max_size", console.max_size.into()),
    ])
}

/// Returns a path of the block, `{name}` in it being the name of the machine.
fn here(lowering: &Lowering<'_>, path: &str) -> String {
    let path = path.replace("{name}", &name_of(lowering.address));
    lowering.in_fleet(&lowering.declaration.address.module_path(), &path)
}

fn gdb(gdb: &Gdb) -> Value {
    record([
        ("bind", gdb.bind.clone()),
        ("port", gdb.port.map_or(Value::NULL, |port| u64::from(port).into())),
        ("wait", gdb.wait.into()),
    ])
}

/// Returns where snapshots are kept, and how large one may be.
fn snapshot(lowering: &Lowering<'_>, declared: Option<&SnapshotStore>) -> Value {
    let most = lowering.config.limits.max_snapshot.as_ref().map(|limit| limit.allowed);
    if declared.is_none() && most.is_none() {
        return Value::NULL;
    }
    let store = |declared: &SnapshotStore| format_value(&declared.store, |store| here(lowering, store));
    record([
        ("store", declared.map_or(Value::NULL, store)),
        ("keep", declared.map_or(KEEP, |declared| declared.keep).into()),
        ("max_size", most.map_or(Value::NULL, Value::from)),
    ])
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    let items: Vec<Value> = items.collect();
    match items.is_empty() {
        true => Value::NULL,
        false => Value::tuple(items),
    }
}

/// Returns where a debugger finds a machine, as a URL; `None` where none gets in.
pub(super) fn debugger(address: &Address, qemu: &Qemu, attributes: Option<&Attributes>) -> Option<Value> {
    let gdb = qemu.gdb.as_ref()?;
    let seen = attributes.and_then(|attributes| attributes.get("gdb_port")?.as_u64());
    let port = gdb.port.map(u64::from).or(seen);
    Some(match port {
        Some(port) => format_value(&gdb.bind, |bind| format!("tcp://{bind}:{port}")),
        None => Value::unknown(format!("{address}.endpoints")),
    })
}
