//! What is asked of the sources of pools, and what is decided of the answers.

use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::Address;
use tokio::time::Instant;

use super::{Last, RARELY, RENEW, Watch};
use crate::fleet::FleetError;
use crate::lower::with_parts;
use crate::watch::Told;
use crate::watch::known::Known;
use crate::watch::pool::{Answers, Counts, Decided, Seen, because, questions};
use crate::watch::sources::{Asked, AskedObject};

/// By how much a source may exceed its time: what it has of some members then is worth more than nothing.
const GRACE: Duration = Duration::from_secs(1);

impl Watch {
    /// Decides on the pools whose sources have answered.
    pub(super) async fn decide(&mut self, known: &Known) -> Result<(), FleetError> {
        let answered = std::mem::take(&mut self.answered);
        let now = self.now();
        let mut laps = Vec::with_capacity(answered.len());
        if let Some(enforced) = &self.enforced {
            let seen = self.looks.sight(known.state());
            let unhealthy = self.healths.unhealthy();
            for (address, answers) in &answered {
                let Some(pool) = enforced.pools.get(address) else {
                    continue;
                };
                let at_work = self.running.values().filter_map(|run| run.sizes.get(address));
                let leaving = at_work.flat_map(|wanted| &wanted.leaving).copied().collect();
                let seen = Seen {
                    address,
                    pool,
                    recorded: known.state().pools.get(address),
                    members: &known.members,
                    seen,
                    unhealthy: &unhealthy,
                    leaving: &leaving,
                    answers,
                    now,
                };
                let memory = self.memories.remove(address).unwrap_or_default();
                let before = self.last.get(address).map(|last| &last.decision);
                let (decided, memory) = seen.decide(memory, before);
                self.memories.insert(address.clone(), memory);
                self.pictured.decided(pool, &decided, answers);
                laps.push(decided);
            }
        }
        for (address, answers) in &answered {
            self.tell_sources(address, answers);
        }
        let kept: Vec<_> = laps.iter().map(|decided| decided.lap.clone()).collect();
        if let Some(leader) = &self.leader
            && (!kept.is_empty() || Instant::now() >= self.renew)
        {
            leader.remember(&kept).await?;
            self.renew = Instant::now() + RENEW;
        }
        for decided in laps {
            self.take_decision(decided);
        }
        Ok(())
    }

    pub(super) fn take_decision(&mut self, decided: Decided) {
        let Decided {
            pool,
            decision,
            wanted,
            members,
            values,
            is_news,
            ..
        } = decided;
        let before = self.last.get(&pool);
        self.is_stale |= before
            .is_none_or(|before| before.wanted.members != wanted.members || before.wanted.leaving != wanted.leaving);
        if is_news && (before.is_some() || !decision.actions.is_empty()) {
            self.tell(Told::Decided {
                pool: pool.clone(),
                because: because(&decision),
                decision: Box::new(decision.clone()),
            });
        }
        let last = Last {
            decision,
            wanted,
            members,
            values,
        };
        self.last.insert(pool.clone(), last);
        self.tell_bounds(&pool);
    }

    pub(super) fn tell_sources(&mut self, pool: &Address, answers: &Answers) {
        for (check, answer) in answers {
            let key = (pool.clone(), check.clone());
            let check = check.to_string();
            let pool = pool.clone();
            match answer {
                Err(why) if self.failing.get(&key) != Some(why) => {
                    self.failing.insert(key, why.clone());
                    self.tell(Told::SourceFailed {
                        pool,
                        check,
                        because: why.clone(),
                    });
                }
                Ok(_) if self.failing.remove(&key).is_some() => self.tell(Told::SourceAnswers { pool, check }),
                _ => {}
            }
        }
    }

    /// Asks the sources of the pools that are due.
    pub(super) fn ask(&mut self, known: &Known) {
        let Some(enforced) = &self.enforced else { return };
        let now = Instant::now();
        for (address, pool) in &enforced.pools {
            let due = *self.due.entry(address.clone()).or_insert(now);
            if self.how.once && self.last.contains_key(address) {
                self.due.insert(address.clone(), now + RARELY);
                continue;
            }
            if due > now || !self.asked.insert(address.clone()) {
                continue;
            }
            let interval = pool.autoscale.evaluation_interval;
            // On the beat, without making up for beats that were missed.
            let missed = now.duration_since(due).as_nanos() / interval.as_nanos().max(1);
            let beats = u32::try_from(missed + 1).unwrap_or(u32::MAX);
            self.due.insert(address.clone(), due + interval.saturating_mul(beats));
            let members = known.members.members(address);
            let members = members.map(|(number, member)| asked(known, number, member)).collect();
            let waiting = self.unplaced.get(address).copied().unwrap_or(0);
            let counts = Counts {
                waiting,
                simulators: known.members.simulators(address) + waiting,
            };
            let providers = self
                .providers
                .get_or_insert_with(|| Arc::new(self.files.providers(&known.snapshot)));
            let questions = questions(address, pool, &members, counts, &enforced.servers, providers);
            let (sources, address) = (Arc::clone(&self.sources), address.clone());
            self.asking.begin(async move {
                let answers = questions.into_iter().map(async |question| {
                    // A source keeps to its own time; one that does not is not waited for.
                    let limit = question.timeout.saturating_add(GRACE);
                    let answer = tokio::time::timeout(limit, sources.ask(&question)).await;
                    let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
                    (question.check, answer)
                });
                (address, futures::future::join_all(answers).await.into_iter().collect())
            });
        }
    }

    pub(super) fn take_answers(&mut self, (pool, answers): (Address, Answers)) {
        self.asked.remove(&pool);
        self.answered.insert(pool, answers);
    }
}

/// Returns what is asked about of a member.
fn asked(known: &Known, number: u64, member: &Address) -> Asked {
    let recorded = known.state().resources.get(member);
    Asked {
        number,
        address: member.clone(),
        attributes: recorded
            .map(|it| with_parts(member, &it.object.attributes, known.state()).into_owned())
            .unwrap_or_default(),
        vehicles: known.vehicles.get(member).cloned().unwrap_or_default(),
        object: recorded.map(|it| AskedObject {
            provider: it.declared.provider.clone(),
            kind: it.declared.kind.clone(),
            id: it.object.id.clone(),
        }),
    }
}
