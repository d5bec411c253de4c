//! Fleets in Azure, against the emulator: the real program over real HTTP.
#![cfg(feature = "azure")]

mod by_hand;
mod cloud;
#[cfg(feature = "fake")]
mod crashing;
mod infrastructure;
mod live;
mod machines;
mod metering;
mod refreshing;
#[path = "../support/mod.rs"]
mod support;
#[path = "../watch/watcher.rs"]
mod watcher;
mod weather;
