//! The settings in their types.

use std::path::PathBuf;
use std::time::Duration;

use simfleet_provider_agent::Probe;
use simfleet_provider_api::ssh::Ssh;
use simfleet_provider_api::{Attributes, ProviderError, Value};

use crate::place::{Container, Place};

/// Which nginx, which file of it, and with what care.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) place: Place,
    pub(crate) file: PathBuf,
    pub(crate) test: Option<Vec<String>>,
    pub(crate) reload: Option<Vec<String>>,
    pub(crate) health: Option<Health>,
    /// For how long the connections of a server that left are waited for.
    pub(crate) drain: Duration,
}

/// What a server must answer before it is entered.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    /// What is asked for over HTTP: a path of the server, or all of a URL. Without it the server must take a connection.
    url: Option<String>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) good: u64,
    /// For how long it may not answer.
    pub(crate) patience: Duration,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// `Rejected` where they make no sense.
    pub(crate) fn of(settings: &Attributes) -> Result<Self, ProviderError> {
        let rejected = |message: String| ProviderError::Rejected {
            message,
            attribute: None,
        };
        let file = PathBuf::from(settings.str("file").unwrap_or_default());
        if !file.is_absolute() || file.file_name().is_none() {
            return Err(rejected(format!(
                "`file` is {:?}, which is no file in full",
                file.display()
            )));
        }
        let host = settings.str("host").map(|host| {
            let login = host.strip_prefix("ssh://").and_then(Ssh::parse);
            let wrong = || rejected(format!("`host` is {host:?}, which is no ssh://user@host"));
            login.map(|login| login.with(settings)).ok_or_else(wrong)
        });
        let container = settings.str("container").map(|id| Container {
            id: id.to_owned(),
            engine: settings.str("engine").map(str::to_owned),
        });
        let place = Place {
            host: host.transpose()?,
            container,
        };
        let health = settings.get("health_check").filter(|check| !check.is_null());
        Ok(Settings {
            place,
            file,
            test: words(settings.get("test")),
            reload: words(settings.get("reload")),
            health: health.map(Health::of).transpose().map_err(rejected)?,
            drain: seconds(settings.get("drain")).unwrap_or_default(),
        })
    }
}

impl Health {
    fn of(check: &Value) -> Result<Self, String> {
        let text = |name| check.get(name).and_then(Value::as_str);
        let number = |name| check.get(name).and_then(Value::as_u64);
        let length = |name| seconds(check.get(name));
        let url = match text("type") {
            Some("http") => Some(text("url").unwrap_or("/").to_owned()),
            Some("tcp") => None,
            other => {
                let other = other.unwrap_or_default();
                return Err(format!(
                    "`health_check` is of the type {other:?}: a server answers http or tcp"
                ));
            }
        };
        let interval = length("interval").unwrap_or(Duration::from_secs(10));
        let bad = u32::try_from(number("unhealthy_threshold").unwrap_or(3)).unwrap_or(u32::MAX);
        Ok(Health {
            url,
            interval,
            timeout: length("timeout").unwrap_or(Duration::from_secs(5)),
            good: number("healthy_threshold").unwrap_or(1).max(1),
            patience: length("start_period")
                .unwrap_or_default()
                .saturating_add(interval.saturating_mul(bad)),
        })
    }

    /// Returns what is tried of a server at `address:port`.
    ///
    /// # Errors
    /// Why that cannot be tried.
    pub(crate) async fn probe(&self, address: &str) -> Result<Probe, String> {
        match &self.url {
            Some(path) if path.starts_with('/') => Probe::http(&format!("http://{address}{path}")),
            Some(url) => Probe::http(url),
            None => {
                let found = tokio::net::lookup_host(address).await;
                let found = found
                    .map_err(|error| format!("{address} cannot be found: {error}"))?
                    .next();
                found
                    .map(Probe::Tcp)
                    .ok_or_else(|| format!("{address} cannot be found"))
            }
        }
    }
}

fn words(value: Option<&Value>) -> Option<Vec<String>> {
    let words = value?.as_slice()?.iter().filter_map(Value::as_str);
    let words: Vec<String> = words.map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

fn seconds(value: Option<&Value>) -> Option<Duration> {
    let seconds = value?.as_number()?.as_f64();
    Duration::try_from_secs_f64(seconds).ok()
}
