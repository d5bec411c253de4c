//! `autoscale` and what stands in it.

pub mod autoscale;
pub mod behavior;
pub mod check;
pub mod schedule;
pub(super) mod warnings;

pub use autoscale::{Autoscale, Budget, BudgetAction, Predictive, PredictiveMode, Warmup};
pub use behavior::{Behavior, Direction, Policy, PolicyType, Select};
pub use check::{Check, OnMissing, Source, Step, Strategy};
pub use schedule::{Schedule, Times, Weekday};
