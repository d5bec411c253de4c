//! The simfleet command.

use std::process::ExitCode;

fn main() -> ExitCode {
    simfleet::cli::run(std::env::args_os())
}
