//! The simfleet command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A plan makes hundreds of small things for each resource of a fleet, on more than one thread; with the allocator of the
/// system it takes a quarter more of the processor.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    simfleet::cli::run(std::env::args_os())
}
