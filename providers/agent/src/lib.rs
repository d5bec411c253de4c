//! The simfleet agent of a node, and the provider that speaks to it.
//!
//! - [`protocol`]: what is said over HTTP, and in which version
//! - [`client`]: the calls; `endpoint`: over which connection; `login`: one by ssh ([`dial`] is its far end)
//! - [`schema`], [`provider`]: the kinds `process` and `machine` of the provider `agent`; `host`: the machine itself; `runtime`: what is done
//!   with one by hand
//! - [`Probe`]: tries whether a process answers
//! - `server`: the agent ([`serve`]); `supervisor`: its simulators; [`shim`]: the process over each of them
//! - [`identity`]: which process is meant, across reused ids and reboots
//! - `qmp`: speaks to the monitor of a machine under QEMU; `ports`: chooses where a debugger gets in
//! - `times`: when a log was written
//! - [`layout`], [`durable`]: what an agent keeps, and how it survives a crash; [`node`]: what its node declares

mod check;
pub mod client;
pub mod durable;
mod endpoint;
mod host;
mod http;
pub mod identity;
pub mod layout;
mod load;
mod login;
mod mavlink;
pub mod node;
mod pace;
mod ports;
mod probe;
mod program;
pub mod protocol;
pub mod provider;
mod qmp;
mod runtime;
pub mod schema;
mod server;
pub mod shim;
mod spec;
mod supervisor;
mod times;

pub use client::{AgentClient, ClientError};
pub use login::dial;
pub use pace::real_time_factor;
pub use probe::Probe;
pub use provider::AgentType;
pub use server::{AgentError, AgentOptions, Failure, FailureReason, random_hex, serve, write_token};
pub use supervisor::sweep;
