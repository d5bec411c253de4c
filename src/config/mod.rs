//! Text to declarations: files are parsed, expressions evaluated, blocks checked against their schemas.
//!
//! ```text
//! source --> syntax --> check --> declaration --> record --> blocks
//! (files)    (tree)     (schema)  (expressions)   (values)   (typed)
//! ```
//!
//! - [`load()`]: the way in: a path or texts to a [`Config`]
//! - [`schema`]: what may stand in a block; [`blocks`]: every block, one file each; [`forms`]: forms of strings
//! - [`declaration`]: what a fleet declares; [`meta`]: `count`, `for_each`, `lifecycle` …
//! - [`variables`]: what is set from outside; [`types`]: their types
//! - [`scope`]: what names stand for; [`eval`]: expressions
//! - [`record`]: a block with values; [`decode`]: values to typed declarations

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use simfleet_provider_api::Address;
use simfleet_state::Timeouts;

use crate::audit::AuditSettings;
use crate::diagnostic::{Diagnostics, SourceFile};
use crate::signals::rotating::RotatingSettings;

use self::check::Body;

mod assemble;
pub mod blocks;
pub mod check;
pub mod condition;
pub mod conform;
mod cycles;
pub mod declaration;
pub mod decode;
pub mod endpoint;
pub mod eval;
pub mod forms;
mod instances;
mod load;
pub mod meta;
pub mod module;
pub mod moment;
mod names;
mod needs;
mod nesting;
mod ports;
pub mod published;
pub mod record;
mod refactoring;
mod rules;
pub mod schema;
pub mod scope;
mod sections;
pub mod source;
pub mod syntax;
#[cfg(test)]
pub(crate) mod tests;
pub mod types;
pub mod units;
mod values;
pub mod variables;
mod verify;
mod version;

pub use blocks::{Adoption, Block, Check, Import, Moved, Removed, Settings};
pub use condition::{Condition, Held};
pub use declaration::{Declaration, Local, Output, ProviderBlock};
pub use endpoint::Endpoint;
pub use load::{Inputs, Setting, Sources, Unset, given_again, load, load_sources, set_by};
pub use meta::{IgnoreChanges, Instances, Lifecycle, MetaArguments, ProviderReference};
pub use module::Call;
pub use moment::{Applied, Moment};
pub use needs::Need;
pub use record::{Mode, Record};
pub use scope::{Instance, InstanceScope, NoResources, Resources};
pub use values::Names;
pub use variables::Variable;

/// A fleet, or a module of it, as its files declare it: checked, and evaluated as far as that needs no state.
#[derive(Debug, Clone)]
pub struct Config {
    /// The names of the `module` blocks that lead to it, outermost first; none for the fleet itself.
    pub path: Vec<Arc<str>>,
    /// The folder of its files: relative paths start there.
    pub folder: PathBuf,
    /// The folder of the fleet.
    pub root: PathBuf,
    /// The current folder.
    pub cwd: PathBuf,
    /// The name of the workspace.
    pub workspace: Arc<str>,
    /// The environment, for `env()`.
    pub environment: Arc<BTreeMap<String, String>>,
    /// Its files, without those of modules in it.
    pub files: Vec<Arc<SourceFile>>,
    /// The `simfleet` block.
    pub settings: Settings,
    /// The variables; those of the fleet with their values.
    pub variables: BTreeMap<Arc<str>, Variable>,
    /// The locals.
    pub locals: BTreeMap<Arc<str>, Local>,
    /// The outputs.
    pub outputs: BTreeMap<Arc<str>, Output>,
    /// The configurations of providers, in the order in which they are declared; a module has none.
    pub providers: Vec<ProviderBlock>,
    /// The resources, in the order in which they are declared.
    pub declarations: Vec<Declaration>,
    /// The modules that it calls.
    pub calls: BTreeMap<Arc<str>, Call>,
    /// What should hold of the fleet.
    pub checks: Vec<Check>,
    /// What has another address than before.
    pub moved: Vec<Moved>,
    /// What is no longer declared, on purpose.
    pub removed: Vec<Removed>,
    /// The objects that exist already.
    pub imports: Vec<Import>,
    /// Where it is written down who did what by hand; beside the state where it does not say.
    pub audit: Option<AuditSettings>,
    /// Where the log of a watch goes, beside standard error.
    pub log: Option<RotatingSettings>,
    /// What no simulator may go beyond.
    pub limits: blocks::Limits,
    /// The other blocks that are no resources: those that are read where they are needed, and those that this version only
    /// checks.
    pub sections: Vec<Body>,
    /// What of the language stands in the files of the whole fleet that this version checks and does not act on.
    pub unavailable: Diagnostics,
    /// What becomes of variables, of the environment too, that are not set.
    pub unset: Unset,
    /// The places of the declarations of each name, the last label.
    index: HashMap<Arc<str>, Vec<usize>>,
}

impl Config {
    /// Returns a fleet that declares nothing.
    fn empty(folder: PathBuf, inputs: &Inputs) -> Self {
        Config {
            path: Vec::new(),
            root: folder.clone(),
            folder,
            cwd: inputs.cwd.clone(),
            workspace: match inputs.workspace.as_str() {
                "" => Arc::from("default"),
                name => Arc::from(name),
            },
            environment: Arc::new(inputs.environment.clone()),
            files: Vec::new(),
            settings: Settings::default(),
            variables: BTreeMap::new(),
            locals: BTreeMap::new(),
            outputs: BTreeMap::new(),
            providers: Vec::new(),
            declarations: Vec::new(),
            calls: BTreeMap::new(),
            checks: Vec::new(),
            moved: Vec::new(),
            removed: Vec::new(),
            imports: Vec::new(),
            audit: None,
            log: None,
            limits: blocks::Limits::default(),
            sections: Vec::new(),
            unavailable: Diagnostics::new(),
            unset: inputs.unset,
            index: HashMap::new(),
        }
    }

