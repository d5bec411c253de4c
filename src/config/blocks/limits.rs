//! `limits`: what no simulator may go beyond.

use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::Address;

use crate::config::check::Body;
use crate::config::decode::{FromValue, Reader};
use crate::config::record::{Mode, Record};
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::config::scope::Constants;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// What no simulator of a fleet may go beyond.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// How many there may be, over the whole fleet.
    pub max_simulators: Option<Limit<u64>>,
    /// How long one that an agent runs may go without use.
    pub idle_timeout: Option<Limit<Duration>>,
    /// How many bytes a program of a machine may have.
    pub max_program: Option<Limit<u64>>,
    /// How many bytes a snapshot of a machine may have.
    pub max_snapshot: Option<Limit<u64>>,
    /// The images that containers may be made of, as patterns.
    pub allowed_images: Option<Limit<Vec<Arc<str>>>>,
}

/// A limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit<T> {
    /// What is allowed.
    pub allowed: T,
    /// Where that is said.
    pub span: Span,
}

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new(
        "limits",
        "What no simulator may go beyond; the narrower of this and its own value holds.",
    )
    .attributes([
        AttributeSchema::count("max_simulators", 0, "how many there may be in the fleet"),
        AttributeSchema::duration("idle_timeout", "how long an `exec` or `qemu` may be idle, as by its own idle_timeout"),
        AttributeSchema::size("max_program", "how large a program may be"),
        AttributeSchema::size("max_snapshot", "how large a snapshot of a machine may be: a larger one is not kept"),
        AttributeSchema::strings(
            "allowed_images",
            "the images that containers may be made of, `*` standing for anything: \"registry.example.net/*\", any tag or \
             digest of a repository unless it is said: \"px4io/px4-sitl:v1.*\", \"*@sha256:*\"",
        ),
    ])
}

/// Reads the block.
pub(in crate::config) fn read(body: &Body, constants: &Constants<'_>, diagnostics: &mut Diagnostics) -> Option<Limits> {
    let record = Record::sound(body, constants, Mode::Plan, diagnostics)?;
    let mut reader = Reader::new(&record);
    let (max_simulators, idle_timeout) = (limit(&mut reader, "max_simulators"), limit(&mut reader, "idle_timeout"));
    let (max_program, max_snapshot) = (limit(&mut reader, "max_program"), limit(&mut reader, "max_snapshot"));
    let allowed_images = limit(&mut reader, "allowed_images");
    let limits = || {
        Some(Limits {
            max_simulators: max_simulators?,
            idle_timeout: idle_timeout?,
            max_program: max_program?,
            max_snapshot: max_snapshot?,
            allowed_images: allowed_images?,
        })
    };
    let limits = limits();
    diagnostics.keep(reader.finish(limits))
}

/// Warns of a limit that does not hold for all of some simulators: nobody sees whether the others are used.
pub(in crate::config) fn without_effect(limits: &Limits, simulators: &[&Address]) -> Option<Diagnostic> {
    let limit = limits.idle_timeout.as_ref()?;
    let is_unseen = |address: &Address| {
        let kind = address.labels().first();
        kind.is_some_and(|kind| matches!(&**kind, "vehicle" | "container" | "px4"))
    };
    let others = simulators.iter().filter(|address| is_unseen(address));
    let names: Vec<String> = others.map(ToString::to_string).collect();
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "`idle_timeout` holds for simulators of the kinds \"exec\" and \"qemu\" only, not for {}: nobody sees whether those are used.",
        names.join(", ")
    );
    let diagnostic = Diagnostic::warning("Limit without effect", detail).at(limit.span.clone());
    Some(diagnostic.hint("max_lifetime in a simulator's own block limits how long it runs"))
}

fn limit<T: FromValue>(reader: &mut Reader<'_>, name: &str) -> Option<Option<Limit<T>>> {
    let allowed: Option<T> = reader.maybe(name)?;
    let record = reader.record();
    let span = record.attribute_span(name).unwrap_or(record.span()).clone();
    Some(allowed.map(|allowed| Limit { allowed, span }))
}
