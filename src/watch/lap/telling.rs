//! What is told, and to whom.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use simfleet_provider_api::Address;
use simfleet_state::State;

use super::retry::STUCK;
use super::{Told, Watch};
use crate::apply::{Outcome, Verb};
use crate::fleet::{Fleet, FleetError};
use crate::lower::number_of;
use crate::scale::{Decision, Limit};
use crate::signals::webhooks::News;
use crate::signals::{EventName, Sender, Signal};
use crate::view::watching;
use crate::watch::published::StuckPicture;

/// How long it may take, once the watch ends, until those who are told of events have been sent what waits.
const FAREWELL: Duration = Duration::from_secs(5);

/// Returns who sends events of a fleet.
pub(super) fn sender(fleet: &Fleet) -> Sender {
    let path = &fleet.options().path;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let who = fleet.who();
    Sender {
        fleet: (*name).into(),
        lineage: fleet.lineage(),
        host: who.rsplit('@').next().unwrap_or_default().into(),
    }
}

impl Watch {
    pub(super) fn tell(&mut self, told: Told) {
        let signal = told.event().map(|event| {
            let at = Timestamp::now();
            Arc::new(Signal {
                event,
                at,
                address: told.address().cloned(),
                severity: told.severity().unwrap_or(event.severity()),
                told: watching::event(&told, at),
                notify: told.notify().to_vec(),
            })
        });
        // The work goes on whether or not anybody reads of it.
        let _ = self.tell.send(told);
        // Others hear of the fleet from the one that leads.
        let Some(signal) = signal.filter(|_| !self.stands_by) else {
            return;
        };
        // A watch that changes nothing does not have others think that it does.
        if !self.how.dry_run {
            self.webhooks.send(Arc::clone(&signal));
        }
        if !matches!(signal.event, EventName::AlertFiring | EventName::AlertResolved) {
            self.alert_of(signal.event, signal.address.as_ref(), signal.message());
        }
    }

    /// Tells what has failed so often that somebody should look.
    pub(super) fn tell_stuck(&mut self, part: BTreeSet<Address>, because: &str) {
        let failures = |address: &Address| self.retries.get(address).map_or(0, |retry| retry.failures);
        let most = part.iter().map(&failures).max().unwrap_or_default();
        let now = self.files.host().now();
        let mut news = BTreeSet::new();
        for address in part.into_iter().filter(|address| failures(address) >= STUCK) {
            let failures = failures(&address);
            match self.stuck.get_mut(&address) {
                Some(stuck) => (stuck.failures, stuck.because) = (failures, because.to_owned()),
                None => {
                    let since = now;
                    let because = because.to_owned();
                    let stuck = StuckPicture {
                        since,
                        failures,
                        because,
                    };
                    self.stuck.insert(address.clone(), stuck);
                    news.insert(address);
                }
            }
        }
        if !news.is_empty() {
            self.tell(Told::Stuck {
                part: news,
                failures: most,
                because: because.to_owned(),
            });
        }
    }

    /// Tells what of that is over.
    pub(super) fn tell_recovered(&mut self, is_over: impl Fn(&Address) -> bool) {
        let part: BTreeSet<Address> = self.stuck.keys().filter(|address| is_over(address)).cloned().collect();
        if !part.is_empty() {
            self.stuck.retain(|address, _| !part.contains(address));
            self.tell(Told::Recovered { part });
        }
    }

    pub(super) fn tell_progress(&mut self) {
        while let Ok(progress) = self.progress.1.try_recv() {
            self.tell(Told::Run(progress));
        }
    }

    pub(super) fn tell_webhook(&mut self, webhook: Address, news: News) {
        self.tell(match news {
            News::Failed(because) => Told::WebhookFailed { webhook, because },
            News::Delivers { missed } => Told::WebhookDelivers { webhook, missed },
            News::Dropping => Told::WebhookDropped { webhook },
        });
    }

    pub(super) fn failed(&mut self, event: EventName, message: &str, error: &FleetError, again: Option<Duration>) {
        self.has_failed = true;
        self.pictured.counters.errors += 1;
        let (message, because) = match error {
            FleetError::Diagnostics(diagnostics) => (message.to_owned(), Some(diagnostics.clone())),
            other => (format!("{message}: {other}"), None),
        };
        self.tell(Told::Failed {
            event,
            message,
            because,
            again,
        });
    }

    /// Sends what waits to those who are told of events, for a few seconds; what is not sent then is told here.
    pub(super) async fn close_webhooks(&mut self) {
        for (webhook, events) in self.webhooks.close(FAREWELL).await {
            self.tell(Told::Undelivered { webhook, events });
        }
        while let Ok((webhook, news)) = self.webhook_news.try_recv() {
            self.tell_webhook(webhook, news);
        }
    }

