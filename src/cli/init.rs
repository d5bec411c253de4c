//! `simfleet init`: a fleet file to start from.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::exit::{Exit, Failure};
use super::run::Run;
use crate::diagnostic::Diagnostic;

/// A fleet that the program carries.
struct Example {
    name: &'static str,
    text: &'static str,
    /// The files that it reads, by their paths beside it.
    files: &'static [(&'static str, &'static [u8])],
}

/// The examples that the program carries, the one for the first look first.
const EXAMPLES: [Example; 6] = [
    example("quickstart", include_str!("../../examples/quickstart.hcl")),
    example("px4_azure", include_str!("../../examples/px4_azure.hcl")),
    example("tonypi", include_str!("../../examples/tonypi.hcl")),
    example("oci_pools", include_str!("../../examples/oci_pools.hcl")),
    Example {
        files: &[
            (
                "firmware/blinky.elf",
                include_bytes!("../../examples/firmware/blinky.elf"),
            ),
            (
                "peripherals/lamp.repl",
                include_bytes!("../../examples/peripherals/lamp.repl"),
            ),
        ],
        ..example("machine_server", include_str!("../../examples/machine_server.hcl"))
    },
    example("virtualbox", include_str!("../../examples/virtualbox.hcl")),
];

const fn example(name: &'static str, text: &'static str) -> Example {
    Example { name, text, files: &[] }
}

/// Write a commented fleet file to start from
///
/// Nothing is overwritten. The default example runs on this machine with nothing else installed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet init                        write fleet.hcl here
  simfleet init lab                    write lab/fleet.hcl
  simfleet init --example px4_azure    start from another example")]
pub(super) struct Init {
    /// The file to write, or a folder for fleet.hcl
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The example to start from
    #[arg(long, value_name = "NAME", default_value = "quickstart",
        value_parser = PossibleValuesParser::new(EXAMPLES.map(|example| example.name)))]
    example: String,
}

impl Init {
    pub(super) fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let example = EXAMPLES.iter().find(|example| example.name == self.example);
        // The parser lets no other name through.
        let example = example.unwrap_or(&EXAMPLES[0]);
        let single = self.path.extension().is_some_and(|extension| extension == "hcl");
        let file = if single {
            self.path.clone()
        } else {
            if self.path == Path::new(".") {
                "fleet.hcl".into()
            } else {
                self.path.join("fleet.hcl")
            }
        };
        if !single && let Some(other) = fleet_file(&self.path) {
            let detail = format!(
                "`{}` is there already; all *.hcl files of a folder are one fleet.",
                other.display()
            );
            let hint = "give the path of a new file or folder: simfleet init lab";
            return Err(Diagnostic::error("There is a fleet already", detail).hint(hint).into());
        }
        write_new(&file, example.text.as_bytes())?;
        let mut written = vec![file.clone()];
        for (name, content) in example.files {
            let beside = file.with_file_name(name);
            // One of that name that is there is the user's own.
            if !beside.exists() {
                write_new(&beside, content)?;
                written.push(beside);
            }
        }
        let (written, path) = (names(&written), self.path.display());
        let command = if self.path == Path::new(".") {
            String::new()
        } else {
            format!(" {path}")
        };
        run.terminal.print(&format!("Wrote {written}.\n"))?;
        run.terminal.tell(&format!(
            "Next: simfleet plan{command} shows what it would make, simfleet apply{command} makes it.\n"
        ));
        Ok(Exit::Success)
    }
}

/// Returns a fleet file of a folder, if there is one.
fn fleet_file(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hcl"))
        .collect();
    files.sort();
    let first = files.into_iter().next()?;
    match folder == Path::new(".") {
        true => first.file_name().map(PathBuf::from),
        false => Some(first),
    }
}

/// Returns the names of files: `a, b`.
fn names(files: &[PathBuf]) -> String {
    let names = files.iter().map(|file| file.display().to_string());
    names.collect::<Vec<_>>().join(", ")
}

fn write_new(file: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed = |error: &io::Error| {
        Failure::io(
            "The file cannot be written",
            format!("Writing `{}` failed", file.display()),
            error,
        )
    };
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let mut new = match OpenOptions::new().write(true).create_new(true).open(file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let detail = format!("`{}` is there already, and nothing is overwritten.", file.display());
            let hint = "give the path of a new file or folder: simfleet init lab";
            return Err(Diagnostic::error("There is a fleet already", detail).hint(hint).into());
        }
        other => other.map_err(|error| failed(&error))?,
    };
    new.write_all(content).map_err(|error| failed(&error))
}
