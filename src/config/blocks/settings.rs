//! `simfleet` and `provider`: what the fleet as a whole is set to.

use simfleet_provider_api::{Attribute, Mode};

use crate::config::check::Body;
use crate::config::decode::Reader;
use crate::config::forms;
use crate::config::record::{Mode as Strictness, Record};
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::config::scope::Constants;
use crate::config::version;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::providers::{PARALLELISM, RATE_LIMIT};

/// The `simfleet` block.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// The versions of simfleet that the fleet is written for.
    pub required_version: Option<String>,
    /// Where the state is; beside the fleet where it is not set.
    pub backend: Option<Backend>,
    /// Where the backend is declared.
    pub backend_span: Option<Span>,
}

/// Where the state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// In a file.
    Sqlite {
        /// Its path, relative to the folder of the fleet; the usual place where it is not set.
        path: Option<String>,
    },
    /// In a PostgreSQL database.
    Postgres,
}

pub(super) fn schema() -> BlockSchema {
    let backend = |kind: &str, doc| BlockSchema::new("backend", doc).kind(kind).labels(&["type"]);
    BlockSchema::new("simfleet", "What the fleet needs of simfleet.")
        .attributes([AttributeSchema::string(
            "required_version",
            "the versions that the fleet is written for: \">= 0.1\"",
        )])
        .optional(
            backend("sqlite", "The state is in a file.").attributes([AttributeSchema::string("path", "its path")]),
        )
        .optional(
            backend("postgres", "The state is in a PostgreSQL database.")
                .attributes([
                    AttributeSchema::string("url", "the database: \"postgres://user@host/name\"").required(),
                    AttributeSchema::string("schema", "the schema in it").default("public"),
                ])
                .later(),
        )
}

/// Returns the schema of the block of a provider of this build.
pub(super) fn provider_schema(name: &str, settings: &[Attribute]) -> BlockSchema {
    let settings = settings
        .iter()
        .filter(|attribute| !matches!(attribute.mode, Mode::Computed | Mode::Live));
    BlockSchema::new("provider", "A configuration of a provider.")
        .kind(name)
        .labels(&["provider"])
        .attributes([AttributeSchema::expression(
            "alias",
            "its name, where a provider has several",
        )])
        .attributes([
            AttributeSchema::count(PARALLELISM, 1, "how many calls it is sent at once"),
            AttributeSchema::new(
                RATE_LIMIT,
                AttributeType::Object(rate_fields()),
                "how many calls it is sent a second",
            ),
        ])
        .attributes(settings.map(|setting| setting_of(name, setting)))
}

/// Returns how a setting is written, with the form that its text must have: a provider's own schema says types only.
fn setting_of(provider: &str, setting: &Attribute) -> AttributeSchema {
    let attribute = AttributeSchema::of_provider(setting);
    match (provider, attribute.name) {
        ("docker", "host") => AttributeSchema {
            ty: AttributeType::Text(&forms::ENGINE),
            ..attribute
        },
        _ => attribute,
    }
}

fn rate_fields() -> Vec<AttributeSchema> {
    vec![
        AttributeSchema::number("per_second", 0.001, 1e6, "how many calls a second, on average").required(),
        AttributeSchema::count(
            "burst",
            1,
            "how many calls may come at once after a pause; without it, those of a second",
        ),
    ]
}

/// Returns the schema of the block of a provider that this build lacks.
pub(super) fn provider_later(name: &str, settings: Vec<AttributeSchema>) -> BlockSchema {
    let mut schema = provider_schema(name, &[]);
    // What a provider says of an attribute itself holds.
    let is_own = |shared: &AttributeSchema| settings.iter().any(|own| own.name == shared.name);
    schema.attributes.retain(|shared| !is_own(shared));
    schema.attributes(settings).later()
}

impl Settings {
    /// Reads a `simfleet` block and checks the version that it asks for.
    pub(in crate::config) fn read(body: &Body, constants: &Constants<'_>, diagnostics: &mut Diagnostics) -> Settings {
        let record = Record::sound(body, constants, Strictness::Plan, diagnostics);
        let settings = record.and_then(|record| diagnostics.keep(Settings::decode(&record)));
        settings.unwrap_or_default()
    }

    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let version = reader.maybe::<std::sync::Arc<str>>("required_version");
        if let Some(Some(wanted)) = &version {
            match version::allows(wanted, version::CURRENT) {
                Ok(true) => {}
                Ok(false) => {
                    let detail = format!("The fleet needs simfleet {wanted}, but this is {}.", version::CURRENT);
                    reader.error(Diagnostic::error("Other version required", detail), "required_version");
                }
                Err(problem) => {
                    let detail = format!("`required_version` {problem}.");
                    let diagnostic = Diagnostic::error("Invalid value", detail);
                    reader.error(diagnostic.hint("for example \">= 0.1, < 2.0\""), "required_version");
                }
            }
        }
        let backend = reader.block("backend", Backend::decode);
        let settings = || {
            Some(Settings {
                required_version: version?.map(|version| version.to_string()),
                backend: backend?,
                backend_span: record.blocks("backend").next().map(|block| block.span().clone()),
            })
        };
        let settings = settings();
        reader.finish(settings)
    }
}

impl Backend {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        if &*record.label(0) == "postgres" {
            return reader.finish(Some(Backend::Postgres));
        }
        let path = reader.maybe::<std::sync::Arc<str>>("path");
        let backend = path.map(|path| Backend::Sqlite {
            path: path.map(|path| path.to_string()),
        });
        reader.finish(backend)
    }
}
