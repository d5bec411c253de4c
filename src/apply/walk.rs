//! The walk along the steps. One loop owns the graph and the journal; provider calls are futures that it polls.
//!
//! Before a call its `Started` is durable, an accepted operation is durable before it is asked after, and its end is
//! durable before anything that waits for it begins. So at any instant the journal tells what may have been done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use petgraph::graph::NodeIndex;
use simfleet_provider_api::{Address, Attributes, Handle, Object, ObjectId, Observed, Step as Reply, Token, Value};
use simfleet_state::{Event, Journal, Operation, Outcome as Left, ProviderConfig, Remains, State};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::call::{Call, CallError, Effect, Patience, Request};
use super::prepare::{conclude, declaration};
use super::steps::{Step, Steps};
use super::{Outcome, Progress, Verb, describe, record};
use crate::plan::{Change, Plan, compare, marked};
use crate::providers::Providers;

/// How an apply goes about its work.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many provider calls run at once.
    pub parallelism: usize,
    /// How often and how long a call is repeated.
    pub patience: Patience,
    /// How often the lease on the addresses is renewed.
    pub renew_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            parallelism: 10,
            patience: Patience::default(),
            renew_every: Duration::from_secs(5),
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
    /// Returns what a change is given, now that all that it depends on is in the state.
    ///
    /// # Errors
    /// Why it cannot be evaluated, in words for the user.
    fn resolve(&mut self, change: &Change, state: &State) -> Result<Resolved, String>;

    /// Returns the outputs as the state now has them; sensitive ones are marked.
    ///
    /// # Errors
    /// Why they cannot be evaluated.
    fn outputs(&mut self, state: &State) -> Result<BTreeMap<Arc<str>, Value>, String>;
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
        journal,
        resolve,
        steps,
        ready,
        state,
        active: BTreeMap::new(),
        running: FuturesUnordered::new(),
        closed: BTreeSet::new(),
        outcome: Outcome::default(),
    };
    walk.run(stop).await
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
}

/// How a future ended.
enum End {
    Replied(Result<Reply, CallError>),
    Looked(Result<Observed, CallError>),
}

struct Walk<'a> {
    plan: &'a Plan,
    providers: &'a Providers,
    options: &'a Options,
    progress: &'a mpsc::UnboundedSender<Progress>,
    journal: &'a mut dyn Journal,
    resolve: &'a mut dyn Resolve,
    steps: Steps,
    ready: BTreeSet<NodeIndex>,
    state: State,
    active: BTreeMap<NodeIndex, Active>,
    running: FuturesUnordered<BoxFuture<'a, (NodeIndex, End)>>,
    /// Steps that will not be begun.
    closed: BTreeSet<NodeIndex>,
    outcome: Outcome,
}

/// What is to be journaled, and what begins once that is durable.
#[derive(Default)]
struct Batch<'a> {
    events: Vec<Event>,
    launches: Vec<BoxFuture<'a, (NodeIndex, End)>>,
    finished: Vec<(NodeIndex, Verb)>,
}

