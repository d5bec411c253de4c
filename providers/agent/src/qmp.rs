//! Speaks to QEMU's monitor: QMP, JSON in lines over a Unix socket.
//!
//! A connection is made for each conversation, as QEMU serves one client at a time: between two, a person can connect.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

/// How long QEMU may take to answer: it does so between two slices of emulation.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a conversation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QmpError {
    /// There is no connection, or it broke.
    #[error("its monitor cannot be reached: {0}")]
    Io(#[from] std::io::Error),
    /// It does not answer.
    #[error("its monitor does not answer `{command}` within {} s", TIMEOUT.as_secs())]
    Timeout { command: String },
    /// Others wait for an answer already.
    #[error("its monitor does not answer: it takes no more connections")]
    Busy,
    /// It closed the connection: it ends.
    #[error("it closed the connection to its monitor")]
    Closed,
    /// It refused a command.
    #[error("`{command}` failed: {reason}")]
    Refused { command: String, reason: String },
    /// An answer that is not of the protocol.
    #[error("its monitor said what makes no sense: {0}")]
    Answer(String),
}

fn timeout(command: &str) -> QmpError {
    QmpError::Timeout {
        command: command.to_owned(),
    }
}

/// A conversation with the monitor of one QEMU.
#[derive(Debug)]
pub(crate) struct Qmp {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    /// How many commands were sent: each has its number, so that an answer that came too late is not taken for another's.
    sent: u64,
    /// The version of QEMU: `7.2.22`.
    pub version: String,
}

impl Qmp {
    /// Connects to the socket of this name in a folder.
    pub async fn connect(folder: &Path, name: &str) -> Result<Self, QmpError> {
        let greet = async {
            let (reader, writer) = match connect(folder, name).await {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(QmpError::Busy),
                connected => connected?.into_split(),
            };
            let mut qmp = Qmp {
                lines: BufReader::new(reader).lines(),
                writer,
                sent: 0,
                version: String::new(),
            };
            let greeting = qmp.line().await?;
            let version = &greeting["QMP"]["version"]["qemu"];
            qmp.version = ["major", "minor", "micro"]
                .map(|part| version[part].to_string())
                .join(".");
            qmp.send("qmp_capabilities", Json::Null).await?;
            Ok(qmp)
        };
        let greeted = tokio::time::timeout(TIMEOUT, greet).await;
        greeted.unwrap_or_else(|_| Err(timeout("hello")))
    }

    /// Has it do something without further details.
    pub async fn tell(&mut self, command: &str) -> Result<Json, QmpError> {
        self.execute(command, Json::Null).await
    }

    /// Has it do something, and returns what it answers. Events, and answers to what was given up, are passed over.
    pub async fn execute(&mut self, command: &str, arguments: Json) -> Result<Json, QmpError> {
        let answered = tokio::time::timeout(TIMEOUT, self.send(command, arguments)).await;
        answered.unwrap_or_else(|_| Err(timeout(command)))
    }

    async fn send(&mut self, command: &str, arguments: Json) -> Result<Json, QmpError> {
        self.sent += 1;
        let id = self.sent;
        let mut request = json!({ "execute": command, "id": id });
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        self.writer.write_all(format!("{request}\n").as_bytes()).await?;
        loop {
            let mut answer = self.line().await?;
            if answer["id"].as_u64() != Some(id) {
                continue;
            }
            if let Some(result) = answer.get_mut("return") {
                return Ok(result.take());
            }
            if let Some(error) = answer.get("error") {
                return Err(QmpError::Refused {
                    command: command.to_owned(),
                    reason: error["desc"].as_str().unwrap_or("it does not say why").to_owned(),
                });
            }
        }
    }

    async fn line(&mut self) -> Result<Json, QmpError> {
        let line = self.lines.next_line().await?.ok_or(QmpError::Closed)?;
        serde_json::from_str(&line).map_err(|error| QmpError::Answer(error.to_string()))
    }
}

/// The longest path of a Unix socket (unix(7)), without the zero at its end.
const LONGEST: usize = 107;

/// Listens at a Unix socket of this name in a folder, as [`connect`] connects to one.
pub(crate) fn bind(folder: &Path, name: &str) -> std::io::Result<UnixListener> {
    let path = folder.join(name);
    crate::durable::remove_file(&path)?;
    if path.as_os_str().len() <= LONGEST {
        return UnixListener::bind(path);
    }
    let folder = File::open(folder)?;
    UnixListener::bind(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}

/// Connects to the Unix socket of this name in a folder, also where its path is too long for the address of a socket.
pub(crate) async fn connect(folder: &Path, name: &str) -> std::io::Result<UnixStream> {
    let path = folder.join(name);
    if path.as_os_str().len() <= LONGEST {
        return UnixStream::connect(path).await;
    }
    let folder = File::open(folder)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd())).await
}
