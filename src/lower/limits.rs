//! What no simulator may go beyond, by the block `limits`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use simfleet_provider_api::{Address, Value};

use super::Lowering;
use crate::config::blocks::{Block, Container, Limit, Limits, Program};
use crate::diagnostic::{Diagnostic, Diagnostics};

mod images;

/// Refuses more simulators than there may be.
///
/// # Errors
/// E34: how many there are of which block.
pub fn check_count(limits: &Limits, declared: &[(Address, Block)]) -> Result<(), Diagnostic> {
    let Some(Limit { allowed, span }) = &limits.max_simulators else {
        return Ok(());
    };
    let mut blocks: BTreeMap<Address, u64> = BTreeMap::new();
    for (address, block) in declared {
        if matches!(block, Block::Simulator(_)) {
            *blocks.entry(address.declaration()).or_default() += 1;
        }
    }
    let count: u64 = blocks.values().sum();
    if count <= *allowed {
        return Ok(());
    }
    let each: Vec<String> = blocks
        .iter()
        .map(|(address, count)| format!("  {count} of {address}"))
        .collect();
    let detail = format!(
        "{count} are declared, and `max_simulators` is {allowed}:\n{}",
        each.join("\n")
    );
    let hint = "lower a `count`, take blocks out, or raise the limit";
    Err(Diagnostic::error("E34 too many simulators", detail)
        .at(span.clone())
        .hint(hint))
}

/// Refuses a program that is empty, or larger than programs may be.
pub(super) fn check_program(lowering: &Lowering<'_>, program: &Program) -> Result<(), Diagnostics> {
    let module = lowering.config.module(&lowering.address.module_path());
    let folder = module.map_or(lowering.config.folder.as_path(), |module| module.folder.as_path());
    let file = folder.join(&*program.path);
    let span = lowering.record.attribute_span("path").unwrap_or(lowering.record.span());
    if is_empty(&file) {
        let detail = format!("`{}` has 0 bytes: there is nothing in it to run.", program.path);
        let diagnostic = Diagnostic::error(EMPTY, detail).on(lowering.address.clone());
        return Err(diagnostic.at(span.clone()).hint("build it again").into());
    }
    let Some(detail) = too_large(&lowering.config.limits, &file, &program.path) else {
        return Ok(());
    };
    let diagnostic = Diagnostic::error(TOO_LARGE, detail).on(lowering.address.clone());
    Err(diagnostic.at(span.clone()).hint(TOO_LARGE_HINT).into())
}

/// Refuses a program that is loaded by hand and empty, or larger than programs may be.
///
/// # Errors
/// That it is empty; E35: how large it is.
pub fn check_loaded(limits: &Limits, address: &Address, program: &Path) -> Result<(), Diagnostic> {
    if is_empty(program) {
        let detail = format!("`{}` has 0 bytes: there is nothing in it to run.", program.display());
        return Err(Diagnostic::error(EMPTY, detail).on(address.clone()));
    }
    match too_large(limits, program, &program.to_string_lossy()) {
        Some(detail) => Err(Diagnostic::error(TOO_LARGE, detail)
            .on(address.clone())
            .hint(TOO_LARGE_HINT)),
        None => Ok(()),
    }
}

const EMPTY: &str = "Empty program";
const TOO_LARGE: &str = "E35 program too large";
const TOO_LARGE_HINT: &str = "strip what is for debuggers only from it, or raise the limit";

/// Whether a program is a file with nothing in it, as a build leaves that fails. One that cannot be looked at is told of by who
/// reads it.
fn is_empty(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.len() == 0)
}

/// Says how large a program is that is too large. One that cannot be looked at is told of by who reads it.
fn too_large(limits: &Limits, file: &Path, name: &str) -> Option<String> {
    let most = limits.max_program.as_ref()?.allowed;
    let size = std::fs::metadata(file).ok()?.len();
    (size > most).then(|| format!("`{name}` has {size} bytes, and `limits.max_program` is {most}."))
}

/// Refuses an image that no container may be made of. One that is not known yet is looked at when it is.
pub(super) fn check_image(lowering: &Lowering<'_>, container: &Container) -> Result<(), Diagnostics> {
    let Some(Limit { allowed, .. }) = &lowering.config.limits.allowed_images else {
        return Ok(());
    };
    let Some(image) = container.attributes.get("image").and_then(Value::as_str) else {
        return Ok(());
    };
    if allowed.iter().any(|pattern| images::matches(pattern, image)) {
        return Ok(());
    }
    let all: Vec<String> = allowed.iter().map(|pattern| format!("{pattern:?}")).collect();
    let detail = match all.is_empty() {
        true => format!("`image` is {image:?}, and `limits.allowed_images` allows none."),
        false => format!(
            "`image` is {image:?}, in full {:?}, and `limits.allowed_images` has {}.",
            images::in_full(image),
            all.join(", ")
        ),
    };
    let span = lowering
        .record
        .attribute_span("image")
        .unwrap_or(lowering.record.span());
    let diagnostic = Diagnostic::error("E36 image not allowed", detail).on(lowering.address.clone());
    let hint = "take an image that is allowed, or add a pattern for it";
    Err(diagnostic.at(span.clone()).hint(hint).into())
}

/// Returns the narrower of a limit and what a simulator says of itself.
pub(super) fn narrower(limit: Option<&Limit<Duration>>, own: Option<Duration>) -> Option<Duration> {
    let limit = limit.map(|limit| limit.allowed);
    limit.into_iter().chain(own).min()
}
