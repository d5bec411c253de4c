//! What is remembered of the scaling of pools, outside serial and journal: it changes every few seconds, and no plan is made
//! of it.

use std::sync::Arc;

use jiff::Timestamp;
use simfleet_provider_api::Address;

/// How many laps of a pool are kept.
pub const KEPT: usize = 2_000;

/// One evaluation of a pool's size, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lap {
    /// The pool.
    pub pool: Address,
    /// When.
    pub at: Timestamp,
    /// What the next evaluation goes on from, in the caller's form; replaces what was remembered before.
    pub memory: Arc<str>,
    /// What is kept of this one for people to read, in the caller's form.
    pub told: Option<Arc<str>>,
}
