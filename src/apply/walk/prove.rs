//! A node with a `health_check` is waited for to be healthy, once it and what it runs itself is there. What needs the node waits
//! for that, and so does the next member of a pool that rolls.
//!
//! Nothing is recorded: a run that dies while it waits leaves a node that the next look at it tells about.

use futures::FutureExt;
use petgraph::graph::NodeIndex;
use tokio::time::Instant;

use super::super::Verb;
use super::{Active, Batch, End, Walk};
use crate::health;
use crate::lower::with_parts;
use crate::plan::Change;

impl<'a> Walk<'a> {
    pub(super) fn begin_proof(&mut self, node: NodeIndex, change: &'a Change, batch: &mut Batch<'a>) {
        let (Some(check), Some(made)) = (&change.health_check, self.state.resources.get(&change.address)) else {
            batch.finished.push((node, Verb::Prove));
            return;
        };
        let active = Active {
            // It can be left at any time.
            accepted: true,
            ..Active::idle(change.provider.clone())
        };
        self.active.insert(node, active);
        let attributes = with_parts(&change.address, &made.object.attributes, &self.state).into_owned();
        let healthy = async move {
            (
                node,
                End::Proven(health::wait(check, &change.address, &attributes).await),
            )
        };
        batch.launches.push(healthy.boxed());
    }

    pub(super) fn proven(&mut self, node: NodeIndex, proven: Result<(), String>, batch: &mut Batch<'a>) {
        match proven {
            Ok(()) => batch.finished.push((node, Verb::Prove)),
            Err(problem) => {
                let began = self.active.get(&node).map_or_else(Instant::now, |active| active.began);
                self.fail(node, Verb::Prove, began, problem);
            }
        }
    }
}
