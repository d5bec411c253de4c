//! The provider `docker`: networks, volumes and containers of a Docker engine.
//!
//! - [`schema`]: the settings and the kinds
//! - `provider`: the provider, before and after it is configured

mod provider;
pub mod schema;

pub use provider::DockerType;
