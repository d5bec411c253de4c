//! The attributes of a `machine` to and from what the agent is sent.
//!
//! Paths are recorded relative to the folder of the fleet where they are in it, so that no state names a folder of this
//! machine; an agent is sent them in full.

use std::path::Path as FilePath;
use std::sync::Arc;

use simfleet_provider_api::{Attributes, Data, Path, PathStep, Value};

use super::reader::Reader;
use super::{Folders, Wrong, optional, text};
use crate::protocol::{Console, Drive, Forward, Gdb, Machine, Program, RUNNING, SimulatorView, SnapshotStore};

/// Bytes after which a new file of a console's log is begun, unless it says otherwise.
const CONSOLE_LOG_SIZE: u64 = 10 << 20;

/// Reads what is wanted of a machine.
pub(super) fn read(root: &Reader<'_>, folders: Folders<'_>) -> Result<Machine, Wrong> {
    let demand = |name: &str| {
        let given = root.string(name)?;
        given.ok_or_else(|| Wrong::new(Path::attribute(name), "is missing"))
    };
    let below = |folder: &FilePath, path: String| folder.join(path).to_string_lossy().into_owned();
    let full = |path| below(folders.there, path);
    let program = match (root.string("program")?, root.string("program_file")?) {
        (Some(sha256), path) => Some(Program {
            path: path.map(|path| below(folders.here, path)).unwrap_or_default(),
            sha256,
        }),
        (None, _) => None,
    };
    Ok(Machine {
        binary: demand("binary")?,
        machine: demand("machine")?,
        cpu: root.string("cpu")?,
        memory: root.whole("memory")?,
        program,
        drives: objects(root, "drives", |drive| {
            Ok(Drive {
                name: required(drive, "name")?,
                path: full(required(drive, "path")?),
                format: required(drive, "format")?,
                interface: drive.string("interface")?,
            })
        })?,
        semihosting: root.truth("semihosting")?.unwrap_or(false),
        consoles: objects(root, "consoles", |console| {
            Ok(Console {
                name: required(console, "name")?,
                stream: console.truth("stream")?.unwrap_or(true),
                log: console.string("log")?.map(full),
                max_size: console.whole("max_size")?.unwrap_or(CONSOLE_LOG_SIZE),
            })
        })?,
        forwards: objects(root, "forwards", |forward| {
            Ok(Forward {
                protocol: required(forward, "protocol")?,
                host: port(forward, "host")?,
                guest: port(forward, "guest")?,
            })
        })?,
        gdb: root.object("gdb", |gdb| {
            Ok(Gdb {
                bind: required(&gdb, "bind")?,
                port: match gdb.get("port")? {
                    Some(port) => Some(Reader::as_port(port).map_err(|message| Wrong::new(gdb.at("port"), message))?),
                    None => None,
                },
                wait: gdb.truth("wait")?.unwrap_or(false),
            })
        })?,
        snapshot: root.object("snapshot", |snapshot| {
            Ok(SnapshotStore {
                store: snapshot.string("store")?.map(full),
                keep: snapshot.whole("keep")?.unwrap_or(5),
                max_size: snapshot.whole("max_size")?,
            })
        })?,
        arguments: root.strings("arguments")?.unwrap_or_default(),
    })
}

fn required(reader: &Reader<'_>, name: &str) -> Result<String, Wrong> {
    let given = reader.string(name)?;
    given.ok_or_else(|| Wrong::new(reader.at(name), "is missing"))
}

fn port(reader: &Reader<'_>, name: &str) -> Result<u16, Wrong> {
    let wrong = |message: String| Wrong::new(reader.at(name), message);
    let given = reader.get(name)?.ok_or_else(|| wrong("is missing".to_owned()))?;
    Reader::as_port(given).map_err(|message| wrong(message.to_string()))
}

fn objects<T>(root: &Reader<'_>, name: &str, read: impl Fn(&Reader<'_>) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
    let Some(list) = root.get(name)? else {
        return Ok(Vec::new());
    };
    let Some(items) = list.as_slice() else {
        return Err(Wrong::new(root.at(name), "must be a list"));
    };
    let item = |(index, item): (u64, &Value)| {
        read(&Reader {
            path: Some(root.at(name).join(PathStep::Index(index))),
            get: &|field| item.get(field),
        })
    };
    (0u64..).zip(items).map(item).collect()
}

