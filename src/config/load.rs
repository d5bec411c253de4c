//! From a path to a checked fleet: everything that needs no state, and every mistake that can be told without one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use simfleet_provider_api::{Attribute, Value};

use super::blocks::{self, Check, Import, Moved, Removed, Settings};
use super::check::{self, Body};
use super::condition::Condition;
use super::declaration::{Declaration, Local, Output, ProviderBlock};
use super::eval::{self, evaluate};
use super::meta;
use super::record::{Mode, Record};
use super::scope::Constants;
use super::source::{self, Files};
use super::variables::{self, Given, Undeclared, Variable};
use super::{Config, syntax, verify};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile, Span};

/// What a fleet is loaded with. Nothing else is read but the files.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// `--var`, in their order: names and texts.
    pub vars: Vec<(String, String)>,
    /// `--var-file`, in their order.
    pub var_files: Vec<PathBuf>,
    /// The environment: for `SIMFLEET_VAR_…` and `env()`.
    pub environment: BTreeMap<String, String>,
    /// The current folder: `path.cwd`.
    pub cwd: PathBuf,
    /// `workspace.name`; empty means `default`.
    pub workspace: String,
    /// What becomes of variables that are not set and have no default.
    pub unset: Unset,
    /// When the plan is made: `plantimestamp()`, which is unknown without it.
    pub planned_at: Option<Timestamp>,
    /// The providers of this build, with the attributes of their `provider` blocks.
    pub providers: BTreeMap<String, Vec<Attribute>>,
}

/// What becomes of a variable that is not set and has no default.
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
    /// The fleet's files: paths and texts.
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
    let mut variables: Vec<_> = files
        .automatic
        .iter()
        .map(|file| (Arc::clone(file), undeclared))
        .collect();
    for path in &inputs.var_files {
        let file = diagnostics.keep(source::read_file(path));
        variables.extend(file.map(|file| (file, Undeclared::Warn)));
    }
    Loader::new(files, inputs, diagnostics).run(Values::Given(variables))
}

/// Loads a fleet from texts; variables have the values that they had.
///
/// # Errors
/// As [`load`].
pub fn load_sources(sources: &Sources, inputs: &Inputs) -> Result<(Config, Diagnostics), Diagnostics> {
    let file = |(path, text): &(PathBuf, String)| {
        Arc::new(SourceFile {
            path: path.clone(),
            text: text.clone(),
        })
    };
    let files = Files {
        folder: sources.folder.clone(),
        fleet: sources.files.iter().map(file).collect(),
        automatic: Vec::new(),
    };
    Loader::new(files, inputs, Diagnostics::new()).run(Values::Known(&sources.variables))
}

/// Where the values of variables come from.
enum Values<'a> {
    Given(Vec<(Arc<SourceFile>, Undeclared)>),
    Known(&'a BTreeMap<Arc<str>, Value>),
}

struct Loader<'a> {
    inputs: &'a Inputs,
    config: Config,
    diagnostics: Diagnostics,
    /// A file or block was left out because of a mistake, so what seems undeclared may be in it.
    incomplete: bool,
}

impl<'a> Loader<'a> {
    fn new(files: Files, inputs: &'a Inputs, diagnostics: Diagnostics) -> Self {
        let config = Config {
            folder: files.folder,
            cwd: inputs.cwd.clone(),
            workspace: match inputs.workspace.as_str() {
                "" => Arc::from("default"),
                name => Arc::from(name),
            },
            environment: inputs.environment.clone(),
            planned_at: inputs.planned_at,
            files: files.fleet,
            settings: Settings::default(),
            variables: BTreeMap::new(),
            locals: BTreeMap::new(),
            outputs: BTreeMap::new(),
            providers: Vec::new(),
            declarations: Vec::new(),
            checks: Vec::new(),
            moved: Vec::new(),
            removed: Vec::new(),
            imports: Vec::new(),
            index: HashMap::new(),
        };
        Loader {
            inputs,
            config,
            diagnostics,
            incomplete: false,
        }
    }

    fn run(mut self, values: Values<'_>) -> Result<(Config, Diagnostics), Diagnostics> {
        let blocks = self.read_blocks();
        self.sort(blocks);
        self.set_variables(values);
        verify::verify(&mut self.config, &mut self.diagnostics);
        self.tidy();
        self.diagnostics.or(self.config)
    }

