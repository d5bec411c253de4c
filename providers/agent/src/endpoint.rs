//! Where an agent is reached: at an address of its own, or by a [`login`](crate::login) on its machine.

use std::pin::Pin;
use std::task::{Context, Poll};

use simfleet_provider_api::ssh::Ssh;
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::login::{Login, log_in};

/// The scheme of an agent at the end of a login.
const OVER_SSH: &str = "agent+ssh://";

/// Where an agent is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// At an address.
    At { host: String, port: u16 },
    /// Over a login on its machine, which knows the token.
    Over(Ssh),
}

/// A connection to an agent.
pub(crate) struct Connected {
    pub stream: Stream,
    /// The bearer token, where the other side has said it.
    pub token: Option<String>,
}

/// What is sent and received over a connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Login(Box<Login>),
}

impl Endpoint {
    /// Reads `agent+http://HOST:PORT` or `agent+ssh://USER@HOST`; `None` of anything else.
    pub(crate) fn parse(runtime: &str) -> Option<Self> {
        if let Some(login) = runtime.strip_prefix(OVER_SSH) {
            return Ssh::parse(login).map(Endpoint::Over);
        }
        let uri: hyper::Uri = runtime.strip_prefix("agent+")?.parse().ok()?;
        let is_agent = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        Self::of_uri(&uri).filter(|_| is_agent)
    }

    /// Returns where a URL leads to; `None` where it names no host.
    pub(crate) fn of_uri(uri: &hyper::Uri) -> Option<Self> {
        Some(Endpoint::At {
            host: uri.host()?.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(80),
        })
    }

    /// Connects. Nothing that was sent has reached the agent where this fails.
    pub(crate) async fn connect(&self) -> io::Result<Connected> {
        match self {
            Endpoint::At { host, port } => Ok(Connected {
                stream: Stream::Tcp(TcpStream::connect((host.as_str(), *port)).await?),
                token: None,
            }),
            Endpoint::Over(ssh) => {
                let (token, login) = log_in(ssh).await?;
                Ok(Connected {
                    stream: Stream::Login(Box::new(login)),
                    token: Some(token),
                })
            }
        }
    }

    /// Returns what [`Endpoint::parse`] reads.
    pub(crate) fn runtime(&self) -> String {
        match self {
            Endpoint::At { .. } => format!("agent+http://{self}"),
            Endpoint::Over(ssh) => format!("{OVER_SSH}{ssh}"),
        }
    }

    /// Returns what a request says that it goes to.
    pub(crate) fn host(&self) -> String {
        match self {
            Endpoint::At { .. } => self.to_string(),
            Endpoint::Over(_) => "agent".to_owned(),
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::At { host, port } => write!(f, "{host}:{port}"),
            Endpoint::Over(ssh) => write!(f, "the agent of {}", ssh.destination),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Login(login) => Pin::new(&mut login.stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Login(login) => Pin::new(&mut login.stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Login(login) => Pin::new(&mut login.stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Login(login) => Pin::new(&mut login.stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_at_an_address_or_over_a_login() {
        let at = |host: &str, port| {
            let host = host.to_owned();
            Some(Endpoint::At { host, port })
        };
        assert_eq!(Endpoint::parse("agent+http://127.1.2.3:8443"), at("127.1.2.3", 8443));
        assert_eq!(Endpoint::parse("agent+http://[::1]:8443/"), at("::1", 8443));
        let runtime = "agent+ssh://ann@192.0.2.7:2222";
        let login = Endpoint::parse(runtime).expect("a login");
        assert_eq!(
            (&*login.to_string(), &*login.runtime()),
            ("the agent of ann@192.0.2.7", runtime)
        );
        for runtime in [
            "",
            "http://127.0.0.1:1",
            "agent+https://127.0.0.1:1",
            "agent+http://",
            "agent+http://h:1/path",
            "agent+ssh://",
            "agent+ssh://-oProxyCommand=x",
            "unix:///x",
        ] {
            assert_eq!(Endpoint::parse(runtime), None, "{runtime:?}");
        }
    }
}
