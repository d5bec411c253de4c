//! Files to a fleet, and to the modules in it: each block where it belongs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use simfleet_provider_api::Value;

use super::blocks::{self, Check, Import, Moved, Removed, Settings};
use super::check::{self, Body};
use super::condition::Condition;
use super::declaration::{Declaration, Local, Output, ProviderBlock};
use super::eval::evaluate;
use super::load::Inputs;
use super::meta;
use super::module::{self, Call, Unread};
use super::record::{Mode, Record};
use super::schema::{BlockSchema, Meta};
use super::scope::Constants;
use super::source::Library;
use super::variables::Variable;
use super::{Config, syntax};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile, Span};

/// Puts a fleet together.
pub(super) struct Assembler<'a> {
    inputs: &'a Inputs,
    library: &'a Library,
    schema: Arc<BlockSchema>,
    /// The checked blocks of each folder that modules were read from: two calls of a module share them.
    folders: BTreeMap<PathBuf, (Vec<Arc<SourceFile>>, Vec<Body>)>,
    pub(super) diagnostics: Diagnostics,
    /// What this version checks and does not act on.
    unavailable: Diagnostics,
    /// A file or block was left out because of a mistake, so what seems undeclared may be in it.
    pub(super) incomplete: bool,
}

impl<'a> Assembler<'a> {
    pub(super) fn new(inputs: &'a Inputs, library: &'a Library, diagnostics: Diagnostics) -> Self {
        Assembler {
            inputs,
            library,
            schema: blocks::fleet_schema(&inputs.providers),
            folders: BTreeMap::new(),
            diagnostics,
            unavailable: Diagnostics::new(),
            incomplete: false,
        }
    }

    /// Returns the fleet that files declare, with its modules.
    pub(super) fn fleet(&mut self, folder: PathBuf, files: Vec<Arc<SourceFile>>) -> Config {
        let bodies = self.blocks(&files);
        if bodies.is_empty() && !self.diagnostics.has_errors() {
            let detail = "The fleet declares nothing.";
            let hint = "`simfleet init` writes a first file; to remove all that there is, use `simfleet destroy`";
            self.diagnostics
                .push(Diagnostic::error("Empty fleet", detail).hint(hint));
        }
        let config = Config::empty(folder, self.inputs);
        let config = self.assemble(Config { files, ..config }, bodies, &[]);
        Config {
            unavailable: std::mem::take(&mut self.unavailable),
            ..config
        }
    }

    /// Parses files and checks their blocks.
    fn blocks(&mut self, files: &[Arc<SourceFile>]) -> Vec<Body> {
        let mut blocks = Vec::new();
        for file in files {
            match syntax::parse(file) {
                Ok(body) => {
                    let wanted = body.blocks.len();
                    let start = Span {
                        file: Arc::clone(file),
                        range: 0..0,
                    };
                    let checked = check::check(body, &self.schema, Vec::new(), start, &mut self.diagnostics);
                    self.incomplete |= checked.blocks.len() < wanted;
                    check::unavailable(&checked, &mut self.unavailable);
                    blocks.extend(checked.blocks);
                }
                Err(diagnostic) => {
                    self.incomplete = true;
                    self.diagnostics.push(diagnostic);
                }
            }
        }
        blocks
    }

    /// Puts each block where it belongs, and reads the modules that are called. `around` are the folders that lead here.
    fn assemble(&mut self, config: Config, bodies: Vec<Body>, around: &[&Path]) -> Config {
        let environment = Arc::clone(&config.environment);
        let folder = config.folder.clone();
        let mut sorter = Sorter {
            config,
            constants: Constants {
                folder: &folder,
                environment: &environment,
                unset: self.inputs.unset,
                variables: None,
            },
            seen: HashMap::new(),
            calls: Vec::new(),
            diagnostics: &mut self.diagnostics,
        };
        for body in bodies {
            sorter.sort(body);
        }
        let Sorter { mut config, calls, .. } = sorter;
        let around: Vec<&Path> = around.iter().copied().chain([&*folder]).collect();
        for call in calls {
            let name = Arc::clone(&call.name);
            match self.call(call, &config, &around) {
                Some(call) => drop(config.calls.insert(name, call)),
                None => self.incomplete = true,
            }
        }
        config
    }

    fn call(&mut self, call: Unread, caller: &Config, around: &[&Path]) -> Option<Call> {
        let wrong = |detail: String| Diagnostic::error("Invalid source", detail).at(call.source_span.clone());
        if let Some(same) = around
            .iter()
            .find(|folder| module::is_same_folder(folder, &call.folder))
        {
            let detail = format!("`module.{}` contains itself: `{}`.", call.name, same.display());
            self.diagnostics.push(wrong(detail));
            return None;
        }
        if around.len() > module::DEPTH {
            let detail = format!("Modules lie more than {} deep in each other.", module::DEPTH);
            self.diagnostics.push(wrong(detail));
            return None;
        }
        if !self.folders.contains_key(&call.folder) {
            let files = match self.library.module(&call.folder) {
                Ok(files) => files,
                Err(errors) => {
                    let at = |error: Diagnostic| match error.span {
                        Some(_) => error,
                        None => error.at(call.source_span.clone()),
                    };
                    self.diagnostics
                        .extend(Diagnostics(errors.0.into_iter().map(at).collect()));
                    return None;
                }
            };
            let bodies = self.blocks(&files);
            self.folders.insert(call.folder.clone(), (files, bodies));
        }
        let (files, bodies) = self.folders.get(&call.folder).cloned()?;
        let config = Config {
            files,
            path: [&*caller.path, &[Arc::clone(&call.name)]].concat(),
            folder: call.folder.clone(),
            environment: Arc::clone(&caller.environment),
            ..Config::empty(caller.root.clone(), self.inputs)
        };
        let module = self.assemble(config, bodies, around);
        Some(call.with(module, &mut self.diagnostics))
    }
}

