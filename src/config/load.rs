//! From a path to a checked fleet: everything that needs no state, and every mistake that can be told without one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use simfleet_provider_api::{Address, Attribute, Value};

use super::blocks::{self, Settings};
use super::check::{self, Body};
use super::condition::Condition;
use super::declaration::{Declaration, Local, Output, ProviderBlock};
use super::eval::{self, Reference, evaluate};
use super::meta::{self, ProviderReference};
use super::names::{self, Place};
use super::record::{Mode, Record};
use super::scope::{Constants, Instance, Names, NoResources};
use super::source::{self, Files};
use super::variables::{self, Given, Undeclared, Variable};
use super::{Config, cycles, ports, syntax};
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
    /// When the plan is made: `plantimestamp()`, which is unknown without it.
    pub planned_at: Option<Timestamp>,
    /// The providers of this build, with the attributes of their `provider` blocks.
    pub providers: BTreeMap<String, Vec<Attribute>>,
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
        self.check_names();
        self.check_providers();
        cycles::check(&self.config, &mut self.diagnostics);
        self.evaluate_locals();
        self.evaluate_all();
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
            variable.set(name, given.get(name), &constants, diagnostics);
        }
        let constants = Constants {
            variables: Some(&self.config.variables),
            ..constants
        };
        variables::validate(&self.config.variables, &constants, diagnostics);
    }

    /// Checks every name in every expression.
    fn check_names(&mut self) {
        let config = &self.config;
        let diagnostics = &mut self.diagnostics;
        let mut check = |references: Vec<Reference>, place: &Place| {
            for reference in references {
                if let Err(diagnostic) = names::check(config, &reference, place) {
                    diagnostics.push(diagnostic);
                }
            }
        };
        for local in config.locals.values() {
            check(local.references.clone(), &Place::default());
        }
        for output in config.outputs.values() {
            check(output.references(), &Place::default());
        }
        for provider in &config.providers {
            check(provider.references(), &Place::default());
        }
        for declaration in &config.declarations {
            let place = declaration.place();
            let outer = declaration.meta.count.iter().chain(&declaration.meta.for_each);
            let instances = Place {
                instances: true,
                ..Place::default()
            };
            check(outer.flat_map(eval::references).collect(), &instances);
            check(declaration.meta.inner_references(), &place);
            let postconditions = declaration.meta.lifecycle.postconditions.iter();
            check(
                postconditions.flat_map(Condition::references).collect(),
                &Place { this: true, ..place },
            );
            let mut own = Vec::new();
            declaration
                .body
                .attributes
                .iter()
                .for_each(|attribute| own.extend(eval::references(&attribute.expr)));
            check(own, &place);
            for block in &declaration.body.blocks {
                let mut inner = Vec::new();
                block.expressions(&mut |attribute| inner.extend(eval::references(&attribute.expr)));
                // The members of a pool are made of its `node` block.
                let member = declaration.body.schema.name == "pool" && block.schema.name == "node";
                check(inner, &Place { member, ..place });
            }
        }
    }

    /// Checks that every provider that is named is configured.
    fn check_providers(&mut self) {
        for declaration in &self.config.declarations {
            let Some(ProviderReference { name, alias, span }) = &declaration.meta.provider else {
                continue;
            };
            if self.config.provider(name, alias.as_deref()).is_some() {
                continue;
            }
            let written = |name: &str, alias: Option<&str>| match alias {
                Some(alias) => format!("{name}.{alias}"),
                None => name.to_owned(),
            };
            let wanted = written(name, alias.as_deref());
            let known: Vec<String> = self
                .config
                .providers
                .iter()
                .map(|p| written(&p.name, p.alias.as_deref()))
                .collect();
            let detail = format!("The provider `{wanted}` is not configured in this fleet.");
            let diagnostic = Diagnostic::error("Unknown provider", detail)
                .at(span.clone())
                .on(declaration.address.clone());
            let near = crate::diagnostic::nearest(&wanted, known.iter().map(String::as_str));
            self.diagnostics.push(match near {
                Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
                None => diagnostic.hint(match alias {
                    Some(alias) => format!("add provider {:?} {{ alias = {:?} }}", &**name, &**alias),
                    None => format!("add provider {:?} {{}}", &**name),
                }),
            });
        }
    }

    /// Works out the locals that depend on no resource.
    fn evaluate_locals(&mut self) {
        let dynamic = names::dynamic_locals(&self.config);
        let mut values = Vec::new();
        let names = Names::new(&self.config, &NoResources);
        for name in self.config.locals.keys() {
            match names.local(name) {
                Ok(value) if !dynamic.contains(name) => values.push((Arc::clone(name), value)),
                Ok(_) => {}
                Err(errors) => {
                    self.diagnostics.extend(errors);
                    // Those that use it are not to report it again.
                    values.push((Arc::clone(name), Value::unknown(format!("local.{name}"))));
                }
            }
        }
        for (name, value) in values {
            if let Some(local) = self.config.locals.get_mut(&name) {
                local.value = Some(value);
            }
        }
    }

    /// Evaluates everything once, with resources and instances unknown.
    fn evaluate_all(&mut self) {
        let config = &self.config;
        let diagnostics = &mut self.diagnostics;
        let names = Names::new(config, &NoResources);
        let scope = names.scope(Instance::default());
        for provider in &config.providers {
            Record::evaluate(&provider.body, &scope, Mode::Check, diagnostics);
        }
        let mut records = BTreeMap::new();
        for declaration in &config.declarations {
            let mut own = Diagnostics::new();
            own.keep(declaration.meta.instances(&scope, Mode::Check));
            let record = Record::evaluate(&declaration.body, &scope, Mode::Check, &mut own);
            own.keep(declaration.decode(&record));
            diagnostics.extend(about(&declaration.address, own));
            records.insert(declaration.address.clone(), record);
        }
        for (address, record) in &records {
            diagnostics.extend(about(address, ports::check(record, &records)));
        }
        for output in config.outputs.values() {
            diagnostics.keep(evaluate(&output.expr, &scope));
        }
    }

    /// Drops what is told twice, and what only follows from a block that was left out; the rest in the order of the
    /// files, what has no place first.
    fn tidy(&mut self) {
        let mut seen = HashSet::new();
        let incomplete = self.incomplete;
        self.diagnostics.0.retain(|diagnostic| {
            let follows = diagnostic.summary == "Unknown reference" || diagnostic.summary == "Unknown provider";
            let is_new = seen.insert((
                diagnostic.summary.clone(),
                diagnostic.detail.clone(),
                diagnostic.span.clone(),
            ));
            is_new && !(incomplete && follows && diagnostic.detail.ends_with("in this fleet."))
        });
        let order: HashMap<*const SourceFile, usize> = self.config.files.iter().map(Arc::as_ptr).zip(0..).collect();
        self.diagnostics.0.sort_by_key(|diagnostic| {
            let place = diagnostic.span.as_ref();
            place.map(|span| (order.get(&Arc::as_ptr(&span.file)).copied(), span.range.start))
        });
    }
}

/// Says of diagnostics which resource they are about.
fn about(address: &Address, found: Diagnostics) -> Diagnostics {
    let about = |diagnostic: Diagnostic| match diagnostic.address {
        Some(_) => diagnostic,
        None => diagnostic.on(address.clone()),
    };
    Diagnostics(found.0.into_iter().map(about).collect())
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
