//! What fires: alerts, and what has failed again and again, which fires without an alert being declared for it.

use serde_json::{Value as Json, json};

use crate::signals::Severity;
use crate::watch::published::{AlertPicture, Published};

/// Returns what fires, those that are declared first.
pub fn firing(published: &Published) -> impl Iterator<Item = AlertPicture> {
    let stuck = published.stuck.iter().map(|(address, stuck)| AlertPicture {
        alert: None,
        on: address.clone(),
        severity: Severity::Critical,
        since: stuck.since,
        because: format!("failed {} times: {}", stuck.failures, stuck.because),
        value: None,
    });
    published.alerts.iter().cloned().chain(stuck)
}

/// Returns what fires.
pub fn json(published: &Published) -> Json {
    let one = |alert: AlertPicture| {
        json!({
            "alert": alert.alert,
            "on": alert.on,
            "severity": alert.severity.as_str(),
            "since": alert.since.to_string(),
            "because": alert.because,
            "value": alert.value,
        })
    };
    firing(published).map(one).collect()
}
