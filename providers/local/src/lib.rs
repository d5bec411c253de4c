//! The local provider: a node is an agent process on loopback.
//!
//! - [`schema`]: the kind `node`; `settings`: its attributes
//! - [`provider`]: the provider `local`, and why a create that arrives late makes nothing
//! - `folder`: the files of a fleet's nodes; `address`: where a node listens
//! - `start`, `remove`: its processes

mod address;
mod folder;
pub mod provider;
mod remove;
pub mod schema;
mod settings;
mod start;

pub use provider::LocalType;
