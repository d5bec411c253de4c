//! From a path to a checked fleet: everything that needs no state, and every mistake that can be told without one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use simfleet_provider_api::{Attribute, Value};

use super::assemble::Assembler;
use super::scope::Constants;
use super::source::{self, Files, Library};
use super::variables::{self, Given, Origin, Undeclared};
use super::{Config, names, verify};
use crate::diagnostic::{Diagnostics, SourceFile};

/// What a fleet is loaded with. Nothing else is read but the files.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// `--var` and `--var-file`, in their order.
    pub settings: Vec<Setting>,
    /// The environment: for `SIMFLEET_VAR_…` and `env()`.
    pub environment: BTreeMap<String, String>,
    /// The current folder: `path.cwd`.
    pub cwd: PathBuf,
    /// `workspace.name`; empty means `default`.
    pub workspace: String,
    /// What becomes of variables that are not set and have no default.
    pub unset: Unset,
    /// The providers of this build, with the attributes of their `provider` blocks.
    pub providers: BTreeMap<String, Vec<Attribute>>,
}

/// What sets variables on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// `--var`: the name and the text.
    Text(String, String),
    /// `--var-file`.
    File(PathBuf),
}

/// What becomes of a variable, or of one of the environment, that is not set and has no default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unset {
    /// It is an error: a plan needs its value.
    #[default]
    Error,
    /// It is not known: the fleet is only checked, or only its state is read.
    Unknown,
}

/// All that a fleet was loaded from, to load it again without any file.
#[derive(Debug, Clone, PartialEq)]
pub struct Sources {
    /// The folder of the fleet.
    pub folder: PathBuf,
    /// The fleet's files and those of its modules: paths and texts. Those of the fleet lie in its folder.
    pub files: Vec<(PathBuf, String)>,
    /// The values of all variables.
    pub variables: BTreeMap<Arc<str>, Value>,
}

/// Loads a fleet: a `*.hcl` file, or a folder of them. Returns it with the warnings.
///
/// # Errors
/// All mistakes that can be told without a state: of files, syntax, schemas, references, variables, and the rules of
/// the language as far as values are known.
pub fn load(path: &Path, inputs: &Inputs) -> Result<(Config, Diagnostics), Diagnostics> {
    let files = source::read(path)?;
    let mut diagnostics = Diagnostics::new();
    // In a folder of several fleets, a file of variables may be for another one.
    let undeclared = match path == files.folder {
        true => Undeclared::Warn,
        false => Undeclared::Ignore,
    };
    let given = given(&files.automatic, undeclared, inputs, &mut diagnostics);
    run(files, &Library::Disk, inputs, diagnostics, Values::Given(given))
}

/// Returns what sets variables besides the environment: files that are read without being asked for, then the settings.
fn given(
    automatic: &[Arc<SourceFile>],
    undeclared: Undeclared,
    inputs: &Inputs,
    diagnostics: &mut Diagnostics,
) -> Vec<Origin> {
    let automatic = automatic.iter().map(|file| Origin::File(Arc::clone(file), undeclared));
    let mut given: Vec<_> = automatic.collect();
    given.extend(inputs.settings.iter().map(|setting| match setting {
        Setting::Text(name, text) => Origin::Text(name.clone(), text.clone()),
        Setting::File(path) => match diagnostics.keep(source::read_file(path)) {
            Some(file) => Origin::File(file, Undeclared::Warn),
            None => Origin::Broken,
        },
    }));
    given
}

/// Loads a fleet from texts; variables have the values that they had.
///
/// # Errors
/// As [`load`].
pub fn load_sources(sources: &Sources, inputs: &Inputs) -> Result<(Config, Diagnostics), Diagnostics> {
    let values = Values::Known(&sources.variables);
    run_kept(sources, inputs, Diagnostics::new(), values)
}

/// Returns what the variables of a fleet that was kept are set to now, by the environment, the files of variables beside
/// its `path`, and the settings. What nothing sets and has no default is unknown.
///
/// # Errors
/// A file of variables cannot be read, or a value does not fit its variable.
pub fn given_again(path: &Path, sources: &Sources, inputs: &Inputs) -> Result<BTreeMap<Arc<str>, Value>, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let automatic = source::automatic(path, &mut diagnostics);
    let given = given(&automatic, Undeclared::Ignore, inputs, &mut diagnostics);
    let inputs = Inputs {
        unset: Unset::Unknown,
        ..inputs.clone()
    };
    let (config, _) = run_kept(sources, &inputs, diagnostics, Values::Given(given))?;
    Ok(config.sources().variables)
}

