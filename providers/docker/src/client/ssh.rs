//! Engines at `ssh://`: as the docker client does it, each connection is `docker system dial-stdio` over there, reached by the
//! `ssh` of this machine with its configuration, its agent and its known hosts.

use std::io::{Error, ErrorKind};
use std::process::Stdio;

use bollard::BollardRequest;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, join};
use tokio::process::{Child, Command};

use crate::endpoint::Ssh;

/// What `ssh` says where it did not get as far as to run anything over there.
const NEVER_THERE: [&str; 7] = [
    "Permission denied",
    "Host key verification failed",
    "Could not resolve",
    "Connection refused",
    "Connection timed out",
    "No route to host",
    "Identity file",
];

/// Sends one request over a connection of its own.
pub(super) async fn send(ssh: Ssh, mut request: BollardRequest) -> Result<Response<Incoming>, bollard::errors::Error> {
    let mut child = command(&ssh).spawn().map_err(|error| {
        let message = format!("`ssh` cannot be run: {error}");
        Error::new(ErrorKind::HostUnreachable, message)
    })?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::other("`ssh` has no input and output").into());
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let path = path.parse().map_err(|error| Error::other(format!("{error}")))?;
    *request.uri_mut() = path;
    let host = hyper::header::HeaderValue::from_static("docker");
    request.headers_mut().insert(hyper::header::HOST, host);
    let (mut sender, connection) = http1::handshake(TokioIo::new(join(output, input))).await?;
    // The answer is read from the connection as long as it takes, and `ssh` ends with it.
    let connected = tokio::spawn(async move {
        let ended = connection.await;
        (ended, child)
    });
    match sender.send_request(request).await {
        Ok(response) => Ok(response),
        Err(error) => match connected.await {
            Ok((_, child)) => Err(why(child, &error).await.into()),
            Err(_) => Err(error.into()),
        },
    }
}

fn command(ssh: &Ssh) -> Command {
    let mut command = Command::new("ssh");
    // Nobody is asked for a password in the middle of an apply.
    command.args(["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"]);
    if let Some(port) = ssh.port {
        command.arg("-p").arg(port.to_string());
    }
    if let Some(key) = &ssh.key {
        command.arg("-i").arg(key).args(["-o", "IdentitiesOnly=yes"]);
    }
    if let Some(hosts) = &ssh.known_hosts {
        let hosts = format!("UserKnownHostsFile=\"{}\"", hosts.display());
        command.args(["-o", &hosts, "-o", "StrictHostKeyChecking=yes"]);
    }
    command.arg("--").arg(&ssh.destination);
    command.args(["docker", "system", "dial-stdio"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}

/// Returns why a connection ended without an answer, in the words of `ssh` or of the docker client over there.
async fn why(mut child: Child, error: &hyper::Error) -> Error {
    let mut said = String::new();
    if let Some(errors) = child.stderr.as_mut() {
        // What it said is wanted, whole or in part.
        let _ = errors.take(4096).read_to_string(&mut said).await;
    }
    let said = said.trim();
    let message = match said.lines().next_back() {
        Some(last) => last.to_owned(),
        None => error.to_string(),
    };
    let kind = match NEVER_THERE.iter().any(|words| said.contains(words)) || said.contains("command not found") {
        true => ErrorKind::HostUnreachable,
        false => ErrorKind::BrokenPipe,
    };
    Error::new(kind, message)
}
