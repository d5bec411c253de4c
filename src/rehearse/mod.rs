//! A load trace, replayed through a pool's policy: the decision that `simfleet watch` will make, over members that boot, serve and
//! drain. Pure.
//!
//! - [`Trace`]: what there was to do; [`replay`]: what a pool would have made of it

mod replay;
mod trace;

pub use replay::{Capacity, Rehearsal, Settings, Tick, replay};
pub use trace::{Trace, TraceError};
