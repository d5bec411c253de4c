//! How many members a pool should have, and which come and go: [`decide`], a pure function of what is declared, what is
//! seen and what was done before. It has no clock, does no I/O and rolls no dice, so a decision can be repeated, replayed
//! over a trace, and tested case by case.
//!
//! - `spec`: what is declared; `seen`: what is observed; `history`: what is remembered; `decision`: what comes out
//! - `bounds`: the fewest and the most members now; `vote`: what each check asks for
//! - `pace`: how fast the size may change; `members`: who comes and who goes
//! - `forecast`: what will be needed, by what was; `calendar`: when a schedule holds; `vector`: a decision as a line of JSON; `number`: numbers that are not finite, there
//!
//! Lengths of time are seconds, instants are seconds since an epoch that the caller chooses, and shares are fractions (a
//! load of 75 % is 0.75), but where a name ends in `pct` or `percent`.

mod bounds;
mod calendar;
mod decide;
mod decision;
mod forecast;
mod history;
mod ill;
mod members;
mod number;
mod pace;
mod seen;
mod spec;
mod vector;
mod vote;

pub use bounds::{Bounds, bounds};
pub use calendar::{Calendar, Occurrence, Starts};
pub use decide::decide;
pub use decision::{Action, Decision, Limit, Reason, Step};
pub use forecast::{Forecast, Past};
pub use history::{Beyond, Event, History, Recommendation, Side};
pub use seen::{Member, MemberState, Observation, Sample, Samples};
pub use spec::{Check, OnMissing, Policy, PolicyKind, Predictive, Select, Spec, Strategy, Window};
pub use vector::{Answer, Vector, VectorError};
