//! The walk along the steps. One loop owns the graph and the journal; provider calls are futures that it polls.
//!
//! Before a call its `Started` is durable, an accepted operation is durable before it is asked after, and its end is
//! durable before anything that waits for it begins. So at any instant the journal tells what may have been done.
//!
//! - [`begin`]: a step begins: its intent, and the future of its call; [`end`]: a call ended: what follows
//! - [`drain`]: a member of a pool is emptied before it goes; [`prove`]: a node is waited for to be healthy
//! - [`resuming`]: what an earlier run began comes to its end before the step of its resource begins

mod begin;
mod drain;
mod end;
mod prove;
mod resuming;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use petgraph::graph::NodeIndex;
use simfleet_provider_api::{Address, Attributes, Observed, Step as Reply, Token, Value};
use simfleet_state::{DeposedKey, Event, Host, Journal, ProviderConfig, State, StateStore, System};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::begin::Notice;
use self::resuming::Resumed;
use super::call::{CallError, Patience};
use super::lease::LeaseKeeper;
use super::prepare::conclude;
use super::steps::Steps;
use super::{Outcome, Progress, Verb};
use crate::diagnostic::Diagnostics;
use crate::plan::{Action, Change, Plan};
use crate::providers::Providers;

/// How an apply goes about its work.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many provider calls run at once.
    pub parallelism: usize,
    /// How often and how long a call is repeated.
    pub patience: Patience,
    /// The clock, for what an earlier run began.
    pub host: Arc<dyn Host>,
    /// Where it is read who still has what, by a run that waits until it is released; without it, that is not seen.
    pub store: Option<Arc<dyn StateStore>>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            parallelism: 10,
            patience: Patience::default(),
            host: Arc::new(System),
            store: None,
        }
    }
}

/// What a resource is given once all that it reads is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// What is wanted, canonical, without anything unknown.
    pub wanted: Attributes,
    /// The provider, its settings without anything unknown.
    pub provider: ProviderConfig,
}

/// Works out, during the walk, what the plan could not know yet.
pub trait Resolve {
    /// Takes in that a resource was made or changed: what others read of it is in the state now.
    fn made(&mut self, change: &Change);

    /// Returns what a change is given, now that all that it depends on is in the state.
    ///
    /// # Errors
    /// Why it cannot be evaluated, in words for the user.
    fn resolve(&mut self, change: &Change, state: &State) -> Result<Resolved, String>;

    /// Checks what must hold of a resource whose conditions the plan could not tell, as the state now has it.
    ///
    /// # Errors
    /// What does not hold, in words for the user.
    fn check(&mut self, change: &Change, state: &State) -> Result<(), String>;

    /// Returns the outputs as the state now has them; sensitive ones are marked.
    ///
    /// # Errors
    /// Why they cannot be evaluated.
    fn outputs(&mut self, state: &State) -> Result<BTreeMap<Arc<str>, Value>, String>;

    /// Returns what should hold of the fleet as the state now has it, and does not: warnings.
    fn warnings(&mut self, state: &State) -> Diagnostics;
}

/// What a walk works with.
#[derive(Debug)]
pub struct Tools<'a> {
    /// The providers, configured as they are needed.
    pub providers: &'a Providers,
    /// How it goes about its work.
    pub options: &'a Options,
    /// Who is told what happens.
    pub progress: &'a mpsc::UnboundedSender<Progress>,
    /// Turns true when nothing new is to be begun.
    pub stop: watch::Receiver<bool>,
}

/// Carries out a plan. `state` must be what the journal holds, with every address of the plan locked.
///
/// Never fails as such: what went wrong is in the outcome, and everything that was done is in the journal.
pub async fn apply(
    plan: &Plan,
    state: State,
    journal: &mut dyn Journal,
    resolve: &mut dyn Resolve,
    tools: Tools<'_>,
) -> Outcome {
    let Tools {
        providers,
        options,
        progress,
        stop,
    } = tools;
    let mut steps = Steps::of(plan);
    let ready = steps.first().into_iter().collect();
    let walk = Walk {
        plan,
        providers,
        options,
        progress,
        journal: LeaseKeeper::new(journal),
        resolve,
        steps,
        ready,
        state,
        active: BTreeMap::new(),
        running: FuturesUnordered::new(),
        closed: BTreeSet::new(),
        deposed: BTreeMap::new(),
        stop,
        outcome: Outcome {
            unplaced: plan.unplaced.clone(),
            ..Outcome::default()
        },
    };
    walk.run().await
}

