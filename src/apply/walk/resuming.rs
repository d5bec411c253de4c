//! A step of a resource with which an earlier run began something: that comes to its end first.

use futures::FutureExt;
use petgraph::graph::NodeIndex;
use simfleet_provider_api::Step as Reply;
use simfleet_state::Event;

use super::super::Verb;
use super::super::call::{Call, CallError};
use super::super::resume::{Open, follow_up, settle, take_up};
use super::{Active, Batch, End, Walk};
use crate::plan::Change;

/// How far something that an earlier run began has come.
pub(super) struct Resumed {
    open: Open,
    call: Option<Call>,
    end: Result<Reply, CallError>,
}

impl<'a> Walk<'a> {
    /// Finds out what became of what an earlier run began. The step itself begins again once that has ended.
    pub(super) fn begin_resuming(
        &mut self,
        node: NodeIndex,
        change: &'a Change,
        mut open: Open,
        batch: &mut Batch<'a>,
    ) {
        // Its node can have another address by now.
        let now = self.resolved(change).map(|resolved| resolved.provider);
        if let Ok(provider) = now
            && provider.name == open.declared.provider.name
            && change.hosted_on == open.declared.hosted_on
        {
            open.declared.provider = provider;
        }
        self.active
            .insert(node, Active::idle(Some(open.declared.provider.clone())));
        // Whoever deletes it waits for as long as that may take.
        let verb = match self.steps.step(node).verb {
            Verb::Delete => Verb::Delete,
            _ => open.verb(),
        };
        let patience = self.options.patience.within(&change.timeouts, verb);
        let (providers, lease) = (self.providers, self.journal.watch());
        let work = async move {
            let (open, call, end) = take_up(open, providers, patience, &lease).await;
            (node, End::Resumed(Box::new(Resumed { open, call, end })))
        };
        batch.launches.push(work.boxed());
    }

    /// Records what became of it.
    pub(super) fn resumed(&mut self, node: NodeIndex, resumed: Resumed, batch: &mut Batch<'a>) {
        match resumed {
            Resumed {
                open,
                call: Some(call),
                end: Ok(Reply::Running { handle, poll_after }),
            } => {
                batch.events.push(Event::Accepted {
                    address: self.address(node).clone(),
                    token: open.intent.token.clone(),
                    handle: handle.clone(),
                });
                if let Some(active) = self.active.get_mut(&node) {
                    active.accepted = true;
                }
                let work = async move {
                    let end = follow_up(&open, &call, handle, poll_after).await;
                    // Whatever it says now is an end: what still runs is left to the next run.
                    let call = None;
                    (node, End::Resumed(Box::new(Resumed { open, call, end })))
                };
                batch.launches.push(work.boxed());
            }
            Resumed { open, end, .. } => {
                let is_late = matches!(&end, Err(error) if error.is_timeout);
                let mut stuck = Vec::new();
                settle(&open, end, self.providers, &mut batch.events, &mut stuck, self.progress);
                match stuck.pop() {
                    Some(stuck) => {
                        if is_late {
                            self.outcome.timed_out.insert(stuck.address);
                        }
                        let verb = self.steps.step(node).verb;
                        let error = format!("an earlier run's {} of it: {}", stuck.verb.as_str(), stuck.reason);
                        self.leave_open(node, verb, &error);
                    }
                    None => batch.again.push(node),
                }
            }
        }
    }
}
