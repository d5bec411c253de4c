//! Machines under a real QEMU, with firmware of a few lines: ARM and RISC-V.

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod by_hand;
mod idle;
mod mistakes;
mod over_http;
#[path = "../watch/served.rs"]
mod served;
mod sessions;
#[path = "../watch/watcher.rs"]
mod watcher;
