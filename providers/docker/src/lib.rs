//! The provider `docker`: networks, volumes and containers of a Docker engine.
//!
//! - [`schema`]: the settings and the kinds; `check`: what can be told without an engine
//! - `provider`: the provider, before and after it is configured
//! - `network`, `volume`, `container`: one kind each; `host`: the engine itself, as a node
//! - `endpoint`: which engine is meant; `client`: the calls to it, and the only place that sees its library
//! - `credentials`: who pulls an image
//! - `labels`: how objects are named and told apart there

mod check;
mod client;
mod container;
mod credentials;
pub mod endpoint;
mod host;
mod labels;
mod network;
mod object;
mod provider;
pub mod schema;
mod volume;

pub use provider::DockerType;
