//! `simfleet graph`: what of a fleet needs what.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::flags::Looking;
use super::run::Run;
use crate::graph::Graph;
use crate::view::graph;

/// Print what of a fleet needs what, as a graph of its blocks
///
/// An arrow goes from a block to one that must be there before it. Needs neither a state nor values of variables.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet graph | dot -Tsvg > fleet.svg
  simfleet graph --format mermaid
  simfleet graph --format json | jq '.edges'")]
pub(super) struct GraphOf {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    looking: Looking,
    /// The language of the graph
    #[arg(long, value_name = "FORMAT", default_value = "dot")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For Graphviz.
    Dot,
    /// For Mermaid, as in Markdown.
    Mermaid,
    /// For programs.
    Json,
}

impl GraphOf {
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub(super) fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let fleet = self.looking.open(run, self.path.clone())?;
        let graph = Graph::of(fleet.config());
        match self.format {
            Format::Dot => run.terminal.print(&graph::dot(&graph))?,
            Format::Mermaid => run.terminal.print(&graph::mermaid(&graph))?,
            Format::Json => run.terminal.print_json(&graph::json(&graph))?,
        }
        Ok(Exit::Success)
    }
}
