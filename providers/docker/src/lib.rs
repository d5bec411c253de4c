//! The provider `docker`: networks, volumes, images and containers of a Docker engine.
//!
//! - [`schema`]: the settings and the kinds; `check`: what can be told without an engine
//! - `provider`: the provider, before and after it is configured
//! - `network`, `volume`, `image`, `container`: one kind each; `host`: the engine itself, as a node
//! - `runtime`: what is done with a container by hand; `meter`: how much it uses of what it may
//! - `endpoint`: which engine is meant; `client`: the calls to it, and the only place that sees its library
//! - `credentials`: who pulls an image
//! - `labels`: how objects are named and told apart there

mod check;
mod client;
mod container;
mod credentials;
pub mod endpoint;
mod host;
mod image;
mod labels;
mod meter;
mod network;
mod object;
mod provider;
mod runtime;
pub mod schema;
mod volume;

pub use provider::DockerType;
