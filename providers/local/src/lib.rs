//! The local provider: a node is an agent process on loopback.
//!
//! - [`schema`]: the kind `node`; `settings`: its attributes
//! - [`provider`]: the provider `local`, and why a create that arrives late makes nothing
//! - `folder`, `lock`: the files of a fleet's nodes; `address`: where a node listens
//! - `make`, `start`, `remove`: its files and processes

mod address;
mod folder;
mod lock;
mod make;
pub mod provider;
mod remove;
pub mod schema;
mod settings;
mod start;

pub use provider::LocalType;
