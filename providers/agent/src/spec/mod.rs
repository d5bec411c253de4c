//! The attributes of a `process` to and from what the agent is sent.

mod machine;
mod marks;
mod mask;
mod reader;

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use simfleet_provider_api::process::DEFAULT_STOP_GRACE;
use simfleet_provider_api::{Attributes, Data, Path, PathStep, ProviderError, Value};

use self::marks::{collect_marks, with_mark};
pub(crate) use self::mask::without_secrets;
use self::reader::Reader;
use crate::protocol::{HealthCheck, Log, ProcessSpec, Ready, Resources, SimulatorView};
use crate::schema::number;

/// What is wrong with an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wrong {
    pub path: Path,
    pub message: String,
}

impl Wrong {
    pub fn new(path: Path, message: impl Into<String>) -> Self {
        Wrong {
            path,
            message: message.into(),
        }
    }
}

impl From<Wrong> for ProviderError {
    fn from(wrong: Wrong) -> Self {
        ProviderError::Rejected {
            message: format!("`{}` {}", wrong.path, wrong.message),
            attribute: Some(wrong.path),
        }
    }
}

/// What the agent is told of a process, besides the token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub name: String,
    pub spec: ProcessSpec,
    pub secrets: Vec<Path>,
}

/// Reads wanted attributes of a process. All must be known.
pub(crate) fn wanted(attributes: &Attributes) -> Result<Wanted, Wrong> {
    read(attributes, None)
}

/// At which folders the relative paths of a machine start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Folders<'a> {
    /// Those of files that are read here, and sent.
    pub here: &'a FilePath,
    /// Those of files where the agent is.
    pub there: &'a FilePath,
}

impl<'a> Folders<'a> {
    /// Both are the same.
    pub(crate) fn one(folder: &'a FilePath) -> Self {
        Folders {
            here: folder,
            there: folder,
        }
    }
}

/// Reads wanted attributes of a machine.
pub(crate) fn wanted_machine(attributes: &Attributes, folders: Folders<'_>) -> Result<Wanted, Wrong> {
    read(attributes, Some(folders))
}

fn read(attributes: &Attributes, machine_in: Option<Folders<'_>>) -> Result<Wanted, Wrong> {
    let root = Reader {
        path: None,
        get: &|name| attributes.get(name),
    };
    let spec = ProcessSpec {
        command: root.strings("command")?.unwrap_or_default(),
        machine: machine_in.map(|folders| machine::read(&root, folders)).transpose()?,
        env: root.map("env", Reader::as_string)?,
        working_dir: root.string("working_dir")?,
        ports: root.map("ports", Reader::as_port)?,
        ready: root.object("ready", |ready| {
            Ok(Ready {
                pattern: ready.string("pattern")?,
                tcp: ready.string("tcp")?,
                http: ready.string("http")?,
                mavlink: ready.string("mavlink")?,
                timeout: ready.number("timeout")?,
            })
        })?,
        restart: root.word("restart")?.unwrap_or_default(),
        stop_grace: root.number("stop_grace")?.unwrap_or(DEFAULT_STOP_GRACE),
        idle_timeout: root.number("idle_timeout")?,
        max_lifetime: root.number("max_lifetime")?,
        log: root.object("log", |log| {
            Ok(Log {
                path: log.string("path")?,
                max_size: log.whole("max_size")?,
                keep: log.whole("keep")?,
            })
        })?,
        of_node: root.truth("of_node")?.unwrap_or_default(),
        state: root.word("state")?.unwrap_or_default(),
        health_check: root.object("health_check", |check| {
            Ok(HealthCheck {
                kind: check
                    .word("type")?
                    .ok_or_else(|| Wrong::new(check.at("type"), "is missing"))?,
                port: check.string("port")?,
                url: check.string("url")?,
                command: check.strings("command")?,
                interval: check.number("interval")?,
                timeout: check.number("timeout")?,
                start_period: check.number("start_period")?,
                healthy_threshold: check.whole("healthy_threshold")?,
                unhealthy_threshold: check.whole("unhealthy_threshold")?,
                real_time_factor_min: check.number("real_time_factor_min")?,
            })
        })?,
        resources: root.object("resources", |resources| {
            Ok(Resources {
                cpu: resources.number("cpu")?,
                memory: resources.whole("memory")?,
            })
        })?,
        labels: root.map("labels", Reader::as_string)?,
    };
    let name = root
        .string("name")?
        .ok_or_else(|| Wrong::new(Path::attribute("name"), "is missing"))?;
    let mut secrets = Vec::new();
    for (name, value) in attributes.iter() {
        collect_marks(&Path::attribute(name.clone()), value, &mut secrets);
    }
    Ok(Wanted { name, spec, secrets })
}

