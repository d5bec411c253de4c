//! `simfleet debug`: what this program does inside, for those who develop it.

use std::io::{self, BufRead};

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::run::Run;
use crate::diagnostic::Diagnostic;
use crate::scale::Vector;

/// See what this program does inside
#[derive(Debug, Args)]
pub(super) struct Debug {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Read scaling vectors, one JSON object a line, and print a decision for each
    ///
    /// A vector has `spec`, `obs` and `hist`; a decision has `decision` and `hist_after`. Numbers that are not finite are the
    /// texts "nan", "inf" and "-inf".
    #[command(after_help = "\
Example:
  echo '{\"spec\": {\"min\": 2}, \"obs\": {\"now\": 0, \"members\": [], \"samples\": {}}}' | simfleet debug decide")]
    Decide,
}

impl Debug {
    pub(super) fn run(&self, run: &Run) -> Result<Exit, Failure> {
        match self.what {
            What::Decide => decide(run),
        }
    }
}

fn decide(run: &Run) -> Result<Exit, Failure> {
    for (number, line) in (1..).zip(io::stdin().lock().lines()) {
        let line =
            line.map_err(|error| Failure::io("The input cannot be read", "Standard input".to_owned(), &error))?;
        if line.trim().is_empty() {
            continue;
        }
        let vector = Vector::parse(&line).map_err(|error| {
            Diagnostic::error("Invalid vector", format!("Line {number} of the input: {error}."))
                .hint("each line is an object with `spec`, `obs` and `hist`")
        })?;
        let answer = serde_json::to_value(vector.answer()).expect("what is decided has only texts and numbers");
        run.terminal.print(&format!("{answer}\n"))?;
    }
    Ok(Exit::Success)
}
