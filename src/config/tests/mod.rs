//! Fleets from text to declarations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use simfleet_provider_api::{Attribute, Type};

use super::{Config, Inputs, Sources, load_sources};
use crate::diagnostic::{Diagnostics, SourceFile};
use crate::view::{Theme, diagnostics};

mod broken;
mod containers;
mod files;
mod later;
mod modules;
mod mutation;
mod planning;
mod quickstart;
mod refactoring;
mod rules;
mod schemas;
mod serving;
mod variables;

/// The fleet that must work whole.
const QUICKSTART: &str = include_str!("../../../examples/quickstart.hcl");

fn inputs() -> Inputs {
    let settings = vec![Attribute::new(
        "data_dir",
        Type::String,
        "the folder for the nodes' files",
    )];
    Inputs {
        providers: BTreeMap::from([("local".to_owned(), settings)]),
        environment: BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]),
        cwd: PathBuf::from("/home/me"),
        ..Inputs::default()
    }
}

/// Asserts a snapshot without the expression that made it, which is all of the cases.
macro_rules! snapshot {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}
use snapshot;

/// Returns what a user sees of diagnostics, the paths in a folder without it.
fn render(found: &Diagnostics, folder: &Path) -> String {
    let mut found = found.clone();
    for diagnostic in &mut found.0 {
        if let Some(span) = &mut diagnostic.span {
            let path = span
                .file
                .path
                .strip_prefix(folder)
                .unwrap_or(&span.file.path)
                .to_owned();
            let text = span.file.text.clone();
            span.file = Arc::new(SourceFile { path, text });
        }
    }
    let told = diagnostics::render(&found, Theme::Plain);
    let folder = folder.display().to_string();
    told.replace(&format!("{folder}/"), "").replace(&folder, "FOLDER")
}

/// Loads a fleet from texts without any file, so that paths in messages are short.
fn load_texts(files: &[(&str, &str)], inputs: &Inputs) -> Result<(Config, Diagnostics), Diagnostics> {
    let sources = Sources {
        folder: PathBuf::from("."),
        files: files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect(),
        variables: BTreeMap::new(),
    };
    load_sources(&sources, inputs)
}

/// Loads a fleet of one text.
pub(crate) fn load_text(text: &str) -> Result<(Config, Diagnostics), Diagnostics> {
    load_texts(&[("fleet.hcl", text)], &inputs())
}
