//! The walk over the fake cloud: order, failures, lost replies, long operations, stopping.
#![cfg(feature = "fake")]

mod bench;
mod failures;
mod limits;
mod looks;
mod order;
mod resuming;
