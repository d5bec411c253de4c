//! Text to declarations: files are parsed, expressions evaluated, blocks checked against their schemas.
//!
//! ```text
//! source --> syntax --> check --> declaration --> record --> blocks
//! (files)    (tree)     (schema)  (expressions)   (values)   (typed)
//! ```
//!
//! - [`load()`]: the way in: a path or texts to a [`Config`]
//! - [`schema`]: what may stand in a block; [`blocks`]: every block, one file each
//! - [`declaration`]: what a fleet declares; [`meta`]: `count`, `for_each`, `lifecycle` …
//! - [`variables`]: what is set from outside; [`types`]: their types
//! - [`scope`]: what names stand for; [`eval`]: expressions
//! - [`record`]: a block with values; [`decode`]: values to typed declarations

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::diagnostic::{SourceFile, Span};

pub mod blocks;
pub mod check;
pub mod condition;
pub mod conform;
mod cycles;
pub mod declaration;
pub mod decode;
pub mod endpoint;
pub mod eval;
mod instances;
mod load;
pub mod meta;
mod names;
mod ports;
pub mod record;
mod refactoring;
pub mod schema;
pub mod scope;
pub mod source;
pub mod syntax;
#[cfg(test)]
mod tests;
pub mod types;
pub mod units;
pub mod variables;
mod verify;
mod version;

pub use blocks::{Adoption, Block, Check, Import, Moved, Removed, Settings};
pub use condition::{Condition, Held};
pub use declaration::{Declaration, Local, Output, ProviderBlock};
pub use endpoint::Endpoint;
pub use load::{Inputs, Sources, Unset, load, load_sources};
pub use meta::{IgnoreChanges, Instances, Lifecycle, MetaArguments, ProviderReference, Timeouts};
pub use record::{Mode, Record};
pub use scope::{Instance, InstanceScope, Names, NoResources, Resources};
pub use variables::Variable;

/// A fleet as its files declare it: checked, and evaluated as far as that needs no state.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of the fleet: relative paths start there.
    pub folder: PathBuf,
    /// The current folder.
    pub cwd: PathBuf,
    /// The name of the workspace.
    pub workspace: Arc<str>,
    /// The environment, for `env()`.
    pub environment: BTreeMap<String, String>,
    /// When the plan is made.
    pub planned_at: Option<Timestamp>,
    /// The fleet's files.
    pub files: Vec<Arc<SourceFile>>,
    /// The `simfleet` block.
    pub settings: Settings,
    /// The variables, with their values.
    pub variables: BTreeMap<Arc<str>, Variable>,
    /// The locals.
    pub locals: BTreeMap<Arc<str>, Local>,
    /// The outputs.
    pub outputs: BTreeMap<Arc<str>, Output>,
    /// The configurations of providers, in the order in which they are declared.
    pub providers: Vec<ProviderBlock>,
    /// The resources, in the order in which they are declared.
    pub declarations: Vec<Declaration>,
    /// What should hold of the fleet.
    pub checks: Vec<Check>,
    /// What has another address than before.
    pub moved: Vec<Moved>,
    /// What is no longer declared, on purpose.
    pub removed: Vec<Removed>,
    /// The objects that exist already.
    pub imports: Vec<Import>,
    /// The place of each declaration by its address.
    index: HashMap<String, usize>,
}

impl Config {
    /// Returns a declaration: `declaration("simulator", &["vehicle", "quad"])`.
    pub fn declaration(&self, block: &str, labels: &[&str]) -> Option<&Declaration> {
        let mut address = block.to_owned();
        for label in labels {
            address.push('.');
            address.push_str(label);
        }
        self.declarations.get(*self.index.get(&address)?)
    }

    /// Returns the configuration of a provider.
    pub fn provider(&self, name: &str, alias: Option<&str>) -> Option<&ProviderBlock> {
        let is_it = |provider: &&ProviderBlock| &*provider.name == name && provider.alias.as_deref() == alias;
        self.providers.iter().find(is_it)
    }

    /// Returns the resources that a declaration, output or other list of references needs, through locals too: each
    /// with the first place that names it.
    pub fn dependencies(&self, references: &[eval::Reference]) -> Vec<(&Declaration, Span)> {
        names::resources(self, references)
    }

    /// Returns all that the fleet was loaded from, so that [`load_sources`] makes it again without any file.
    pub fn sources(&self) -> Sources {
        let text = |file: &Arc<SourceFile>| (file.path.clone(), file.text.clone());
        let value = |(name, variable): (&Arc<str>, &Variable)| (Arc::clone(name), variable.value.clone());
        Sources {
            folder: self.folder.clone(),
            files: self.files.iter().map(text).collect(),
            variables: self.variables.iter().map(value).collect(),
        }
    }
}
