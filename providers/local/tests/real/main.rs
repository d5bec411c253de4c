//! Local nodes with real processes: every test has a folder of its own.

mod crash;
mod harness;
mod lifecycle;
