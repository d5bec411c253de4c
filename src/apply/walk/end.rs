//! What follows when a call ended: its outcome is journaled, what waits for it goes on or is skipped.

use std::time::Duration;

use futures::FutureExt;
use petgraph::graph::NodeIndex;
use simfleet_provider_api::{Attributes, Handle, Object, Observed, Step as Reply};
use simfleet_state::{Event, Outcome as Left, Remains};
use tokio::time::Instant;

use super::super::call::{CallError, Effect, Request};
use super::super::steps::Step;
use super::super::{Progress, Verb};
use super::begin::follow;
use super::{Batch, End, Resolved, Walk};
use crate::plan::{Change, compare, marked};

impl<'a> Walk<'a> {
    /// Takes in how a call ended.
    pub(super) async fn end(&mut self, node: NodeIndex, end: End, batch: &mut Batch<'a>) {
        let Step { change, verb } = self.steps.step(node);
        let change = &self.plan.changes[change];
        match end {
            End::Resumed(resumed) => self.resumed(node, *resumed, batch),
            End::Drained(left) => self.drained(node, left, batch),
            End::Proven(proven) => self.proven(node, proven, batch),
            End::Looked(seen) => self.looked(node, change, seen, batch).await,
            End::Replied(Ok(Reply::Running { handle, poll_after })) => {
                self.accepted(node, change, handle, poll_after, batch).await;
            }
            End::Replied(Ok(reply)) => self.succeeded(node, change, verb, reply, batch).await,
            End::Replied(Err(error)) => self.failed(node, change, verb, error, batch),
        }
    }

    pub(super) async fn accepted(
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
        match self.call(change, verb, &provider, token).await {
            Ok(call) => batch
                .launches
                .push(follow(node, call, handle, poll_after, self.notice_of(node)).boxed()),
            Err(error) => self.leave_open(node, verb, &error.to_string()),
        }
    }

    pub(super) async fn succeeded(
        &mut self,
        node: NodeIndex,
        change: &'a Change,
        verb: Verb,
        reply: Reply,
        batch: &mut Batch<'a>,
    ) {
        let Some(active) = self.active.get_mut(&node) else {
            return;
        };
        let Some(token) = active.intent.clone() else { return };
        let wanted = active.wanted.clone();
        if let Some(anew) = active.anew.take() {
            active.intent = None;
            batch.events.push(Event::Succeeded {
                address: change.address.clone(),
                token,
                outcome: Left::Gone,
            });
            // Nothing new is begun in a run that was stopped: the next one finds that it is to be made.
            if !self.outcome.interrupted {
                let Resolved { wanted, provider } = anew;
                self.launch(node, change, Request::Create { wanted }, provider, batch)
                    .await;
            }
            return;
        }
        let outcome = match (verb, reply) {
            (Verb::Delete, _) => Left::Gone,
            (_, Reply::Done(object)) => Left::Object(self.kept(change, wanted.as_ref(), object)),
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
    pub(super) fn kept(&self, change: &Change, wanted: Option<&Attributes>, mut object: Object) -> Object {
        let provider = change.provider.as_ref().map_or("", |provider| &provider.name);
        if let (Some(schema), Some(wanted)) = (self.providers.registry().schema(provider, &change.kind), wanted) {
            object.attributes = marked(schema, wanted, &object.attributes);
        }
        object
    }

    /// Goes on after a look: nothing to do, change it, make it, or make it anew.
    pub(super) async fn looked(
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
                        let request = Request::Delete { prior: object };
                        self.launch(node, change, request, provider.clone(), batch).await;
                        if let Some(active) = self.active.get_mut(&node) {
                            active.anew = Some(Resolved { wanted, provider });
                        }
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

    pub(super) fn failed(
        &mut self,
        node: NodeIndex,
        change: &Change,
        verb: Verb,
        error: CallError,
        batch: &mut Batch<'a>,
    ) {
        let Some(active) = self.active.get(&node) else { return };
        let began = active.began;
        if error.is_timeout {
            self.outcome.timed_out.insert(change.address.clone());
        }
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
                // Its replacement came to nothing, so the old object is the current one again.
                if verb == Verb::Create
                    && let Some(key) = self.deposed.remove(&change.address)
                {
                    let address = change.address.clone();
                    batch.events.push(Event::Restored { address, key });
                }
                self.fail(node, verb, began, text);
            }
            _ => self.leave_open(node, verb, &text),
        }
    }

    /// Gives up a step whose end is not known: its intent stays in the journal for the next run.
    pub(super) fn leave_open(&mut self, node: NodeIndex, verb: Verb, error: &str) {
        let began = self.active.get(&node).map_or_else(Instant::now, |active| active.began);
        let address = self.address(node).clone();
        self.outcome.open.push((address, verb));
        let error = format!("{error}; what became of it is not known, so the next run finds out");
        self.fail(node, verb, began, error);
    }

    pub(super) fn fail(&mut self, node: NodeIndex, verb: Verb, began: Instant, error: String) {
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
                let because = match (*self.address(waiting) == address, verb) {
                    (false, _) => format!("it needs {address}, which failed"),
                    (true, Verb::Create) => "its replacement was not made".to_owned(),
                    (true, Verb::Drain) => "it was not emptied".to_owned(),
                    (true, _) => "the old one has to go first".to_owned(),
                };
                self.skip(waiting, because);
            }
        }
        self.outcome.failed.push((address, verb, error));
    }

    pub(super) fn skip(&mut self, node: NodeIndex, because: String) {
        let (address, verb) = (self.address(node).clone(), self.steps.step(node).verb);
        // That its removal or its making is skipped says it all.
        if matches!(verb, Verb::Drain | Verb::Prove) {
            return;
        }
        let _ = self.progress.send(Progress::Skipped {
            address: address.clone(),
            verb,
            because: because.clone(),
        });
        self.outcome.skipped.push((address, verb, because));
    }
}
