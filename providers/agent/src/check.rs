//! What can be wrong with a wanted process beyond its types: pure, the same for a plan and for the agent.

use std::net::SocketAddr;
use std::path::Path as FilePath;

use simfleet_provider_api::{Attributes, Kind, Path, PathStep, Problem, Value};

use crate::protocol::{HealthCheckType, ProcessSpec};
use crate::schema::{HOST, MACHINE};
use crate::spec::{Folders, Wrong, known_part, wanted, wanted_machine};

/// The longest name of a simulator, in bytes.
pub(crate) const MAX_NAME: usize = 200;

/// Checks wanted attributes of which some may not be known yet.
pub(crate) fn problems(kind: &Kind, attributes: &Attributes) -> Vec<Problem> {
    if *kind == HOST {
        return Vec::new();
    }
    let is_machine = *kind == MACHINE;
    let mut known = known_part(attributes);
    // What is required and not known yet stands in with something that is right.
    for name in ["binary", "machine"] {
        if is_machine && attributes.get(name).is_some() && known.get(name).is_none() {
            known.set(name, "unknown");
        }
    }
    if attributes.get("command").is_some() && known.get("command").is_none() {
        known.set("command", Value::tuple([Value::string("unknown")]));
    }
    if attributes.get("name").is_some() && known.get("name").is_none() {
        known.set("name", "unknown");
    }
    let ports = if attributes.get("ports").is_some() && known.get("ports").is_none() {
        Ports::Unknown
    } else {
        Ports::Known
    };
    let wanted = match is_machine {
        // Where its files are does not matter here.
        true => wanted_machine(&known, Folders::one(FilePath::new("/"))),
        false => wanted(&known),
    };
    let wrong = match wanted {
        Ok(wanted) => {
            let mut wrong = check_name(&wanted.name);
            wrong.extend(check_spec(&wanted.spec, ports));
            wrong
        }
        Err(wrong) => vec![wrong],
    };
    wrong
        .into_iter()
        .map(|Wrong { path, message }| Problem {
            path,
            message,
            hint: None,
        })
        .collect()
}

/// Whether the ports of a process are known, so that a reference to one can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ports {
    Known,
    Unknown,
}

/// Checks a name.
pub(crate) fn check_name(name: &str) -> Vec<Wrong> {
    let path = Path::attribute("name");
    if name.is_empty() {
        vec![Wrong::new(path, "is empty")]
    } else if name.len() > MAX_NAME {
        vec![Wrong::new(path, format!("is longer than {MAX_NAME} bytes"))]
    } else if name.chars().any(char::is_control) {
        vec![Wrong::new(path, "has a control character")]
    } else {
        Vec::new()
    }
}

/// Checks all that is wanted of a process.
pub(crate) fn check_spec(spec: &ProcessSpec, ports: Ports) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut check = |is_right: bool, path: &[&str], message: &str| {
        if !is_right {
            let path = Path(path.iter().map(|step| PathStep::Name((*step).into())).collect());
            wrong.push(Wrong::new(path, message));
        }
    };
    check(
        spec.machine.is_some() || spec.command.first().is_some_and(|program| !program.is_empty()),
        &["command"],
        "must start with a program",
    );
    check(
        !spec.command.iter().any(|argument| argument.contains('\0')),
        &["command"],
        "has a NUL character",
    );
    if let Some(machine) = &spec.machine {
        let texts = [
            ("binary", Some(&machine.binary)),
            ("machine", Some(&machine.machine)),
            ("cpu", machine.cpu.as_ref()),
        ];
        for (name, text) in texts {
            check(text.is_none_or(|text| !text.is_empty()), &[name], "is empty");
            check(
                text.is_none_or(|text| !text.contains('\0')),
                &[name],
                "has a NUL character",
            );
        }
        check(
            !machine.arguments.iter().any(|argument| argument.contains('\0')),
            &["arguments"],
            "has a NUL character",
        );
        check(
            machine.consoles.iter().all(|console| console.max_size >= 1024),
            &["consoles"],
            "must have a `max_size` of at least 1024 bytes each",
        );
        check(
            machine
                .gdb
                .as_ref()
                .is_none_or(|gdb| gdb.bind.parse::<std::net::IpAddr>().is_ok()),
            &["gdb", "bind"],
            "must be an IP address",
        );
    }
    for (name, value) in spec.env.iter().flatten() {
        check(
            !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'),
            &["env", name],
            "is no environment variable: a name has no `=`, and neither has a NUL character",
        );
        check(
            !name.starts_with("SIMFLEET_"),
            &["env", name],
            "starts with SIMFLEET_, which the agent sets itself",
        );
    }
    for (path, folder) in [
        (&["working_dir"][..], spec.working_dir.as_deref()),
        (&["log", "path"], spec.log.as_ref().and_then(|log| log.path.as_deref())),
    ] {
        check(
            folder.is_none_or(|folder| FilePath::new(folder).is_absolute()),
            path,
            "must be an absolute path",
        );
    }
    check(
        (0.0..=3600.0).contains(&spec.stop_grace),
        &["stop_grace"],
        "must be between 0 and 3600 seconds",
    );
    for (name, length) in [("idle_timeout", spec.idle_timeout), ("max_lifetime", spec.max_lifetime)] {
        check(
            length.is_none_or(|seconds| (1.0..=TEN_YEARS).contains(&seconds)),
            &[name],
            "must be between a second and ten years",
        );
    }
    if let Some(log) = &spec.log {
        check(
            log.max_size.is_none_or(|size| size >= 1024),
            &["log", "max_size"],
            "must be at least 1024 bytes",
        );
        check(
            log.keep.is_none_or(|keep| keep <= 1000),
            &["log", "keep"],
            "must be at most 1000 files",
        );
    }
    if let Some(resources) = &spec.resources {
        check(
            resources.cpu.is_none_or(|cpu| cpu > 0.0),
            &["resources", "cpu"],
            "must be above 0",
        );
    }
    check_ready(spec, ports, &mut wrong);
    check_health(spec, ports, &mut wrong);
    wrong
}

