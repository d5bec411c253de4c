//! The listener: connections, TLS, and whose they are.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::header::{HOST, LOCATION};
use axum::http::{HeaderValue, Request, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use super::guard::Refused;
use super::peers::Peers;
use super::settings::Settings;
use crate::config::blocks::Certificate;
use crate::diagnostic::{Diagnostic, Span};

/// How many connections there are at once at the most; the next ones wait.
const CONNECTIONS: usize = 1_024;
/// How long a client has for its part of TLS, and how long for the head of a request: also between two.
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(30);
/// How often the files of the certificate are looked at: one that was renewed is taken over.
const RENEWED: Duration = Duration::from_secs(30);

/// Listens already, and does not answer yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    pub(super) settings: Settings,
    tls: Option<Tls>,
}

/// Whose connection a request came by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// What TLS is spoken with.
#[derive(Debug)]
struct Tls {
    files: Certificate,
    /// When the files were last changed, as it was when they were read.
    changed: Option<(SystemTime, SystemTime)>,
    config: Arc<ServerConfig>,
    look: Instant,
    /// Whether those that are there now cannot be used, as was told.
    is_unusable: bool,
}

impl Listener {
    /// Begins to listen. With port 0 the system chooses one.
    ///
    /// # Errors
    /// The address is taken, or the certificate cannot be used.
    pub async fn bind(settings: Settings) -> Result<Self, Diagnostic> {
        let tls = settings.tls.clone().map(Tls::read).transpose()?;
        let listen = settings.listen;
        let socket = TcpListener::bind(listen).await.map_err(|error| {
            Diagnostic::error("Cannot listen", format!("Listening at {listen} failed: {error}."))
                .at(settings.span.clone())
                .hint("choose another port, or 0 for one that is free")
        })?;
        Ok(Listener { socket, settings, tls })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn address(&self) -> Result<SocketAddr, Diagnostic> {
        let told = self.socket.local_addr();
        told.map_err(|error| Diagnostic::error("Cannot listen", format!("No address is known: {error}.")))
    }

    /// Returns the URL of the page.
    ///
    /// # Errors
    /// The system does not tell where it listens.
    pub fn url(&self) -> Result<String, Diagnostic> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}{}/", self.address()?, self.settings.base_path))
    }

    /// Returns the URL by which others reach it: with the name of this machine where it listens at all of its addresses.
    ///
    /// # Errors
    /// The system does not tell where it listens.
    pub fn advertised(&self) -> Result<String, Diagnostic> {
        let address = self.address()?;
        if !address.ip().is_unspecified() {
            return self.url();
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let name = rustix::system::uname();
        let (name, port) = (name.nodename().to_string_lossy(), address.port());
        Ok(format!("{scheme}://{name}:{port}{}/", self.settings.base_path))
    }

    /// Answers, for ever. Connections end with it.
    pub(super) async fn answer(mut self, router: Router) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let (mut connections, peers) = (JoinSet::new(), Peers::default());
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let (stream, peer) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                // Such as too many open files: the next may be gone by then.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            let peer = peer.ip().to_canonical();
            let is_proxy = self
                .settings
                .trusted_proxies
                .iter()
                .any(|proxies| proxies.contains(&peer));
            // A proxy has those of all its clients.
            let Some(counted) = is_proxy.then_some(None).or_else(|| peers.enter(peer).map(Some)) else {
                continue;
            };
            let tls = self.tls.as_mut().map(Tls::current);
            let answers = Answers {
                router: TowerToHyperService::new(router.clone()),
                peer: Peer(peer),
                base_path: Arc::clone(&self.settings.base_path),
            };
            connections.spawn(async move {
                // What fails with one connection is over with it.
                let _ = connection(stream, tls, answers).await;
                drop((slot, counted));
            });
        }
    }
}

/// Answers what comes by one connection.
#[derive(Debug, Clone)]
struct Answers {
    router: TowerToHyperService<Router>,
    peer: Peer,
    base_path: Arc<str>,
}

async fn connection(mut stream: TcpStream, tls: Option<Arc<ServerConfig>>, answers: Answers) -> io::Result<()> {
    let Some(tls) = tls else {
        return http(stream, answers).await;
    };
    let mut first = [0];
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let length = timeout(HANDSHAKE, stream.peek(&mut first)).await.map_err(late)??;
    // Every TLS connection begins with a record of type handshake.
    if length == 1 && first != [22] {
        const SAID: &str = "{\"error\":\"this port speaks HTTPS\"}";
        let length = SAID.len();
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{SAID}"
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // What it still sends is read, so that it reads the answer, and not that the connection was reset.
        let _ = timeout(
            Duration::from_secs(1),
            tokio::io::copy(&mut stream, &mut tokio::io::sink()),
        )
        .await;
        return Ok(());
    }
    let stream = timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream))
        .await
        .map_err(late)??;
    http(stream, answers).await
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, answers: Answers) -> io::Result<()> {
    let service = service_fn(move |request| answers.clone().answer(request));
    let mut builder = http1::Builder::new();
    let served = builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let served = served.serve_connection(TokioIo::new(stream), service).await;
    served.map_err(io::Error::other)
}

impl Answers {
    async fn answer(self, mut request: Request<Incoming>) -> hyper::Result<Response<Body>> {
        request.extensions_mut().insert(self.peer);
        match inside(request.uri(), &self.base_path) {
            Inside::As(uri) => *request.uri_mut() = uri,
            Inside::Slash => {
                let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
                if let Ok(to) = HeaderValue::from_str(&format!("{}/", self.base_path)) {
                    response.headers_mut().insert(LOCATION, to);
                }
                return Ok(response);
            }
            Inside::Outside => {
                let why = format!("every path starts with `{}/`", self.base_path);
                return Ok(Refused(StatusCode::NOT_FOUND, why).into_response());
            }
        }
        // A request in the absolute form says there whom it asks.
        if let Some(host) = request.uri().authority().map(ToString::to_string)
            && let Ok(host) = HeaderValue::from_str(&host)
        {
            request.headers_mut().insert(HOST, host);
        }
        match self.router.call(request).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }
}

