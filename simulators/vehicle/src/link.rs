//! The UDP socket, and the loop that runs a vehicle behind it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mavlink::MessageData as _;
use mavlink::dialects::common::HEARTBEAT_DATA;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use crate::error::VehicleError;
use crate::frame::Frames;
use crate::options::{Model, Options};
use crate::peers::Peers;
use crate::protocol::{Outbox, Protocol};

/// Longer than any datagram a ground station sends; the rest of a longer one
/// is cut off and arrives as a damaged frame.
const RECEIVE_BUFFER: usize = 4096;

/// Runs a vehicle until `stop` completes.
///
/// `ready` is called once, with the address the vehicle listens on, as soon as
/// ground stations can connect. Dropping the future stops the vehicle as well.
///
/// # Errors
///
/// [`VehicleError`] if the options are invalid, the address cannot be bound,
/// or the socket fails.
pub async fn serve(
    options: Options,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), VehicleError> {
    options.validate()?;
    let Model::Quad = options.model;
    let bind_error = |source| VehicleError::Bind {
        address: options.bind,
        source,
    };
    let socket = UdpSocket::bind(options.bind).await.map_err(bind_error)?;
    let address = socket.local_addr().map_err(bind_error)?;
    let mut link = Link {
        protocol: Protocol::new(options.system_id, options.home, unix_time()),
        peers: Peers::default(),
    };
    tracing::info!(system_id = options.system_id, %address, "vehicle listens");
    ready(address);

    let start = Instant::now();
    let mut stop = pin!(stop);
    let mut buffer = [0; RECEIVE_BUFFER];
    loop {
        // At rest and alone, the vehicle has no timer at all.
        let next_due = link.next_due().map(|due| start + due);
        let received = tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            received = socket.recv_from(&mut buffer) => Some(received),
            () = sleep_until(next_due.unwrap_or(start)), if next_due.is_some() => None,
        };
        let now = start.elapsed();
        match received {
            Some(Ok((length, from))) => link.receive(&buffer[..length], from, now),
            Some(Err(error)) if is_about_a_peer(&error) => {}
            Some(Err(source)) => return Err(VehicleError::Receive { address, source }),
            None => {}
        }
        // After every datagram too: a flood of them must not stop the clock.
        link.tick(now);
        for (to, datagram) in link.take_datagrams() {
            if let Err(error) = socket.send_to(&datagram, to).await {
                // Telemetry is lossy by nature; a peer that is gone expires.
                tracing::debug!(peer = %to, %error, "cannot send");
            }
        }
    }
}

/// Windows reports a datagram that could not be delivered on the next receive.
fn is_about_a_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Time since 1970; 0 on a machine whose clock is before that.
fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Protocol and peers, without the socket between them and the world.
#[derive(Debug)]
struct Link {
    protocol: Protocol,
    peers: Peers,
}

impl Link {
    /// Handles a datagram that came `now`, counted from start.
    fn receive(&mut self, datagram: &[u8], from: SocketAddr, now: Duration) {
        // A command must meet the vehicle as it is now.
        self.protocol.advance(now);
        let system_id = self.protocol.system_id();
        let mut outbox = Outbox::default();
        let mut frames = Frames::of(datagram);
        for frame in &mut frames {
            if frame.system_id == system_id && frame.component_id == crate::protocol::COMPONENT_ID {
                // Our own frame, come back through a loop of routers. To
                // answer it would keep it going round.
                continue;
            }
            let (peer, is_new) = self.peers.heard(from, now);
            if is_new {
                tracing::debug!(peer = %from, "new peer");
                // At once and first: it is what a health probe waits for.
                if let Some(heartbeat) = self.protocol.telemetry(HEARTBEAT_DATA::ID) {
                    peer.enqueue(system_id, &heartbeat);
                }
            }
            self.protocol.receive(&frame, &mut peer.streams, &mut outbox);
            for payload in outbox.replies.drain(..) {
                peer.enqueue(system_id, &payload);
            }
        }
        self.protocol.count_damaged(frames.damaged());
        self.broadcast(&mut outbox);
    }

    /// Does what is due at `now`.
    fn tick(&mut self, now: Duration) {
        self.protocol.advance(now);
        self.peers.expire(now);
        let mut outbox = Outbox::default();
        self.protocol.report_events(&mut outbox);
        self.broadcast(&mut outbox);
        let system_id = self.protocol.system_id();
        for peer in self.peers.iter_mut() {
            let due: Vec<u32> = peer.streams.take_due(now).collect();
            for payload in due.into_iter().filter_map(|id| self.protocol.telemetry(id)) {
                peer.enqueue(system_id, &payload);
            }
        }
    }

    fn broadcast(&mut self, outbox: &mut Outbox) {
        for payload in outbox.broadcasts.drain(..) {
            for peer in self.peers.iter_mut() {
                peer.enqueue(self.protocol.system_id(), &payload);
            }
        }
    }

    /// When [`Self::tick`] has something to do; none while nothing moves and
    /// nobody listens.
    fn next_due(&self) -> Option<Duration> {
        let motion = self.protocol.next_motion();
        motion.into_iter().chain(self.peers.next_due()).min()
    }

    fn take_datagrams(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let of_peer = |peer: &mut crate::peers::Peer| {
            let address = peer.address;
            let datagrams = peer.take_datagrams();
            datagrams.into_iter().map(move |datagram| (address, datagram))
        };
        self.peers.iter_mut().flat_map(of_peer).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