/// Puts the blocks of one module where they belong; of two with one name the first one stays.
struct Sorter<'s> {
    config: Config,
    constants: Constants<'s>,
    seen: HashMap<String, Span>,
    calls: Vec<Unread>,
    diagnostics: &'s mut Diagnostics,
}

impl Sorter<'_> {
    fn sort(&mut self, body: Body) {
        let (config, diagnostics) = (&mut self.config, &mut *self.diagnostics);
        // These have no name, so there can be any number of them.
        match body.schema.name {
            "locals" => return self.locals(body),
            "moved" => return config.moved.extend(Moved::read(body, &config.path, diagnostics)),
            "removed" => {
                let removed = Removed::read(body, &config.path, &self.constants, diagnostics);
                return config.removed.extend(removed);
            }
            "import" if config.path.is_empty() => return config.imports.extend(Import::read(body, diagnostics)),
            "access" | "audit" | "import" | "limits" | "log" | "provider" | "serve" if !config.path.is_empty() => {
                return self.misplaced(&body);
            }
            "provider" => return self.provider(&body),
            _ => {}
        }
        let labels: String = body.labels.iter().map(|label| format!(".{}", label.text)).collect();
        let key = format!("{}{labels}", body.schema.name);
        if !self.is_new(key, &body.header, None) {
            return;
        }
        let name = body
            .labels
            .first()
            .map_or_else(|| Arc::from(""), |label| Arc::clone(&label.text));
        let (config, diagnostics) = (&mut self.config, &mut *self.diagnostics);
        match body.schema.name {
            "check" => config.checks.push(Check::read(body)),
            "audit" => config.audit = blocks::audit(&body, &self.constants, diagnostics),
            "limits" => {
                let limits = blocks::limits(&body, &self.constants, diagnostics);
                config.limits = limits.unwrap_or_default();
            }
            "log" => config.log = blocks::log(&body, &self.constants, diagnostics),
            "simfleet" => config.settings = Settings::read(&body, &self.constants, diagnostics),
            "module" => {
                let call = Unread::of(body, &config.folder, &self.constants, diagnostics);
                self.calls.extend(call);
            }
            "variable" => {
                let variable = Variable::read(body, &self.constants, diagnostics);
                config.variables.insert(name, variable);
            }
            "output" => {
                let output = output(body, &self.constants, diagnostics);
                config.outputs.extend(output.map(|output| (name, output)));
            }
            _ if body.schema.meta == Meta::None => config.sections.push(body),
            _ => {
                let declaration = Declaration::new(body, &config.path, &self.constants, diagnostics);
                let place = config.declarations.len();
                let name = declaration.address.labels().last();
                config
                    .index
                    .entry(name.cloned().unwrap_or_default())
                    .or_default()
                    .push(place);
                config.declarations.push(declaration);
            }
        }
    }

    /// Whether nothing of this name is there yet; otherwise it is reported.
    fn is_new(&mut self, key: String, span: &Span, hint: Option<&'static str>) -> bool {
        if let Some(first) = self.seen.get(&key) {
            let diagnostic = duplicate(&key, span.clone(), first.clone());
            self.diagnostics.push(match hint {
                Some(hint) => diagnostic.hint(hint),
                None => diagnostic,
            });
            return false;
        }
        self.seen.insert(key, span.clone());
        true
    }

    fn misplaced(&mut self, body: &Body) {
        let (detail, hint) = match body.schema.name {
            "provider" => (
                "A module uses the providers of its caller, so it has no `provider` block.",
                "configure it in the fleet itself; `providers` of the `module` block hands over another one",
            ),
            "audit" => (
                "A module has no `audit` block: who does something by hand does it to the fleet.",
                "write it in the fleet itself",
            ),
            "access" => (
                "A module has no `access` block: who may ask the scaler may ask it of the fleet.",
                "write it in the fleet itself",
            ),
            "serve" => (
                "A module has no `serve` block: the scaler of the fleet listens.",
                "write it in the fleet itself",
            ),
            "log" => (
                "A module has no `log` block: one program watches the whole fleet.",
                "write it in the fleet itself",
            ),
            "limits" => (
                "A module has no `limits` block: they hold for the whole fleet.",
                "write it in the fleet itself",
            ),
            _ => (
                "A module has no `import` block: which objects exist is a matter of one fleet.",
                "write it in the fleet itself, with to = module.NAME.…",
            ),
        };
        self.diagnostics.push(
            Diagnostic::error("Misplaced block", detail)
                .at(body.header.clone())
                .hint(hint),
        );
    }

    fn provider(&mut self, body: &Body) {
        let provider = provider_block(body, &self.constants, self.diagnostics);
        let key = match &provider.alias {
            Some(alias) => format!("provider.{}.{alias}", provider.name),
            None => format!("provider.{}", provider.name),
        };
        if self.is_new(key, &body.header, Some("give one of them an alias")) {
            self.config.providers.push(provider);
        }
    }

    fn locals(&mut self, body: Body) {
        for attribute in body.attributes {
            let span = attribute.name.span;
            if self.is_new(format!("local.{}", attribute.name.text), &span, None) {
                let local = Local {
                    expr: attribute.expr,
                    span,
                    value: None,
                };
                self.config.locals.insert(attribute.name.text, local);
            }
        }
    }
}
fn duplicate(key: &str, second: Span, first: Span) -> Diagnostic {
    let detail = format!("`{key}` is declared twice.");
    Diagnostic::error("Duplicate declaration", detail)
        .at(second)
        .related(first, "the first one")
        .hint("give one of the two another name, or take it out")
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
