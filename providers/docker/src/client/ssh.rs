//! Engines at `ssh://`: as the docker client does it, each connection is `docker system dial-stdio` over there, reached by the
//! `ssh` of this machine with its configuration, its agent and its known hosts.

use std::io::{Error, ErrorKind};

use bollard::BollardRequest;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use simfleet_provider_api::ssh::Ssh;
use tokio::io::{AsyncReadExt, join};
use tokio::process::Child;

/// Sends one request over a connection of its own.
pub(super) async fn send(ssh: Ssh, mut request: BollardRequest) -> Result<Response<Incoming>, bollard::errors::Error> {
    let mut child = ssh
        .command(["docker", "system", "dial-stdio"])
        .spawn()
        .map_err(|error| {
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
    let kind = match Ssh::was_never_there(said) || said.contains("command not found") {
        true => ErrorKind::HostUnreachable,
        false => ErrorKind::BrokenPipe,
    };
    Error::new(kind, message)
}
