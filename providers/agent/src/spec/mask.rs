//! Secrets in texts: what a process prints of its own secrets is not told, and not kept in a journal.

use serde_json::Value as Json;
use simfleet_provider_api::{Path, PathStep};

use crate::protocol::ProcessSpec;

/// What stands in the place of a secret.
const HIDDEN: &str = "(sensitive)";

/// Returns a text with all that is secret in a specification hidden. Of a secret with several lines, each line is: the
/// lines of a log are told apart and indented.
pub(crate) fn without_secrets(text: &str, spec: &ProcessSpec, secrets: &[Path]) -> String {
    let spec = serde_json::json!(spec);
    let mut hidden = Vec::new();
    for path in secrets {
        if let Some(secret) = at(&spec, &path.0) {
            collect(secret, &mut hidden);
        }
    }
    // A secret that is part of another one must not leave the rest of that to be seen.
    hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    hidden
        .into_iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
}

fn at<'a>(value: &'a Json, steps: &[PathStep]) -> Option<&'a Json> {
    steps.iter().try_fold(value, |value, step| match step {
        PathStep::Index(index) => value.get(usize::try_from(*index).ok()?),
        PathStep::Name(name) => value.get(&**name),
    })
}

fn collect<'a>(secret: &'a Json, hidden: &mut Vec<&'a str>) {
    match secret {
        Json::String(text) => hidden.extend(text.lines().map(str::trim).filter(|line| !line.is_empty())),
        Json::Array(items) => items.iter().for_each(|item| collect(item, hidden)),
        Json::Object(fields) => fields.values().for_each(|field| collect(field, hidden)),
        // Numbers and truth values are too short to be looked for, and no secrets of a process.
        Json::Number(_) | Json::Bool(_) | Json::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_secrets() {
        let spec: ProcessSpec = serde_json::from_value(serde_json::json!({
            "command": ["login", "pass", "word"],
            "env": { "KEY": "pass phrase", "LINES": "one secret\n  two secrets\n\n", "EMPTY": "", "OPEN": "open" },
            "restart": "no",
            "stop_grace": 10.0,
            "state": "running",
        }))
        .expect("it is a specification");
        let path = |name: &str, step: PathStep| Path(vec![PathStep::Name(name.into()), step]);
        let argument = || path("command", PathStep::Index(1));
        let variable = |name: &str| path("env", PathStep::Name(name.into()));
        for (name, secrets, text, told) in [
            ("none", vec![], "pass open", "pass open"),
            ("an argument", vec![argument()], "word: pass!", "word: (sensitive)!"),
            (
                "a variable",
                vec![variable("KEY")],
                "pass phrase, open",
                "(sensitive), open",
            ),
            (
                "one within another",
                vec![argument(), variable("KEY")],
                "pass phrase, pass",
                "(sensitive), (sensitive)",
            ),
            (
                "several lines, indented",
                vec![variable("LINES")],
                "log:\n    one secret\n    two secrets",
                "log:\n    (sensitive)\n    (sensitive)",
            ),
            ("an empty one", vec![variable("EMPTY")], "open", "open"),
            (
                "all of them",
                vec![Path::attribute("env")],
                "open pass",
                "(sensitive) pass",
            ),
            ("one that is not there", vec![variable("GONE")], "open", "open"),
        ] {
            assert_eq!(without_secrets(text, &spec, &secrets), told, "{name}");
        }
    }
}
