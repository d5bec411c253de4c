//! What of a plan depends only on when it is made: `timestamp()`, `uuid()`, `plantimestamp()`.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::{Attributes, Value};

use super::{Action, Change};
use crate::config::moment::is_of_moment;

/// What a plan makes of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Moments {
    /// It is something else each time, and what has it is changed.
    #[default]
    Renew,
    /// It stays as it was recorded: who enforces what was applied would never come to an end.
    Keep,
}

/// Attributes that stay as they are recorded.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<(Arc<str>, Value)>);

impl Kept {
    /// Has wanted attributes stay as they are recorded where only the moment would make them something else.
    pub(super) fn of(wanted: &mut Attributes, recorded: &Attributes) -> Self {
        let of_moment = wanted.iter().filter(|(_, value)| is_of_moment(value));
        let kept: Vec<_> = of_moment
            .map(|(name, value)| (Arc::clone(name), value.clone()))
            .collect();
        for (name, _) in &kept {
            if let Some(value) = recorded.get(name) {
                wanted.set(Arc::clone(name), value.clone());
            }
        }
        Kept(kept)
    }

    /// Takes back what cannot be given to a provider again: a secret of which only a digest is recorded.
    pub(super) fn renew_secrets(self, change: &mut Change) {
        let Some(wanted) = change.wanted.as_mut().filter(|_| change.action != Action::NoOp) else {
            return;
        };
        for (name, value) in self.0 {
            if wanted.get(&name).is_some_and(Value::has_redacted) {
                wanted.set(name, value);
            }
        }
    }
}

/// Returns the recorded value of an output that only the moment would make something else.
pub(super) fn kept_output(name: &str, value: &Value, recorded: &BTreeMap<Arc<str>, Value>) -> Option<Value> {
    recorded.get(name).filter(|_| is_of_moment(value)).cloned()
}
