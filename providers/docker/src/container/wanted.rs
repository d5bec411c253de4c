//! A container as it is wanted: the attributes of the kind in their types.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use simfleet_provider_api::json::{from_json, to_json_with};
use simfleet_provider_api::{Attributes, ProviderError, Value};

use crate::client::rejected;

/// A container as it is wanted.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    /// What of it can be changed only by making it anew.
    #[serde(skip)]
    pub(crate) spec: Spec,
    #[serde(default)]
    pub(crate) networks: BTreeSet<String>,
    /// What it is called in each of them.
    #[serde(default)]
    pub(crate) aliases: BTreeSet<String>,
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) restart: Restart,
    #[serde(default)]
    pub(crate) resources: Option<Resources>,
    #[serde(default)]
    pub(crate) state: State,
}

/// What of a container can be changed only by making it anew, as it is kept in a label: no engine changes it, so it need
/// not be told apart from what the image brings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Spec {
    pub(crate) image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pull: Option<Pull>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) env: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) working_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) publish: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ports: Option<BTreeMap<String, u16>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mounts: Option<BTreeSet<Mount>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tmpfs: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health_check: Option<HealthCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_grace: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) read_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cap_add: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cap_drop: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) devices: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ulimits: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<Log>,
}

/// A volume or a folder of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Mount {
    pub(crate) r#type: MountType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    pub(crate) target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) read_only: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MountType {
    Volume,
    Bind,
}

/// The most that a container gets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Resources {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<u64>,
}

/// Where the output of a container goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) driver: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<BTreeMap<String, String>>,
}

/// How it is told whether a container is healthy; times are seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HealthCheck {
    pub(crate) r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_period: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) healthy_threshold: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unhealthy_threshold: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) real_time_factor_min: Option<f64>,
}

/// When the image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pull {
    Never,
    #[default]
    Missing,
    Always,
}

/// What the engine does when a container ends by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Restart {
    #[default]
    No,
    OnFailure,
    Always,
    UnlessStopped,
}

/// What a container should do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    #[default]
    Running,
    Paused,
    Stopped,
}

impl Wanted {
    /// Reads wanted attributes.
    ///
    /// # Errors
    /// `Rejected`, with what does not fit.
    pub(crate) fn of(attributes: &Attributes) -> Result<Self, ProviderError> {
        let present = attributes.iter().filter(|(_, value)| !value.is_null());
        let mut fields = serde_json::Map::new();
        for (name, value) in present {
            fields.insert(name.to_string(), without_nulls(plain(value)));
        }
        let fields = serde_json::Value::Object(fields);
        let wrong = |error: serde_json::Error| rejected(format!("no container can be made so: {error}"), None);
        let mut spec = Spec::deserialize(&fields).map_err(wrong)?;
        spec.pull.get_or_insert_default();
        spec.read_only.get_or_insert_default();
        let rest = Wanted::deserialize(&fields).map_err(wrong)?;
        Ok(Wanted { spec, ..rest })
    }
}

/// Returns a value as JSON, secrets too: what an engine is told.
fn plain(value: &Value) -> serde_json::Value {
    let (open, _) = value.clone().unmark_deep();
    let hidden = to_json_with(&open, &mut |_, _| {
        Ok::<_, std::convert::Infallible>(serde_json::Value::Null)
    });
    hidden.unwrap_or_default()
}

/// Optional fields of objects are null where they are not set.
fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(fields) => {
            let set = fields.into_iter().filter(|(_, value)| !value.is_null());
            set.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        serde_json::Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Sets the attributes that the fields of something are.
pub(crate) fn set_fields(attributes: &mut Attributes, of: &impl Serialize) -> Result<(), ProviderError> {
    let broken = |error: &dyn std::fmt::Display| ProviderError::Broken {
        message: format!("a container cannot be told: {error}"),
    };
    let json = serde_json::to_value(of).map_err(|error| broken(&error))?;
    let value = from_json(&json).map_err(|error| broken(&error))?;
    for (name, value) in value.as_fields().into_iter().flatten() {
        attributes.set(name.clone(), value.clone());
    }
    Ok(())
}
