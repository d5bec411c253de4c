//! An in-memory cloud with seeded faults, and the provider `fake` for it: for tests of the engine.
//!
//! ```text
//! provider.rs --> translate.rs --> client.rs --> gateway.rs --> cloud/
//! (the trait)     (attributes)     |  inside     (time, holds)  (what happens)
//!                                  +- HTTP ----> server.rs ------^
//! ```
//!
//! - [`cloud`]: the cloud as a pure state machine; what it promises stands there
//! - [`faults`]: what goes wrong, when, by a seed
//! - [`kinds`]: its kinds of object: `network`, `node`, `process`
//! - [`gateway`]: the way into one cloud, and holds that stop a call where a test wants it
//! - [`server`], [`control`]: the cloud as a process of its own, and how a test rules over it
//! - [`FakeType`]: the provider

pub mod calls;
pub mod client;
pub mod cloud;
pub mod control;
pub mod faults;
pub mod gateway;
pub mod kinds;
mod provider;
pub mod server;
mod translate;

pub use provider::{FakeType, cloud_of};