/// What a path is behind the one that every path starts with.
#[derive(Debug, PartialEq)]
enum Inside {
    As(Uri),
    /// It is that one, without the slash that relative links need.
    Slash,
    Outside,
}

fn inside(uri: &Uri, base_path: &str) -> Inside {
    if base_path.is_empty() {
        return Inside::As(uri.clone());
    }
    match uri.path().strip_prefix(base_path) {
        Some("") => Inside::Slash,
        Some(path) if path.starts_with('/') => {
            let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            let inner = format!("{path}{query}").parse();
            inner.map_or(Inside::Outside, Inside::As)
        }
        _ => Inside::Outside,
    }
}

impl Tls {
    fn read(files: Certificate) -> Result<Self, Diagnostic> {
        let changed = changed(&files);
        Ok(Tls {
            config: config(&files)?,
            files,
            changed,
            look: Instant::now() + RENEWED,
            is_unusable: false,
        })
    }

    /// Returns what is spoken now. A certificate that was renewed is taken over; one that cannot be used is not.
    fn current(&mut self) -> Arc<ServerConfig> {
        let now = Instant::now();
        if now >= self.look {
            self.look = now + RENEWED;
            let changed = changed(&self.files);
            if changed != self.changed {
                self.renew(changed);
            }
        }
        Arc::clone(&self.config)
    }
}

impl Tls {
    /// Takes over what is in the files now, and tells where that cannot be used: once, as it may be half written for a moment only.
    fn renew(&mut self, changed: Option<(SystemTime, SystemTime)>) {
        let file = self.files.cert.display();
        match config(&self.files) {
            Ok(config) => {
                if std::mem::take(&mut self.is_unusable) {
                    tracing::warn!(%file, "the renewed certificate can be used now");
                }
                (self.config, self.changed) = (config, changed);
            }
            Err(why) => {
                if !std::mem::replace(&mut self.is_unusable, true) {
                    let why = why.detail.as_str();
                    tracing::warn!(%file, why, "the renewed certificate cannot be used: the one before goes on");
                }
            }
        }
    }
}

fn changed(files: &Certificate) -> Option<(SystemTime, SystemTime)> {
    let changed = |path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    Some((changed(&files.cert)?, changed(&files.key)?))
}

/// Returns what TLS is spoken with: its versions 1.2 and 1.3, with the certificate and nobody asked for one.
fn config(files: &Certificate) -> Result<Arc<ServerConfig>, Diagnostic> {
    let wrong = |what: &str, why: String| unusable(&files.span, format!("{what}: {why}."));
    let read = |path: &std::path::Path| std::fs::read(path).map_err(|why| wrong(&named(path), why.to_string()));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(&files.cert)?).collect();
    let chain = chain.map_err(|why| wrong(&named(&files.cert), why.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(&named(&files.cert), "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?);
    let key = key.map_err(|why| wrong(&named(&files.key), why.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder
        .map_err(|why| wrong("TLS", why.to_string()))?
        .with_no_client_auth();
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|why| wrong("The certificate and its key", why.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn named(path: &std::path::Path) -> String {
    format!("`{}`", path.display())
}

fn unusable(span: &Span, detail: String) -> Diagnostic {
    let diagnostic = Diagnostic::error("The certificate cannot be used", detail).at(span.clone());
    diagnostic.hint("both are files in the PEM format; the certificate first, then those of its issuers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_was_renewed_badly_is_told_once_and_the_one_before_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        let make = || {
            let made = rcgen::generate_simple_self_signed(vec!["lab".to_owned()]).unwrap();
            std::fs::write(&cert, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        };
        make();
        let file = crate::diagnostic::SourceFile {
            path: "fleet.hcl".into(),
            text: String::new(),
        };
        let span = Span {
            file: Arc::new(file),
            range: 0..0,
        };
        let (cert, key) = (cert.clone(), key.clone());
        let mut tls = Tls::read(Certificate {
            cert: cert.clone(),
            key,
            span,
        })
        .unwrap();
        let first = Arc::clone(&tls.config);
        std::fs::write(&cert, "half of").unwrap();
        for _ in 0..2 {
            tls.renew(None);
            assert!(Arc::ptr_eq(&tls.config, &first) && tls.is_unusable);
        }
        make();
        tls.renew(None);
        assert!(!Arc::ptr_eq(&tls.config, &first) && !tls.is_unusable);
    }

    #[test]
    fn behind_a_proxy_every_path_has_its_beginning() {
        let inside = |path: &str, base: &str| inside(&path.parse().unwrap(), base);
        let is = |path: &str| Inside::As(path.parse().unwrap());
        assert_eq!(inside("/v1/pools?a=b", ""), is("/v1/pools?a=b"));
        assert_eq!(inside("/fleet/v1/pools?a=b", "/fleet"), is("/v1/pools?a=b"));
        assert_eq!(inside("/fleet/", "/fleet"), is("/"));
        assert_eq!(inside("/fleet", "/fleet"), Inside::Slash);
        assert_eq!(inside("/fleets/v1", "/fleet"), Inside::Outside);
        assert_eq!(inside("/v1/pools", "/fleet"), Inside::Outside);
    }
}