/// Returns what an agent says of a simulator as canonical attributes. Paths of a machine are told relative to the folders
/// given, where they are in them.
pub(crate) fn attributes(view: &SimulatorView, folders: Folders<'_>) -> Attributes {
    let spec = &view.spec;
    let mut attributes = Attributes::new();
    attributes.set("name", view.name.as_str());
    attributes.set("command", list(&spec.command));
    attributes.set("env", optional(&spec.env, string_map));
    attributes.set("working_dir", text(&spec.working_dir));
    attributes.set(
        "ports",
        optional(&spec.ports, |ports| {
            map(ports.iter().map(|(name, port)| (name, Value::from(u64::from(*port)))))
        }),
    );
    attributes.set(
        "ready",
        optional(&spec.ready, |ready| {
            Value::object([
                ("pattern", text(&ready.pattern)),
                ("tcp", text(&ready.tcp)),
                ("http", text(&ready.http)),
                ("mavlink", text(&ready.mavlink)),
                ("timeout", optional(&ready.timeout, |value| number(*value))),
            ])
        }),
    );
    attributes.set("restart", word(&spec.restart));
    attributes.set("stop_grace", number(spec.stop_grace));
    attributes.set("idle_timeout", optional(&spec.idle_timeout, |value| number(*value)));
    attributes.set("max_lifetime", optional(&spec.max_lifetime, |value| number(*value)));
    attributes.set(
        "log",
        optional(&spec.log, |log| {
            Value::object([
                ("path", text(&log.path)),
                ("max_size", optional(&log.max_size, |value| Value::from(*value))),
                ("keep", optional(&log.keep, |value| Value::from(*value))),
            ])
        }),
    );
    attributes.set("of_node", if spec.of_node { true.into() } else { Value::NULL });
    // One that was idle is as it should be: it was not stopped by anybody.
    let state = match view.stopped_because {
        Some(_) => spec.state.as_str(),
        None => view.status.state(),
    };
    attributes.set("state", state);
    attributes.set("stopped_because", text(&view.stopped_because));
    attributes.set("health_check", optional(&spec.health_check, health_check_value));
    attributes.set(
        "resources",
        optional(&spec.resources, |resources| {
            Value::object([
                ("cpu", optional(&resources.cpu, |value| number(*value))),
                ("memory", optional(&resources.memory, |value| Value::from(*value))),
            ])
        }),
    );
    attributes.set("labels", optional(&spec.labels, string_map));
    attributes.set("status", view.status.as_str());
    attributes.set("problem", text(&view.problem));
    attributes.set("pid", optional(&view.pid, |pid| Value::from(u64::from(*pid))));
    attributes.set("exit", text(&view.exit));
    attributes.set("restarts", view.restarts);
    attributes.set("started", text(&view.started));
    if let Some(machine) = &spec.machine {
        attributes = attributes
            .iter()
            .filter(|(name, _)| !OF_A_PROCESS.contains(&&***name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        machine::write(&mut attributes, view, machine, folders);
    }
    for path in &view.secrets {
        let Some((PathStep::Name(name), steps)) = path.0.split_first() else {
            continue;
        };
        if let Some(value) = attributes.get(name) {
            let marked = with_mark(value, steps);
            attributes.set(name.clone(), marked);
        }
    }
    attributes
}

/// What a process has and a machine has not.
pub(crate) const OF_A_PROCESS: [&str; 4] = ["command", "working_dir", "ready", "of_node"];

fn health_check_value(check: &HealthCheck) -> Value {
    Value::object([
        ("type", word(&check.kind)),
        ("port", text(&check.port)),
        ("url", text(&check.url)),
        ("command", optional(&check.command, |command| list(command))),
        ("interval", optional(&check.interval, |value| number(*value))),
        ("timeout", optional(&check.timeout, |value| number(*value))),
        ("start_period", optional(&check.start_period, |value| number(*value))),
        (
            "healthy_threshold",
            optional(&check.healthy_threshold, |value| Value::from(*value)),
        ),
        (
            "unhealthy_threshold",
            optional(&check.unhealthy_threshold, |value| Value::from(*value)),
        ),
        (
            "real_time_factor_min",
            optional(&check.real_time_factor_min, |value| number(*value)),
        ),
    ])
}

fn optional<T>(value: &Option<T>, to_value: impl FnOnce(&T) -> Value) -> Value {
    value.as_ref().map_or(Value::NULL, to_value)
}

fn text(value: &Option<String>) -> Value {
    optional(value, |text| Value::string(text.as_str()))
}

/// Returns a value of a unit enum as the word that serde writes for it.
fn word(value: &impl serde::Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Value::string(word),
        _ => Value::NULL,
    }
}

fn list(items: &[String]) -> Value {
    Data::List(Arc::new(
        items.iter().map(|item| Value::string(item.as_str())).collect(),
    ))
    .into()
}

fn map<'a>(entries: impl Iterator<Item = (&'a String, Value)>) -> Value {
    let entries = entries.map(|(name, value)| (Arc::from(name.as_str()), value)).collect();
    Data::Map(Arc::new(entries)).into()
}

