//! How a step begins: its intent is journaled, and its call is a future.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use petgraph::graph::NodeIndex;
use simfleet_provider_api::progress::{Listener, heard};
use simfleet_provider_api::{Address, Handle, ObjectId, ProviderError, Token};
use simfleet_state::{DeposedKey, Event, Operation, Outcome as Left, ProviderConfig};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::call::{Call, CallError, Request};
use super::super::estimate::expected;
use super::super::prepare::declaration;
use super::super::resume::Open;
use super::super::steps::Step;
use super::super::{Progress, Verb};
use super::{Active, Batch, End, Resolved, Walk};
use crate::lower::reached_by;
use crate::plan::Change;

impl<'a> Walk<'a> {
    /// Begins as many steps as may run at once, in the order of the plan.
    pub(super) async fn begin(&mut self, batch: &mut Batch<'a>) {
        while self.running.len() + batch.launches.len() < self.options.parallelism.max(1) {
            let Some(node) = self.ready.pop_first() else { return };
            self.begin_step(node, batch).await;
        }
    }

    pub(super) async fn begin_step(&mut self, node: NodeIndex, batch: &mut Batch<'a>) {
        let Step { change, verb } = self.steps.step(node);
        let change = &self.plan.changes[change];
        let open = Open::of(&self.state, &change.address);
        if let Some(open) = open
            && verb != Verb::Forget
        {
            return self.begin_resuming(node, change, open, batch);
        }
        if verb == Verb::Drain {
            return self.begin_drain(node, change, batch).await;
        }
        let _ = self.progress.send(Progress::Started {
            address: change.address.clone(),
            verb,
            expected: expected(change, verb, &self.state.timings),
        });
        match verb {
            Verb::Drain => {}
            Verb::Prove => self.begin_proof(node, change, batch),
            Verb::Forget => {
                batch.events.extend(self.forget(change));
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

    /// What is recorded of a resource is dropped, and what an earlier run began with it is given up.
    fn forget(&self, change: &Change) -> Vec<Event> {
        let reason: Arc<str> = change
            .reasons
            .first()
            .map(ToString::to_string)
            .unwrap_or_default()
            .into();
        let address = &change.address;
        let given_up = self.state.intents.get(address).map(|intent| Event::Abandoned {
            address: address.clone(),
            token: intent.token.clone(),
            reason: reason.clone(),
        });
        let dropped = self.state.resources.get(address).map(|_| Event::Removed {
            address: address.clone(),
            deposed: None,
            reason,
        });
        given_up.into_iter().chain(dropped).collect()
    }

    /// Returns the name of the object that a change deletes, where it is not the current one.
    fn deposed_key(&self, change: &Change) -> Option<DeposedKey> {
        match change.is_made_first() {
            true => self.deposed.get(&change.address).cloned(),
            false => change.deposed.clone(),
        }
    }

    pub(super) async fn begin_delete(&mut self, node: NodeIndex, change: &'a Change, batch: &mut Batch<'a>) {
        let key = self.deposed_key(change);
        let resource = match (&key, change.is_made_first()) {
            // Nothing was there to make room.
            (None, true) => None,
            (key, _) => self.state.object_of(&change.address, key.as_ref()),
        };
        let Some(resource) = resource else {
            // What an earlier run began with it left nothing.
            self.active.insert(node, Active::idle(change.provider_before.clone()));
            batch.finished.push((node, Verb::Delete));
            return;
        };
        let host = resource.declared.hosted_on.as_ref();
        // A node whose replacement is there already is reached as it was when this was made.
        let host = host.filter(|host| !self.state.deposed.contains_key(*host));
        let host = host.and_then(|host| self.state.resources.get(host));
        let provider = reached_by(&resource.declared.provider, host.map(|host| &host.object.attributes)).into_owned();
        let prior = resource.object.clone();
        let request = Request::Delete { prior };
        self.launch(node, change, request, provider, batch).await;
    }

    pub(super) async fn begin_making(
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
            (Verb::Create, Some(_)) if change.is_made_first() => {
                return self
                    .begin_replacement(node, change, Resolved { wanted, provider }, batch)
                    .await;
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

    /// Has an object make room, and makes the one that takes its place.
    async fn begin_replacement(
        &mut self,
        node: NodeIndex,
        change: &'a Change,
        resolved: Resolved,
        batch: &mut Batch<'a>,
    ) {
        let Resolved { wanted, provider } = resolved;
        let before = batch.events.len();
        self.launch(node, change, Request::Create { wanted }, provider, batch)
            .await;
        // It only makes room where the call is made.
        if batch.events.len() > before {
            let (address, key) = (change.address.clone(), fresh_key());
            batch.events.insert(
                before,
                Event::Deposed {
                    address,
                    key: key.clone(),
                },
            );
            self.deposed.insert(&change.address, key);
        }
    }

    /// Looks at an object whose host was down when the plan was made.
    pub(super) async fn begin_check(&mut self, node: NodeIndex, change: &'a Change, batch: &mut Batch<'a>) {
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
        let call = match self
            .call(change, Verb::Check, &resolved.provider, Token("".into()))
            .await
        {
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
                anew: None,
            },
        );
        batch.launches.push(look(node, call, id).boxed());
    }

    /// Journals the intent and prepares the call.
    pub(super) async fn launch(
        &mut self,
        node: NodeIndex,
        change: &'a Change,
        request: Request,
        provider: ProviderConfig,
        batch: &mut Batch<'a>,
    ) {
        let began = self.active.get(&node).map_or_else(Instant::now, |active| active.began);
        let token = fresh_token();
        let verb = match &request {
            Request::Create { .. } => Verb::Create,
            Request::Update { .. } => Verb::Update,
            Request::Delete { .. } => Verb::Delete,
        };
        let call = match self.call(change, verb, &provider, token.clone()).await {
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
                    deposed: self.deposed_key(change),
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
                anew: None,
            },
        );
        batch
            .launches
            .push(issue(node, call, request, self.notice_of(node)).boxed());
    }

    pub(super) async fn call(
        &self,
        change: &Change,
        verb: Verb,
        config: &ProviderConfig,
        token: Token,
    ) -> Result<Call, CallError> {
        let provider = self.providers.configured(config).await?;
        Ok(Call {
            provider,
            kind: change.kind.clone(),
            token,
            patience: self.options.patience.within(&change.timeouts, verb),
            lease: self.journal.watch(),
            stop: self.stop.clone(),
        })
    }

    pub(super) fn resolved(&mut self, change: &Change) -> Result<Resolved, String> {
        match (&change.wanted, &change.provider) {
            (Some(wanted), Some(provider))
                if wanted.is_known() && provider.settings.is_known() && !change.is_unproven =>
            {
                Ok(Resolved {
                    wanted: wanted.clone(),
                    provider: provider.clone(),
                })
            }
            _ => self.resolve.resolve(change, &self.state),
        }
    }
}

/// Tells the user how far a call is, and that it is sent again.
#[derive(Clone)]
pub(super) struct Notice {
    pub(super) address: Address,
    pub(super) verb: Verb,
    pub(super) progress: mpsc::UnboundedSender<Progress>,
}

impl Notice {
    fn underway(&self, message: String) {
        let (address, verb) = (self.address.clone(), self.verb);
        let _ = self.progress.send(Progress::Underway { address, verb, message });
    }

    fn send(&self, attempt: u32, after: Duration, error: &ProviderError) {
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

async fn issue(node: NodeIndex, call: Call, request: Request, notice: Notice) -> (NodeIndex, End) {
    let told = notice.clone();
    let on_retry = move |attempt, after, error: &_| notice.send(attempt, after, error);
    let listener: Listener = Arc::new(move |message| told.underway(message));
    let replied = heard(listener, call.issue(&request, &on_retry)).await;
    (node, End::Replied(replied))
}

pub(super) async fn follow(
    node: NodeIndex,
    call: Call,
    handle: Handle,
    poll_after: Duration,
    notice: Notice,
) -> (NodeIndex, End) {
    let on_retry = move |attempt, after, error: &_| notice.send(attempt, after, error);
    (node, End::Replied(call.follow(handle, poll_after, &on_retry).await))
}

async fn look(node: NodeIndex, call: Call, id: ObjectId) -> (NodeIndex, End) {
    (node, End::Looked(call.look(&id).await.map_err(CallError::from)))
}

/// Returns a name for an object that makes room: 32 random bits.
fn fresh_key() -> DeposedKey {
    let digits = uuid::Uuid::new_v4().simple().to_string();
    DeposedKey(digits[..8].into())
}

/// Returns a token that names one intent: 128 random bits.
fn fresh_token() -> Token {
    Token(Arc::from(uuid::Uuid::new_v4().simple().to_string()))
}
