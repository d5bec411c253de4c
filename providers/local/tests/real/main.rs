//! Local nodes with real processes: every test has a folder of its own.

mod conformance;
mod crash;
mod harness;
mod lifecycle;