impl<'a> Walk<'a> {
    async fn run(mut self, mut stop: watch::Receiver<bool>) -> Outcome {
        let first = Instant::now() + self.options.renew_every;
        let mut renew = tokio::time::interval_at(first, self.options.renew_every);
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
                Some((node, end)) = self.running.next() => {
                    self.end(node, end, &mut batch).await;
                    // What has ended meanwhile shares the next write.
                    while let Some(Some((node, end))) = self.running.next().now_or_never() {
                        self.end(node, end, &mut batch).await;
                    }
                }
                _ = renew.tick() => {
                    if let Err(error) = self.journal.renew().await {
                        self.outcome.stopped_by = Some(describe(&error));
                        break;
                    }
                }
                () = &mut stop_asked, if !stopping => {
                    self.outcome.interrupted = true;
                    let _ = self.progress.send(Progress::Stopping { in_flight: self.running.len() });
                }
            }
        }
        self.close().await
    }

    /// Begins as many steps as may run at once, in the order of the plan.
    async fn begin(&mut self, batch: &mut Batch<'a>) {
        while self.running.len() + batch.launches.len() < self.options.parallelism.max(1) {
            let Some(node) = self.ready.pop_first() else { return };
            self.begin_step(node, batch).await;
        }
    }

    async fn begin_step(&mut self, node: NodeIndex, batch: &mut Batch<'a>) {
        let Step { change, verb } = self.steps.step(node);
        let change = &self.plan.changes[change];
        let _ = self.progress.send(Progress::Started {
            address: change.address.clone(),
            verb,
        });
        match verb {
            Verb::Forget => {
                batch.events.push(Event::Removed {
                    address: change.address.clone(),
                    deposed: None,
                    reason: change
                        .reasons
                        .first()
                        .map(ToString::to_string)
                        .unwrap_or_default()
                        .into(),
                });
                self.active.insert(node, Active::idle(change.provider_before.clone()));
                batch.finished.push((node, verb));
            }
            Verb::Delete => self.begin_delete(node, change, batch).await,
            Verb::Create | Verb::Update => {
                let resolved = match self.resolved(change) {
                    Ok(resolved) => resolved,
                    Err(error) => return self.fail(node, verb, Instant::now(), error),
                };
                self.begin_making(node, change, verb, resolved, batch).await;
            }
            Verb::Check => self.begin_check(node, change, batch).await,
        }
    }

    async fn begin_delete(&mut self, node: NodeIndex, change: &'a Change, batch: &mut Batch<'a>) {
        let Some(resource) = self.state.resources.get(&change.address) else {
            let error = "it is not in the state any more".to_owned();
            return self.fail(node, Verb::Delete, Instant::now(), error);
        };
        let (prior, provider) = (resource.object.clone(), resource.declared.provider.clone());
        let request = Request::Delete { prior };
        self.launch(node, change, request, provider, batch).await;
    }

    async fn begin_making(
        &mut self,
        node: NodeIndex,
        change: &'a Change,
        verb: Verb,
        resolved: Resolved,
        batch: &mut Batch<'a>,
    ) {
        let recorded = self
            .state
            .resources
            .get(&change.address)
            .map(|resource| resource.object.clone());
        let Resolved { wanted, provider } = resolved;
        let request = match (verb, recorded) {
            (Verb::Update, Some(prior)) => Request::Update { prior, wanted },
            (Verb::Update, None) => {
                let error = "it is not in the state any more".to_owned();
                return self.fail(node, verb, Instant::now(), error);
            }
            (_, Some(_)) => {
                // What is recorded was proven to be gone: the record goes before a new one comes.
                batch.events.push(Event::Observed {
                    address: change.address.clone(),
                    deposed: None,
                    outcome: Left::Gone,
                });
                Request::Create { wanted }
            }
            (_, None) => Request::Create { wanted },
        };
        self.launch(node, change, request, provider, batch).await;
    }

    /// Looks at an object whose host was down when the plan was made.
    async fn begin_check(&mut self, node: NodeIndex, change: &'a Change, batch: &mut Batch<'a>) {
        let began = Instant::now();
        let resolved = match self.resolved(change) {
            Ok(resolved) => resolved,
            Err(error) => return self.fail(node, Verb::Check, began, error),
        };
        let Some(id) = self
            .state
            .resources
            .get(&change.address)
            .map(|resource| resource.object.id.clone())
        else {
            return self.begin_making(node, change, Verb::Create, resolved, batch).await;
        };
        let call = match self.call(change, &resolved.provider, Token("".into())).await {
            Ok(call) => call,
            Err(error) => return self.fail(node, Verb::Check, began, error.to_string()),
        };
        self.active.insert(
            node,
            Active {
                began,
                intent: None,
                wanted: Some(resolved.wanted),
                provider: Some(resolved.provider),
                accepted: false,
            },
        );
        batch.launches.push(look(node, call, id).boxed());
    }

    /// Journals the intent and prepares the call.
    async fn launch(
        &mut self,
        node: NodeIndex,
        change: &'a Change,
        request: Request,
        provider: ProviderConfig,
        batch: &mut Batch<'a>,
    ) {
        let began = self.active.get(&node).map_or_else(Instant::now, |active| active.began);
        let token = fresh_token();
        let call = match self.call(change, &provider, token.clone()).await {
            Ok(call) => call,
            Err(error) => return self.fail(node, self.steps.step(node).verb, began, error.to_string()),
        };
        let (operation, wanted) = match &request {
            Request::Create { wanted } => (
                Operation::Create {
                    declared: declaration(change, wanted, &provider),
                },
                Some(wanted.clone()),
            ),
            Request::Update { wanted, prior } => {
                let declared = declaration(change, wanted, &provider);
                (
                    Operation::Update {
                        declared,
                        prior: prior.id.clone(),
                    },
                    Some(wanted.clone()),
                )
            }
            Request::Delete { prior } => (
                Operation::Delete {
                    prior: prior.id.clone(),
                    deposed: None,
                },
                None,
            ),
        };
        let address = change.address.clone();
        batch.events.push(Event::Started {
            address,
            token: token.clone(),
            operation,
        });
        self.active.insert(
            node,
            Active {
                began,
                intent: Some(token),
                wanted,
                provider: Some(provider),
                accepted: false,
            },
        );
        batch
            .launches
            .push(issue(node, call, request, self.retry_notice(node)).boxed());
    }

    async fn call(&self, change: &Change, config: &ProviderConfig, token: Token) -> Result<Call, CallError> {
        let provider = self.providers.configured(config).await?;
        Ok(Call {
            provider,
            kind: change.kind.clone(),
            token,
            patience: self.options.patience.clone(),
        })
    }

    fn resolved(&mut self, change: &Change) -> Result<Resolved, String> {
        match (&change.wanted, &change.provider) {
            (Some(wanted), Some(provider)) if wanted.is_known() && provider.settings.is_known() => Ok(Resolved {
                wanted: wanted.clone(),
                provider: provider.clone(),
            }),
            _ => self.resolve.resolve(change, &self.state),
        }
    }

    /// Takes in how a call ended.
    async fn end(&mut self, node: NodeIndex, end: End, batch: &mut Batch<'a>) {
        let Step { change, verb } = self.steps.step(node);
        let change = &self.plan.changes[change];
        match end {
            End::Looked(seen) => self.looked(node, change, seen, batch).await,
            End::Replied(Ok(Reply::Running { handle, poll_after })) => {
                self.accepted(node, change, handle, poll_after, batch).await;
            }
            End::Replied(Ok(reply)) => self.succeeded(node, change, verb, reply, batch),
            End::Replied(Err(error)) => self.failed(node, change, verb, error, batch),
        }
    }

    async fn accepted(
        &mut self,
        node: NodeIndex,
        change: &'a Change,
        handle: Handle,
        poll_after: Duration,
        batch: &mut Batch<'a>,
    ) {
        let verb = self.steps.step(node).verb;
        let Some(active) = self.active.get_mut(&node) else {
            return;
        };
        let (Some(token), Some(provider)) = (active.intent.clone(), active.provider.clone()) else {
            return;
        };
        active.accepted = true;
        let elapsed = active.began.elapsed();
        let _ = self.progress.send(Progress::Accepted {
            address: change.address.clone(),
            verb,
            elapsed,
        });
        batch.events.push(Event::Accepted {
            address: change.address.clone(),
            token: token.clone(),
            handle: handle.clone(),
        });
        match self.call(change, &provider, token).await {
            Ok(call) => batch
                .launches
                .push(follow(node, call, handle, poll_after, self.retry_notice(node)).boxed()),
            Err(error) => self.leave_open(node, verb, &error.to_string()),
        }
    }

    fn succeeded(&mut self, node: NodeIndex, change: &Change, verb: Verb, reply: Reply, batch: &mut Batch<'a>) {
        let Some(active) = self.active.get(&node) else { return };
        let Some(token) = active.intent.clone() else { return };
        let outcome = match (verb, reply) {
            (Verb::Delete, _) => Left::Gone,
            (_, Reply::Done(object)) => Left::Object(self.kept(change, active.wanted.as_ref(), object)),
            _ => {
                let error = format!(
                    "the provider says that {} is gone while it was to be made",
                    change.address
                );
                return self.leave_open(node, verb, &error);
            }
        };
        batch.events.push(Event::Succeeded {
            address: change.address.clone(),
            token,
            outcome,
        });
        batch.finished.push((node, verb));
    }

    /// Returns the object as it is recorded: with marks on what is sensitive.
    fn kept(&self, change: &Change, wanted: Option<&Attributes>, mut object: Object) -> Object {
        let provider = change.provider.as_ref().map_or("", |provider| &provider.name);
        if let (Some(schema), Some(wanted)) = (self.providers.registry().schema(provider, &change.kind), wanted) {
            object.attributes = marked(schema, wanted, &object.attributes);
        }
        object
    }

    /// Goes on after a look: nothing to do, change it, or make it.
    async fn looked(
        &mut self,
        node: NodeIndex,
        change: &'a Change,
        seen: Result<Observed, CallError>,
        batch: &mut Batch<'a>,
    ) {
        let Some(active) = self.active.get(&node) else { return };
        let (began, Some(provider)) = (active.began, active.provider.clone()) else {
            return;
        };
        let wanted = active.wanted.clone().unwrap_or_default();
        match seen {
            Ok(Observed::Present(object)) => {
                let schema = self.providers.registry().schema(&provider.name, &change.kind);
                let inputs = self
                    .state
                    .resources
                    .get(&change.address)
                    .map(|resource| resource.declared.inputs.clone());
                let difference =
                    schema.map(|schema| compare(schema, &wanted, &object.attributes, &inputs.unwrap_or_default()));
                let object = self.kept(change, Some(&wanted), object);
                batch.events.push(Event::Observed {
                    address: change.address.clone(),
                    deposed: None,
                    outcome: Left::Object(object.clone()),
                });
                match difference {
                    Some(difference) if !difference.replaces.is_empty() => {
                        let error = format!(
                            "`{}` differs, which takes a new object; run the command again",
                            difference.replaces[0]
                        );
                        self.fail(node, Verb::Check, began, error);
                    }
                    Some(difference) if !difference.changed.is_empty() => {
                        self.launch(node, change, Request::Update { prior: object, wanted }, provider, batch)
                            .await;
                    }
                    _ => batch.finished.push((node, Verb::Check)),
                }
            }
            Ok(Observed::Absent) => {
                let resolved = Resolved { wanted, provider };
                self.begin_making(node, change, Verb::Create, resolved, batch).await;
            }
            Ok(Observed::Unreachable { reason }) => {
                self.fail(
                    node,
                    Verb::Check,
                    began,
                    format!("it still cannot be reached: {reason}"),
                );
            }
            Err(error) => self.fail(node, Verb::Check, began, error.error.to_string()),
        }
    }

    fn failed(&mut self, node: NodeIndex, change: &Change, verb: Verb, error: CallError, batch: &mut Batch<'a>) {
        let Some(active) = self.active.get(&node) else { return };
        let began = active.began;
        let text = error.error.to_string();
        match (error.effect, active.intent.clone()) {
            (Effect::None, Some(token)) => {
                let (address, reason) = (change.address.clone(), text.as_str().into());
                batch.events.push(Event::Failed {
                    address,
                    token,
                    reason,
                    remains: Remains::AsBefore,
                });
                self.fail(node, verb, began, text);
            }
            _ => self.leave_open(node, verb, &text),
        }
    }

    /// Gives up a step whose end is not known: its intent stays in the journal for the next run.
    fn leave_open(&mut self, node: NodeIndex, verb: Verb, error: &str) {
        let began = self.active.get(&node).map_or_else(Instant::now, |active| active.began);
        let address = self.address(node).clone();
        self.outcome.open.push((address, verb));
        let error = format!("{error}; what became of it is not known, so the next run finds out");
        self.fail(node, verb, began, error);
    }

    /// Writes what happened, then lets begin what waited for it. The state follows the journal.
    async fn commit(&mut self, batch: &mut Batch<'a>) -> Result<(), String> {
        let events = std::mem::take(&mut batch.events);
        if !events.is_empty() {
            record(&mut self.state, self.journal, events).await?;
        }
        self.running.extend(batch.launches.drain(..));
        for (node, verb) in std::mem::take(&mut batch.finished) {
            let address = self.address(node).clone();
            let elapsed = self
                .active
                .remove(&node)
                .map_or(Duration::ZERO, |active| active.began.elapsed());
            let _ = self.progress.send(Progress::Finished {
                address: address.clone(),
                verb,
                elapsed,
            });
            self.outcome.done.push((address, verb));
            let free = self.steps.finish(node);
            self.ready
                .extend(free.into_iter().filter(|node| !self.closed.contains(node)));
        }
        Ok(())
    }

    fn fail(&mut self, node: NodeIndex, verb: Verb, began: Instant, error: String) {
        self.active.remove(&node);
        let address = self.address(node).clone();
        let elapsed = began.elapsed();
        let _ = self.progress.send(Progress::Failed {
            address: address.clone(),
            verb,
            elapsed,
            error: error.clone(),
        });
        self.closed.insert(node);
        for waiting in self.steps.dependants(node) {
            if self.closed.insert(waiting) {
                self.skip(waiting, format!("it needs {address}, which failed"));
            }
        }
        self.outcome.failed.push((address, verb, error));
    }

    fn skip(&mut self, node: NodeIndex, because: String) {
        let (address, verb) = (self.address(node).clone(), self.steps.step(node).verb);
        let _ = self.progress.send(Progress::Skipped {
            address: address.clone(),
            verb,
            because: because.clone(),
        });
        self.outcome.skipped.push((address, verb, because));
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
        let done: BTreeSet<_> = self.outcome.done.iter().cloned().collect();
        for node in self.steps.all() {
            let step = (self.address(node).clone(), self.steps.step(node).verb);
            if !done.contains(&step) && self.closed.insert(node) {
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
        if !self.outcome.interrupted {
            match self.resolve.outputs(&self.state) {
                Ok(outputs) if outputs != self.state.outputs => events.push(Event::Outputs { values: outputs }),
                Ok(_) => {}
                // Outputs that need what failed keep their old values; the failure itself was told.
                Err(_) if !self.outcome.failed.is_empty() => {}
                Err(error) => return Err(format!("the outputs cannot be evaluated: {error}")),
            }
        }
        record(&mut self.state, self.journal, events).await
    }

    fn address(&self, node: NodeIndex) -> &'a Address {
        &self.plan.changes[self.steps.step(node).change].address
    }

    fn retry_notice(&self, node: NodeIndex) -> RetryNotice {
        RetryNotice {
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
        }
    }
}

