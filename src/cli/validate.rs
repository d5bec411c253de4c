//! `simfleet validate`: every mistake of a fleet, without its state.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::flags::Looking;
use super::program::Run;
use crate::diagnostic::Diagnostics;
use crate::fleet::FleetError;
use crate::view;

/// Check a fleet: every mistake of it, with file, line, cause and hint
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet validate                the fleet in this folder
  simfleet validate lab.hcl
  simfleet validate --json         for programs")]
pub(super) struct Validate {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Validate {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let found = self.found(run)?;
        let valid = !found.has_errors();
        if self.json {
            run.terminal.print_json(&view::diagnostics::validation_json(&found))?;
        } else {
            if !found.0.is_empty() {
                run.terminal.tell(&view::diagnostics::render(&found, run.terminal.err));
            }
            if valid {
                run.terminal.print("The fleet is valid.\n")?;
            }
        }
        Ok(if valid { Exit::Success } else { Exit::Failure })
    }

    /// Returns the mistakes and what is suspicious.
    fn found(&self, run: &Run) -> Result<Diagnostics, Failure> {
        match self.looking.validate(run, self.path.clone()) {
            Ok(diagnostics) | Err(Failure::Fleet(FleetError::Diagnostics(diagnostics))) => Ok(diagnostics),
            Err(other) => Err(other),
        }
    }
}
