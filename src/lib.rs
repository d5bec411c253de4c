//! simfleet: a declarative reconciler for fleets of simulators and robots.

pub mod apply;
pub mod builtin;
pub mod cli;
pub mod config;
pub mod diagnostic;
#[cfg(feature = "fake")]
pub mod fault;
pub mod fleet;
pub mod lower;
pub mod plan;
pub mod providers;
pub mod refresh;
pub mod status;
pub mod view;
