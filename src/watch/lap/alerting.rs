//! Alerts: what is measured for them, which fire, and what is remembered of that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use simfleet_provider_agent::AgentClient;
use simfleet_provider_api::{Address, Attributes, Observed};
use simfleet_state::{Lap, State};
use tokio::time::Instant;

use super::work::Work;
use super::{LOOK, Told, Watch};
use crate::config::blocks::Alert;
use crate::config::blocks::alert::{Metric, Trigger};
use crate::fleet::FleetError;
use crate::lower::{waits, with_parts};
use crate::signals::EventName;
use crate::signals::alerts::{AlertMemory, Change};
use crate::status::{Health, Load};
use crate::watch::published::AlertPicture;

/// How long an agent has to tell the load of its node, and how old that may be.
const PATIENCE: Duration = Duration::from_secs(5);
const FRESH: Duration = Duration::from_secs(90);

/// The alerts that are declared, and what is known for them.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    declared: BTreeMap<Address, Alert>,
    memories: BTreeMap<Address, AlertMemory>,
    /// As they were last remembered.
    kept: BTreeMap<Address, AlertMemory>,
    /// The loads of the nodes that alerts are about, and when they were told.
    loads: BTreeMap<Address, (Instant, Load)>,
    pub(super) loading: Work<(Address, Option<Load>)>,
    /// When they are asked for again.
    due: Option<Instant>,
}

impl Alerts {
    /// Takes over what was remembered of one.
    pub(super) fn recall(&mut self, alert: Address, memory: AlertMemory, now: Timestamp) {
        self.kept.insert(alert.clone(), memory.clone());
        self.memories.insert(alert, memory.resumed(now));
    }

    /// Takes over those that are declared, where another watch finds out which of them fire.
    pub(super) fn declare(&mut self, declared: BTreeMap<Address, Alert>) {
        self.declared = declared;
    }

    /// Takes over what that one remembers of them.
    pub(super) fn mirror(&mut self, memories: &BTreeMap<Address, Arc<str>>) {
        let of_alerts = memories.iter().filter(|(address, _)| address.block() == "alert");
        let read = of_alerts.filter_map(|(address, text)| Some((address.clone(), serde_json::from_str(text).ok()?)));
        self.memories = read.collect();
    }

    pub(super) fn take_load(&mut self, (node, load): (Address, Option<Load>)) {
        if let Some(load) = load {
            self.loads.insert(node, (Instant::now(), load));
        }
    }

    /// Asks the agents of the nodes whose load an alert is about.
    fn ask(&mut self, state: &State) {
        let now = Instant::now();
        if !self.loading.is_empty() || self.due.is_some_and(|due| due > now) {
            return;
        }
        self.due = Some(now + LOOK);
        let is_load = |alert: &&Alert| matches!(metric(alert), Some(Metric::Cpu | Metric::Memory));
        for alert in self.declared.values().filter(is_load) {
            if let Some(node) = state.resources.get(&alert.on) {
                let attributes = with_parts(&alert.on, &node.object.attributes, state).into_owned();
                let node = alert.on.clone();
                self.loading.begin(async move {
                    let load = load(&attributes).await;
                    (node, load)
                });
            }
        }
    }

    /// Returns those that fire.
    pub(super) fn pictures(&self) -> Vec<AlertPicture> {
        let firing = self.memories.iter().filter_map(|(address, memory)| {
            let (alert, firing) = (self.declared.get(address)?, memory.firing.as_ref()?);
            Some(AlertPicture {
                alert: Some(address.clone()),
                on: alert.on.clone(),
                severity: firing.severity,
                since: firing.since,
                because: firing.because.clone(),
                value: firing.value,
            })
        });
        firing.collect()
    }
}

async fn load(attributes: &Attributes) -> Option<Load> {
    let client = AgentClient::of_settings(attributes).ok()?.with_timeout(PATIENCE);
    let metrics = client.metrics().await.ok()?;
    Some(Load {
        cpu: metrics.cpu,
        memory: metrics.memory.percent,
    })
}

fn metric(alert: &Alert) -> Option<&Metric> {
    match &alert.trigger {
        Trigger::Metric { metric, .. } => Some(metric),
        Trigger::Event { .. } => None,
    }
}

