//! `removed`: something is no longer declared, on purpose.

use std::sync::Arc;

use simfleet_provider_api::Address;

use crate::config::check::Body;
use crate::config::endpoint::{self, Endpoint};
use crate::config::record::{Mode, Record};
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::config::scope::Constants;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use simfleet_provider_api::Value;

/// Something is no longer declared: it is deleted, or left alone and forgotten.
#[derive(Debug, Clone)]
pub struct Removed {
    /// The module that says so, by the names of the blocks that lead to it; the address starts there.
    pub module: Vec<Arc<str>>,
    /// The address; it has no keys.
    pub from: Endpoint,
    /// Whether the objects are deleted, and not only forgotten.
    pub destroy: bool,
    /// Its first line.
    pub span: Span,
    /// Where the address is written.
    pub from_span: Span,
}

pub(in crate::config) fn schema() -> BlockSchema {
    let lifecycle = BlockSchema::new("lifecycle", "What becomes of the objects.").attributes([AttributeSchema::bool(
        "destroy",
        "they are deleted, and not only forgotten",
    )
    .default(true)]);
    BlockSchema::new("removed", "Something is no longer declared, on purpose.")
        .attributes([AttributeSchema::expression("from", "its address, without a key").required()])
        .optional(lifecycle)
}

impl Removed {
    /// Reads the block; `None` where something is wrong with it, which is reported.
    pub(in crate::config) fn read(
        mut body: Body,
        module: &[Arc<str>],
        constants: &Constants<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let from = body.take_attribute("from")?;
        let from = diagnostics.keep(endpoint::read(&from).map_err(Diagnostics::from))?;
        let has_key = from.key.is_some()
            || from.endpoint.key().is_some()
            || from.endpoint.modules().iter().any(|step| step.key.is_some());
        if has_key {
            let detail = "`from` names a block with all its instances, so it has no keys.";
            let hint = "to remove some instances only, change the `count` or `for_each` of the block";
            diagnostics.push(Diagnostic::error("Invalid address", detail).at(from.span).hint(hint));
            return None;
        }
        let record = Record::evaluate(&body, constants, Mode::Plan, diagnostics);
        let lifecycle = record.blocks("lifecycle").next();
        let destroy = lifecycle.and_then(|lifecycle| lifecycle.get("destroy"));
        Some(Removed {
            module: module.to_vec(),
            from: from.endpoint,
            destroy: destroy.and_then(Value::as_bool).unwrap_or(true),
            span: body.header,
            from_span: from.span,
        })
    }

    /// Whether this is about a recorded resource: an instance of the block, something that it expands to, or anything in
    /// the module.
    pub fn covers(&self, address: &Address) -> bool {
        let mut names = self
            .module
            .iter()
            .chain(self.from.modules().iter().map(|step| &step.name));
        let mut modules = address.modules().iter().map(|step| &step.name);
        match &self.from {
            Endpoint::Module(_) => names.all(|name| modules.next() == Some(name)),
            Endpoint::Resource(from) => {
                names.eq(modules) && from.block() == address.block() && from.labels() == address.labels()
            }
        }
    }
}