impl Batch<'_> {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.launches.is_empty() && self.finished.is_empty()
    }
}

/// Tells the user that a call is sent again.
struct RetryNotice {
    address: Address,
    verb: Verb,
    progress: mpsc::UnboundedSender<Progress>,
}

impl RetryNotice {
    fn send(&self, attempt: u32, after: Duration, error: &simfleet_provider_api::ProviderError) {
        let (address, verb, because) = (self.address.clone(), self.verb, error.to_string());
        let _ = self.progress.send(Progress::Retrying {
            address,
            verb,
            attempt,
            after,
            because,
        });
    }
}

async fn issue(node: NodeIndex, call: Call, request: Request, notice: RetryNotice) -> (NodeIndex, End) {
    let on_retry = move |attempt, after, error: &_| notice.send(attempt, after, error);
    (node, End::Replied(call.issue(&request, &on_retry).await))
}

async fn follow(
    node: NodeIndex,
    call: Call,
    handle: Handle,
    poll_after: Duration,
    notice: RetryNotice,
) -> (NodeIndex, End) {
    let on_retry = move |attempt, after, error: &_| notice.send(attempt, after, error);
    (node, End::Replied(call.follow(handle, poll_after, &on_retry).await))
}

async fn look(node: NodeIndex, call: Call, id: ObjectId) -> (NodeIndex, End) {
    (node, End::Looked(call.look(&id).await.map_err(CallError::from)))
}

/// Returns a token that names one intent: 128 random bits.
fn fresh_token() -> Token {
    Token(Arc::from(uuid::Uuid::new_v4().simple().to_string()))
}
