//! `serve`: the HTTP listener.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use crate::config::decode::Reader;
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::config::{Config, sections};
use crate::diagnostic::{Diagnostics, Span};

/// How `simfleet watch` is reached over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Serve {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where that is said.
    pub span: Span,
    /// The certificate; without one it speaks plain HTTP.
    pub tls: Option<Certificate>,
    /// What every path starts with: nothing, or `/fleet`.
    pub base_path: Arc<str>,
    /// Whose word is taken for who the client is.
    pub trusted_proxies: Vec<IpNet>,
    /// From which pages it may be asked: `https://fleet.example.net`.
    pub origins: Vec<Arc<str>>,
    /// How much one client may ask, where that is said.
    pub rates: Option<Rates>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The file of the certificate, those of its issuers behind it.
    pub cert: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
    /// Where that is said.
    pub span: Span,
}

/// How much one client may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Requests a minute.
    pub per_minute: u64,
    /// Failed attempts to log in a minute.
    pub auth_per_minute: u64,
}

impl Default for Rates {
    fn default() -> Self {
        Rates {
            per_minute: 100,
            auth_per_minute: 5,
        }
    }
}

fn tls() -> [AttributeSchema; 2] {
    [
        AttributeSchema::string("cert", "the file of the certificate").required(),
        AttributeSchema::string("key", "the file of its key").required(),
    ]
}

fn cors() -> [AttributeSchema; 1] {
    [AttributeSchema::texts("origins", &forms::ORIGIN, "from which pages it may be asked").required()]
}

fn rates() -> [AttributeSchema; 2] {
    let default = Rates::default();
    [
        AttributeSchema::count("per_minute", 1, "requests a minute").default(default.per_minute),
        AttributeSchema::count("auth_per_minute", 1, "failed attempts to log in a minute")
            .default(default.auth_per_minute),
    ]
}

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("serve", "How `simfleet watch` is reached over HTTP.").attributes([
        AttributeSchema::text("listen", &forms::LISTEN, "where it listens").default("127.0.0.1:8000"),
        AttributeSchema::object("tls", tls(), "the certificate; needed beyond this machine"),
        AttributeSchema::text(
            "base_path",
            &forms::BASE_PATH,
            "what every path starts with, behind a proxy",
        )
        .default("/"),
        AttributeSchema::texts(
            "trusted_proxies",
            &forms::CIDR,
            "whose word is taken for who the client is: their `X-Forwarded-For`",
        ),
        AttributeSchema::object("cors", cors(), "which pages may ask it"),
        AttributeSchema::object(
            "rate_limit",
            rates(),
            "how much one client may ask; without it, on loopback, only failed attempts to log in are limited",
        ),
        AttributeSchema::some_of("compat", &["vbox_power"], "paths of other programs that it answers too").later(),
    ])
}

impl Serve {
    /// Reads the block of a fleet; `None` where there is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(config: &Config) -> Result<Option<Self>, Diagnostics> {
        sections::read(config, "serve", |record| Self::decode(record, config))
    }

    /// Whether another says the same, wherever it stands in its file.
    pub fn is_same(&self, other: &Self) -> bool {
        let placed = |certificate: &Certificate| Certificate {
            span: self.span.clone(),
            ..certificate.clone()
        };
        let placed = |serve: &Self| Serve {
            span: self.span.clone(),
            tls: serve.tls.as_ref().map(placed),
            ..serve.clone()
        };
        placed(self) == placed(other)
    }

    fn decode(record: &Record, config: &Config) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (listen, base_path) = (reader.take::<Arc<str>>("listen"), reader.take::<Arc<str>>("base_path"));
        let proxies: Option<Option<Vec<Arc<str>>>> = reader.maybe("trusted_proxies");
        let certificate = reader.object("tls", &tls(), |record| {
            let mut reader = Reader::new(record);
            let (cert, key) = (reader.take::<Arc<str>>("cert"), reader.take::<Arc<str>>("key"));
            let certificate = || {
                Some(Certificate {
                    cert: config.folder.join(&*cert?),
                    key: config.folder.join(&*key?),
                    span: record.span().clone(),
                })
            };
            let certificate = certificate();
            reader.finish(certificate)
        });
        let origins = reader.object("cors", &cors(), |record| {
            let mut reader = Reader::new(record);
            let origins = reader.take::<Vec<Arc<str>>>("origins");
            reader.finish(origins)
        });
        let rates = reader.object("rate_limit", &rates(), |record| {
            let mut reader = Reader::new(record);
            let (per_minute, auth_per_minute) = (reader.take("per_minute"), reader.take("auth_per_minute"));
            let rates = || {
                Some(Rates {
                    per_minute: per_minute?,
                    auth_per_minute: auth_per_minute?,
                })
            };
            let rates = rates();
            reader.finish(rates)
        });
        let span = record.attribute_span("listen").unwrap_or(record.span()).clone();
        let serve = || {
            let listen = listen?;
            let proxies = proxies?.unwrap_or_default();
            Some(Serve {
                listen: address(&listen)?,
                span,
                tls: certificate?,
                base_path: base_path?.trim_end_matches('/').into(),
                trusted_proxies: proxies.iter().filter_map(|proxy| proxy.parse().ok()).collect(),
                origins: origins?.unwrap_or_default(),
                rates: rates?,
            })
        };
        let serve = serve();
        reader.finish(serve)
    }
}

/// Reads `127.0.0.1:8080`, `[::1]:8080` and `:8080`, which is every address of this machine.
pub fn address(text: &str) -> Option<SocketAddr> {
    if let Some(Ok(port)) = text.strip_prefix(':').map(str::parse) {
        return Some((Ipv6Addr::UNSPECIFIED, port).into());
    }
    text.parse().ok().or_else(|| {
        // An address of IPv6 without brackets, as the form lets it through.
        let (address, port) = text.rsplit_once(':')?;
        Some((address.parse::<IpAddr>().ok()?, port.parse().ok()?).into())
    })
}
