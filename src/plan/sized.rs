//! What a plan makes of sizes and times, for who asks: how large pools are to be, and what is stopped whatever it declares.

use simfleet_provider_api::Address;

use super::session::Session;
use crate::lower::Bounds;

/// The size that a pool is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSize {
    /// The pool.
    pub address: Address,
    /// How many members.
    pub members: u64,
    /// How many there may be at the moment.
    pub bounds: Bounds,
    /// Why it has that size.
    pub because: String,
}

impl Session<'_> {
    /// Returns the sizes that pools are to have, by address.
    pub fn sizes(&self) -> Vec<PoolSize> {
        let sizes = self.layout.pools.iter().map(|(address, pool)| PoolSize {
            address: address.clone(),
            members: pool.members.len() as u64,
            bounds: pool.bounds.clone(),
            because: pool.because.clone(),
        });
        sizes.collect()
    }

    /// Returns why a simulator is to be stopped whatever its `state` says.
    pub fn stops(&self, address: &Address) -> Option<&'static str> {
        if self.layout.off_schedule.contains(address) {
            return Some("it is outside of its schedule");
        }
        let is_over = self.layout.outlived.contains(address);
        is_over.then_some("its max_lifetime is over")
    }
}
