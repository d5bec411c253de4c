//! The walk: changes are carried out along the graph, each one journaled before and after.

mod progress;

pub use progress::{Outcome, Progress, Verb};