    /// Tells of nodes, members and simulators that are recorded, and gone while nobody works on them.
    pub(super) fn tell_lost(&mut self, state: &State) {
        let is_meant = |address: &Address| match address.block() {
            "node" | "simulator" => address.child_name().is_none(),
            "pool" => number_of(address).is_some(),
            _ => false,
        };
        let is_at_work = |address: &Address| {
            state.intents.contains_key(address) || self.running.values().any(|run| run.part.contains(address))
        };
        let is_cordoned = |address: &Address| {
            let recorded = state.resources.get(address);
            recorded.is_some_and(|resource| resource.cordoned.is_some())
        };
        let gone = self.looks.gone(state).filter(|address| is_meant(address));
        let is_news = |address: &Address| !is_at_work(address) && !is_cordoned(address);
        let mut lost: BTreeSet<Address> = gone
            .filter(|address| self.lost.contains(*address) || is_news(address))
            .cloned()
            .collect();
        let now = &lost - &self.lost;
        // What is made anew is not recorded for a while; what is not recorded otherwise was given up.
        let (found, rest): (BTreeSet<Address>, BTreeSet<Address>) = (&self.lost - &lost)
            .into_iter()
            .partition(|address| state.resources.contains_key(address));
        let (made_anew, given_up): (BTreeSet<Address>, BTreeSet<Address>) = rest
            .into_iter()
            .partition(|address| is_at_work(address) || self.retries.contains_key(address));
        lost.extend(made_anew);
        self.lost = lost;
        for address in now {
            self.tell(Told::Lost { address });
        }
        for address in found {
            self.tell(Told::Found { address });
        }
        // It is not there again, and no alert waits for that.
        for address in given_up {
            if let Some(event) = (Told::Found {
                address: address.clone(),
            })
            .event()
            {
                self.alert_of(event, Some(&address), "");
            }
        }
    }

    /// Tells whether a pool would be larger than it may be.
    pub(super) fn tell_bounds(&mut self, pool: &Address) {
        let Some(last) = self.last.get(pool) else { return };
        // Where nothing else holds it back, its largest size does: of a schedule, a budget or its own.
        let Decision {
            raw,
            desired,
            limited_by,
            ..
        } = &last.decision;
        let is_held = raw > desired && limited_by.iter().all(|limit| *limit == Limit::Max);
        if is_held == self.at_max.contains(pool) {
            return;
        }
        let pool = pool.clone();
        if !is_held {
            self.at_max.remove(&pool);
            return self.tell(Told::BelowMax { pool });
        }
        let told = Told::AtMax {
            max: u64::try_from(last.decision.desired).unwrap_or_default(),
            because: last.wanted.because.clone(),
            pool: pool.clone(),
        };
        self.at_max.insert(pool);
        self.tell(told);
    }

    /// Tells which members of pools a run has made and removed, and which it could not. One that waits is not there, for those
    /// who work with the pool: it is removed by that, and made when it is back.
    pub(super) fn tell_scaled(&mut self, outcome: &Outcome, recorded: &BTreeSet<Address>, resting: &BTreeSet<Address>) {
        let is_member = |address: &Address| address.block() == "pool" && address.child_name().is_some();
        let of = |verb: Verb| -> BTreeSet<Address> {
            let done = outcome
                .done
                .iter()
                .filter(|(address, did)| *did == verb && is_member(address));
            done.map(|(address, _)| address.clone()).collect()
        };
        let (made, changed, gone) = (of(Verb::Create), of(Verb::Update), of(Verb::Delete));
        let rested = &(&changed & resting) & recorded;
        // What is made anew is neither more nor less.
        let more = &(&(&made | &changed) - resting) - recorded;
        let less = &(&(&gone & recorded) - &made) | &rested;
        let failed = outcome.failed.iter().filter(|(address, verb, _)| {
            matches!(verb, Verb::Create | Verb::Delete | Verb::Drain) && is_member(address)
        });
        let failed: Vec<_> = failed.cloned().collect();
        let pools: BTreeSet<Address> = more.iter().chain(&less).map(Address::parent).collect();
        for pool in pools {
            let own = |members: &BTreeSet<Address>| -> BTreeSet<Address> {
                members
                    .iter()
                    .filter(|member| member.parent() == pool)
                    .cloned()
                    .collect()
            };
            let because = self
                .last
                .get(&pool)
                .map(|last| last.wanted.because.clone())
                .unwrap_or_default();
            let (made, gone) = (own(&more), own(&less));
            self.tell(Told::Scaled {
                pool,
                made,
                gone,
                because,
            });
        }
        for (member, verb, error) in failed {
            let because = format!(
                "{} of {}: {error}",
                verb.as_str(),
                member.child_name().unwrap_or_default()
            );
            self.tell(Told::ScaleFailed {
                pool: member.parent(),
                because,
            });
        }
    }
}