/// A step in flight.
struct Active {
    began: Instant,
    /// The token and provider of its intent; a look at an object has none yet.
    intent: Option<Token>,
    wanted: Option<Attributes>,
    provider: Option<ProviderConfig>,
    /// Whether all that is left is to ask how an accepted operation stands.
    accepted: bool,
    /// What is made once what is there is deleted: what was looked at has to be made anew.
    anew: Option<Resolved>,
}

/// How a future ended.
enum End {
    Replied(Result<Reply, CallError>),
    Looked(Result<Observed, CallError>),
    /// What still runs on a member that was to be empty by now.
    Drained(Vec<Address>),
    /// Whether a node is healthy, and why not.
    Proven(Result<(), String>),
    Resumed(Box<Resumed>),
}

struct Walk<'a> {
    plan: &'a Plan,
    providers: &'a Providers,
    options: &'a Options,
    progress: &'a mpsc::UnboundedSender<Progress>,
    journal: LeaseKeeper<'a>,
    resolve: &'a mut dyn Resolve,
    steps: Steps,
    ready: BTreeSet<NodeIndex>,
    state: State,
    active: BTreeMap<NodeIndex, Active>,
    running: FuturesUnordered<BoxFuture<'a, (NodeIndex, End)>>,
    /// Steps that will not be begun any more, whether they were or not.
    closed: BTreeSet<NodeIndex>,
    /// The names of the objects whose replacements are made first.
    deposed: BTreeMap<&'a Address, DeposedKey>,
    stop: watch::Receiver<bool>,
    outcome: Outcome,
}

/// What is to be journaled, and what begins once that is durable.
#[derive(Default)]
struct Batch<'a> {
    events: Vec<Event>,
    launches: Vec<BoxFuture<'a, (NodeIndex, End)>>,
    finished: Vec<(NodeIndex, Verb)>,
    /// Steps that begin again: what stood before them has ended.
    again: Vec<NodeIndex>,
}

impl<'a> Walk<'a> {
    async fn run(mut self) -> Outcome {
        let mut stop = self.stop.clone();
        let mut renew = tokio::time::interval(self.journal.pace());
        renew.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let stop_asked = async {
            if stop.wait_for(|stop| *stop).await.is_err() {
                // Nobody is left who could stop the run.
                std::future::pending::<()>().await;
            }
        };
        tokio::pin!(stop_asked);
        let mut batch = Batch::default();
        loop {
            let stopping = self.outcome.interrupted;
            if !stopping {
                self.begin(&mut batch).await;
            }
            if !batch.is_empty() {
                if let Err(reason) = self.commit(&mut batch).await {
                    self.outcome.stopped_by = Some(reason);
                    break;
                }
                continue;
            }
            if stopping {
                self.abandon_accepted();
            }
            if self.running.is_empty() && (stopping || self.ready.is_empty()) {
                break;
            }
            tokio::select! {
                // A stop before what it ends; the lease before what never pauses.
                biased;
                () = &mut stop_asked, if !stopping => {
                    self.outcome.interrupted = true;
                    let _ = self.progress.send(Progress::Stopping { in_flight: self.running.len() });
                }
                _ = renew.tick() => {
                    if let Err(reason) = self.journal.renew().await {
                        self.outcome.stopped_by = Some(reason);
                        break;
                    }
                }
                Some((node, end)) = self.running.next() => {
                    self.end(node, end, &mut batch).await;
                    // What has ended meanwhile shares the next write.
                    while let Some(Some((node, end))) = self.running.next().now_or_never() {
                        self.end(node, end, &mut batch).await;
                    }
                }
            }
        }
        self.close().await
    }

    /// Writes what happened, then lets begin what waited for it. The state follows the journal.
    async fn commit(&mut self, batch: &mut Batch<'a>) -> Result<(), String> {
        let events = std::mem::take(&mut batch.events);
        if !events.is_empty() {
            self.journal.record(&mut self.state, events).await?;
        }
        self.running.extend(batch.launches.drain(..));
        for node in batch.again.drain(..) {
            self.active.remove(&node);
            self.ready.insert(node);
        }
        for (node, verb) in std::mem::take(&mut batch.finished) {
            let address = self.address(node).clone();
            if !matches!(verb, Verb::Delete | Verb::Forget | Verb::Drain | Verb::Prove) {
                let change = &self.plan.changes[self.steps.step(node).change];
                self.resolve.made(change);
                if change.is_unproven
                    && let Err(error) = self.resolve.check(change, &self.state)
                {
                    let began = self.active.get(&node).map_or_else(Instant::now, |active| active.began);
                    self.fail(node, verb, began, error);
                    continue;
                }
            }
            let active = self.active.remove(&node);
            // That a member is emptied of nothing is no news.
            if active.is_some() || verb != Verb::Drain {
                let _ = self.progress.send(Progress::Finished {
                    address: address.clone(),
                    verb,
                    elapsed: active.map_or(Duration::ZERO, |active| active.began.elapsed()),
                });
            }
            self.closed.insert(node);
            self.outcome.done.push((address, verb));
            let free = self.steps.finish(node);
            self.ready
                .extend(free.into_iter().filter(|node| !self.closed.contains(node)));
        }
        Ok(())
    }

