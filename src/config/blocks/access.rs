//! `access`: who may do what over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::Value;
use simfleet_state::Role;

use crate::access::{Credential, digest};
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::config::{Config, sections};
use crate::diagnostic::{Diagnostic, Diagnostics, NOT_KNOWN};

pub(super) fn schema() -> BlockSchema {
    let role = || AttributeSchema::one_of("role", Role::WORDS, "what its owner may do").required();
    let roles = AttributeType::Map(Box::new(AttributeType::Enum(Role::WORDS)));
    BlockSchema::new("access", "Who may do what over HTTP.")
        .any(
            BlockSchema::new("token", "Someone who is known by a secret.")
                .labels(&["name"])
                .attributes([
                    role(),
                    AttributeSchema::string("secret", "the secret").sensitive().required(),
                ]),
        )
        .any(
            BlockSchema::new(
                "api_key",
                "Someone who is known by a key, of which only the hash is kept.",
            )
            .labels(&["name"])
            .attributes([
                role(),
                AttributeSchema::text("sha256", &forms::SHA256, "the hash of the key").required(),
            ]),
        )
        .optional(
            BlockSchema::new("jwt", "Those whom someone else knows.")
                .attributes([
                    AttributeSchema::text("issuer", &forms::URL, "who that is").required(),
                    AttributeSchema::string("audience", "for whom the tokens must be").required(),
                    AttributeSchema::text("jwks_url", &forms::URL, "where its keys are").required(),
                    AttributeSchema::new("roles", roles, "roles by the values of the claim"),
                ])
                .later(),
        )
        .rule(no_name_twice)
        .rule(no_short_secret)
}

/// How many characters a secret should have at least: with five attempts a minute it is not guessed.
const SHORTEST: usize = 16;

fn known(record: &Record) -> impl Iterator<Item = &Record> {
    record.blocks("token").chain(record.blocks("api_key"))
}

/// What somebody did is written down under the name.
fn no_name_twice(record: &Record, diagnostics: &mut Diagnostics) {
    let mut seen = BTreeMap::new();
    for block in known(record) {
        if let Some(first) = seen.insert(block.label(0), block.span().clone()) {
            let detail = format!("There is another token or key `{}`.", block.label(0));
            let diagnostic = Diagnostic::error("Duplicate declaration", detail).at(block.span().clone());
            let diagnostic = diagnostic.related(first, "the first one");
            diagnostics.push(diagnostic.hint("give each a name of its own: what somebody did is told by it"));
        }
    }
}

fn no_short_secret(record: &Record, diagnostics: &mut Diagnostics) {
    for block in record.blocks("token") {
        let secret = block.get("secret").and_then(Value::as_str);
        if secret.is_some_and(|secret| secret.chars().count() < SHORTEST) {
            let detail = format!(
                "The secret of token `{}` has less than {SHORTEST} characters.",
                block.label(0)
            );
            let span = block.attribute_span("secret").unwrap_or(block.span());
            let diagnostic = Diagnostic::warning("Short secret", detail).at(span.clone());
            diagnostics.push(diagnostic.hint("`openssl rand -hex 32` makes one that nobody guesses"));
        }
    }
}

/// Reads who is known by the block of a fleet.
///
/// # Errors
/// What is wrong with it; that a secret is not set.
pub fn credentials(config: &Config) -> Result<Vec<Credential>, Diagnostics> {
    let read = |record: &Record| {
        let mut diagnostics = Diagnostics::new();
        no_name_twice(record, &mut diagnostics);
        no_short_secret(record, &mut diagnostics);
        let mut credentials = Vec::new();
        for block in known(record) {
            let (name, text) = match block.get("secret") {
                Some(secret) => ("secret", Some(secret)),
                None => ("sha256", block.get("sha256")),
            };
            let role = block.get("role").and_then(Value::as_str);
            let role: Option<Role> = role.and_then(|role| role.parse().ok());
            let text = text.and_then(Value::as_str);
            let (Some(role), Some(text)) = (role, text) else {
                let origin = block.get(name).and_then(Value::unknown_origin);
                let origin = origin.map_or_else(String::new, |origin| format!(": {origin} is not set"));
                let detail = format!("`{name}` of `{}` is not known{origin}.", block.label(0));
                let span = block.attribute_span(name).unwrap_or(block.span());
                let hint = "whoever watches the fleet has to know its tokens: set it, and start again";
                diagnostics.push(Diagnostic::error(NOT_KNOWN, detail).at(span.clone()).hint(hint));
                continue;
            };
            let sha256 = match name {
                "secret" => Some(digest(text)),
                _ => hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok()),
            };
            credentials.extend(sha256.map(|sha256| Credential {
                name: block.label(0),
                role,
                sha256,
                source: match name {
                    "secret" => "token",
                    _ => "api_key",
                },
                expires: None,
                revoked: None,
            }));
        }
        diagnostics.or(credentials).map(|(credentials, _)| credentials)
    };
    Ok(sections::read(config, "access", read)?.unwrap_or_default())
}

/// Returns the names that the block of a fleet gives, without its secrets.
pub fn names(config: &Config) -> Vec<Arc<str>> {
    let section = config.sections.iter().find(|section| section.schema.name == "access");
    let blocks = section.into_iter().flat_map(|section| &section.blocks);
    let labels = blocks.filter_map(|block| block.labels.first());
    labels.map(|label| Arc::clone(&label.text)).collect()
}
