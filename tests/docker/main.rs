//! Fleets of containers on a real Docker engine.
//!
//! `SIMFLEET_TEST_DOCKER` says where it is (`unix:///…`); `scripts/test` starts one, and makes the image that the tests use.
#![cfg(feature = "docker")]

mod adopted;
mod balancing;
mod build;
mod changes;
#[path = "../support/clients.rs"]
mod clients;
mod control;
mod errors;
mod listening;
#[path = "../watch/load.rs"]
mod load;
mod members;
mod metering;
#[path = "../support/nginx.rs"]
mod nginx;
mod nodes;
mod own;
mod registry;
mod scaling;
mod secrets;
#[path = "../watch/served.rs"]
mod served;
#[path = "../support/mod.rs"]
mod support;
#[path = "../watch/watcher.rs"]
mod watcher;
mod whole;