    /// Returns a declaration of this module: `declaration("simulator", &["vehicle", "quad"])`.
    pub fn declaration(&self, block: &str, labels: &[&str]) -> Option<&Declaration> {
        let named = self.index.get(*labels.last()?)?.iter();
        let mut named = named.filter_map(|at| self.declarations.get(*at));
        named.find(|declaration| {
            let own = declaration.address.labels().iter().map(|label| &**label);
            declaration.address.block() == block && own.eq(labels.iter().copied())
        })
    }

    /// Returns the configuration of a provider.
    pub fn provider(&self, name: &str, alias: Option<&str>) -> Option<&ProviderBlock> {
        let is_it = |provider: &&ProviderBlock| &*provider.name == name && provider.alias.as_deref() == alias;
        self.providers.iter().find(is_it)
    }

    /// Returns the configuration of a provider that a module in this one knows by a name: what is handed to it, else its
    /// caller's.
    pub fn provider_in(&self, module: &[Arc<str>], name: &str, alias: Option<&str>) -> Option<&ProviderBlock> {
        let Some((last, outer)) = module.split_last() else {
            return self.provider(name, alias);
        };
        let handed = &self.module(outer)?.calls.get(last)?.providers;
        match handed.get(&(Arc::from(name), alias.map(Arc::from))) {
            Some(given) => self.provider_in(outer, &given.name, given.alias.as_deref()),
            None if alias.is_none() => self.provider_in(outer, name, None),
            None => None,
        }
    }

    /// Returns a module in this one, by the names of the blocks that lead to it; itself where there are none.
    pub fn module(&self, path: &[Arc<str>]) -> Option<&Config> {
        let mut config = self;
        for name in path {
            config = &config.calls.get(name)?.module;
        }
        Some(config)
    }

    /// Returns this module and all those in it, each after the one that calls it.
    pub fn modules(&self) -> Vec<&Config> {
        let mut modules = vec![self];
        for call in self.calls.values() {
            modules.extend(call.module.modules());
        }
        modules
    }

    /// Returns what references in a module of this fleet lead to, through locals, and through variables and outputs of
    /// modules.
    pub fn dependencies(&self, module: &[Arc<str>], references: &[eval::Reference]) -> Vec<Need<'_>> {
        needs::resources(self, module, references)
    }

    /// Returns what a declaration of this fleet or of a module in it comes after: what some of its references lead to,
    /// what its provider reads, and what has to be there before the modules that lead to it have their instances.
    pub fn needs(&self, declaration: &Declaration, references: &[eval::Reference]) -> Vec<Need<'_>> {
        needs::of(self, declaration, references)
    }

    /// Returns the declaration of a resource, in whichever module it is.
    pub fn declaration_of(&self, address: &Address) -> Option<&Declaration> {
        let labels: Vec<&str> = address.labels().iter().map(|label| &**label).collect();
        self.module(&address.module_path())?
            .declaration(address.block(), &labels)
    }

    /// Returns how long operations on a resource may take: what its block says, or what was recorded of it where that is
    /// not there any more.
    pub fn timeouts_of(&self, address: &Address, recorded: Option<&simfleet_state::Declaration>) -> Timeouts {
        match self.declaration_of(address) {
            Some(declaration) => declaration.meta.timeouts,
            None => recorded.map_or_else(Timeouts::default, |recorded| recorded.timeouts),
        }
    }

    /// Returns the pools that are to adopt pools of a cloud, in this module and all in it.
    pub fn adopting(&self) -> impl Iterator<Item = &Declaration> {
        let all = self.modules().into_iter().flat_map(|module| &module.declarations);
        all.filter(|it| it.address.block() == "pool" && it.body.attribute(blocks::IMPORT).is_some())
    }

    /// Checks every name in an expression that stands alone, outside of any block of the fleet.
    ///
    /// # Errors
    /// All that are not declared, or have no value there.
    pub fn check_names(&self, expr: &eval::Expr) -> Result<(), Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        for reference in expr.references() {
            diagnostics.keep(names::check(self, reference, &names::Place::default()).map_err(Diagnostics::from));
        }
        diagnostics.or(()).map(drop)
    }

    /// Returns what this module is called, in messages.
    pub(crate) fn whole(&self) -> &'static str {
        match self.path.is_empty() {
            true => "this fleet",
            false => "this module",
        }
    }

    /// Returns the files of this module and of all in it, each once.
    pub(crate) fn all_files(&self) -> Vec<&Arc<SourceFile>> {
        let mut seen = HashSet::new();
        let files = self.modules().into_iter().flat_map(|module| &module.files);
        files.filter(|file| seen.insert(Arc::as_ptr(file))).collect()
    }

    /// Returns all that the fleet was loaded from, so that [`load_sources`] makes it again without any file.
    pub fn sources(&self) -> Sources {
        let text = |file: &Arc<SourceFile>| (file.path.clone(), file.text.clone());
        let value = |(name, variable): (&Arc<str>, &Variable)| (Arc::clone(name), variable.value.clone());
        Sources {
            folder: self.folder.clone(),
            files: self.all_files().into_iter().map(text).collect(),
            variables: self.variables.iter().map(value).collect(),
        }
    }
}
