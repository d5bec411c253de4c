//! `simfleet watch`, the real program: over local nodes and over the fake cloud, with sources that answer what a test wants.

mod alerts;
mod api;
#[cfg(feature = "fake")]
mod chaos;
mod contract;
mod files;
mod kills;
#[cfg(feature = "fake")]
mod lives;
mod load;
mod page;
mod programs;
mod reach;
mod receiver;
mod records;
mod serve;
mod served;
mod signals;
mod sizes;
mod sources;
mod standby;
mod stuck;
#[path = "../support/mod.rs"]
mod support;
mod watcher;
mod webhooks;
#[cfg(feature = "fake")]
mod world;
