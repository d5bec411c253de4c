//! The suite that every provider passes.
//!
//! A provider's tests implement [`Harness`] and write, in a module of their own,
//!
//! ```text
//! simfleet_provider_api::conformance_tests!(MyHarness::new());
//! ```
//!
//! which makes one `#[tokio::test]` of every case; what follows a comma goes to `tokio::test`, such as
//! `start_paused = true`. Each case gets a harness of its own, acts as the engine would (it asks again with the same
//! token, polls, waits for indexes that lag), deletes what it made, and then finds nothing left.

mod bench;
mod cases;
mod compare;
mod facts;
mod undo;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use bench::{Bench, Failure};
pub use compare::differences;
pub use facts::schema_problems;

use crate::{Attributes, Context, Kind, Object, ObjectId, ProviderType};

/// What the suite must know of a provider, and what it can do with the far side of it.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Returns the provider type.
    fn provider_type(&self) -> Arc<dyn ProviderType>;

    /// Returns the settings to configure it with.
    fn settings(&self) -> Attributes;

    /// Returns a context; the same lineage has the same folder every time, another one another.
    fn context(&self, lineage: &str) -> Context;

    /// Returns the kinds to try: all that it has.
    fn kinds(&self) -> Vec<Kind> {
        self.provider_type()
            .schemas()
            .iter()
            .map(|schema| schema.kind.clone())
            .collect()
    }

    /// Returns samples of a kind, with names that [`Bench::unique`] gives. Makes with the bench what they need.
    async fn samples(&self, kind: &Kind, bench: &mut Bench) -> Result<Samples, Failure>;

    /// Returns an id that no object of the kind has or had.
    fn unknown_id(&self, kind: &Kind) -> ObjectId {
        ObjectId(format!("{kind}-no-such-object").into())
    }

    /// Changes an object as somebody else would.
    async fn change_behind(&self, _kind: &Kind, _object: &Object) -> Able {
        Able::No
    }

    /// Deletes an object as somebody else would.
    async fn remove_behind(&self, _kind: &Kind, _object: &Object) -> Able {
        Able::No
    }

    /// Has the reply to the next create lost, after it is carried out.
    async fn lose_next_reply(&self) -> Able {
        Able::No
    }

    /// Returns settings of an endpoint that does not answer.
    fn unreachable(&self) -> Option<Attributes> {
        None
    }

    /// Whether the far side knows the token of an object that is deleted. Where not, the provider's documentation says
    /// what a call that comes late can do.
    fn used_tokens(&self) -> UsedTokens {
        UsedTokens::Remembered
    }

    /// Returns what names and tokens are made of, where they shall be the same in every run: for a far side of the test's
    /// own. Without it they are new every time.
    fn run_name(&self) -> Option<String> {
        None
    }

    /// Returns how long anything may take.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// Wanted attributes of one kind.
#[derive(Debug, Clone)]
pub struct Samples {
    /// What is made. Valid, and known.
    pub desired: Attributes,
    /// The same with a change that is done in place, if there is one.
    pub in_place: Option<Attributes>,
    /// The same with a change that makes a new object, if there is one.
    pub replaced: Option<Attributes>,
}

/// Whether a harness did what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Able {
    /// It did.
    Yes,
    /// It has no way to.
    No,
}

/// What the far side does with the token of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedTokens {
    /// It makes nothing new with it.
    Remembered,
    /// It has forgotten it.
    Forgotten,
}

/// What a case showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider does it right.
    Shown,
    /// It was not tried, and why.
    Skipped(&'static str),
}

/// One case of the suite.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    run: fn(&mut Bench) -> Running<'_>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Outcome, Failure>> + Send + 'a>>;

macro_rules! case_table {
    (() $($name:ident)*) => {
        /// Every case of the suite.
        pub const CASES: &[Case] = &[$(Case { name: stringify!($name), run: |bench| Box::pin(cases::$name(bench)) }),*];
    };
}

crate::for_each_conformance_case! { [case_table] () }

/// Runs one case, deletes what it made and checks that nothing is left.
pub async fn run(name: &str, harness: Arc<dyn Harness>) -> Result<Outcome, Failure> {
    let Some(case) = CASES.iter().find(|case| case.name == name) else {
        return Err(Failure::Unmet(format!("there is no case `{name}`")));
    };
    let mut bench = Bench::new(harness).await?;
    let outcome = (case.run)(&mut bench).await;
    let cleaned = bench.clean().await;
    let outcome = outcome?;
    cleaned.map(|()| outcome)
}

/// Hands the names of all cases to a macro: the one place where they are listed.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_conformance_case {
    ([$($then:tt)*] $args:tt) => {
        $($then)*! { $args
            schemas_are_sound
            samples_pass_the_check
            create_then_read
            read_is_canonical
            plan_after_create_is_empty
            update_in_place
            update_twice_with_one_token
            update_of_what_has_moved_is_refused
            replace_makes_another_object
            delete_is_idempotent
            unknown_object_is_gone
            unknown_object_is_absent
            list_shows_what_was_created
            list_shows_own_lineage_only
            find_by_token
            create_twice_with_one_token
            create_at_once_with_one_token
            create_after_a_dropped_call
            create_after_a_lost_reply
            token_of_a_deleted_object_makes_nothing
            handle_survives_reconfiguration
            object_survives_reconfiguration
            missing_attribute_is_an_error
            unreachable_is_not_absent
            secrets_stay_hidden
            change_by_others_is_seen
            removal_by_others_is_seen
        }
    };
}

/// Makes a test of every case: `conformance_tests!(harness)`, and after a comma what goes to `tokio::test`. With
/// `ignore = "why", harness` they run where ignored tests are asked for.
#[macro_export]
macro_rules! conformance_tests {
    (ignore = $why:literal, $harness:expr) => {
        $crate::for_each_conformance_case! {
            [$crate::conformance_test_functions] ($harness, (), (#[ignore = $why]))
        }
    };
    ($harness:expr $(, $($flags:tt)*)?) => {
        $crate::for_each_conformance_case! {
            [$crate::conformance_test_functions] ($harness, ($($($flags)*)?), ())
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_test_functions {
    (($harness:expr, $flags:tt, $attributes:tt) $($name:ident)*) => {
        $(
            $crate::conformance_test_function! { $harness, $flags, $attributes, $name }
        )*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_test_function {
    ($harness:expr, $flags:tt, ($($attribute:tt)*), $name:ident) => {
            $($attribute)*
            #[tokio::test $flags]
            async fn $name() {
                let harness = ::std::sync::Arc::new($harness);
                match $crate::conformance::run(stringify!($name), harness).await {
                    Ok($crate::conformance::Outcome::Shown) => {}
                    Ok($crate::conformance::Outcome::Skipped(why)) => println!("skipped: {why}"),
                    Err(failure) => panic!("{failure}"),
                }
            }
    };
}
