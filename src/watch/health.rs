//! Whether nodes with a `health_check` are healthy, as looks at them tell: each at its own interval, and only so many of one
//! kind in a row change anything.

use std::collections::{BTreeMap, BTreeSet};

use simfleet_provider_api::{Address, Attributes, Observed};
use simfleet_state::HealthCheck;
use tokio::time::Instant;

use super::known::Known;
use super::looks::Sight;
use crate::health::{self, Verdict};
use crate::lower::with_parts;

/// What is known of the health of nodes.
#[derive(Debug, Default)]
pub(super) struct Healths(BTreeMap<Address, Health>);

#[derive(Debug)]
struct Health {
    check: HealthCheck,
    /// When it is looked at next.
    due: Instant,
    is_looking: bool,
    is_bad: bool,
    /// Looks in a row that say otherwise.
    otherwise: u64,
}

/// What changed with a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    None,
    Unhealthy(String),
    Healthy,
}

impl Healths {
    /// Returns the looks that are due, of the nodes that are there. A node that is new to it is healthy, as it was waited
    /// for, unless it is remembered otherwise.
    pub(super) fn due(
        &mut self,
        known: &Known,
        seen: Sight<'_>,
        remembered: impl Fn(&Address) -> bool,
    ) -> Vec<(HealthCheck, Address, Attributes)> {
        let now = Instant::now();
        let known_state = known.state();
        let resources = &known_state.resources;
        self.0.retain(|address, _| resources.contains_key(address));
        let mut due = Vec::new();
        for address in &known.checked {
            let check = resources.get(address).and_then(|it| it.declared.health_check.as_ref());
            let (Some(check), Some(looked)) = (check, seen.get(address)) else {
                continue;
            };
            let Observed::Present(object) = &*looked else { continue };
            let known = self.0.entry(address.clone()).or_insert_with(|| Health {
                check: HealthCheck::clone(check),
                due: now,
                is_looking: false,
                is_bad: remembered(address),
                otherwise: 0,
            });
            known.check.clone_from(check);
            if known.due > now || known.is_looking {
                continue;
            }
            known.is_looking = true;
            known.due = now + check.interval;
            let attributes = with_parts(address, &object.attributes, known_state).into_owned();
            due.push((HealthCheck::clone(check), address.clone(), attributes));
        }
        due
    }

    /// Takes in what a look found.
    pub(super) fn take(&mut self, address: &Address, verdict: Verdict) -> News {
        let Some(known) = self.0.get_mut(address) else {
            return News::None;
        };
        known.is_looking = false;
        let is_bad = matches!(verdict, Verdict::Unhealthy(_));
        if is_bad == known.is_bad {
            known.otherwise = 0;
            return News::None;
        }
        known.otherwise += 1;
        let enough = match is_bad {
            true => known.check.unhealthy_threshold,
            false => known.check.healthy_threshold,
        };
        if known.otherwise < enough {
            return News::None;
        }
        (known.is_bad, known.otherwise) = (is_bad, 0);
        match verdict {
            Verdict::Unhealthy(why) => News::Unhealthy(why),
            Verdict::Healthy => News::Healthy,
        }
    }

    /// Returns the nodes that are unhealthy.
    pub(super) fn unhealthy(&self) -> BTreeSet<Address> {
        let bad = self.0.iter().filter(|(_, known)| known.is_bad);
        bad.map(|(address, _)| address.clone()).collect()
    }

    /// Whether a node is unhealthy.
    pub(super) fn is_unhealthy(&self, address: &Address) -> bool {
        self.0.get(address).is_some_and(|known| known.is_bad)
    }

    /// Returns when the next look is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0
            .values()
            .filter(|known| !known.is_looking)
            .map(|known| known.due)
            .min()
    }
}

/// Looks at a node once.
pub(super) async fn look(check: HealthCheck, address: Address, attributes: Attributes) -> (Address, Verdict) {
    let verdict = health::look(&check, &address, &attributes).await;
    (address, verdict)
}
