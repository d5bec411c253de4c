//! Fleets in Azure, against the emulator: the real program over real HTTP.
//!
//! - [`infrastructure`]: networks, nodes and pools, from nothing to nothing
//! - [`simulators`], [`agents`]: what runs on nodes, in containers and under their agents; [`logins`]: agents behind logins that go wrong; [`real`]: machines that run; [`unhealthy`]: nodes that are not healthy; [`groups`]: resource groups
//! - [`refreshing`]: how often Azure is asked; [`metering`]: pools sized by Azure Monitor
//! - [`prices`]: what machines cost, and budgets
//! - `crashing`: `kill -9` with operations in flight; [`weather`]: three faults in ten calls
//! - [`adopted`]: scale sets that exist
//! - [`balancers`]: load balancers before pools
//! - [`by_hand`]: what azure-cli changes; [`live`]: Azure itself
//! - [`cloud`]: an emulator; [`lab`]: machines with agents; [`machines`]: a fleet of alike machines
#![cfg(feature = "azure")]

mod adopted;
mod agents;
mod balancers;
mod by_hand;
mod cloud;
#[cfg(feature = "fake")]
mod crashing;
mod groups;
mod infrastructure;
mod lab;
mod live;
mod logins;
mod machines;
mod metering;
mod prices;
mod real;
mod refreshing;
mod simulators;
#[path = "../support/mod.rs"]
mod support;
mod unhealthy;
#[path = "../watch/watcher.rs"]
mod watcher;
mod weather;
