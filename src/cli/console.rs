//! `simfleet console`: one expression a line.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::flags::Looking;
use super::run::Run;
use crate::config::eval::{Expr, Scope, console};
use crate::config::{Config, Instance, Names, NoResources};
use crate::diagnostic::Diagnostics;
use crate::view;

/// Evaluate expressions, one a line, against the fleet's variables and locals
///
/// An error goes to standard error, and the next line is read. `exit`, or the end of the input, ends it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  echo 'upper(var.region)' | simfleet console
  simfleet console lab.hcl --var vehicles=5
  > [for i in range(var.vehicles) : format(\"quad-%d\", i)]")]
pub(super) struct Console {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
}

impl Console {
    pub(super) fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        let names = Names::new(fleet.config(), &NoResources);
        let scope = names.scope(Instance::default());
        let asks = io::stdin().is_terminal();
        let mut lines = io::stdin().lock().lines();
        loop {
            if asks {
                run.terminal.tell("> ");
            }
            let line = match lines.next() {
                None => return Ok(Exit::Success),
                Some(line) => {
                    line.map_err(|error| Failure::io("The input cannot be read", "Standard input".to_owned(), &error))?
                }
            };
            match line.trim() {
                "" => {}
                "exit" => return Ok(Exit::Success),
                text => match evaluate(text, fleet.config(), &scope) {
                    Ok(value) => run.terminal.print(&format!("{value}\n"))?,
                    Err(diagnostics) => run
                        .terminal
                        .tell(&view::diagnostics::render(&diagnostics, run.terminal.err)),
                },
            }
        }
    }
}

fn evaluate(text: &str, config: &Config, scope: &dyn Scope) -> Result<String, Diagnostics> {
    let expr = Expr::parse("<console>", text)?;
    // As in a file: `try` does not help with what is not declared.
    config.check_names(&expr)?;
    console(&expr, scope)
}
