//! Looks at what is there, and at how healthy it is.

use std::sync::Arc;

use simfleet_provider_api::Address;
use tokio::time::Instant;

use super::{LOOK, QUIET, Watch};
use crate::health::Verdict;
use crate::lower::number_of;
use crate::watch::Told;
use crate::watch::health::{self, News};
use crate::watch::known::Known;
use crate::watch::looks::{Looked, look};

impl Watch {
    /// Looks at the far sides that are due.
    pub(super) fn look(&mut self, known: &Known) {
        let now = Instant::now();
        let (sides, snapshot) = (&known.sides, &known.snapshot);
        self.look_due.retain(|side, _| sides.contains_key(side));
        for (side, objects) in sides {
            let (due, _) = *self.look_due.entry(side.clone()).or_insert((now, 0));
            if due > now || !self.being_looked_at.insert(side.clone()) {
                continue;
            }
            self.pictured.counters.looks += 1;
            self.pictured.counters.looks_told += u64::from(self.listeners.begin_look(side));
            let files = &self.files;
            let providers = self
                .providers
                .get_or_insert_with(|| Arc::new(files.providers(snapshot)));
            let (snapshot, providers) = (Arc::clone(snapshot), Arc::clone(providers));
            let parallelism = self.files.options().parallelism;
            self.looking
                .begin(look(side.clone(), objects.clone(), snapshot, providers, parallelism));
        }
    }

    /// Looks at the health of the nodes that are due.
    pub(super) fn check(&mut self, known: &Known) {
        let memories = &self.memories;
        let was_bad = |node: &Address| {
            let member = number_of(node).and_then(|number| memories.get(&node.parent())?.members.get(&number));
            member.is_some_and(|member| member.unhealthy.is_some())
        };
        for (check, node, attributes) in self.healths.due(known, self.looks.sight(known.state()), was_bad) {
            self.checking.begin(health::look(check, node, attributes));
        }
    }

    pub(super) fn take_verdict(&mut self, node: Address, verdict: Verdict) {
        match self.healths.take(&node, verdict) {
            News::None => return,
            News::Unhealthy(because) => self.tell(Told::Unhealthy { node, because }),
            News::Healthy => self.tell(Told::Healthy { node }),
        }
        self.is_stale = true;
    }

    pub(super) fn take_look(&mut self, looked: Looked) {
        let side = looked.side.clone();
        self.being_looked_at.remove(&side);
        let is_news = Arc::make_mut(&mut self.looks).take(looked);
        self.is_stale |= is_news;
        let quiet = match (is_news, self.look_due.get(&side)) {
            (false, Some((_, quiet))) => (quiet + 1).min(QUIET),
            _ => 0,
        };
        let intervals = self.enforced.iter().flat_map(|enforced| enforced.pools.values());
        let soonest = intervals.map(|pool| pool.autoscale.evaluation_interval).min();
        let every = soonest.unwrap_or(LOOK).min(LOOK);
        let told = self.listeners.after_look(&side, self.known.as_deref());
        let wait = told.unwrap_or(every * quiet.max(1));
        self.look_due.insert(side, (Instant::now() + wait, quiet));
    }
}
