//! What goes out of a watch to others: events to webhooks, alerts, and what is kept of all that was told.
//!
//! - [`names`]: the names of events
//! - [`webhooks`]: who is told of events, each with a queue of its own; `deliver`: one event to one of them; `format`: in which
//!   form; `sign`: how it is told that it comes from here
//! - [`alerts`]: when they fire, and when that is told
//! - [`history`]: what is kept of all that was told; [`rotating`]: in files of limited size
//! - [`secret`]: texts that are never shown

pub mod alerts;
mod deliver;
mod format;
pub mod history;
pub mod names;
pub mod rotating;
pub mod secret;
pub mod sign;
pub mod webhooks;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value as Json;
use simfleet_provider_api::Address;

pub use names::{EventName, Severity};

/// An event as it goes out.
#[derive(Debug, Clone)]
pub struct Signal {
    /// Its name.
    pub event: EventName,
    /// When it happened.
    pub at: Timestamp,
    /// What it is about.
    pub address: Option<Address>,
    /// How bad it is.
    pub severity: Severity,
    /// All that is told of it, as `watch --json` prints it.
    pub told: Json,
    /// Webhooks that are sent it, whatever events they ask for.
    pub notify: Vec<Address>,
}

/// Who sends.
#[derive(Debug, Clone, Default)]
pub struct Sender {
    /// The name of the fleet: its file or folder.
    pub fleet: Arc<str>,
    /// The identity of its state.
    pub lineage: Option<Arc<str>>,
    /// The machine that watches it.
    pub host: Arc<str>,
}

impl Signal {
    /// Returns what is told of it in words.
    pub fn message(&self) -> &str {
        self.told["message"].as_str().unwrap_or_default()
    }
}
