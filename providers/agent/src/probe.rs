//! Tries once whether a process answers.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use hyper::{Method, Uri};
use tokio::net::{TcpStream, UdpSocket};
use tokio::process::Command;
use tokio::time::Interval;

use crate::endpoint::Endpoint;
use crate::{mavlink, pace};

/// What is tried.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// Connects.
    Tcp(SocketAddr),
    /// Gets it, and expects a status below 400.
    Http(Uri),
    /// Sends heartbeats and waits for one.
    Mavlink(SocketAddr),
    /// The same, and measures how fast time passes for the vehicle.
    Pace {
        /// Where it is.
        vehicle: SocketAddr,
        /// How much simulated time must pass in a second.
        least: f64,
    },
    /// Runs it, and expects exit code 0.
    Command {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
        /// Its environment variables, beside those of this process.
        env: BTreeMap<String, String>,
        /// The folder that it runs in.
        folder: PathBuf,
    },
}

impl Probe {
    /// Gets a URL.
    ///
    /// # Errors
    /// It is none, or not one of `http://`.
    pub fn http(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url:?} is no URL: {error}"))?;
        match uri.scheme_str() {
            Some("http") if uri.host().is_some() => Ok(Probe::Http(uri)),
            _ => Err(format!("{url:?} is no URL of the form http://host:port/path")),
        }
    }

    /// Tries it. The error says in a few words what went wrong. Leaves nothing behind when dropped.
    pub async fn run(&self, timeout: Duration) -> Result<(), String> {
        tokio::time::timeout(timeout, self.attempt(timeout))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", timeout.as_secs_f64())))
    }

    async fn attempt(&self, timeout: Duration) -> Result<(), String> {
        match self {
            Probe::Tcp(address) => {
                let stream = TcpStream::connect(address)
                    .await
                    .map_err(|error| format!("cannot connect to {address}: {error}"))?;
                // On one machine a connection to a free port of the ephemeral range can meet itself.
                match (stream.local_addr(), stream.peer_addr()) {
                    (Ok(local), Ok(peer)) if local != peer => Ok(()),
                    _ => Err(format!("cannot connect to {address}: nobody listens")),
                }
            }
            Probe::Http(uri) => {
                let endpoint = Endpoint::of_uri(uri).ok_or_else(|| format!("{uri} names no host"))?;
                let path = uri.path_and_query().map_or("/", |path| path.as_str());
                let answer = crate::http::send(&endpoint, Method::GET, path, &[], None, timeout)
                    .await
                    .map_err(|error| error.to_string())?;
                if answer.status.as_u16() < 400 {
                    Ok(())
                } else {
                    Err(format!("{uri} answers {}", answer.status))
                }
            }
            Probe::Mavlink(address) => heartbeat(*address)
                .await
                .map_err(|error| format!("no heartbeat from {address}: {error}")),
            Probe::Pace { vehicle, least } => match pace::measured(*vehicle).await {
                Ok(factor) if factor >= *least => Ok(()),
                Ok(factor) => Err(format!(
                    "its real-time factor is {factor:.2}, less than real_time_factor_min = {least}"
                )),
                Err(error) => Err(format!("no messages from {vehicle}: {error}")),
            },
            Probe::Command {
                program,
                arguments,
                env,
                folder,
            } => {
                let status = Command::new(program)
                    .args(arguments)
                    .envs(env)
                    .current_dir(folder)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .kill_on_drop(true)
                    .status()
                    .await
                    .map_err(|error| format!("cannot run `{}`: {error}", program.display()))?;
                if status.success() {
                    Ok(())
                } else {
                    Err(format!("`{}` ended with {status}", program.display()))
                }
            }
        }
    }
}

/// Waits for a heartbeat.
async fn heartbeat(address: SocketAddr) -> std::io::Result<()> {
    let mut station = Station::of(address).await?;
    while !mavlink::has_heartbeat(station.receive().await?) {}
    Ok(())
}

/// A ground station that sends a heartbeat every 200 ms for as long as it listens: a datagram may be lost, or sent before the
/// port is open.
#[derive(Debug)]
pub(crate) struct Station {
    socket: UdpSocket,
    beat: Interval,
    sequence: u8,
    buffer: Box<[u8; 2048]>,
}

impl Station {
    /// Gets ready to speak with a vehicle.
    pub(crate) async fn of(vehicle: SocketAddr) -> std::io::Result<Self> {
        let any: SocketAddr = match vehicle {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(vehicle).await?;
        Ok(Station {
            socket,
            beat: tokio::time::interval(Duration::from_millis(200)),
            sequence: 0,
            buffer: Box::new([0; 2048]),
        })
    }

    /// Returns the next datagram of the vehicle.
    pub(crate) async fn receive(&mut self) -> std::io::Result<&[u8]> {
        loop {
            tokio::select! {
                received = self.socket.recv(&mut *self.buffer) => return Ok(&self.buffer[..received?]),
                _ = self.beat.tick() => {
                    self.socket.send(&mavlink::heartbeat(self.sequence)).await?;
                    self.sequence = self.sequence.wrapping_add(1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn a_vehicle_that_answers_is_healthy_and_one_that_is_silent_is_not() {
        let vehicle = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
        let address = vehicle.local_addr().expect("is bound");
        let error = Probe::Mavlink(address).run(SHORT).await.expect_err("is silent");
        assert!(error.contains("no answer within 0.3 s"), "{error}");

        let answering = tokio::spawn(async move {
            let mut buffer = [0u8; 100];
            loop {
                let (length, peer) = vehicle.recv_from(&mut buffer).await.expect("receives");
                assert!(mavlink::has_heartbeat(&buffer[..length]));
                vehicle.send_to(&mavlink::heartbeat(0), peer).await.expect("sends");
            }
        });
        Probe::Mavlink(address).run(SHORT * 10).await.expect("answers");
        answering.abort();
    }

    #[tokio::test]
    async fn a_tcp_port_is_healthy_while_it_listens() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("is bound");
        Probe::Tcp(address).run(SHORT * 10).await.expect("listens");
        drop(listener);
        // A process that another test is about to start holds all sockets for a moment.
        let closed = async {
            loop {
                match Probe::Tcp(address).run(SHORT).await {
                    Ok(()) => tokio::time::sleep(Duration::from_millis(5)).await,
                    Err(error) => return error,
                }
            }
        };
        let error = tokio::time::timeout(SHORT * 30, closed).await.expect("is closed");
        assert!(error.contains("cannot connect"), "{error}");
    }

    #[tokio::test]
    async fn a_command_is_healthy_by_its_exit_code() {
        let run = |code: &str| {
            let probe = Probe::Command {
                program: "sh".into(),
                arguments: vec!["-c".into(), "exit $CODE".into()],
                env: [("CODE".to_owned(), code.to_owned())].into(),
                folder: "/".into(),
            };
            async move { probe.run(SHORT * 10).await }
        };
        run("0").await.expect("exit code 0");
        let error = run("3").await.expect_err("exit code 3");
        assert!(error.contains("exit status: 3"), "{error}");
    }
}