impl Watch {
    /// Takes over the alerts that are declared. One that fires and is declared no more is over.
    pub(super) fn set_alerts(&mut self, declared: BTreeMap<Address, Alert>) {
        let before = std::mem::replace(&mut self.alerts.declared, declared);
        for (address, alert) in before {
            if self.alerts.declared.contains_key(&address) {
                continue;
            }
            let memory = self.alerts.memories.remove(&address);
            let change = memory.and_then(|mut memory| memory.resolve());
            self.tell_alert(&address, &alert, change);
            self.alerts.memories.insert(address, AlertMemory::default());
        }
    }

    /// Measures what alerts are about, and tells which of them fire.
    pub(super) async fn check_alerts(&mut self, state: &State) -> Result<(), FleetError> {
        self.alerts.ask(state);
        let now = self.now();
        for (address, alert) in self.alerts.declared.clone() {
            let value = metric(&alert).map(|metric| self.measure(metric, &alert.on, state));
            let memory = self.alerts.memories.entry(address.clone()).or_default();
            let change = match value {
                Some(value) => memory.measured(&alert, value, now),
                None => memory.passed(&alert, now),
            };
            self.tell_alert(&address, &alert, change);
        }
        self.remember_alerts(now).await
    }

    /// Keeps what is to be remembered of alerts, where that has changed.
    async fn remember_alerts(&mut self, at: Timestamp) -> Result<(), FleetError> {
        let Some(leader) = &self.leader else { return Ok(()) };
        let none = AlertMemory::default();
        let is_news =
            |(address, memory): &(&Address, &AlertMemory)| self.alerts.kept.get(*address).unwrap_or(&none).news(memory);
        let news = self.alerts.memories.iter().filter(is_news);
        let laps: Vec<Lap> = news
            .map(|(address, memory)| Lap {
                pool: address.clone(),
                at,
                memory: serde_json::to_string(memory).unwrap_or_default().into(),
                told: None,
            })
            .collect();
        if laps.is_empty() {
            return Ok(());
        }
        leader.remember(&laps).await?;
        self.alerts.kept = self.alerts.memories.clone();
        Ok(())
    }

    /// Tells the alerts that an event makes fire, or ends.
    pub(super) fn alert_of(&mut self, event: EventName, about: Option<&Address>, message: &str) {
        if self.alerts.declared.is_empty() {
            return;
        }
        let now = self.now();
        for (address, alert) in self.alerts.declared.clone() {
            let memory = self.alerts.memories.entry(address.clone()).or_default();
            let change = memory.happened(&alert, event, about, message, now);
            self.tell_alert(&address, &alert, change);
        }
    }

    fn tell_alert(&mut self, address: &Address, alert: &Alert, change: Option<Change>) {
        let (address, on, notify) = (address.clone(), alert.on.clone(), alert.notify.clone());
        self.tell(match change {
            None => return,
            Some(Change::Firing(firing)) => Told::AlertFiring {
                alert: address,
                on,
                firing,
                notify,
            },
            Some(Change::Resolved(firing)) => Told::AlertResolved {
                alert: address,
                on,
                firing,
                notify,
            },
        });
    }

    /// Returns what is known of a metric.
    fn measure(&self, metric: &Metric, on: &Address, state: &State) -> Option<f64> {
        let last = self.last.get(on);
        match metric {
            Metric::Size => Some(last?.members as f64),
            Metric::Desired => Some(last?.decision.desired as f64),
            Metric::Current => Some(last?.decision.current as f64),
            Metric::Check(check) => last?.values.get(&**check).copied(),
            Metric::Cpu => Some(self.load(on)?.cpu),
            Metric::Memory => Some(self.load(on)?.memory),
            Metric::Healthy => self
                .is_healthy(on, state)
                .map(|is_healthy| f64::from(u8::from(is_healthy))),
        }
    }

    fn load(&self, node: &Address) -> Option<Load> {
        let (at, load) = self.alerts.loads.get(node)?;
        (at.elapsed() < FRESH).then_some(*load)
    }

    /// Whether something is healthy. What cannot be reached, or was stopped by hand, or waits, is neither that nor not.
    fn is_healthy(&self, address: &Address, state: &State) -> Option<bool> {
        if state.holds.contains_key(address) || waits(state, address) {
            return None;
        }
        match self.looks.one(address, state)? {
            Observed::Present(object) => {
                Some(Health::told(&object.attributes).is_good() && !self.healths.is_unhealthy(address))
            }
            Observed::Absent => Some(false),
            Observed::Unreachable { .. } => None,
        }
    }
}
