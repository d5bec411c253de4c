//! How it is reached: what the `serve` block and the command line say, and what must hold of that.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::access::Credential;
use crate::config::blocks::{Certificate, Rates, Serve};
use crate::diagnostic::{Diagnostic, Span};

/// Where it listens where nobody says.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);

/// How it is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where that is said, unless it is on the command line.
    pub span: Option<Span>,
    /// The certificate; without one it speaks plain HTTP.
    pub tls: Option<Certificate>,
    /// What every path starts with: nothing, or `/fleet`.
    pub base_path: Arc<str>,
    /// Whose word is taken for who the client is.
    pub trusted_proxies: Vec<IpNet>,
    /// From which pages it may be asked.
    pub origins: Vec<Arc<str>>,
    /// How many requests a client has a minute; `None` for as many as it wants.
    pub per_minute: Option<u64>,
    /// How many failed attempts to log in.
    pub auth_per_minute: u64,
}

impl Settings {
    /// Puts together what is declared and what was asked for: `None` for nothing, `Some(None)` for wherever. Returns `None`
    /// where it is not to listen.
    pub fn of(serve: Option<Serve>, asked: Option<Option<SocketAddr>>) -> Option<Self> {
        let declared = serve.as_ref().map(|serve| (serve.listen, Some(serve.span.clone())));
        let (listen, span) = match (asked, declared) {
            (None, None) => return None,
            (Some(Some(address)), _) => (address, None),
            (_, Some(declared)) => declared,
            (Some(None), None) => (SocketAddr::from(LISTEN), None),
        };
        let rates = serve.as_ref().and_then(|serve| serve.rates);
        let is_beyond = !listen.ip().is_loopback();
        let default = Rates::default();
        let per_minute = rates.or(is_beyond.then_some(default)).map(|rates| rates.per_minute);
        Some(Settings {
            listen,
            span,
            per_minute,
            auth_per_minute: rates.unwrap_or(default).auth_per_minute,
            tls: serve.as_ref().and_then(|serve| serve.tls.clone()),
            base_path: serve
                .as_ref()
                .map_or_else(|| "".into(), |serve| serve.base_path.clone()),
            trusted_proxies: serve
                .as_ref()
                .map_or_else(Vec::new, |serve| serve.trusted_proxies.clone()),
            origins: serve.map_or_else(Vec::new, |serve| serve.origins),
        })
    }

    /// Whether others than this machine can reach it.
    pub fn is_beyond(&self) -> bool {
        !self.listen.ip().is_loopback()
    }

    /// Refuses to be reached from other machines without TLS, or without anybody who is known.
    ///
    /// # Errors
    /// Which of them lacks.
    pub fn check(&self, credentials: &[Credential], now: jiff::Timestamp) -> Result<(), Diagnostic> {
        if !self.is_beyond() {
            return Ok(());
        }
        let listen = self.listen;
        let wrong =
            |detail: String| Diagnostic::error("Cannot listen beyond this machine", detail).at(self.span.clone());
        if self.tls.is_none() {
            let detail = format!(
                "`{listen}` can be reached from other machines, and without TLS whoever is on the way reads every token."
            );
            let hint = "give serve { tls = { cert = …, key = … } }, or listen at 127.0.0.1 and reach it through SSH \
                        (`ssh -L 8080:127.0.0.1:8080 HOST`) or a proxy";
            return Err(wrong(detail).hint(hint));
        }
        if !credentials.iter().any(|one| one.holds(now).is_ok()) {
            let detail =
                format!("`{listen}` can be reached from other machines, and nobody has a token that is valid.");
            return Err(wrong(detail).hint("`simfleet token create NAME --role viewer` makes one"));
        }
        Ok(())
    }
}
