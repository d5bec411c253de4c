//! `simfleet validate`: every mistake of a fleet, without its state.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::flags::Looking;
use super::run::Run;
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
        let (found, unavailable) = self.found(run)?;
        let valid = !found.has_errors();
        if self.json {
            let document = view::diagnostics::validation_json(&found, &unavailable);
            run.terminal.print_json(&document)?;
        } else {
            if !found.0.is_empty() {
                run.terminal.tell(&view::diagnostics::render(&found, run.terminal.err));
            }
            if valid {
                run.terminal.print(&view::diagnostics::valid(&unavailable))?;
            }
        }
        Ok(if valid { Exit::Success } else { Exit::Failure })
    }

    /// Returns the mistakes and what is suspicious, and what a plan of a fleet without mistakes would refuse.
    fn found(&self, run: &Run) -> Result<(Diagnostics, Diagnostics), Failure> {
        match self.looking.validate(run, self.path.clone()) {
            Ok(found) => Ok(found),
            Err(Failure::Fleet(FleetError::Diagnostics(found))) => Ok((found, Diagnostics::new())),
            Err(other) => Err(other),
        }
    }
}
