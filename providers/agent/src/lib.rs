//! The simfleet agent of a node, and the provider that speaks to it.
//!
//! - [`protocol`]: what is said over HTTP, and in which version
//! - [`client`]: the calls; [`schema`], [`provider`]: the kind `process` of the provider `agent`
//! - [`identity`]: which process is meant, across reused ids and reboots

mod check;
pub mod client;
mod http;
pub mod identity;
pub mod protocol;
pub mod provider;
pub mod schema;
mod spec;

pub use client::{AgentClient, ClientError};
pub use provider::AgentType;
