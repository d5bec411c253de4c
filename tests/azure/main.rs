//! Fleets in Azure, against the emulator: the real program over real HTTP.
#![cfg(feature = "azure")]

mod cloud;
mod groups;
mod infrastructure;
mod simulators;
#[path = "../support/mod.rs"]
mod support;
mod unhealthy;
#[path = "../watch/watcher.rs"]
mod watcher;
