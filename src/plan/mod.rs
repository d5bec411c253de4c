//! The plan: a pure function of the configuration, the recorded state and what was observed.

mod adopt;
mod assess;
mod change;
mod difference;
mod disruption;
mod file;
mod moves;
mod order;
mod planner;
mod select;
mod session;
mod values;

pub use adopt::Adoptee;
pub use assess::{Assessment, HostFate, NAME, assess, dismiss, go_on, ignore, make_anew};
pub use change::{
    Action, AttributeDrift, Change, Drift, DriftKind, Interrupt, OutputChange, Plan, PoolChange, PortChange, Reason,
    Summary, Unfinished, Unplaced,
};
pub use difference::{compare, drift, marked, same, typed};
pub use disruption::{Emptied, Roll, has_ended};
pub use file::{Origin, PlanFile, PlanFileError};
pub use moves::{Basis, Move};
pub use planner::{Mode, Planned, Planner};
pub use select::{Pattern, Selection};
pub use session::Session;
