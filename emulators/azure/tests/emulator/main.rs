//! The emulator over HTTP, as a client sees it.

mod support;

mod compute;
mod faults;
mod login;
mod network;
mod program;
mod protocol;
mod python;
mod scale_sets;
