//! The provider against real HTTP servers on loopback: an authority and, for all else, the emulator of Azure.

mod bodies;
mod conformance;
mod credentials;
mod operations;
mod proof;
mod rig;
mod samples;
