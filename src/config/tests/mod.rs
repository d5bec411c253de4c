//! Fleets from text to declarations.

use std::collections::BTreeMap;
use std::path::PathBuf;

use simfleet_provider_api::{Attribute, Type};

use super::{Config, Inputs};
use crate::diagnostic::Diagnostics;

mod quickstart;

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

/// Loads a fleet of one file, `fleet.hcl`; `--var` as given.
fn load(text: &str, vars: &[(&str, &str)]) -> Result<(Config, Diagnostics), Diagnostics> {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let path = folder.path().join("fleet.hcl");
    std::fs::write(&path, text).expect("writable");
    let vars = vars
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    super::load(&path, &Inputs { vars, ..inputs() })
}
