//! What can be told of wanted attributes without an engine.

use simfleet_provider_agent::Probe;
use simfleet_provider_api::{Attributes, Kind, Path, Problem, Value};

use crate::container::{is_default_network, publish::Published};
use crate::labels;
use crate::schema::{CONTAINER, NETWORK};

/// The least memory that an engine gives a container.
const LEAST_MEMORY: u64 = 6 << 20;

/// Returns what is wrong; what is not known yet is passed over.
pub(crate) fn check(kind: &Kind, desired: &Attributes) -> Vec<Problem> {
    if *kind == NETWORK {
        return network(desired);
    }
    if *kind != CONTAINER {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let mut problem = |attribute: &'static str, message: String, hint: Option<&str>| {
        problems.push(Problem {
            path: Path::attribute(attribute),
            message,
            hint: hint.map(str::to_owned),
        });
    };
    if desired.str("image").is_some_and(str::is_empty) {
        problem(
            "image",
            "must not be empty".to_owned(),
            Some("name an image: \"nginx:1.27\""),
        );
    }
    one_of(desired, "pull", &["never", "missing", "always"], &mut problem);
    one_of(desired, "state", &["running", "paused", "stopped"], &mut problem);
    one_of(
        desired,
        "restart",
        &["no", "on-failure", "always", "unless-stopped"],
        &mut problem,
    );
    let published = desired.get("publish").and_then(Value::as_slice).into_iter().flatten();
    for text in published.filter_map(Value::as_str) {
        if let Err(wrong) = text.parse::<Published>() {
            problem("publish", wrong, None);
        }
    }
    let memory = desired
        .get("resources")
        .and_then(|resources| resources.get("memory")?.as_u64());
    if memory.is_some_and(|memory| memory < LEAST_MEMORY) {
        problem(
            "resources",
            "gives less than 6MiB of memory, the least that an engine gives".to_owned(),
            None,
        );
    }
    let limits = desired.get("ulimits").and_then(Value::as_fields).into_iter().flatten();
    for (name, limit) in limits {
        let is_limit = |limit: &str| {
            let (soft, hard) = limit.split_once(':').unwrap_or((limit, limit));
            soft.parse::<i64>().is_ok() && hard.parse::<i64>().is_ok()
        };
        if limit.as_str().is_some_and(|limit| !is_limit(limit)) {
            problem(
                "ulimits",
                format!("must give {name:?} as \"soft:hard\" or one number"),
                None,
            );
        }
    }
    let cpu = desired
        .get("resources")
        .and_then(|resources| resources.get("cpu")?.as_number());
    if cpu.is_some_and(|cpu| cpu.as_f64() <= 0.0) {
        problem("resources", "must give more `cpu` than 0".to_owned(), None);
    }
    if let Some(signal) = desired.str("stop_signal").filter(|signal| !is_signal(signal)) {
        let message = format!("must be a signal, but is {signal:?}");
        problem("stop_signal", message, Some("for example \"SIGINT\", or its number"));
    }
    for name in keys(desired, "env").filter(|name| name.is_empty() || name.contains('=')) {
        let message = format!("has {name:?}, which is no name of a variable: one has no `=` and is not empty");
        problem("env", message, None);
    }
    for name in keys(desired, "labels").filter(|name| !labels::is_declared(name)) {
        let message = format!("has {name:?}: labels that begin so are kept by simfleet and Compose for themselves");
        problem("labels", message, None);
    }
    for path in keys(desired, "tmpfs").filter(|path| !path.starts_with('/')) {
        problem(
            "tmpfs",
            format!("must be in folders by their absolute path, not in {path:?}"),
            None,
        );
    }
    if let Some(folder) = desired.str("working_dir").filter(|folder| !folder.starts_with('/')) {
        problem(
            "working_dir",
            format!("must be an absolute path, but is {folder:?}"),
            None,
        );
    }
    let networks = desired.get("networks").and_then(Value::as_slice).into_iter().flatten();
    for network in networks
        .filter_map(Value::as_str)
        .filter(|name| is_default_network(name))
    {
        let message = format!("has {network:?}, a network of the engine itself; containers are put into declared ones");
        problem(
            "networks",
            message,
            Some("without `networks` a container is in \"bridge\""),
        );
    }
    if let Some(message) = desired.get("health_check").and_then(health_check) {
        problem("health_check", message, None);
    }
    problems
}