fn string_map(entries: &BTreeMap<String, String>) -> Value {
    map(entries
        .iter()
        .map(|(name, value)| (name, Value::string(value.as_str()))))
}

/// Returns the attributes without those that are not known yet, so that the rest can be checked.
pub(crate) fn known_part(attributes: &Attributes) -> Attributes {
    attributes
        .iter()
        .filter(|(_, value)| value.is_known())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{HealthCheckType, Status};

    fn full() -> Attributes {
        let env = Data::Map(Arc::new(
            [
                (Arc::from("A"), Value::string("1")),
                (Arc::from("KEY"), Value::string("secret").mark(true)),
            ]
            .into(),
        ));
        Attributes::from_iter([
            ("name", Value::string("quad[0]")),
            ("command", list(&["{simfleet}".to_owned(), "vehicle".to_owned()])),
            ("env", env.into()),
            ("working_dir", Value::string("/srv")),
            (
                "ports",
                Data::Map(Arc::new([(Arc::from("gcs"), Value::from(14560u64))].into())).into(),
            ),
            (
                "ready",
                Value::object([
                    ("pattern", Value::string("up")),
                    ("tcp", Value::NULL),
                    ("http", Value::NULL),
                    ("mavlink", Value::NULL),
                    ("timeout", number(2.5)),
                ]),
            ),
            ("restart", Value::string("on-failure")),
            ("stop_grace", number(1.5)),
            ("idle_timeout", number(1800.0)),
            ("max_lifetime", Value::NULL),
            (
                "log",
                Value::object([
                    ("path", Value::NULL),
                    ("max_size", Value::from(1000u64)),
                    ("keep", Value::from(2u64)),
                ]),
            ),
            ("of_node", Value::from(true)),
            ("state", Value::string("running")),
            (
                "health_check",
                health_check_value(&HealthCheck {
                    kind: HealthCheckType::MavlinkHeartbeat,
                    port: Some("gcs".to_owned()),
                    url: None,
                    command: None,
                    interval: Some(1.0),
                    timeout: None,
                    start_period: None,
                    healthy_threshold: None,
                    unhealthy_threshold: Some(3),
                    real_time_factor_min: Some(0.5),
                }),
            ),
            (
                "resources",
                Value::object([("cpu", number(0.5)), ("memory", Value::from(1u64 << 28))]),
            ),
            ("labels", string_map(&[("team".to_owned(), "red".to_owned())].into())),
        ])
    }

    fn view(wanted: Wanted) -> SimulatorView {
        SimulatorView {
            name: wanted.name,
            id: "t".to_owned(),
            lineage: "l".to_owned(),
            revision: 1,
            spec: wanted.spec,
            secrets: wanted.secrets,
            status: Status::Running,
            settled: true,
            pid: None,
            exit: None,
            restarts: 0,
            started: None,
            machine: None,
            gdb_port: None,
            act: None,
            stopped_because: None,
            stuck: None,
            problem: None,
        }
    }

    #[test]
    fn what_is_wanted_reads_back_as_it_was_after_a_trip_over_the_wire() {
        let attributes = full();
        let wanted = wanted(&attributes).expect("valid");
        assert_eq!(
            wanted.secrets,
            [Path::attribute("env").join(PathStep::Name("KEY".into()))]
        );
        let wire = serde_json::to_string(&view(wanted)).expect("is JSON");
        let read = super::attributes(
            &serde_json::from_str(&wire).expect("is a view"),
            Folders::one(FilePath::new("/")),
        );
        for (name, value) in attributes.iter() {
            assert_eq!(read.get(name), Some(value), "{name}");
        }
        assert_eq!(read.str("status"), Some("running"));
    }

    /// The agent of another machine has no folder of the fleet: only what is sent to it is found there.
    #[test]
    fn files_of_a_machine_are_where_its_agent_is_and_its_program_is_here() {
        let folders = Folders {
            here: FilePath::new("/fleet"),
            there: FilePath::new("/var/lib/simfleet"),
        };
        let drive = Value::object([
            ("name", "sd".into()),
            ("path", "sd.qcow2".into()),
            ("format", "qcow2".into()),
        ]);
        let attributes = Attributes::from_iter([
            ("name", Value::string("board")),
            ("binary", "qemu-system-arm".into()),
            ("machine", "virt".into()),
            ("program", "ab12".into()),
            ("program_file", "build/app.elf".into()),
            ("drives", Value::tuple([drive])),
        ]);
        let wanted = wanted_machine(&attributes, folders).expect("valid");
        let machine = wanted.spec.machine.clone().expect("it is one");
        assert_eq!(machine.program.expect("it has one").path, "/fleet/build/app.elf");
        assert_eq!(machine.drives[0].path, "/var/lib/simfleet/sd.qcow2");
        let seen = super::attributes(&view(wanted), folders);
        assert_eq!(seen.str("program_file"), Some("build/app.elf"));
        let drives = seen.get("drives").and_then(Value::as_slice).expect("a list");
        assert_eq!(drives[0].get("path"), Some(&"sd.qcow2".into()));
    }

    #[test]
    fn a_dead_process_differs_from_the_running_one_that_is_wanted() {
        let mut view = view(wanted(&full()).expect("valid"));
        view.status = Status::Exited;
        assert_eq!(
            attributes(&view, Folders::one(FilePath::new("/"))).str("state"),
            Some("exited")
        );
    }

    #[test]
    fn one_that_was_idle_is_no_other_than_the_one_that_is_wanted() {
        let mut view = view(wanted(&full()).expect("valid"));
        view.status = Status::Stopped;
        assert_eq!(
            attributes(&view, Folders::one(FilePath::new("/"))).str("state"),
            Some("stopped")
        );
        view.stopped_because = Some("idle for 30m".to_owned());
        let seen = attributes(&view, Folders::one(FilePath::new("/")));
        assert_eq!(
            (seen.str("state"), seen.str("status")),
            (Some("running"), Some("stopped"))
        );
        assert_eq!(seen.str("stopped_because"), Some("idle for 30m"));
    }

    #[test]
    fn values_of_a_wrong_type_name_their_path() {
        for (name, attribute, value, expected) in [
            (
                "command",
                "command",
                Value::string("x"),
                "`command` must be a list of strings",
            ),
            (
                "element",
                "command",
                Value::tuple([Value::from(true)]),
                "`command[0]` must be a string",
            ),
            (
                "port",
                "ports",
                Value::object([("a", Value::from(70000u64))]),
                "`ports.a` must be a port: 1 to 65535",
            ),
            (
                "unknown",
                "env",
                Value::unknown("node.a.address"),
                "`env` is not known yet",
            ),
            (
                "ready",
                "ready",
                Value::object([("timeout", Value::string("1s"))]),
                "`ready.timeout` must be a number",
            ),
        ] {
            let mut attributes = full();
            attributes.set(attribute, value);
            let error = ProviderError::from(wanted(&attributes).expect_err(name));
            assert_eq!(error.to_string(), expected, "{name}");
        }
        let mut attributes = full();
        attributes.set("restart", "sometimes");
        let error = wanted(&attributes).expect_err("no such word");
        assert!(error.message.contains("on-failure"), "{}", error.message);
    }
}
