//! The agent and its shim alone.

fn main() {}
