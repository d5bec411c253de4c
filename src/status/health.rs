//! How a node, a process, a simulator or a service is.

use simfleet_provider_api::Attributes;

/// How something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It is there; in the words of its provider, where it has any: `running`, `exited`.
    Present(Option<String>),
    /// It is there, and does not do all that it is there for: why.
    Unhealthy(String),
    /// It is not there any more.
    Gone,
    /// It cannot be looked at.
    Unreachable(String),
    /// It is recorded; nobody looked.
    Recorded,
}

impl Health {
    /// Returns how an object that is there says that it is.
    pub fn told(attributes: &Attributes) -> Self {
        let status = attributes.str("status");
        // Of what runs, a container tells whether it is healthy beside that it runs.
        let health = attributes.str("health").filter(|_| status == Some("running"));
        match (status, attributes.str("problem")) {
            (Some("unhealthy"), Some(problem)) => Health::Unhealthy(format!("its check says: {problem}")),
            _ => Health::Present(health.or(status).map(str::to_owned)),
        }
    }

    /// Returns one word for it.
    pub fn word(&self) -> &str {
        match self {
            Health::Present(Some(word)) => word,
            Health::Present(None) => "present",
            Health::Unhealthy(_) => "unhealthy",
            Health::Gone => "gone",
            Health::Unreachable(_) => "unreachable",
            Health::Recorded => "recorded",
        }
    }

    /// Whether it does what it is there for, as far as can be told.
    pub fn is_good(&self) -> bool {
        match self {
            Health::Present(word) => matches!(
                word.as_deref(),
                None | Some("running" | "ok" | "ready" | "healthy" | "waiting" | "debugged")
            ),
            Health::Unhealthy(_) | Health::Gone | Health::Unreachable(_) | Health::Recorded => false,
        }
    }

    /// Returns why it cannot be looked at, or does not do what it should, where that is known.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Health::Unhealthy(reason) | Health::Unreachable(reason) => Some(reason),
            Health::Present(_) | Health::Gone | Health::Recorded => None,
        }
    }
}
