//! A member of a pool is emptied before it goes: nothing new is placed on it, and what ends by itself is waited for. After
//! that what runs on it is stopped, each with its own grace, and then the member is deleted; those are steps of their own.
//!
//! That it is cordoned is recorded first. A run that dies while it waits leaves a member that the next one goes on to empty,
//! for what is left of the time, or that stays, if that is what is wanted by then.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use petgraph::graph::NodeIndex;
use simfleet_provider_api::{Address, Kind, ObjectId, Observed, Provider};
use simfleet_state::{Allocation, Drain, Event, Host, Resource, StateStore, WaitFor};

use super::super::{Progress, Verb};
use super::{Active, Batch, End, Walk};
use crate::lower::{ends_by_itself, reached_by};
use crate::plan::{Change, has_ended};
use crate::providers::Limited;

/// How often what runs on a member is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long a run waits at least that goes on with what another began, so that what is about to end can.
const LEAST: Duration = Duration::from_secs(5);

/// How often is looked whether what somebody has was released: that reads the whole state.
const READ: Duration = Duration::from_secs(2);

/// Something on a member that is waited for.
struct Job {
    address: Address,
    end: JobEnd,
}

/// When something on a member is over.
enum JobEnd {
    /// When it ends by itself.
    Work {
        kind: Kind,
        id: ObjectId,
        /// Without one it cannot be looked at.
        provider: Option<Limited>,
    },
    /// When who has it gives it back, or their time is over.
    Lease {
        allocation: Allocation,
        host: Arc<dyn Host>,
        store: Option<Arc<dyn StateStore>>,
    },
}

impl<'a> Walk<'a> {
    /// Records that nothing is to be placed on a member any more, and waits for what ends by itself.
    pub(super) async fn begin_drain(&mut self, node: NodeIndex, change: &'a Change, batch: &mut Batch<'a>) {
        let (Some(member), Some(drain)) = (self.state.resources.get(&change.address), change.drain) else {
            batch.finished.push((node, Verb::Drain));
            return;
        };
        if member.cordoned.is_none() {
            let address = change.address.clone();
            batch.events.push(Event::Cordoned { address });
        }
        let jobs = self.jobs(&change.address, member, drain).await;
        if jobs.is_empty() {
            batch.finished.push((node, Verb::Drain));
            return;
        }
        let _ = self.progress.send(Progress::Started {
            address: change.address.clone(),
            verb: Verb::Drain,
            expected: None,
        });
        let active = Active {
            // It can be left at any time.
            accepted: true,
            ..Active::idle(change.provider_before.clone())
        };
        self.active.insert(node, active);
        let left = time_left(drain.timeout, member.cordoned, self.options.host.now());
        let empty = async move { (node, End::Drained(wait(jobs, left).await)) };
        batch.launches.push(empty.boxed());
    }

    /// Takes in that a member is empty, or was to be.
    pub(super) fn drained(&mut self, node: NodeIndex, left: Vec<Address>, batch: &mut Batch<'a>) {
        let Some(active) = self.active.get(&node) else { return };
        if !left.is_empty() {
            let _ = self.progress.send(Progress::Overdue {
                address: self.address(node).clone(),
                elapsed: active.began.elapsed(),
                left,
            });
        }
        batch.finished.push((node, Verb::Drain));
    }

    /// Returns what a member waits for. Its connections have ended by then, or their time is over: it has left its load
    /// balancer.
    async fn jobs(&self, address: &Address, member: &Resource, drain: Drain) -> Vec<Job> {
        let mut jobs = Vec::new();
        let resources = self.state.resources.iter();
        let hosted = resources.filter(|(_, resource)| resource.declared.hosted_on.as_ref() == Some(address));
        for (at, resource) in hosted {
            let end = match drain.wait_for {
                WaitFor::Connections => None,
                WaitFor::Simulators => self.work(at, resource, member).await,
                WaitFor::Lease => self.lease(at),
            };
            let address = at.clone();
            jobs.extend(end.map(|end| Job { address, end }));
        }
        jobs
    }

    async fn work(&self, at: &Address, resource: &Resource, member: &Resource) -> Option<JobEnd> {
        if !ends_by_itself(at, &resource.object.attributes) {
            return None;
        }
        let declared = &resource.declared;
        let config = reached_by(&declared.provider, Some(&member.object.attributes));
        Some(JobEnd::Work {
            kind: declared.kind.clone(),
            id: resource.object.id.clone(),
            provider: self.providers.configured(&config).await.ok(),
        })
    }

    fn lease(&self, at: &Address) -> Option<JobEnd> {
        Some(JobEnd::Lease {
            allocation: self.state.allocations.get(at)?.clone(),
            host: Arc::clone(&self.options.host),
            store: self.options.store.clone(),
        })
    }
}

/// Returns how long a member is waited for that takes nothing new since some time: by the clock of another machine perhaps,
/// so never longer than the whole.
fn time_left(timeout: Duration, cordoned: Option<Timestamp>, now: Timestamp) -> Duration {
    let waited = cordoned.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
    // A clock that runs behind has nothing waited yet.
    let waited = Duration::try_from(waited).unwrap_or_default();
    timeout.saturating_sub(waited).max(LEAST.min(timeout))
}

/// Waits until all have ended; returns those that had not in time.
async fn wait(jobs: Vec<Job>, timeout: Duration) -> Vec<Address> {
    let ended = jobs.into_iter().map(|job| async move {
        let ended = tokio::time::timeout(timeout, job.end()).await;
        ended.is_err().then_some(job.address)
    });
    join_all(ended).await.into_iter().flatten().collect()
}

impl Job {
    /// Ends when it has. Of one that cannot be seen now that is not known.
    async fn end(&self) {
        while !self.has_ended().await {
            tokio::time::sleep(match self.end {
                JobEnd::Work { .. } => LOOK,
                JobEnd::Lease { .. } => READ,
            })
            .await;
        }
    }

    async fn has_ended(&self) -> bool {
        match &self.end {
            JobEnd::Work { provider: None, .. } => false,
            JobEnd::Work {
                kind,
                id,
                provider: Some(provider),
            } => match provider.read(kind, id).await {
                Ok(Observed::Present(object)) => has_ended(&object.attributes),
                Ok(Observed::Absent) => true,
                Ok(_) | Err(_) => false,
            },
            JobEnd::Lease {
                allocation,
                host,
                store,
            } => {
                let snapshot = match store {
                    Some(store) => store.load().await.ok(),
                    None => None,
                };
                // By then it can be theirs for longer than at first.
                let now = match &snapshot {
                    Some(snapshot) => snapshot.state.allocations.get(&self.address),
                    None => Some(allocation),
                };
                now.is_none_or(|allocation| !allocation.lasts(host.now()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_wait() {
        let seconds = Duration::from_secs;
        let now = Timestamp::constant(1_800_000_000, 0);
        for (case, timeout, cordoned, left) in [
            ("it begins", 60, None, 60),
            ("it was begun", 60, Some(-20), 40),
            ("nearly over", 60, Some(-58), 5),
            ("long over", 60, Some(-86_400), 5),
            ("short from the first", 2, Some(-86_400), 2),
            ("a clock that was ahead", 60, Some(3_600), 60),
        ] {
            let since = cordoned.map(|offset| now + SignedDuration::from_secs(offset));
            assert_eq!(time_left(seconds(timeout), since, now), seconds(left), "{case}");
        }
    }
}
