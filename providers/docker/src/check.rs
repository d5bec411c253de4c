//! What can be told of wanted attributes without an engine.

use simfleet_provider_api::{Attributes, Kind, Path, Problem, Value};

use crate::container::publish::Published;
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
    problems
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