fn check_ready(spec: &ProcessSpec, ports: Ports, wrong: &mut Vec<Wrong>) {
    let Some(ready) = &spec.ready else {
        return;
    };
    let path = |field: &str| Path::attribute("ready").join(PathStep::Name(field.into()));
    if let Some(pattern) = &ready.pattern
        && let Err(error) = regex::bytes::Regex::new(pattern)
    {
        wrong.push(Wrong::new(
            path("pattern"),
            format!("is no regular expression: {error}"),
        ));
    }
    for (field, target) in [("tcp", &ready.tcp), ("mavlink", &ready.mavlink)] {
        if let Some(target) = target
            && let Err(message) = check_target(spec, target, ports)
        {
            wrong.push(Wrong::new(path(field), message));
        }
    }
    if let Some(url) = &ready.http
        && let Err(message) = check_url(url)
    {
        wrong.push(Wrong::new(path("http"), message));
    }
    if !seconds_are_right(ready.timeout) {
        wrong.push(Wrong::new(path("timeout"), SECONDS));
    }
}

fn check_health(spec: &ProcessSpec, ports: Ports, wrong: &mut Vec<Wrong>) {
    let Some(check) = &spec.health_check else {
        return;
    };
    let path = |field: &str| Path::attribute("health_check").join(PathStep::Name(field.into()));
    match check.kind {
        HealthCheckType::Tcp | HealthCheckType::MavlinkHeartbeat => match &check.port {
            Some(port) => {
                if let Err(message) = check_target(spec, port, ports) {
                    wrong.push(Wrong::new(path("port"), message));
                }
            }
            None if ports == Ports::Known && spec.ports.as_ref().map_or(0, |ports| ports.len()) != 1 => {
                wrong.push(Wrong::new(
                    path("port"),
                    "is missing, and the process has no single port that could be meant",
                ));
            }
            None => {}
        },
        HealthCheckType::Http => match check.url.as_deref().map(check_url) {
            Some(Ok(())) => {}
            Some(Err(message)) => wrong.push(Wrong::new(path("url"), message)),
            None => wrong.push(Wrong::new(path("url"), "is missing")),
        },
        HealthCheckType::Command => {
            if check.command.as_ref().is_none_or(|command| command.is_empty()) {
                wrong.push(Wrong::new(path("command"), "is missing"));
            }
        }
    }
    for (field, value) in [("interval", check.interval), ("timeout", check.timeout)] {
        if !seconds_are_right(value) {
            wrong.push(Wrong::new(path(field), SECONDS));
        }
    }
    if check
        .start_period
        .is_some_and(|period| !(0.0..=86400.0).contains(&period))
    {
        wrong.push(Wrong::new(path("start_period"), "must be between 0 and 86400 seconds"));
    }
    for (field, value) in [
        ("healthy_threshold", check.healthy_threshold),
        ("unhealthy_threshold", check.unhealthy_threshold),
    ] {
        if value == Some(0) {
            wrong.push(Wrong::new(path(field), "must be at least 1"));
        }
    }
}

const TEN_YEARS: f64 = 10.0 * 366.0 * 86_400.0;

const SECONDS: &str = "must be between 0.01 and 86400 seconds";

fn seconds_are_right(value: Option<f64>) -> bool {
    value.is_none_or(|seconds| (0.01..=86400.0).contains(&seconds))
}

