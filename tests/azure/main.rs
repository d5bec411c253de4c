//! Fleets in Azure, against the emulator: the real program over real HTTP.
#![cfg(feature = "azure")]

mod cloud;
mod infrastructure;
#[path = "../support/mod.rs"]
mod support;
