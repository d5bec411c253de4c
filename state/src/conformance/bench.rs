//! A store of a fixture, and what the cases do with it.

use std::sync::Arc;

use super::*;
use crate::error::StateError;
use crate::event::Event;
use crate::host::Holder;
use crate::locks::{LockSet, Locked};
use crate::store::{Journal, Snapshot};

/// A fixture with its machine and its store.
pub(super) struct Bench<F> {
    pub(super) host: Arc<VirtualHost>,
    pub(super) fixture: F,
    pub(super) store: Arc<dyn StateStore>,
}

impl<F: Fixture> Bench<F> {
    pub(super) fn new() -> Self {
        let host = Arc::new(VirtualHost::default());
        let fixture = F::new(host.clone());
        let store = fixture.store();
        Bench { host, fixture, store }
    }

    pub(super) async fn open(&self, holder: &Holder, names: &[&str]) -> Box<dyn Journal> {
        let locks = LockSet::exclusive(names.iter().map(|name| node(name)));
        self.store.open(holder, &locks).await.expect("the locks are free")
    }

    /// Opens everything that [`every_event`] changes.
    pub(super) async fn open_all(&self, holder: &Holder) -> Box<dyn Journal> {
        let locks = LockSet::exclusive(every_event().iter().flatten().flat_map(Event::addresses).cloned());
        self.store.open(holder, &locks).await.expect("the locks are free")
    }

    pub(super) async fn refused(&self, holder: &Holder, locks: &LockSet) -> Locked {
        match self.store.open(holder, locks).await {
            Err(StateError::Locked(locked)) => *locked,
            other => panic!("the locks are held: {other:?}"),
        }
    }

    pub(super) async fn load(&self) -> Snapshot {
        self.store.load().await.expect("it is sound")
    }
}

pub(super) async fn append(journal: &mut Box<dyn Journal>, events: &[Event]) -> u64 {
    journal.append(events).await.expect("it is legal").serial
}

pub(super) fn is_fenced<T: std::fmt::Debug>(result: Result<T, StateError>) -> bool {
    matches!(result, Err(StateError::Fenced { .. }))
}

pub(super) fn exclusive(name: &str) -> LockSet {
    LockSet::exclusive([node(name)])
}
