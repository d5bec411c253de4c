//! The agent with real processes: every test starts its own, on a loopback address and in a folder of its own.

mod conformance;
mod expiry;
mod harness;
mod http;
mod lifecycle;
mod recovery;