/// Adds what an agent says of a machine to the attributes that every process has.
pub(super) fn write(attributes: &mut Attributes, view: &SimulatorView, machine: &Machine, folders: Folders<'_>) {
    let inside = |folder: &FilePath, path: &str| {
        let path = FilePath::new(path);
        let inside = path.strip_prefix(folder).unwrap_or(path);
        Value::from(inside.to_string_lossy().into_owned())
    };
    let recorded = |path: &str| inside(folders.there, path);
    let list = |items: Vec<Value>| match items.is_empty() {
        true => Value::NULL,
        false => Data::List(Arc::new(items)).into(),
    };
    let program = machine.program.as_ref();
    attributes.set("binary", machine.binary.as_str());
    attributes.set("machine", machine.machine.as_str());
    attributes.set("cpu", text(&machine.cpu));
    attributes.set("memory", optional(&machine.memory, |bytes| Value::from(*bytes)));
    attributes.set("program", program.map_or(Value::NULL, |it| it.sha256.as_str().into()));
    attributes.set(
        "program_file",
        program.map_or(Value::NULL, |it| inside(folders.here, &it.path)),
    );
    let drive = |drive: &Drive| {
        Value::object([
            ("name", drive.name.as_str().into()),
            ("path", recorded(&drive.path)),
            ("format", drive.format.as_str().into()),
            ("interface", text(&drive.interface)),
        ])
    };
    attributes.set("drives", list(machine.drives.iter().map(drive).collect()));
    attributes.set("semihosting", machine.semihosting);
    let console = |console: &Console| {
        Value::object([
            ("name", console.name.as_str().into()),
            ("stream", console.stream.into()),
            ("log", optional(&console.log, |log| recorded(log))),
            ("max_size", console.max_size.into()),
        ])
    };
    attributes.set("consoles", list(machine.consoles.iter().map(console).collect()));
    let forward = |forward: &Forward| {
        Value::object([
            ("protocol", forward.protocol.as_str().into()),
            ("host", u64::from(forward.host).into()),
            ("guest", u64::from(forward.guest).into()),
        ])
    };
    attributes.set("forwards", list(machine.forwards.iter().map(forward).collect()));
    let gdb = |gdb: &Gdb| {
        Value::object([
            ("bind", gdb.bind.as_str().into()),
            ("port", optional(&gdb.port, |port| Value::from(u64::from(*port)))),
            ("wait", gdb.wait.into()),
        ])
    };
    attributes.set("gdb", optional(&machine.gdb, gdb));
    let snapshot = |snapshot: &SnapshotStore| {
        Value::object([
            ("store", optional(&snapshot.store, |store| recorded(store))),
            ("keep", snapshot.keep.into()),
            ("max_size", optional(&snapshot.max_size, |bytes| Value::from(*bytes))),
        ])
    };
    attributes.set("snapshot", optional(&machine.snapshot, snapshot));
    let arguments = machine.arguments.iter().map(|it| it.as_str().into());
    attributes.set("arguments", list(arguments.collect()));
    attributes.set(
        "gdb_port",
        optional(&view.gdb_port, |port| Value::from(u64::from(*port))),
    );
    stand(attributes, view, machine);
}

/// Sets `state` and `status` to what the monitor tells.
fn stand(attributes: &mut Attributes, view: &SimulatorView, machine: &Machine) {
    let Some(seen) = view.machine.as_ref().filter(|_| view.status.state() != "stopped") else {
        attributes.set("qemu", Value::NULL);
        return;
    };
    attributes.set("qemu", seen.version.as_str());
    let wanted = view.spec.state.as_str();
    let waits = seen.state == "prelaunch" && machine.gdb.as_ref().is_some_and(|gdb| gdb.wait);
    // What a debugger does with it is no change of what it should be.
    let (state, status) = match seen.state.as_str() {
        _ if seen.debugged => (wanted, Some("debugged")),
        "prelaunch" if waits => (wanted, Some("waiting")),
        RUNNING => ("running", None),
        _ if seen.is_paused() => ("paused", Some("paused")),
        other => (other, Some(other)),
    };
    attributes.set("state", state);
    if let Some(status) = status {
        attributes.set("status", status);
    }
}