    /// Parses all files and checks their blocks.
    fn read_blocks(&mut self) -> Vec<Body> {
        let schema = blocks::fleet_schema(&self.inputs.providers);
        let mut blocks = Vec::new();
        for file in &self.config.files {
            match syntax::parse(file) {
                Ok(body) => {
                    let wanted = body.blocks.len();
                    let start = Span {
                        file: Arc::clone(file),
                        range: 0..0,
                    };
                    let checked = check::check(body, &schema, Vec::new(), start, &mut self.diagnostics);
                    self.incomplete |= checked.blocks.len() < wanted;
                    blocks.extend(checked.blocks);
                }
                Err(diagnostic) => {
                    self.incomplete = true;
                    self.diagnostics.push(diagnostic);
                }
            }
        }
        if blocks.is_empty() && !self.diagnostics.has_errors() {
            let detail = "The fleet declares nothing.";
            let hint = "`simfleet init` writes a first file; to remove all that there is, use `simfleet destroy`";
            self.diagnostics
                .push(Diagnostic::error("Empty fleet", detail).hint(hint));
        }
        blocks
    }

    /// Puts each block where it belongs; of two with one name the first one stays.
    fn sort(&mut self, blocks: Vec<Body>) {
        let (folder, environment) = (self.config.folder.clone(), self.config.environment.clone());
        let constants = Constants {
            folder: &folder,
            environment: &environment,
            variables: None,
        };
        let mut seen: HashMap<String, Span> = HashMap::new();
        for body in blocks {
            if body.schema.name == "locals" {
                self.add_locals(body, &mut seen);
                continue;
            }
            let diagnostics = &mut self.diagnostics;
            // These have no name, so there can be any number of them.
            match body.schema.name {
                "moved" => {
                    self.config.moved.extend(Moved::read(body, &[], diagnostics));
                    continue;
                }
                "removed" => {
                    let removed = Removed::read(body, &[], &constants, diagnostics);
                    self.config.removed.extend(removed);
                    continue;
                }
                "import" => {
                    self.config.imports.extend(Import::read(body, diagnostics));
                    continue;
                }
                _ => {}
            }
            let provider = (body.schema.name == "provider").then(|| provider_block(&body, &constants, diagnostics));
            let key = match &provider {
                Some(ProviderBlock {
                    name,
                    alias: Some(alias),
                    ..
                }) => format!("provider.{name}.{alias}"),
                _ => {
                    let labels: String = body.labels.iter().map(|label| format!(".{}", label.text)).collect();
                    format!("{}{labels}", body.schema.name)
                }
            };
            if let Some(first) = seen.get(&key) {
                let diagnostic = duplicate(&key, body.header.clone(), first.clone());
                self.diagnostics.push(match provider {
                    Some(_) => diagnostic.hint("give one of them an alias"),
                    None => diagnostic,
                });
                continue;
            }
            seen.insert(key, body.header.clone());
            let name = || {
                body.labels
                    .first()
                    .map_or_else(|| Arc::from(""), |label| Arc::clone(&label.text))
            };
            match (body.schema.name, provider) {
                (_, Some(provider)) => self.config.providers.push(provider),
                ("check", _) => self.config.checks.push(Check::read(body)),
                ("simfleet", _) => self.config.settings = Settings::read(&body, &constants, diagnostics),
                ("variable", _) => {
                    let name = name();
                    let variable = Variable::read(body, &constants, diagnostics);
                    self.config.variables.insert(name, variable);
                }
                ("output", _) => {
                    let name = name();
                    if let Some(output) = output(body, &constants, diagnostics) {
                        self.config.outputs.insert(name, output);
                    }
                }
                _ => {
                    let index = self.config.declarations.len();
                    let declaration = Declaration::new(body, index, &constants, diagnostics);
                    self.config.index.insert(declaration.address.to_string(), index);
                    self.config.declarations.push(declaration);
                }
            }
        }
    }

    fn add_locals(&mut self, body: Body, seen: &mut HashMap<String, Span>) {
        for attribute in body.attributes {
            let key = format!("local.{}", attribute.name.text);
            let span = attribute.name.span;
            if let Some(first) = seen.get(&key) {
                self.diagnostics.push(duplicate(&key, span, first.clone()));
                continue;
            }
            seen.insert(key, span.clone());
            let local = Local {
                references: eval::references(&attribute.expr),
                expr: attribute.expr,
                span,
                value: None,
            };
            self.config.locals.insert(attribute.name.text, local);
        }
    }

