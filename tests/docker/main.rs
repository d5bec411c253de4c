//! Fleets of containers on a real Docker engine.
//!
//! `SIMFLEET_TEST_DOCKER` says where it is (`unix:///…`); `scripts/test` starts one, and makes the image that the tests use.
#![cfg(feature = "docker")]

mod adopted;
mod balancing;
mod build;
mod changes;
mod control;
mod errors;
mod listening;
mod members;
mod metering;
mod nodes;
mod own;
mod registry;
mod secrets;
#[path = "../watch/served.rs"]
mod served;
#[path = "../support/mod.rs"]
mod support;
#[path = "../watch/watcher.rs"]
mod watcher;
mod whole;
