//! `simfleet watch`, the real program: over local nodes and over the fake cloud, with sources that answer what a test wants.

#[cfg(feature = "fake")]
mod chaos;
mod files;
mod kills;
mod load;
mod receiver;
mod serve;
mod sizes;
mod sources;
#[path = "../support/mod.rs"]
mod support;
mod watcher;
mod webhooks;