    /// Drops the futures that only ask after accepted operations: their handles are in the journal.
    fn abandon_accepted(&mut self) {
        if self.active.values().all(|active| active.accepted) {
            self.running.clear();
        }
    }

    async fn close(mut self) -> Outcome {
        self.running.clear();
        for (node, active) in std::mem::take(&mut self.active) {
            if active.intent.is_some() {
                self.outcome
                    .open
                    .push((self.address(node).clone(), self.steps.step(node).verb));
                self.closed.insert(node);
            }
        }
        let because = match self.outcome.interrupted || self.outcome.stopped_by.is_some() {
            true => "the run was stopped",
            false => "nothing let it begin, which is a mistake of simfleet",
        };
        for node in self.steps.all() {
            if self.closed.insert(node) {
                self.skip(node, because.to_owned());
            }
        }
        if self.outcome.stopped_by.is_none() {
            self.outcome.stopped_by = self.conclude().await.err();
        }
        self.outcome
    }

    /// Records what a walk leaves: ports that are free again, pools that are no more, outputs.
    async fn conclude(&mut self) -> Result<(), String> {
        let mut events = conclude(self.plan, &self.state);
        if !self.outcome.interrupted && !self.plan.is_partial {
            match self.outputs() {
                Ok(outputs) if outputs != self.state.outputs => events.push(Event::Outputs { values: outputs }),
                Ok(_) => {}
                // Outputs that need what failed keep their old values; the failure itself was told.
                Err(_) if !self.outcome.failed.is_empty() => {}
                Err(error) => return Err(format!("the outputs cannot be evaluated: {error}")),
            }
            // After a failure a check would only tell of that.
            if self.outcome.failed.is_empty() {
                self.prove_unchanged();
                self.outcome.warnings = self.resolve.warnings(&self.state);
            }
        }
        self.journal.record(&mut self.state, events).await
    }

    /// Checks what must hold of resources that did not change, where the plan could not tell.
    fn prove_unchanged(&mut self) {
        let is_open = |change: &&Change| change.is_unproven && change.action == Action::NoOp;
        for change in self.plan.changes.iter().filter(is_open) {
            if let Err(error) = self.resolve.check(change, &self.state) {
                let (address, verb) = (change.address.clone(), Verb::Check);
                let _ = self.progress.send(Progress::Failed {
                    address: address.clone(),
                    verb,
                    elapsed: Duration::ZERO,
                    error: error.clone(),
                });
                self.outcome.failed.push((address, verb, error));
            }
        }
    }

    /// Returns the outputs as they are recorded. After a failure, one that reads what is not there keeps its old value,
    /// and is left out where it has none.
    fn outputs(&mut self) -> Result<BTreeMap<Arc<str>, Value>, String> {
        let mut outputs = self.resolve.outputs(&self.state)?;
        if !self.outcome.failed.is_empty() {
            outputs.retain(|name, value| value.is_known() || self.state.outputs.contains_key(name));
            for (name, value) in outputs.iter_mut().filter(|(_, value)| !value.is_known()) {
                value.clone_from(&self.state.outputs[name]);
            }
        }
        Ok(outputs)
    }

    fn address(&self, node: NodeIndex) -> &'a Address {
        &self.plan.changes[self.steps.step(node).change].address
    }

    fn notice_of(&self, node: NodeIndex) -> Notice {
        Notice {
            address: self.address(node).clone(),
            verb: self.steps.step(node).verb,
            progress: self.progress.clone(),
        }
    }
}

impl Active {
    fn idle(provider: Option<ProviderConfig>) -> Self {
        Active {
            began: Instant::now(),
            intent: None,
            wanted: None,
            provider,
            accepted: false,
            anew: None,
        }
    }
}

impl Batch<'_> {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.launches.is_empty() && self.finished.is_empty() && self.again.is_empty()
    }
}
