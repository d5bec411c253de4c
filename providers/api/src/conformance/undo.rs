//! What a case leaves behind: nothing.

use std::sync::Arc;

use super::bench::{PAUSE, expect};
use super::{Bench, Failure};
use crate::{Attributes, Found, Kind, Object, Provider, Step, Token};

/// A create that was sent, or may have been.
pub(super) struct Intent {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) kind: Kind,
    pub(super) token: Token,
    pub(super) planned: Attributes,
    pub(super) object: Option<Object>,
}

impl Bench {
    /// Notes a create that is about to be sent, so that what it makes is deleted in the end.
    pub fn intend(&mut self, provider: &Arc<dyn Provider>, kind: &Kind, token: &Token, planned: &Attributes) {
        if self.intents.iter().all(|intent| intent.token != *token) {
            self.intents.push(Intent {
                provider: provider.clone(),
                kind: kind.clone(),
                token: token.clone(),
                planned: planned.clone(),
                object: None,
            });
        }
    }

    /// Deletes all that was made, latest first, and checks that nothing is left.
    pub(super) async fn clean(mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        for intent in std::mem::take(&mut self.intents).into_iter().rev() {
            result = result.and(self.undo(intent).await);
        }
        result?;
        for kind in self.harness.kinds() {
            if let Some(left) = self.list_until(&kind, <[Object]>::is_empty).await? {
                expect(left.is_empty(), || {
                    format!("{} of kind `{kind}` are left over", left.len())
                })?;
            }
        }
        Ok(())
    }

    async fn undo(&self, intent: Intent) -> Result<(), Failure> {
        let Intent {
            provider,
            kind,
            token,
            planned,
            object,
        } = intent;
        if let Some(object) = &object {
            return self.delete_by(&provider, &kind, object).await;
        }
        match self.find_by(&provider, &kind, &token, &planned).await? {
            Found::Ready(object) => self.delete_by(&provider, &kind, &object).await,
            Found::InProgress(handle) => {
                let step = Step::Running {
                    handle,
                    poll_after: PAUSE,
                };
                match self.settle(&provider, &kind, step).await {
                    Ok(Step::Done(object)) => self.delete_by(&provider, &kind, &object).await,
                    _ => Ok(()),
                }
            }
            Found::Failed { .. } | Found::Nothing => Ok(()),
        }
    }
}
