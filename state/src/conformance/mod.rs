//! The suite that every store passes, and what tests over a store need: a machine whose clock and processes they set.
//!
//! [`suite!`](crate::suite) makes one test of each case.

mod access;
mod bench;
mod cases;
mod host;
mod keeping;
mod locking;
mod samples;

use std::sync::Arc;

pub use self::access::*;
pub use self::cases::*;
pub use self::host::VirtualHost;
pub use self::keeping::*;
pub use self::locking::*;
pub use self::samples::*;
use crate::secrets::Keys;
use crate::store::StateStore;

/// A place for one state, where a store can be opened again and again.
pub trait Fixture {
    /// Makes an empty one, on a machine.
    fn new(host: Arc<VirtualHost>) -> Self;

    /// Opens the store, as a new process would.
    fn store(&self) -> Arc<dyn StateStore>;

    /// Opens the store with keys.
    fn store_with(&self, keys: Keys) -> Arc<dyn StateStore>;

    /// Returns everything that is kept, as it is kept.
    fn bytes(&self) -> Vec<u8>;
}

/// Makes a test of each case of the suite, for a [`Fixture`](crate::conformance::Fixture).
#[macro_export]
macro_rules! suite {
    ($fixture:ty) => {
        $crate::suite!(@each $fixture:
            an_empty_store_loads_as_nothing,
            every_event_comes_back,
            a_serial_names_a_group,
            a_lineage_is_made_once,
            no_events_are_no_change,
            the_head_says_which_state_it_is,
            an_illegal_event_is_refused_with_its_group,
            an_event_outside_the_locks_is_refused,
            locks_exclude_each_other,
            a_refused_holder_learns_for_whom_to_wait,
            closing_releases,
            two_holders_write_at_once,
            two_holders_cannot_take_one_port,
            a_dead_holder_is_followed_at_once,
            a_silent_holder_is_followed_after_its_lease,
            a_shorter_lease_is_over_sooner,
            renewing_keeps_the_locks,
            appending_keeps_the_locks,
            a_clock_that_was_set_back_locks_nobody_out,
            a_late_holder_is_fenced,
            a_late_holder_that_nobody_followed_goes_on,
            an_unlocked_holder_is_fenced,
            epochs_grow,
            a_group_without_a_reply_is_there,
            history_is_a_range,
            secrets_are_never_kept,
            with_a_key_secrets_come_back,
            a_wrong_key_reads_and_changes_nothing,
            a_key_can_be_followed_by_another,
            what_is_pushed_is_what_is_recorded,
            a_push_over_what_is_in_flight_is_refused,
            a_check_says_what_there_is,
            a_lost_state_is_made_with_its_lineage,
            what_is_remembered_of_pools_is_beside_the_journal,
            of_the_laps_of_a_pool_the_newest_are_kept,
            a_token_comes_back_as_its_digest_until_it_is_revoked,
            of_what_was_asked_for_the_newest_stay,
        );
    };
    (@each $fixture:ty: $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::conformance::$case::<$fixture>().await;
            }
        )*
    };
}
