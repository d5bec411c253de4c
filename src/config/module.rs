//! `module`: the files of another folder, with inputs and outputs of their own.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::expr::ObjectKey;
use simfleet_provider_api::PathStep;

use super::Config;
use super::check::Body;
use super::eval::{Expr, Reference, evaluate};
use super::meta::{self, MetaArguments, ProviderReference};
use super::schema::{AttributeSchema, BlockSchema};
use super::scope::Constants;
use super::syntax::Attribute;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// How deep modules may lie in each other.
pub(super) const DEPTH: usize = 32;

/// A provider's configuration by name and alias.
pub(super) type ProviderName = (Arc<str>, Option<Arc<str>>);

/// A module as one block calls it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The name of the block.
    pub name: Arc<str>,
    /// Its first line.
    pub span: Span,
    /// `count`, `for_each`, `depends_on`.
    pub meta: MetaArguments,
    /// What its variables are set to.
    pub inputs: BTreeMap<Arc<str>, Attribute>,
    /// The module itself.
    pub module: Config,
    /// The configurations that it gets by another name than the caller's.
    pub(super) providers: BTreeMap<ProviderName, ProviderReference>,
}

/// A `module` block before its files are read.
pub(super) struct Unread {
    pub(super) name: Arc<str>,
    pub(super) span: Span,
    pub(super) folder: PathBuf,
    pub(super) source_span: Span,
    meta: MetaArguments,
    inputs: BTreeMap<Arc<str>, Attribute>,
    providers: BTreeMap<ProviderName, ProviderReference>,
}

/// The schema of a `module` block.
pub(super) fn schema() -> BlockSchema {
    BlockSchema::new(
        "module",
        "The files of another folder, with inputs and outputs of their own.",
    )
    .labels(&["name"])
    .attributes([
        AttributeSchema::expression("source", "the folder: \"./modules/lab\"").required(),
        AttributeSchema::expression("count", "how many instances there are"),
        AttributeSchema::expression("for_each", "a map or set of strings: an instance for each element"),
        AttributeSchema::expression("depends_on", "a list of what must be there before anything in it"),
        AttributeSchema::expression(
            "providers",
            "the configurations that it uses by other names: { azure = azure.europe }",
        ),
    ])
    .open()
}

impl Unread {
    /// Takes a `module` block apart; `None` where its files cannot be found, which is reported.
    pub(super) fn of(
        mut body: Body,
        folder: &Path,
        constants: &Constants<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let name = body
            .labels
            .first()
            .map_or_else(|| Arc::from(""), |label| Arc::clone(&label.text));
        let source = body.take_attribute("source");
        let providers = body.take_attribute("providers");
        let providers = providers.and_then(|providers| diagnostics.keep(read_providers(&providers)));
        let (count, for_each) = (body.take_attribute("count"), body.take_attribute("for_each"));
        meta::check_instances(count.as_ref(), for_each.as_ref(), diagnostics);
        let meta = MetaArguments {
            count: count.map(|attribute| attribute.expr),
            for_each: for_each.map(|attribute| attribute.expr),
            depends_on: meta::list(body.take_attribute("depends_on"), diagnostics),
            ..MetaArguments::default()
        };
        if let Some(version) = body.take_attribute("version") {
            let detail = "`version` is for modules of a registry, and modules are folders of this machine.";
            let diagnostic = Diagnostic::error("Unknown attribute", detail).at(version.name.span);
            diagnostics.push(diagnostic.hint("take it out, and name the folder with `source`"));
        }
        let source = source?;
        let folder = diagnostics.keep(read_source(&source, folder, constants))?;
        let inputs = body.attributes.into_iter();
        Some(Unread {
            name,
            span: body.header,
            folder,
            source_span: source.value_span,
            meta,
            inputs: inputs.map(|input| (Arc::clone(&input.name.text), input)).collect(),
            providers: providers.unwrap_or_default(),
        })
    }

