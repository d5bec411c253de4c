//! The plan: a pure function of the configuration, the recorded state and what was observed.
//!
//! - [`planner`]: the way in; [`session`]: the configuration held against the state, in the order of what reads what
//! - [`work`]: each resource held against what was seen, by [`assess`]; [`change`]: what comes of it; [`difference`]: how
//!   attributes differ
//! - [`hold`]: what somebody stopped or paused by hand; [`moments`]: what depends only on when a plan is made
//! - [`moves`], [`adopt`]: addresses and objects that a plan is made with as if they were recorded already
//! - [`disruption`]: how many members of a pool go at once; [`select`]: a part of a plan; [`beside`]: what else it tells;
//!   [`cost`]: what machines cost
//! - [`file`]: saved plans

mod adopt;
mod assess;
mod beside;
mod change;
mod cost;
mod difference;
mod disruption;
mod file;
mod hold;
mod moments;
mod moves;
mod order;
mod planner;
mod select;
mod session;
mod sized;
mod values;
mod work;

pub use adopt::Adoptee;
pub use assess::{Assessment, HostFate, NAME, assess, dismiss, go_on, ignore, make_anew};
pub use change::{
    Action, AttributeDrift, Change, Drift, DriftKind, Interrupt, OutputChange, Plan, PoolChange, PortChange, Reason,
    Summary, Unfinished, Unplaced,
};
pub use cost::Costs;
pub use difference::{compare, drift, marked, same, typed};
pub use disruption::{Emptied, Roll, away, has_ended, member_of};
pub use file::{Origin, PlanFile, PlanFileError};
pub use hold::{EndedAllocation, EndedHold, HoldEnd, Holds, STATE, STOPPED_BECAUSE, allocated, described};
pub use moments::Moments;
pub use moves::{Basis, Move};
pub use planner::{Mode, Planned, Planner, Scaled, Signals};
pub use select::{Pattern, Selection};
pub use session::Session;
pub use sized::PoolSize;
