//! The simfleet command.
fn main() {}
