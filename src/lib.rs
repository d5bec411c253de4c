//! simfleet: a declarative reconciler for fleets of simulators and robots.

pub mod config;
pub mod diagnostic;
