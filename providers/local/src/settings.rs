//! The attributes of a node to and from what its agent keeps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use simfleet_provider_agent::layout::DataFolder;
use simfleet_provider_agent::protocol::{NodeSettings, NodeView};
use simfleet_provider_api::{Attributes, Data, Number, Path, PathStep, Problem, Value};

use crate::start::runtime;

/// What is wanted of a node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub name: String,
    pub settings: NodeSettings,
}

/// Reads wanted attributes. Values that are not known are an error, or passed over for a plan.
pub(crate) fn wanted(attributes: &Attributes) -> Result<Wanted, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut wrong = |path: Path, message: &str| {
        problems.push(Problem {
            path,
            message: message.to_owned(),
            hint: None,
        });
    };
    let get = |name: &str| attributes.get(name).filter(|value| !value.is_null());
    let name = match get("name").and_then(Value::as_str) {
        Some(name) if !name.is_empty() && name.len() <= 200 && !name.chars().any(char::is_control) => name.to_owned(),
        _ => {
            wrong(
                Path::attribute("name"),
                "must be a name: 1 to 200 bytes, no control characters",
            );
            String::new()
        }
    };
    let cpus = get("cpus").map(|value| value.as_number().map_or(f64::NAN, Number::as_f64));
    if cpus.is_some_and(|cpus| !cpus.is_finite() || cpus <= 0.0) {
        wrong(Path::attribute("cpus"), "must be a number above 0");
    }
    let mut whole = |name: &str, least: u64| {
        let value = get(name)?;
        let number = value.as_u64().filter(|number| *number >= least);
        if number.is_none() {
            wrong(
                Path::attribute(name),
                &format!("must be a whole number of at least {least}"),
            );
        }
        number
    };
    let memory = whole("memory", 1);
    let max_simulators = whole("max_simulators", 0);
    let labels = get("labels").map(|value| {
        let mut labels = BTreeMap::new();
        match value.as_fields() {
            Some(fields) => {
                for (name, label) in fields {
                    match label.as_str() {
                        Some(label) => {
                            labels.insert(name.to_string(), label.to_owned());
                        }
                        None => wrong(
                            Path::attribute("labels").join(PathStep::Name(name.clone())),
                            "must be a string",
                        ),
                    }
                }
            }
            None => wrong(Path::attribute("labels"), "must be a map of strings"),
        }
        labels
    });
    if !problems.is_empty() {
        return Err(problems);
    }
    let settings = NodeSettings {
        cpus,
        memory,
        max_simulators,
        labels,
    };
    Ok(Wanted { name, settings })
}

/// Returns a node as canonical attributes.
pub(crate) fn attributes(name: &str, data: &DataFolder, address: SocketAddr, view: &NodeView) -> Attributes {
    let settings = &view.settings;
    let mut attributes = Attributes::new();
    attributes.set("name", name);
    let cpus = settings.cpus.and_then(Number::from_f64);
    attributes.set("cpus", cpus.map_or(Value::NULL, Value::from));
    attributes.set("memory", settings.memory.map_or(Value::NULL, Value::from));
    attributes.set(
        "max_simulators",
        settings.max_simulators.map_or(Value::NULL, Value::from),
    );
    let labels = settings.labels.as_ref().map(|labels| {
        let labels = labels
            .iter()
            .map(|(name, label)| (Arc::from(name.as_str()), Value::string(label.as_str())));
        Value::new(Data::Map(Arc::new(labels.collect())))
    });
    attributes.set("labels", labels.unwrap_or(Value::NULL));
    attributes.set("address", address.ip().to_string());
    attributes.set("runtime", runtime(address));
    attributes.set("token_file", data.token().to_string_lossy().as_ref());
    attributes.set("data_dir", data.path().to_string_lossy().as_ref());
    let status = if view.health.status == "ok" {
        "running"
    } else {
        &view.health.status
    };
    attributes.set("status", status);
    attributes.set("pid", u64::from(view.health.identity.pid));
    attributes.set("started", view.started.as_str());
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_names_its_path() {
        for (name, attribute, value, path) in [
            ("no cpus", "cpus", Value::from(0u64), "cpus"),
            (
                "a part of a byte",
                "memory",
                Value::from(Number::from_f64(0.5).expect("finite")),
                "memory",
            ),
            ("negative", "max_simulators", Value::from(-1i64), "max_simulators"),
            (
                "a number",
                "labels",
                Value::object([("a", Value::from(1u64))]),
                "labels.a",
            ),
            ("empty", "name", Value::string(""), "name"),
        ] {
            let mut attributes = Attributes::from_iter([("name", "a")]);
            attributes.set(attribute, value);
            let problems = wanted(&attributes).expect_err(name);
            let paths: Vec<String> = problems.iter().map(|problem| problem.path.to_string()).collect();
            assert_eq!(paths, [path], "{name}");
        }
    }

    #[test]
    fn what_is_left_out_stays_out() {
        let wanted = wanted(&Attributes::from_iter([("name", "a")])).expect("valid");
        assert_eq!(wanted.settings, NodeSettings::default());
    }
}