fn check_target(spec: &ProcessSpec, target: &str, ports: Ports) -> Result<(), String> {
    if ports == Ports::Unknown || resolve(spec, target, SocketAddr::from(([127, 0, 0, 1], 0))).is_some() {
        return Ok(());
    }
    Err(format!(
        "is `{target}`: neither the name of one of its ports, nor a number, nor ADDRESS:PORT"
    ))
}

fn check_url(url: &str) -> Result<(), String> {
    match url.parse::<hyper::Uri>() {
        Ok(uri) if uri.scheme_str() == Some("http") && uri.host().is_some() => Ok(()),
        Ok(_) => Err("must be a URL that starts with http://".to_owned()),
        Err(error) => Err(format!("is no URL: {error}")),
    }
}

/// Returns what a target means: the name of a port or a number, on the node's own address, or an address and a port.
pub(crate) fn resolve(spec: &ProcessSpec, target: &str, node: SocketAddr) -> Option<SocketAddr> {
    let named = spec.ports.as_ref().and_then(|ports| ports.get(target)).copied();
    match named.or_else(|| target.parse().ok()) {
        Some(0) => None,
        Some(port) => Some(SocketAddr::new(node.ip(), port)),
        None => target.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::PROCESS;

    fn attributes(change: impl FnOnce(&mut Attributes)) -> Attributes {
        let mut attributes = Attributes::from_iter([
            ("name", Value::string("quad")),
            ("command", Value::tuple([Value::string("true")])),
            ("ports", Value::object([("gcs", Value::from(14560u64))])),
        ]);
        change(&mut attributes);
        attributes
    }

    #[test]
    fn what_is_right_has_no_problem() {
        type Change = fn(&mut Attributes);
        let cases: [(&str, Change); 5] = [
            ("plain", |_| {}),
            ("unknown command", |a| {
                a.set("command", Value::unknown("node.a.address"))
            }),
            ("unknown argument", |a| {
                a.set(
                    "command",
                    Value::tuple([Value::string("x"), Value::unknown("node.a.address")]),
                );
            }),
            ("heartbeat on the only port", |a| {
                a.set(
                    "health_check",
                    Value::object([("type", Value::string("mavlink_heartbeat"))]),
                );
            }),
            ("heartbeat on ports that are not known yet", |a| {
                a.set("ports", Value::unknown("node.a.port_range"));
                a.set("health_check", Value::object([("type", Value::string("tcp"))]));
            }),
        ];
        for (name, change) in cases {
            assert_eq!(problems(&PROCESS, &attributes(change)), [], "{name}");
        }
    }

    #[test]
    fn what_is_wrong_names_its_path() {
        let health = |fields: Vec<(&'static str, Value)>| Value::object(fields);
        let cases = [
            ("no command", "command", Value::tuple([]), "command"),
            ("empty name", "name", Value::string(""), "name"),
            ("relative folder", "working_dir", Value::string("here"), "working_dir"),
            (
                "reserved variable",
                "env",
                Value::object([("SIMFLEET_X", Value::string("1"))]),
                "env.SIMFLEET_X",
            ),
            ("negative grace", "stop_grace", Value::from(-1i64), "stop_grace"),
            (
                "no regular expression",
                "ready",
                Value::object([("pattern", Value::string("("))]),
                "ready.pattern",
            ),
            (
                "no such port",
                "ready",
                Value::object([("tcp", Value::string("gsc"))]),
                "ready.tcp",
            ),
            (
                "https is not spoken",
                "health_check",
                health(vec![
                    ("type", Value::string("http")),
                    ("url", Value::string("https://127.0.0.1/")),
                ]),
                "health_check.url",
            ),
            (
                "a type of another runtime",
                "health_check",
                health(vec![("type", Value::string("docker"))]),
                "health_check.type",
            ),
            (
                "interval 0",
                "health_check",
                health(vec![("type", Value::string("tcp")), ("interval", Value::from(0u64))]),
                "health_check.interval",
            ),
        ];
        for (name, attribute, value, path) in cases {
            let found = problems(&PROCESS, &attributes(|a| a.set(attribute, value)));
            let paths: Vec<String> = found.iter().map(|problem| problem.path.to_string()).collect();
            assert_eq!(paths, [path], "{name}: {found:?}");
        }
    }

    #[test]
    fn a_target_is_a_name_a_number_or_an_address() {
        let spec = wanted(&attributes(|_| {})).expect("valid").spec;
        let node = SocketAddr::from(([127, 1, 2, 3], 8443));
        for (target, expected) in [
            ("gcs", Some("127.1.2.3:14560")),
            ("80", Some("127.1.2.3:80")),
            ("127.0.0.1:81", Some("127.0.0.1:81")),
            ("0", None),
            ("70000", None),
            ("", None),
        ] {
            let resolved = resolve(&spec, target, node).map(|address| address.to_string());
            assert_eq!(resolved.as_deref(), expected, "{target:?}");
        }
    }
}
