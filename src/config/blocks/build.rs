//! `build`: the folder that an image is built of. It is read when the fleet is: what counts is its content.

use std::path::Path;
use std::sync::Arc;

use simfleet_build_context::{Context, ContextError};
use simfleet_provider_api::Value;

use crate::config::decode::Reader;
use crate::config::eval::Scope;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// What an image is built of.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// The folder, relative to that of its module.
    pub context: Arc<str>,
    /// The SHA-256 of what is in it, in hexadecimal.
    pub digest: Arc<str>,
    /// How it is built: a file of the folder.
    pub dockerfile: Arc<str>,
    /// The arguments of the Dockerfile: a map of strings. Can be unknown.
    pub args: Option<Value>,
    /// The stage of the Dockerfile that it is. Can be unknown.
    pub target: Option<Value>,
    /// Where it is declared.
    pub span: Span,
}

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new(
        "build",
        "The folder that its image is built of, where it runs. Another content of it makes another image.",
    )
    .attributes([
        AttributeSchema::string(
            "context",
            "the folder, relative to the module's; what its `.dockerignore` names does not count",
        )
        .required(),
        AttributeSchema::string("dockerfile", "how it is built: a file of that folder").default("Dockerfile"),
        AttributeSchema::string_map(
            "args",
            "the arguments of the Dockerfile; no secrets, as the history of the image has them",
        ),
        AttributeSchema::string(
            "target",
            "the stage of the Dockerfile that it is; the last one without it",
        ),
    ])
    .derive(read)
}

/// Adds the digest of what is in the folder.
fn read(record: &mut Record, scope: &dyn Scope, found: &mut Diagnostics) {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let (Some(context), Some(dockerfile)) = (text("context"), text("dockerfile")) else {
        return;
    };
    if context.contains("://") {
        let detail = format!("`context` is {context:?}, and an image is built of a folder of this machine.");
        let span = record.attribute_span("context").cloned();
        let diagnostic = Diagnostic::error("Invalid value", detail).at(span);
        return found.push(diagnostic.hint("clone it, and name the folder"));
    }
    let read = Context::read(&scope.folder().join(context), Path::new(dockerfile));
    match read.and_then(|context| context.digest()) {
        Ok(digest) => record.add("digest", digest.into()),
        Err(error) => found.push(wrong(record, &error)),
    }
}

fn wrong(record: &Record, error: &ContextError) -> Diagnostic {
    let (summary, name, hint) = match error {
        ContextError::NoFolder(_) => (
            "Missing context",
            "context",
            Some("`context` starts at the folder of the file that it stands in"),
        ),
        ContextError::NoDockerfile { .. } => (
            "Missing Dockerfile",
            "dockerfile",
            Some("`dockerfile` starts at the folder that `context` names"),
        ),
        ContextError::Outside { .. } => (
            "Dockerfile outside of the context",
            "dockerfile",
            Some("an engine gets what is in the context and nothing else: take a folder that both are in"),
        ),
        ContextError::Special(_) => (
            "Context that cannot be sent",
            "context",
            Some("name it in the file `.dockerignore` of the context"),
        ),
        ContextError::Pattern { .. } | ContextError::Unreadable { .. } => {
            ("Context that cannot be read", "context", None)
        }
    };
    let mut detail = format!("{error}.");
    if let Some(first) = detail.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let span = record.attribute_span(name).unwrap_or(record.span()).clone();
    let diagnostic = Diagnostic::error(summary, detail).at(span);
    match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

/// An image is pulled by its name, or is built.
pub(super) fn image(record: &Record, found: &mut Diagnostics) {
    let is_built = record.blocks("build").next().is_some();
    if !is_built && record.get("image").is_none_or(Value::is_null) {
        let detail = "It lacks `image`: the image, by tag or digest.";
        let diagnostic = Diagnostic::error("Missing attribute", detail).at(record.span().clone());
        found.push(diagnostic.hint("name an image, or say with build { context = … } what it is built of"));
    }
    let pull = record.attribute_span("pull").filter(|_| is_built);
    if let Some(span) = pull {
        let detail = "`pull` is of an image that somebody else built, and this one is built here.";
        let diagnostic = Diagnostic::error("Invalid value", detail).at(span.clone());
        found.push(diagnostic.hint("take `pull` or `build` out"));
    }
    let volume = record.blocks("volume").find(|volume| &*volume.label(0) == "image");
    if let Some(volume) = volume.filter(|_| is_built) {
        let detail = "The image that is built is called `image` in the state, and this volume would be too.";
        let diagnostic = Diagnostic::error("Same name twice", detail).at(volume.span().clone());
        found.push(diagnostic.hint("give the volume another name"));
    }
}

impl Build {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        // Without a digest, what is wrong with the folder was reported, or which one it is is not known.
        let (context, digest) = (reader.take("context"), reader.take("digest"));
        let (dockerfile, args, target) = (reader.take("dockerfile"), reader.maybe("args"), reader.maybe("target"));
        let build = || {
            Some(Build {
                context: context?,
                digest: digest?,
                dockerfile: dockerfile?,
                args: args?,
                target: target?,
                span: record.span().clone(),
            })
        };
        let build = build();
        reader.finish(build)
    }
}