    fn set_variables(&mut self, values: Values<'_>) {
        let diagnostics = &mut self.diagnostics;
        let given = match values {
            Values::Given(files) => variables::given(
                &self.config.variables,
                &self.inputs.environment,
                &files,
                &self.inputs.vars,
                diagnostics,
            ),
            Values::Known(values) => {
                let known = values.iter();
                known
                    .map(|(name, value)| (Arc::clone(name), Given::Value(value.clone())))
                    .collect()
            }
        };
        let (folder, environment) = (&self.config.folder, &self.config.environment);
        let constants = Constants {
            folder,
            environment,
            variables: None,
        };
        for (name, variable) in &mut self.config.variables {
            variable.set(name, given.get(name), self.inputs.unset, &constants, diagnostics);
        }
        let constants = Constants {
            variables: Some(&self.config.variables),
            ..constants
        };
        variables::validate(&self.config.variables, &constants, diagnostics);
    }

    /// Drops what is told twice, and what only follows from a block that was left out; the rest in the order of the
    /// files, what has no place first.
    fn tidy(&mut self) {
        let mut seen = HashSet::new();
        let incomplete = self.incomplete;
        self.diagnostics.0.retain(|diagnostic| {
            let follows = diagnostic.summary == "Unknown reference" || diagnostic.summary == "Unknown provider";
            // By the address of the file: a hash of a span takes in the whole text.
            let place = diagnostic.span.as_ref();
            let place = place.map(|span| (Arc::as_ptr(&span.file), span.range.clone()));
            let is_new = seen.insert((diagnostic.summary.clone(), diagnostic.detail.clone(), place));
            is_new && !(incomplete && follows && diagnostic.detail.ends_with("in this fleet."))
        });
        let order: HashMap<*const SourceFile, usize> = self.config.files.iter().map(Arc::as_ptr).zip(0..).collect();
        self.diagnostics.0.sort_by_key(|diagnostic| {
            let place = diagnostic.span.as_ref();
            place.map(|span| (order.get(&Arc::as_ptr(&span.file)).copied(), span.range.start))
        });
    }
}

fn duplicate(key: &str, second: Span, first: Span) -> Diagnostic {
    let detail = format!("`{key}` is declared twice.");
    Diagnostic::error("Duplicate declaration", detail)
        .at(second)
        .related(first, "the first one")
}

fn provider_block(body: &Body, constants: &Constants<'_>, diagnostics: &mut Diagnostics) -> ProviderBlock {
    let mut body = body.clone();
    let alias = body.take_attribute("alias").and_then(|alias| {
        let value = diagnostics.keep(evaluate(&alias.expr, constants))?;
        match value.as_str().filter(|alias| check::is_name(alias)) {
            Some(alias) => Some(Arc::from(alias)),
            None => {
                let diagnostic = Diagnostic::error("Invalid value", "`alias` must be a name, as a string.");
                diagnostics.push(diagnostic.at(alias.value_span));
                None
            }
        }
    });
    ProviderBlock {
        name: body
            .labels
            .first()
            .map_or_else(|| Arc::from(""), |label| Arc::clone(&label.text)),
        alias,
        span: body.header.clone(),
        body,
    }
}

/// Reads an `output` block; `None` where it has no value, which the check of the block reported.
fn output(mut body: Body, constants: &Constants<'_>, diagnostics: &mut Diagnostics) -> Option<Output> {
    let preconditions = body
        .take_blocks("precondition")
        .into_iter()
        .filter_map(Condition::of)
        .collect();
    let depends_on = meta::list(body.take_attribute("depends_on"), diagnostics);
    let value = body.take_attribute("value");
    let record = Record::evaluate(&body, constants, Mode::Plan, diagnostics);
    Some(Output {
        expr: value?.expr,
        span: body.header,
        description: record.get("description").and_then(Value::as_str).map(str::to_owned),
        sensitive: record.get("sensitive").and_then(Value::as_bool).unwrap_or_default(),
        depends_on,
        preconditions,
    })
}
