//! The provider `azure`: machines, scale sets and their networks, over Azure Resource Manager.
//!
//! - [`schema`]: the settings and the names of the kinds; `kinds`: one kind a file
//! - `provider`: the provider, before and after it is configured
//! - `flow`: how calls and operations make up what the engine asks for; `resource`: what all kinds have in common
//! - `arm`: the pipeline that all calls go through, its refusals and its operations
//! - `cloud`: which Azure is meant; `credentials`: who asks
//! - `client`: requests to Microsoft.Compute, and the only place that sees Microsoft's library
//! - `meter`: how much machines use
//! - `names`, `tags`: how objects are named and told apart there; `wanted`: attributes to JSON and back

mod arm;
mod client;
mod cloud;
mod credentials;
mod flow;
mod kinds;
mod meter;
mod names;
mod prices;
mod provider;
mod resource;
pub mod schema;
mod tags;
mod wanted;

pub use provider::AzureType;
