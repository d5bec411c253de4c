//! What everything that runs becomes, a process or a container: the attributes that both have.

use std::time::Duration;

use simfleet_provider_api::{Attributes, Number, Value};

use crate::config::blocks::{HealthCheck, Resources, Workload};

/// Returns the attributes of what runs.
pub(super) fn attributes(workload: &Workload) -> Attributes {
    let given = |value: &Option<Value>| value.clone().unwrap_or(Value::NULL);
    let restart = workload.restart.map_or(Value::NULL, |restart| restart.as_str().into());
    let check = workload.health_check.as_ref();
    let mut attributes = Attributes::new();
    attributes.set("env", given(&workload.env));
    attributes.set("labels", given(&workload.labels));
    attributes.set("restart", restart);
    attributes.set("stop_grace", workload.stop_grace.map_or(Value::NULL, seconds));
    attributes.set("health_check", check.map_or(Value::NULL, health_check));
    attributes.set("resources", resources(&workload.resources));
    attributes
}

pub(super) fn seconds(duration: Duration) -> Value {
    number(Some(duration.as_secs_f64()))
}

fn number(value: Option<f64>) -> Value {
    value.and_then(Number::from_f64).map_or(Value::NULL, Value::from)
}

/// Returns an object of the fields that are set.
pub(super) fn record<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::object(fields.into_iter().filter(|(_, value)| !value.is_null()))
}

/// Applies a function to a string that may be unknown or sensitive.
pub(super) fn format_value(value: &Value, format: impl FnOnce(&str) -> String) -> Value {
    match (value.data(), value.as_str()) {
        (_, Some(text)) => Value::from(format(text)).mark(value.is_sensitive()),
        _ => value.clone(),
    }
}

fn resources(resources: &Resources) -> Value {
    if *resources == Resources::default() {
        return Value::NULL;
    }
    record([
        ("cpu", number(resources.cpu)),
        ("memory", resources.memory.map_or(Value::NULL, Value::from)),
    ])
}

pub(super) fn health_check(check: &HealthCheck) -> Value {
    record([
        ("type", check.kind.as_str().into()),
        ("url", check.url.clone().unwrap_or(Value::NULL)),
        ("command", check.command.clone().unwrap_or(Value::NULL)),
        ("port", check.port.clone().unwrap_or(Value::NULL)),
        ("interval", seconds(check.interval)),
        ("timeout", seconds(check.timeout)),
        ("start_period", seconds(check.start_period)),
        ("healthy_threshold", check.healthy_threshold.into()),
        ("unhealthy_threshold", check.unhealthy_threshold.into()),
        ("real_time_factor_min", number(check.real_time_factor_min)),
    ])
}