/// Returns the names of the variables that settings set.
///
/// # Errors
/// A file of variables cannot be read.
pub fn set_by(settings: &[Setting]) -> Result<BTreeSet<Arc<str>>, Diagnostics> {
    variables::names(settings)
}

fn run_kept(
    sources: &Sources,
    inputs: &Inputs,
    diagnostics: Diagnostics,
    values: Values<'_>,
) -> Result<(Config, Diagnostics), Diagnostics> {
    let file = |(path, text): &(PathBuf, String)| {
        Arc::new(SourceFile {
            path: path.clone(),
            text: text.clone(),
        })
    };
    let all: Vec<_> = sources.files.iter().map(file).collect();
    let library = Library::kept(&all);
    let files = Files {
        folder: sources.folder.clone(),
        fleet: library.module(&sources.folder)?,
        automatic: Vec::new(),
    };
    run(files, &library, inputs, diagnostics, values)
}

/// Where the values of variables come from.
enum Values<'a> {
    Given(Vec<Origin>),
    Known(&'a BTreeMap<Arc<str>, Value>),
}

fn run(
    files: Files,
    library: &Library,
    inputs: &Inputs,
    diagnostics: Diagnostics,
    values: Values<'_>,
) -> Result<(Config, Diagnostics), Diagnostics> {
    let mut assembler = Assembler::new(inputs, library, diagnostics);
    let mut config = assembler.fleet(files.folder, files.fleet);
    let Assembler {
        mut diagnostics,
        incomplete,
        ..
    } = assembler;
    set_variables(&mut config, values, inputs, &mut diagnostics);
    verify::verify(&mut config, &mut diagnostics);
    tidy(&mut diagnostics, &config, incomplete);
    diagnostics.or(config)
}

fn set_variables(config: &mut Config, values: Values<'_>, inputs: &Inputs, diagnostics: &mut Diagnostics) {
    let (given, is_complete): (BTreeMap<_, _>, _) = match values {
        Values::Given(origins) => variables::given(&config.variables, &inputs.environment, &origins, diagnostics),
        Values::Known(values) => {
            let known = values.iter();
            let known = known.map(|(name, value)| (Arc::clone(name), Given::Value(value.clone())));
            (known.collect(), true)
        }
    };
    // What a file that cannot be read would have set is not told to be missing.
    let unset = if is_complete { inputs.unset } else { Unset::Unknown };
    let constants = Constants {
        folder: &config.folder,
        environment: &config.environment,
        unset: inputs.unset,
        variables: None,
    };
    for (name, variable) in &mut config.variables {
        variable.set(name, given.get(name), unset, &constants, diagnostics);
    }
    let constants = Constants {
        variables: Some(&config.variables),
        ..constants
    };
    variables::validate(&config.variables, &constants, diagnostics);
}

/// Drops what is told twice, and what only follows from a block that was left out; the rest in the order of the files,
/// what has no place first.
fn tidy(diagnostics: &mut Diagnostics, config: &Config, incomplete: bool) {
    let mut seen = HashSet::new();
    diagnostics.0.retain(|diagnostic| {
        let follows = ["Unknown reference", names::UNDECLARED, "Unknown provider"].contains(&&*diagnostic.summary);
        let is_undeclared = ["in this fleet.", "in this module."]
            .iter()
            .any(|end| diagnostic.detail.ends_with(end));
        // By the address of the file: a hash of a span takes in the whole text.
        let place = diagnostic.span.as_ref();
        let place = place.map(|span| (Arc::as_ptr(&span.file), span.range.clone()));
        let is_new = seen.insert((diagnostic.summary.clone(), diagnostic.detail.clone(), place));
        is_new && !(incomplete && follows && is_undeclared)
    });
    let files = config.all_files();
    let order: HashMap<*const SourceFile, usize> = files.iter().map(|file| Arc::as_ptr(file)).zip(0..).collect();
    diagnostics.0.sort_by_key(|diagnostic| {
        let place = diagnostic.span.as_ref();
        place.map(|span| (order.get(&Arc::as_ptr(&span.file)).copied(), span.range.start))
    });
}
