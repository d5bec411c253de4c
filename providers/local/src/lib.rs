//! The local provider: a node is an agent process on loopback.
//!
//! - [`schema`]: the kind `node`
//! - [`provider`]: the provider `local`

pub mod provider;
pub mod schema;

pub use provider::LocalType;