/// The signals of Linux, as an engine knows them: without `SIG`.
const SIGNALS: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// Whether an engine takes a word for a signal: its name, with or without `SIG`, or its number. Real-time signals are counted from
/// the first or from the last one.
fn is_signal(word: &str) -> bool {
    if let Ok(number) = word.parse::<u32>() {
        return (1..=64).contains(&number);
    }
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let counted = |from: &str, sign: char, most: u32| {
        let rest = name.strip_prefix(from)?;
        let number = rest.strip_prefix(sign).and_then(|number| number.parse::<u32>().ok());
        Some(rest.is_empty() || number.is_some_and(|number| (1..=most).contains(&number)))
    };
    let is_counted = counted("RTMIN", '+', 15).or_else(|| counted("RTMAX", '-', 14));
    is_counted.unwrap_or_else(|| SIGNALS.contains(&name))
}

/// Returns the names in a map.
fn keys<'a>(desired: &'a Attributes, attribute: &str) -> impl Iterator<Item = &'a str> {
    let map = desired.get(attribute).and_then(Value::as_fields).into_iter().flatten();
    map.map(|(name, _)| &**name)
}

/// Returns what is wrong with a health check. An engine that is to run nothing at all ends itself.
fn health_check(check: &Value) -> Option<String> {
    if let Some([]) = check.get("command").and_then(Value::as_slice) {
        return Some("must name a program in `command`".to_owned());
    }
    match check.get("type")?.as_str()? {
        "http" => Probe::http(check.get("url")?.as_str()?).err(),
        _ => None,
    }
}

/// The fleet language has drivers of other providers, too.
fn network(desired: &Attributes) -> Vec<Problem> {
    let other = desired.str("driver").filter(|driver| *driver != "bridge");
    let problem = other.map(|driver| Problem {
        path: Path::attribute("driver"),
        message: format!("must be \"bridge\" for a Docker engine, but is {driver:?}"),
        hint: None,
    });
    problem.into_iter().collect()
}

fn one_of(
    desired: &Attributes,
    attribute: &'static str,
    words: &[&str],
    problem: &mut impl FnMut(&'static str, String, Option<&str>),
) {
    if let Some(word) = desired.str(attribute)
        && !words.contains(&word)
    {
        problem(
            attribute,
            format!("must be one of {}, but is {word:?}", words.join(", ")),
            None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_would_refuse_or_choke_on_is_told_before() {
        let map = |name: &str| Value::map([(name, Value::from("x"))]);
        let check = |name: &str, value: Value| {
            let kind = if name == "url" { "http" } else { "command" };
            Value::object([("type", Value::from(kind)), (name, value)])
        };
        for (attribute, value, expected) in [
            (
                "health_check",
                check("command", Value::tuple([])),
                "must name a program in `command`",
            ),
            (
                "health_check",
                check("url", "localhost".into()),
                "\"localhost\" is no URL of the form http://host:port/path",
            ),
            (
                "env",
                map("A=B"),
                "has \"A=B\", which is no name of a variable: one has no `=` and is not empty",
            ),
            (
                "labels",
                map("simfleet.token"),
                "has \"simfleet.token\": labels that begin so are kept by simfleet and Compose for themselves",
            ),
            (
                "tmpfs",
                map("run"),
                "must be in folders by their absolute path, not in \"run\"",
            ),
            ("working_dir", "tmp".into(), "must be an absolute path, but is \"tmp\""),
            (
                "networks",
                Value::tuple(["host".into()]),
                "has \"host\", a network of the engine itself; containers are put into declared ones",
            ),
            (
                "stop_signal",
                "SIGSTOPP".into(),
                "must be a signal, but is \"SIGSTOPP\"",
            ),
            ("stop_signal", "65".into(), "must be a signal, but is \"65\""),
            (
                "stop_signal",
                "RTMIN+16".into(),
                "must be a signal, but is \"RTMIN+16\"",
            ),
            (
                "resources",
                Value::object([("cpu", Value::from(0u64))]),
                "must give more `cpu` than 0",
            ),
        ] {
            let mut wanted = Attributes::from_iter([("image", "nginx:1")]);
            wanted.set(attribute, value);
            let problems = check_of(&wanted);
            assert_eq!(problems, [(attribute.to_owned(), expected.to_owned())]);
        }
        let mut sound = Attributes::from_iter([("image", "nginx:1"), ("working_dir", "/tmp")]);
        sound.set("env", map("A"));
        sound.set("health_check", check("url", "http://localhost:80/".into()));
        for signal in ["SIGINT", "term", "9", "SIGRTMIN+3", "rtmax"] {
            sound.set("stop_signal", signal);
            assert_eq!(check_of(&sound), [], "{signal}");
        }
    }

    fn check_of(wanted: &Attributes) -> Vec<(String, String)> {
        let problems = check(&CONTAINER, wanted).into_iter();
        problems
            .map(|problem| (problem.path.to_string(), problem.message))
            .collect()
    }
}
