//! `simfleet watch`, the real program: over local nodes and over the fake cloud, with sources that answer what a test wants.

mod alerts;
#[cfg(feature = "fake")]
mod chaos;
mod files;
mod kills;
mod load;
mod receiver;
mod records;
mod serve;
mod sizes;
mod sources;
mod stuck;
#[path = "../support/mod.rs"]
mod support;
mod watcher;
mod webhooks;
