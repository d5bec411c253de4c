//! `import`: an object that exists becomes that of a resource.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::{Address, Key, Type, Value, convert};

use crate::config::check::Body;
use crate::config::endpoint::{self, Endpoint};
use crate::config::eval::{Expr, Reference, evaluate};
use crate::config::meta::{self, Instances, MetaArguments, ProviderReference};
use crate::config::record::Mode;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::config::scope::Instance;
use crate::config::values::Names;
use crate::diagnostic::{Diagnostic, Diagnostics, NOT_KNOWN, Span};

/// An object that exists becomes that of a resource, or several do.
#[derive(Debug, Clone)]
pub struct Import {
    /// The resource, without a key that is an expression.
    pub to: Address,
    /// Where the resource is written.
    pub to_span: Span,
    /// The provider's configuration that finds the object, where that is not the resource's own.
    pub provider: Option<ProviderReference>,
    /// Its first line.
    pub span: Span,
    key: Option<Expr>,
    id: Expr,
    id_span: Span,
    for_each: Option<Expr>,
}

/// One object and the resource that it becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoption {
    /// The resource.
    pub to: Address,
    /// The provider's id of the object.
    pub id: Arc<str>,
    /// Where it is declared.
    pub span: Span,
}

pub(in crate::config) fn schema() -> BlockSchema {
    BlockSchema::new("import", "An object that exists becomes that of a resource.").attributes([
        AttributeSchema::expression("to", "the resource").required(),
        AttributeSchema::expression("id", "the provider's id of the object, as a string").required(),
        AttributeSchema::expression("for_each", "a map or set of strings: an object for each element"),
        AttributeSchema::expression("provider", "the configuration that finds it: `azure`, `azure.europe`"),
    ])
}

impl Import {
    /// Reads the block; `None` where something is wrong with it, which is reported.
    pub(in crate::config) fn read(mut body: Body, diagnostics: &mut Diagnostics) -> Option<Self> {
        let (to, id) = (body.take_attribute("to"), body.take_attribute("id"));
        let for_each = body.take_attribute("for_each").map(|attribute| attribute.expr);
        let provider = body.take_attribute("provider");
        let provider = provider.and_then(|provider| diagnostics.keep(meta::provider_reference(&provider)));
        let (to, id) = (to?, id?);
        let written = diagnostics.keep(endpoint::read(&to).map_err(Diagnostics::from))?;
        let Endpoint::Resource(address) = written.endpoint else {
            let detail = format!(
                "`{}` is a module; an object becomes that of a resource.",
                written.endpoint
            );
            diagnostics.push(Diagnostic::error("Invalid address", detail).at(written.span));
            return None;
        };
        Some(Import {
            to: address,
            to_span: written.span,
            provider,
            span: body.header,
            key: written.key,
            id: id.expr,
            id_span: id.value_span,
            for_each,
        })
    }

    /// Returns every name in it, beside the resource itself.
    pub fn references(&self) -> Vec<Reference> {
        let all = self.key.iter().chain([&self.id]).chain(&self.for_each);
        all.flat_map(Expr::references).cloned().collect()
    }

    /// Whether it is one for each element of a collection.
    pub(in crate::config) fn has_each(&self) -> bool {
        self.for_each.is_some()
    }

    /// Returns the names in `for_each`.
    pub(in crate::config) fn outer_references(&self) -> Vec<Reference> {
        self.for_each.iter().flat_map(Expr::references).cloned().collect()
    }

    /// Returns the one resource that it is about; `None` where its key is an expression.
    pub fn single(&self) -> Option<&Address> {
        self.key.is_none().then_some(&self.to)
    }

    /// Returns the objects and what they become.
    ///
    /// # Errors
    /// An id, key or `for_each` that cannot be evaluated, is not known yet, sensitive, or no string.
    pub fn adoptions(&self, names: &Names<'_>) -> Result<Vec<Adoption>, Diagnostics> {
        self.evaluate(names, Mode::Plan)
    }

    /// Returns what is known of the objects; with [`Mode::Check`], what is not known is passed over.
    pub(in crate::config) fn evaluate(&self, names: &Names<'_>, mode: Mode) -> Result<Vec<Adoption>, Diagnostics> {
        let mut adoptions = Vec::new();
        let mut diagnostics = Diagnostics::new();
        for instance in self.instances(names, mode)? {
            if let Some(adoption) = diagnostics.keep(self.adoption(names, instance, mode)) {
                adoptions.extend(adoption);
            }
        }
        match diagnostics.has_errors() {
            true => Err(diagnostics),
            false => Ok(adoptions),
        }
    }

    fn instances(&self, names: &Names<'_>, mode: Mode) -> Result<Vec<Instance>, Diagnostics> {
        let meta = MetaArguments {
            for_each: self.for_each.clone(),
            ..MetaArguments::default()
        };
        let each = |each: BTreeMap<Arc<str>, Value>| each.into_iter().map(|(key, value)| Instance::each(key, value));
        Ok(match meta.instances(&names.scope(Instance::default()), mode)? {
            Some(Instances::Each(map)) => each(map).collect(),
            Some(_) => vec![Instance::default()],
            None => Vec::new(),
        })
    }

    fn adoption(&self, names: &Names<'_>, instance: Instance, mode: Mode) -> Result<Option<Adoption>, Diagnostics> {
        let scope = names.scope(instance);
        let Some(id) = self.text("id", evaluate(&self.id, &scope)?, &self.id_span, mode)? else {
            return Ok(None);
        };
        if id.is_empty() {
            let detail = "`id` is empty; it must be the provider's id of an object.";
            return Err(Diagnostic::error("Invalid value", detail)
                .at(self.id_span.clone())
                .into());
        }
        let to = match &self.key {
            None => self.to.clone(),
            Some(key) => match self.known_key(evaluate(key, &scope)?, mode)? {
                Some(key) => self.to.with_key(key),
                None => return Ok(None),
            },
        };
        let span = self.span.clone();
        Ok(Some(Adoption { to, id, span }))
    }

    fn known_key(&self, value: Value, mode: Mode) -> Result<Option<Key>, Diagnostics> {
        match value.as_u64() {
            Some(index) if !value.has_sensitive() => Ok(Some(Key::Index(index))),
            _ => Ok(self.text("to", value, &self.to_span, mode)?.map(Key::Name)),
        }
    }

    /// Returns a string that must be known; `None` where it is not, and the file is only checked.
    fn text(&self, name: &str, value: Value, span: &Span, mode: Mode) -> Result<Option<Arc<str>>, Diagnostics> {
        let error = |summary: &'static str, detail: String| {
            Err(Diagnostics::from(Diagnostic::error(summary, detail).at(span.clone())))
        };
        if value.has_sensitive() {
            return error("Sensitive value", format!("`{name}` is sensitive, but plans show it."));
        }
        match value.unknown_origin() {
            Some(_) if mode == Mode::Check => return Ok(None),
            Some(origin) => {
                let detail = format!("`{name}` depends on `{origin}`, which is known after apply only.");
                return error(NOT_KNOWN, detail);
            }
            None => {}
        }
        match convert(&value, &Type::String).ok().as_ref().and_then(Value::as_str) {
            Some(text) => Ok(Some(text.into())),
            None => error("Invalid value", format!("`{name}` must be a string.")),
        }
    }
}
