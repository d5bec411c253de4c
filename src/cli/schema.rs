//! `simfleet schema`: the reference of the language.

use clap::Args;

use super::exit::{Exit, Failure};
use super::run::Run;
use crate::diagnostic::Diagnostic;
use crate::providers::Registry;
use crate::reference::{Group, entries};
use crate::view::reference;

/// Show what can stand in a fleet file: blocks, their attributes, and the objects that they become
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet schema                        every block and kind of object, a line each
  simfleet schema pool                   all that is known of one
  simfleet schema simulator.vehicle
  simfleet schema local/node             an object, as plans and the state show it
  simfleet schema pool --json            for programs")]
pub(super) struct Schema {
    /// A block, or PROVIDER/KIND
    #[arg(value_name = "BLOCK")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print Markdown: the reference in docs/reference
    #[arg(long, conflicts_with = "json", conflicts_with = "name")]
    markdown: bool,
}

impl Schema {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let entries = entries(&Registry::built_in());
        let Some(name) = &self.name else {
            match (self.markdown, self.json) {
                (true, _) => {
                    let groups = [Group::Block, Group::Object];
                    let pages = groups.map(|group| reference::markdown(group, &entries));
                    run.terminal.print(&pages.join("\n"))?;
                }
                (_, true) => run
                    .terminal
                    .print_json(&entries.iter().map(reference::json).collect())?,
                _ => run.terminal.print(&reference::list(&entries, run.terminal.out))?,
            }
            return Ok(Exit::Success);
        };
        // As it is written, too: `simulator "vehicle"`.
        let asked = name.replace(['"', ' '], ".").replace("..", ".");
        let asked = asked.trim_matches('.');
        let found: Vec<_> = entries
            .iter()
            .filter(|entry| {
                entry.name == asked || entry.name.strip_prefix(asked).is_some_and(|rest| rest.starts_with('.'))
            })
            .collect();
        if found.is_empty() {
            let detail = format!("There is no block and no kind of object `{asked}`.");
            let names = entries.iter().map(|entry| entry.name.as_str());
            return Err(Diagnostic::error("Unknown block", detail).nearest(asked, names).into());
        }
        match (self.json, found.as_slice()) {
            (true, [one]) => run.terminal.print_json(&reference::json(one))?,
            (true, many) => run
                .terminal
                .print_json(&many.iter().map(|entry| reference::json(entry)).collect())?,
            (false, many) => {
                let pages: Vec<String> = many
                    .iter()
                    .map(|entry| reference::one(entry, run.terminal.out))
                    .collect();
                run.terminal.print(&pages.join("\n"))?;
            }
        }
        Ok(Exit::Success)
    }
}