    /// Returns the call, once the module is read, after a check of its inputs.
    pub(super) fn with(self, module: Config, diagnostics: &mut Diagnostics) -> Call {
        let name = &self.name;
        for (input, attribute) in &self.inputs {
            if !module.variables.contains_key(input) {
                let detail = format!("`module.{name}` has no variable `{input}`.");
                let diagnostic = Diagnostic::error("Unknown attribute", detail).at(attribute.name.span.clone());
                let words = ["source", "providers", "count", "for_each", "depends_on"];
                let known = module.variables.keys().map(|known| &**known);
                let declare = format!("declare it in the module: variable {:?} {{}}", &**input);
                diagnostics.push(diagnostic.nearest_or(input, known.chain(words), declare));
            }
        }
        for (variable, declared) in &module.variables {
            if declared.default.is_none() && !self.inputs.contains_key(variable) {
                let detail = format!("`module.{name}` needs `{variable}`, which has no default.");
                let diagnostic = Diagnostic::error("Missing attribute", detail).at(self.span.clone());
                diagnostics.push(diagnostic.related(declared.span.clone(), "it is declared here"));
            }
        }
        Call {
            name: self.name,
            span: self.span,
            meta: self.meta,
            inputs: self.inputs,
            providers: self.providers,
            module,
        }
    }
}

impl Call {
    /// Returns every name in the block.
    pub fn references(&self) -> Vec<Reference> {
        let inputs = self.inputs.values().flat_map(|input| input.expr.references());
        self.meta.references().into_iter().chain(inputs.cloned()).collect()
    }

    /// Whether it has several instances.
    pub(super) fn is_keyed(&self) -> bool {
        self.meta.count.is_some() || self.meta.for_each.is_some()
    }

    /// Returns the output that a reference to it names, `module.m.out` or `module.m[0].out`; `None` where it names more
    /// than one.
    pub(super) fn output_of<'r>(&self, reference: &'r Reference) -> Option<&'r Arc<str>> {
        let at = if self.is_keyed() { 2 } else { 1 };
        match reference.steps.get(at) {
            Some(PathStep::Name(output)) => Some(output),
            _ => None,
        }
    }
}

fn read_source(source: &Attribute, folder: &Path, constants: &Constants<'_>) -> Result<PathBuf, Diagnostics> {
    let value = evaluate(&source.expr, constants)?;
    let invalid = |detail: String, hint: String| {
        Err(Diagnostics::from(
            Diagnostic::error("Invalid source", detail)
                .at(source.value_span.clone())
                .hint(hint),
        ))
    };
    let Some(text) = value.as_str() else {
        let detail = "`source` must be a string: the folder of the module.";
        return invalid(detail.to_owned(), "for example source = \"./modules/lab\"".to_owned());
    };
    let is_local = text == "." || text == ".." || ["./", "../", "/"].iter().any(|start| text.starts_with(start));
    if !is_local {
        let detail = format!("{text:?} is no path of a folder; modules of registries and repositories are not loaded.");
        return invalid(detail, format!("a path starts with ./ or ../: \"./{text}\""));
    }
    Ok(clean(&folder.join(text)))
}

/// Returns a path without `.` and, as far as that can be told from the path alone, without `..`.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match clean.components().next_back() {
                Some(Component::Normal(_)) => drop(clean.pop()),
                Some(Component::RootDir) => {}
                _ => clean.push(".."),
            },
            part => clean.push(part),
        }
    }
    match clean.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => clean,
    }
}

/// Whether two folders are the same, as far as their paths tell.
pub(super) fn is_same_folder(one: &Path, other: &Path) -> bool {
    clean(one) == clean(other)
}

fn read_providers(attribute: &Attribute) -> Result<BTreeMap<ProviderName, ProviderReference>, Diagnostics> {
    let Some(object) = attribute.expr.syntax.as_object() else {
        let detail = "`providers` must be a map from the module's names to configurations.";
        return Err(Diagnostic::error("Invalid value", detail)
            .at(attribute.value_span.clone())
            .hint("write providers = { azure = azure.europe }")
            .into());
    };
    let mut diagnostics = Diagnostics::new();
    let mut providers = BTreeMap::new();
    let part = |syntax: hcl_edit::expr::Expression| Attribute {
        value_span: Span {
            file: Arc::clone(&attribute.expr.file),
            range: syntax.span().unwrap_or_default(),
        },
        expr: Expr::new(syntax, &attribute.expr.file),
        ..attribute.clone()
    };
    for (key, value) in object {
        let inside = match key {
            ObjectKey::Ident(name) => Ok((Arc::from(name.value().as_str()), None)),
            ObjectKey::Expression(expr) => {
                meta::provider_reference(&part(expr.clone())).map(|reference| (reference.name, reference.alias))
            }
        };
        let outside = meta::provider_reference(&part(value.expr().clone()));
        if let (Some(inside), Some(outside)) = (diagnostics.keep(inside), diagnostics.keep(outside)) {
            providers.insert(inside, outside);
        }
    }
    diagnostics.or(providers).map(|(providers, _)| providers)
}
