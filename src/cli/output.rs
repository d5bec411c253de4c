//! `simfleet output`: the outputs as they were last applied.

use std::sync::Arc;

use clap::Args;

use super::exit::{Exit, Failure};
use super::flags::{Looking, named};
use super::run::Run;
use crate::diagnostic::{Diagnostic, nearest};
use crate::view::{outputs, values};

/// Print outputs as they were last applied
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet output                       all outputs of the fleet in this folder
  simfleet output vehicles              one of them
  simfleet output lab.hcl vehicles      of another fleet
  simfleet output size --raw            bare, for scripts
  simfleet output vehicles --json       as JSON")]
pub(super) struct Output {
    /// The fleet, a file or a folder, and the name of an output
    #[arg(value_name = "PATH] [NAME", num_args = 0..=2)]
    path_and_name: Vec<String>,
    #[command(flatten)]
    looking: Looking,
    /// Print JSON: of one output its value, of all of them value, type and sensitive
    #[arg(long)]
    json: bool,
    /// Print one string, number or truth value without quotes
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

impl Output {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (path, name) = named(&self.path_and_name, |text| !text.contains(['/', '.']));
        let fleet = self.looking.open(run, path)?;
        let outputs = fleet.snapshot().await?.state.outputs;
        let Some(name) = name else {
            if self.raw {
                return Err(Failure::usage(
                    "--raw prints one output.",
                    "name it: simfleet output NAME --raw",
                ));
            }
            match self.json {
                true => run.terminal.print_json(&outputs::json(&outputs))?,
                false if outputs.is_empty() => run.terminal.tell("There are no outputs yet.\n"),
                false => run.terminal.print(&outputs::render(&outputs, run.terminal.out))?,
            }
            return Ok(Exit::Success);
        };
        let Some(value) = outputs.get(name.as_str()) else {
            let is_declared = fleet.config().outputs.contains_key(name.as_str());
            return Err(unknown(&name, is_declared, outputs.keys().map(Arc::as_ref)).into());
        };
        let refused = |why: outputs::NotPrintable| {
            Failure::from(Diagnostic::error(
                "Output cannot be printed",
                format!("Output `{name}`: {why}."),
            ))
        };
        match (self.raw, self.json) {
            // No line break: what a script reads is the value.
            (true, _) => run.terminal.print(&outputs::raw(value).map_err(refused)?)?,
            (_, true) => run.terminal.print_json(&outputs::one_json(value).map_err(refused)?)?,
            _ => run.terminal.print(&format!("{}\n", values::hcl(value)))?,
        }
        Ok(Exit::Success)
    }
}

fn unknown<'a>(name: &str, is_declared: bool, recorded: impl Iterator<Item = &'a str>) -> Diagnostic {
    let diagnostic = Diagnostic::error("Unknown output", format!("No output `{name}` is recorded."));
    let recorded: Vec<&str> = recorded.collect();
    match (is_declared, nearest(name, recorded.iter().copied())) {
        (true, _) => diagnostic.hint("it is declared; `simfleet apply` records it"),
        (false, Some(near)) => diagnostic.hint(format!("did you mean `{near}`?")),
        (false, None) if recorded.is_empty() => diagnostic.hint("none is recorded; `simfleet apply` records them"),
        (false, None) => diagnostic.hint(format!("the outputs are {}", recorded.join(", "))),
    }
}
