//! Where an agent is reached: at an address of its own, or by a login on its machine.
//!
//! An agent on another machine listens to that machine only. Whoever can log in there as the user of the agent runs
//! `simfleet agent dial`, which says the token on a first line and from then on passes on what is sent: so no port of the
//! machine is open to others, and no secret has to be brought there or kept here.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use simfleet_provider_api::ssh::Ssh;
use tokio::io::{self, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader, ReadBuf, join};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::durable;
use crate::layout::{AgentRecord, DataFolder};

/// What the line with the token begins with.
const GREETING: &str = "simfleet-agent ";
/// How much a login may say before that, in bytes: some shells greet everybody.
const MOST_BEFORE: u64 = 64 << 10;
/// The scheme of an agent at the end of a login.
const OVER_SSH: &str = "agent+ssh://";

/// Where an agent is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// At an address.
    At {
        host: String,
        port: u16,
        /// The file that holds the bearer token, where one is needed.
        token_file: Option<PathBuf>,
    },
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
    /// A login, which ends with this.
    Login(
        io::Join<BufReader<ChildStdout>, ChildStdin>,
        #[expect(dead_code, reason = "it is kept")] Box<Child>,
    ),
}

impl Endpoint {
    /// Reads `agent+http://HOST:PORT` or `agent+ssh://USER@HOST`; `None` of anything else.
    pub(crate) fn parse(runtime: &str, token_file: Option<PathBuf>) -> Option<Self> {
        if let Some(login) = runtime.strip_prefix(OVER_SSH) {
            return Ssh::parse(login).map(Endpoint::Over);
        }
        let uri: hyper::Uri = runtime.strip_prefix("agent+")?.parse().ok()?;
        if uri.scheme_str() != Some("http") || uri.path() != "/" || uri.query().is_some() {
            return None;
        }
        match Self::of_uri(&uri)? {
            Endpoint::At { host, port, .. } => Some(Endpoint::At {
                host,
                port,
                token_file: Some(token_file?),
            }),
            over => Some(over),
        }
    }

    /// Returns where a URL leads to; `None` where it names no host.
    pub(crate) fn of_uri(uri: &hyper::Uri) -> Option<Self> {
        Some(Endpoint::At {
            host: uri.host()?.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(80),
            token_file: None,
        })
    }

    /// Connects. Nothing that was sent has reached the agent where this fails.
    pub(crate) async fn connect(&self) -> io::Result<Connected> {
        match self {
            Endpoint::At { host, port, .. } => Ok(Connected {
                stream: Stream::Tcp(TcpStream::connect((host.as_str(), *port)).await?),
                token: None,
            }),
            Endpoint::Over(ssh) => log_in(ssh).await,
        }
    }
}

impl Endpoint {
    /// Returns what [`Endpoint::parse`] reads.
    pub(crate) fn runtime(&self) -> String {
        match self {
            Endpoint::At { .. } => format!("agent+http://{self}"),
            Endpoint::Over(ssh) => {
                let port = ssh.port.map_or_else(String::new, |port| format!(":{port}"));
                format!("{OVER_SSH}{}{port}", ssh.destination)
            }
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
            Endpoint::At { host, port, .. } => write!(f, "{host}:{port}"),
            Endpoint::Over(ssh) => write!(f, "the agent of {}", ssh.destination),
        }
    }
}

/// Logs in, and waits for the agent there to be reached.
async fn log_in(ssh: &Ssh) -> io::Result<Connected> {
    let mut child = ssh
        .command(["simfleet", "agent", "dial"])
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("`ssh` cannot be run: {error}")))?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("`ssh` has no input and output"));
    };
    let mut output = BufReader::new(output);
    let mut line = String::new();
    let mut said = 0;
    while said < MOST_BEFORE {
        line.clear();
        let read = (&mut output).take(MOST_BEFORE).read_line(&mut line).await?;
        if read == 0 {
            break;
        }
        if let Some(token) = line.strip_prefix(GREETING) {
            return Ok(Connected {
                token: Some(token.trim().to_owned()),
                stream: Stream::Login(join(output, input), Box::new(child)),
            });
        }
        said += u64::try_from(read).unwrap_or(u64::MAX);
    }
    Err(why(child).await)
}

/// Returns why a login did not lead to an agent, in the words of `ssh` or of the machine.
async fn why(mut child: Child) -> io::Error {
    let mut said = String::new();
    if let Some(errors) = child.stderr.as_mut() {
        // What it said is wanted, whole or in part.
        let _ = errors.take(4096).read_to_string(&mut said).await;
    }
    let last = said.trim().lines().next_back().unwrap_or_default();
    let message = match last {
        "" => "nothing there says that it is an agent".to_owned(),
        last if last.contains("not found") => format!("no simfleet is installed there, or not yet: {last}"),
        last => last.to_owned(),
    };
    io::Error::other(message)
}

/// Connects standard input and output to the agent with this data folder: the far end of a login. Returns when the agent has
/// ended the connection, which it does soon after nothing more comes in.
///
/// # Errors
/// No agent has the folder, or it does not answer, or nobody is there any more to pass its answers to.
pub fn dial(data: &DataFolder) -> io::Result<()> {
    let nobody = |error: io::Error| {
        let message = format!("no agent is there by `{}`: {error}", data.path().display());
        io::Error::new(error.kind(), message)
    };
    let token = std::fs::read_to_string(data.token()).map_err(nobody)?;
    let record: Option<AgentRecord> = durable::read_json(&data.agent()).map_err(nobody)?;
    let listens = record.and_then(|record| record.listens);
    let listens = listens.ok_or_else(|| nobody(io::Error::other("it has not begun to listen")))?;
    let mut agent = std::net::TcpStream::connect(listens).map_err(nobody)?;
    let mut sent = agent.try_clone()?;
    let mut output = std::io::stdout();
    output.write_all(format!("{GREETING}{}\n", token.trim()).as_bytes())?;
    output.flush()?;
    // It ends with the process at the latest.
    std::thread::spawn(move || {
        // What cannot be sent is told by the answer that does not come.
        let _ = std::io::copy(&mut std::io::stdin(), &mut sent);
        let _ = sent.shutdown(Shutdown::Write);
    });
    let mut bytes = vec![0; 64 << 10];
    loop {
        match agent.read(&mut bytes)? {
            0 => return Ok(()),
            length => {
                output.write_all(bytes.get(..length).unwrap_or_default())?;
                output.flush()?;
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Login(stream, _) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Login(stream, _) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Login(stream, _) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Login(stream, _) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_at_an_address_or_over_a_login() {
        let at = |host: &str, port| {
            Some(Endpoint::At {
                host: host.to_owned(),
                port,
                token_file: Some("t".into()),
            })
        };
        let parse = |runtime| Endpoint::parse(runtime, Some("t".into()));
        assert_eq!(parse("agent+http://127.1.2.3:8443"), at("127.1.2.3", 8443));
        assert_eq!(parse("agent+http://[::1]:8443/"), at("::1", 8443));
        assert_eq!(Endpoint::parse("agent+http://127.1.2.3:8443", None), None, "no token");
        let login = Endpoint::parse("agent+ssh://ann@192.0.2.7:2222", None).expect("a login");
        assert_eq!(login.to_string(), "the agent of ann@192.0.2.7");
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
            assert_eq!(parse(runtime), None, "{runtime:?}");
        }
    }
}
