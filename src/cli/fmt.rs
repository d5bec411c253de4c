//! `simfleet fmt`: fleet files in their one form.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::exit::{Exit, Failure};
use super::run::Run;
use crate::config::source;
use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile};
use crate::format;
use crate::view::patch;

/// Bring fleet files into their one form, that of `terraform fmt`
///
/// Only blanks change, and the quotes of labels; comments and line breaks stay. The names of files that change are
/// printed. A file with a syntax error is told and left as it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet fmt                     all *.hcl files of this folder
  simfleet fmt lab.hcl modules     a file, and those of a folder
  simfleet fmt --check --diff      change nothing; show what would, and exit with 1 where anything would
  simfleet fmt - < lab.hcl         from standard input to standard output")]
pub(super) struct Fmt {
    /// Files, and folders with all their *.hcl files; - for standard input
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Write nothing; exit with 1 where a file has another form
    #[arg(long)]
    check: bool,
    /// Show what changes
    #[arg(long)]
    diff: bool,
}

impl Fmt {
    pub(super) fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let is_input = |path: &PathBuf| path == Path::new("-");
        if self.paths.iter().any(is_input) {
            return match self.paths.len() {
                1 => self.input(run),
                _ => Err(Failure::usage(
                    "Standard input is formatted alone.",
                    "give `-`, or paths of files and folders",
                )),
            };
        }
        let mut diagnostics = Diagnostics::new();
        let mut files = Vec::new();
        for path in &self.paths {
            files.extend(diagnostics.keep(source::files_of(path)).into_iter().flatten());
        }
        let mut changed = 0;
        for path in files {
            let result = self.file(run, &path)?;
            changed += usize::from(diagnostics.keep(result).unwrap_or(false));
        }
        if diagnostics.has_errors() {
            return Err(diagnostics.into());
        }
        Ok(self.exit(changed > 0))
    }

    /// Formats one file; returns whether it had another form.
    fn file(&self, run: &Run, path: &Path) -> Result<Result<bool, Diagnostics>, Failure> {
        let formatted = source::read_file(path).and_then(|file| {
            let text = format::format(&file)?;
            Ok((file, text))
        });
        let (file, text) = match formatted {
            Ok(formatted) => formatted,
            Err(diagnostics) => return Ok(Err(diagnostics)),
        };
        if file.text == text {
            return Ok(Ok(false));
        }
        if !self.check
            && let Err(error) = format::replace(path, &text)
        {
            let detail = format!("`{}` cannot be written: {error}.", path.display());
            return Ok(Err(Diagnostic::error("File not writable", detail).into()));
        }
        run.terminal.print(&format!("{}\n", path.display()))?;
        self.show(run, &file, &text)?;
        Ok(Ok(true))
    }

    fn input(&self, run: &Run) -> Result<Exit, Failure> {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        read.map_err(|error| Failure::io("The input cannot be read", "Standard input".to_owned(), &error))?;
        let file = source::decode(Path::new("<stdin>"), bytes)?;
        let text = format::format(&file)?;
        match self.check || self.diff {
            true => self.show(run, &file, &text)?,
            false => run.terminal.print(&text)?,
        }
        Ok(self.exit(file.text != text))
    }

    fn show(&self, run: &Run, file: &Arc<SourceFile>, text: &str) -> Result<(), Failure> {
        match self.diff {
            true => run
                .terminal
                .print(&patch::render(&file.path, &file.text, text, run.terminal.out)),
            false => Ok(()),
        }
    }

    fn exit(&self, is_changed: bool) -> Exit {
        match self.check && is_changed {
            true => Exit::Failure,
            false => Exit::Success,
        }
    }
}
