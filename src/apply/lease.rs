//! The lease on the addresses, as calls see it: none that changes the world is sent once the lease may be over.
//!
//! The journal refuses what a run writes that was taken over, but a provider would not: a run that was stopped (Ctrl-Z, a
//! suspended laptop, a starved machine) and goes on after its lease would send the retry that it was waiting for, over
//! the head of the run that has taken its place. So whoever holds the journal tells the end of the lease to the calls
//! after each write and renewal, and each send waits for a lease with time left. Renewal decides what becomes of the
//! ones that wait: it succeeds and they go on, or this run is fenced, the walk ends, and they are dropped unsent, with
//! their intents open for the run that took over.
//!
//! What remains is the time between this look at the clock and the arrival of the call. To matter, it has to be longer
//! than the last third of the lease, which does not count as left here. Then a create is still safe by its token; an
//! update where the provider sends the version that it saw (`If-Match`, a generation); a delete touches only the object
//! with the recorded id, never a later one of the same name.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use simfleet_state::{Event, Journal, State};
use tokio::sync::watch;

use super::{describe, record};

/// The journal during a run, with the end of its lease made known to calls.
#[derive(Debug)]
pub(super) struct LeaseKeeper<'a> {
    journal: &'a mut dyn Journal,
    /// Until when calls may be sent, by [`clock`].
    until: watch::Sender<Duration>,
}

impl<'a> LeaseKeeper<'a> {
    pub(super) fn new(journal: &'a mut dyn Journal) -> Self {
        let until = watch::Sender::new(time_to_send(journal));
        LeaseKeeper { journal, until }
    }

    /// Returns the lease as calls see it.
    pub(super) fn watch(&self) -> LeaseWatch {
        LeaseWatch(self.until.subscribe())
    }

    /// Returns how often the lease is to be renewed, from how long it is now.
    pub(super) fn pace(&self) -> Duration {
        (self.journal.lease() / 6).max(Duration::from_millis(50))
    }

    /// Makes events durable, then lets the state follow them.
    ///
    /// # Errors
    /// Why they could not be written, in words for the user.
    pub(super) async fn record(&mut self, state: &mut State, events: Vec<Event>) -> Result<(), String> {
        let recorded = record(state, self.journal, events).await;
        self.tell();
        recorded
    }

    /// Renews the lease.
    ///
    /// # Errors
    /// That the locks were taken over, or why that cannot be told.
    pub(super) async fn renew(&mut self) -> Result<(), String> {
        let renewed = self.journal.renew().await.map_err(|error| describe(&error));
        self.tell();
        renewed
    }

    fn tell(&self) {
        self.until.send_replace(time_to_send(self.journal));
    }
}

/// Until when calls may be sent, by [`clock`]. The last third of a lease is left for them to arrive.
fn time_to_send(journal: &dyn Journal) -> Duration {
    // Looked at before the lease: a stop between the two makes the time shorter.
    clock() + journal.lease() * 2 / 3
}

/// The lease on the addresses, as calls see it.
#[derive(Debug, Clone)]
pub(super) struct LeaseWatch(watch::Receiver<Duration>);

impl LeaseWatch {
    /// Waits until the lease has time left for a call. Does not end when the run is fenced: whoever renews the lease
    /// drops the call then.
    pub(super) async fn held(&self) {
        let mut until = self.0.clone();
        if until.wait_for(|until| clock() < *until).await.is_err() {
            // Nobody is left who could renew it.
            std::future::pending::<()>().await;
        }
    }
}

/// Returns the time since the machine was started. It goes on while this process is stopped and while the machine is
/// suspended, and nobody sets it.
fn clock() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::Monotonic;
    Duration::try_from(clock_gettime(CLOCK)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use simfleet_provider_api::Address;
    use simfleet_state::{Holder, LockSet, MemoryStore, StateStore, System};

    use super::*;

    async fn journal(store: &MemoryStore) -> Box<dyn Journal> {
        let locks = LockSet::exclusive([Address::new("node", ["a"])]);
        let holder = Holder::this_process("test", &System);
        store.open(&holder, &locks).await.expect("nobody holds it")
    }

    #[tokio::test]
    async fn a_call_waits_for_a_lease_that_is_over_until_it_is_renewed() {
        let store = MemoryStore::new(std::sync::Arc::new(System)).with_lease(Duration::from_millis(150));
        let mut journal = journal(&store).await;
        let mut keeper = LeaseKeeper::new(&mut *journal);
        let lease = keeper.watch();
        assert!(lease.held().now_or_never().is_some(), "it has just begun");
        // A thread that sleeps, as a process that is stopped: no timer of the runtime goes on.
        std::thread::sleep(Duration::from_millis(110));
        assert!(lease.held().now_or_never().is_none(), "two thirds of it are over");
        keeper.renew().await.expect("nobody took it over");
        assert!(lease.held().now_or_never().is_some(), "it was renewed");
    }

    #[tokio::test]
    async fn a_call_of_a_run_that_was_taken_over_is_never_sent() {
        let store = MemoryStore::new(std::sync::Arc::new(System));
        let mut first = journal(&store).await;
        let mut keeper = LeaseKeeper::new(&mut *first);
        let lease = keeper.watch();
        for lease in store.load().await.expect("a store in memory").leases {
            store.unlock(&lease.holder.id).await.expect("a store in memory");
        }
        assert!(keeper.renew().await.is_err(), "it was taken over");
        assert!(lease.held().now_or_never().is_none());
        drop(keeper);
        assert!(
            lease.held().now_or_never().is_none(),
            "nor when nobody renews it any more"
        );
    }
}
