//! Runs that die or stop anywhere, over the fake cloud and over real processes: one more apply, and nothing is missing,
//! nothing there twice, nothing orphaned, and no lock in the way.
//!
//! - [`sweep`]: `kill -9` at every write to the journal
//! - [`instants`]: `kill -9` at any instant, of larger fleets; a disk that gets full
//! - [`draining`]: `kill -9` while a member of a pool is emptied
//! - [`racing`]: runs that are stopped, superseded and continued
//! - [`together`]: two runs at once, on disjoint parts and on the same
//! - [`field`]: the fleet that is killed; [`cloud`], [`processes`]: what is there
#![cfg(feature = "fake")]

mod cloud;
mod draining;
mod field;
mod instants;
mod processes;
mod racing;
#[path = "../support/mod.rs"]
mod support;
mod sweep;
mod together;

use support::crash::{APPLY, DESTROY};
