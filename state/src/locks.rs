//! Locks on addresses, with leases and epochs. Pure; a store keeps the table and guards it by its transactions.
//!
//! A holder takes all its locks at once, so no two can wait for each other. Its lease is renewed while it runs. Locks fall
//! when somebody else wants them and their holder is proven dead, or its lease is over; that holder's epoch is gone then,
//! and every write under it is refused. A lease that is over and that nobody wanted can still be renewed: a process that
//! was stopped for a while then records what it knows, which is better than an open intent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use simfleet_provider_api::Address;

use crate::error::StateError;
use crate::event::Event;
use crate::host::{Holder, HolderId, Host, Liveness};

/// How long locks last when they are not renewed.
pub const LEASE: Duration = Duration::from_secs(30);

/// The addresses that a run needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockSet {
    /// Those that it changes: nobody else may hold them.
    pub exclusive: BTreeSet<Address>,
    /// Those that must not change meanwhile: others may need them too.
    pub shared: BTreeSet<Address>,
}

impl LockSet {
    /// Makes a set of addresses to change.
    pub fn exclusive(addresses: impl IntoIterator<Item = Address>) -> Self {
        LockSet {
            exclusive: addresses.into_iter().collect(),
            shared: BTreeSet::new(),
        }
    }

    /// Adds addresses that must not change.
    pub fn and_shared(mut self, addresses: impl IntoIterator<Item = Address>) -> Self {
        self.shared.extend(addresses);
        self
    }

    /// Returns the addresses that both sets have and that two holders cannot have at once.
    fn conflicts(&self, other: &LockSet) -> BTreeSet<Address> {
        let mine = self.exclusive.iter().filter(|address| other.has(address));
        let theirs = other.exclusive.iter().filter(|address| self.shared.contains(*address));
        mine.chain(theirs).cloned().collect()
    }

    fn has(&self, address: &Address) -> bool {
        self.exclusive.contains(address) || self.shared.contains(address)
    }
}

/// The locks of one holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who.
    pub holder: Holder,
    /// Grows with each lease of a store; every write carries it.
    pub epoch: u64,
    /// On what. Shared, as a lease is copied with each call and can be large.
    pub locks: Arc<LockSet>,
    /// When it was last renewed.
    pub renewed: Timestamp,
    /// When it is over.
    pub expires: Timestamp,
}

impl Lease {
    /// Whether its holder is proven dead, or its time is over.
    pub fn is_over(&self, host: &dyn Host) -> bool {
        let now = host.now();
        let length = self.expires.duration_since(self.renewed);
        // A clock that was set back by more than a lease would have it last for as long.
        let clock_was_set_back = self.renewed.duration_since(now) > length;
        let dead = |process| host.liveness(process) == Liveness::Dead;
        self.expires <= now || clock_was_set_back || self.holder.process.as_ref().is_some_and(dead)
    }

    /// Returns how long it lasts from `now` on.
    pub fn remaining(&self, now: Timestamp) -> Duration {
        self.expires.duration_since(now).try_into().unwrap_or(Duration::ZERO)
    }

    /// Checks that everything that events change is locked exclusively.
    ///
    /// # Errors
    /// Names the first address that is not.
    pub fn check(&self, events: &[Event]) -> Result<(), StateError> {
        let changes = events
            .iter()
            .flat_map(|event| event.addresses().map(move |address| (event, address)));
        match changes
            .into_iter()
            .find(|(_, address)| !self.locks.exclusive.contains(*address))
        {
            None => Ok(()),
            Some((event, address)) => Err(StateError::NotHeld {
                address: address.clone(),
                event: event.name(),
            }),
        }
    }

    /// Begins it anew.
    pub fn renew(&mut self, now: Timestamp, length: Duration) {
        self.renewed = now;
        self.expires = after(now, length);
    }
}

/// Returns the time `length` after `now`, or the last there is.
fn after(now: Timestamp, length: Duration) -> Timestamp {
    SignedDuration::try_from(length)
        .ok()
        .and_then(|length| now.checked_add(length).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Says who has the locks that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Each holder in the way, with the addresses that are wanted of it and the time at which its lease is over unless
    /// it is renewed.
    pub by: Vec<(Holder, BTreeSet<Address>, Timestamp)>,
}

/// `node.a, node.b and 3 more by ann@lab (process 12, since …): simfleet apply`
impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (holder, addresses, _)) in self.by.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "; " })?;
            for (i, address) in addresses.iter().take(SHOWN).enumerate() {
                let comma = if i == 0 { "" } else { ", " };
                write!(f, "{comma}{address}")?;
            }
            match addresses.len().saturating_sub(SHOWN) {
                0 => {}
                more => write!(f, " and {more} more")?,
            }
            write!(f, " by {holder}")?;
        }
        Ok(())
    }
}

const SHOWN: usize = 3;

/// All leases of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockTable {
    /// The last epoch that was given.
    pub epoch: u64,
    /// The leases by epoch.
    pub leases: BTreeMap<u64, Lease>,
}

impl LockTable {
    /// Gives a holder its locks, all or none, and drops the leases in its way that are over and those of the dead.
    ///
    /// # Errors
    /// Where a lease that is not over is in the way.
    pub fn acquire(
        &mut self,
        holder: &Holder,
        locks: &LockSet,
        length: Duration,
        host: &dyn Host,
    ) -> Result<Lease, Locked> {
        let in_the_way = |lease: &Lease| (lease.epoch, lease.locks.conflicts(locks));
        let conflicts: Vec<_> = self
            .leases
            .values()
            .map(in_the_way)
            .filter(|(_, addresses)| !addresses.is_empty())
            .collect();
        let (over, held): (Vec<_>, Vec<_>) = conflicts
            .into_iter()
            .partition(|(epoch, _)| self.leases[epoch].is_over(host));
        if !held.is_empty() {
            let describe = |(epoch, addresses): (u64, BTreeSet<Address>)| {
                let lease = &self.leases[&epoch];
                (lease.holder.clone(), addresses, lease.expires)
            };
            return Err(Locked {
                by: held.into_iter().map(describe).collect(),
            });
        }
        for (epoch, _) in over {
            self.leases.remove(&epoch);
        }
        self.leases.retain(|_, lease| match &lease.holder.process {
            Some(process) => host.liveness(process) != Liveness::Dead,
            None => true,
        });
        self.epoch += 1;
        let mut lease = Lease {
            holder: holder.clone(),
            epoch: self.epoch,
            locks: Arc::new(locks.clone()),
            renewed: Timestamp::MIN,
            expires: Timestamp::MIN,
        };
        lease.renew(host.now(), length);
        self.leases.insert(lease.epoch, lease.clone());
        Ok(lease)
    }

    /// Drops all leases of a holder, whether they are over or not, and returns them.
    pub fn unlock(&mut self, holder: &HolderId) -> Vec<Lease> {
        let (dropped, kept) = std::mem::take(&mut self.leases)
            .into_iter()
            .partition(|(_, lease)| lease.holder.id == *holder);
        self.leases = kept;
        let dropped: BTreeMap<u64, Lease> = dropped;
        dropped.into_values().collect()
    }
}
