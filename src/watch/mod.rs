//! `simfleet watch`: keeps a fleet as it was last applied, and its pools as large as they need to be.
//!
//! One loop owns all that is known. What takes long (sources that are asked, far sides that are looked at, runs that change
//! something) are futures that it polls, each by itself, so that none of them keeps another waiting. When one of them ends, a
//! timer is due or a signal comes, the loop makes a lap: decide for the pools whose sources have answered, keep that, plan,
//! and begin a run for each part of the plan that no run is at work on.
//!
//! - [`lap`]: the loop, in parts; [`run`]: one run over a part of the fleet; [`lead`]: which watch of a fleet leads
//! - [`pool`]: what is asked of the sources of a pool, and what is decided of the answers; [`sources`]: who answers
//! - [`members`]: the members of a pool as the decision sees them; [`memory`]: what is remembered between laps
//! - [`known`]: what is recorded, and what follows of it; [`health`]: whether nodes are healthy; [`looks`]: what was last seen; [`parts`]: the parts of a plan that have nothing to do with each other
//! - [`published`]: what it shows of itself to others, such as [`crate::serve`]
//! - [`told`]: what it tells
//! - [`pending`]: the files, where they are other than what was last applied

mod health;
mod known;
mod lap;
pub mod lead;
pub mod looks;
pub mod members;
pub mod memory;
pub mod parts;
mod pending;
pub mod pool;
pub mod published;
mod run;
pub mod sources;
mod told;

pub use lap::Watch;
pub use pending::Allow;
pub use told::Told;

/// How a fleet is watched.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// One lap, and no more.
    pub once: bool,
    /// It decides and tells, and changes nothing.
    pub dry_run: bool,
    /// Where another one leads it waits until that one does not any more, and then leads itself.
    pub standby: bool,
    /// Whether changed files are applied, and what of them.
    pub follow: Option<Allow>,
}

/// How a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to end, or the one lap is done, and nothing went wrong in it.
    Well,
    /// Something went wrong in the one lap.
    WithFailures,
}
