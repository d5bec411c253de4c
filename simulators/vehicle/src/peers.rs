//! The ground stations that talk to the vehicle.

use std::net::SocketAddr;
use std::time::Duration;

use crate::frame::Payload;
use crate::protocol::COMPONENT_ID;
use crate::streams::Streams;

/// Most peers at a time.
const MAX_PEERS: usize = 16;
/// Silence after which a peer is gone. Ground stations send a HEARTBEAT every
/// second; this forgives nine lost ones.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest datagram: frames that leave together share one, below the MTU of
/// common networks.
const MAX_DATAGRAM: usize = 1400;

/// A ground station, by its address.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) streams: Streams,
    last_heard: Duration,
    /// Every link counts its own frames: a gap means loss on that link.
    sequence: u8,
    outgoing: Vec<Vec<u8>>,
}

impl Peer {
    fn new(address: SocketAddr, now: Duration) -> Self {
        Self {
            address,
            streams: Streams::new(now),
            last_heard: now,
            sequence: 0,
            outgoing: Vec::new(),
        }
    }

    /// Queues a message.
    pub(crate) fn enqueue(&mut self, system_id: u8, payload: &Payload) {
        let fits = |datagram: &&mut Vec<u8>| datagram.len() + payload.frame_length() <= MAX_DATAGRAM;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        match self.outgoing.last_mut().filter(fits) {
            Some(datagram) => payload.write_frame(system_id, COMPONENT_ID, sequence, datagram),
            None => {
                let mut datagram = Vec::with_capacity(payload.frame_length());
                payload.write_frame(system_id, COMPONENT_ID, sequence, &mut datagram);
                self.outgoing.push(datagram);
            }
        }
    }

    /// Takes the queued datagrams.
    pub(crate) fn take_datagrams(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outgoing)
    }
}

/// The peers heard of lately.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    peers: Vec<Peer>,
}

impl Peers {
    /// Notes a sign of life; true if the peer is new.
    pub(crate) fn heard(&mut self, address: SocketAddr, now: Duration) -> (&mut Peer, bool) {
        if let Some(index) = self.peers.iter().position(|peer| peer.address == address) {
            let peer = &mut self.peers[index];
            peer.last_heard = now;
            return (peer, false);
        }
        if self.peers.len() >= MAX_PEERS {
            let silent = self.peers.iter().enumerate();
            if let Some((index, _)) = silent.min_by_key(|(_, peer)| peer.last_heard) {
                tracing::debug!(peer = %self.peers[index].address, "peer dropped for a new one");
                self.peers.remove(index);
            }
        }
        let peer = self.peers.push_mut(Peer::new(address, now));
        (peer, true)
    }

    /// Forgets silent peers.
    pub(crate) fn expire(&mut self, now: Duration) {
        self.peers.retain(|peer| {
            let alive = now.saturating_sub(peer.last_heard) < TIMEOUT;
            if !alive {
                tracing::debug!(peer = %peer.address, "peer gone");
            }
            alive
        });
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.peers.iter_mut()
    }

    /// When the next telemetry is due, or a peer to be forgotten.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let due = |peer: &Peer| {
            let expiry = peer.last_heard + TIMEOUT;
            peer.streams.next_due().map_or(expiry, |due| due.min(expiry))
        };
        self.peers.iter().map(due).min()
    }
}

#[cfg(test)]
mod tests {
    use mavlink::dialects::common::PARAM_VALUE_DATA;

    use super::*;
    use crate::frame::Frames;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn addresses(peers: &mut Peers) -> Vec<u16> {
        peers.iter_mut().map(|peer| peer.address.port()).collect()
    }

    #[test]
    fn silent_peers_are_forgotten() {
        let mut peers = Peers::default();
        assert!(peers.heard(address(1), Duration::ZERO).1);
        assert!(peers.heard(address(2), Duration::from_secs(5)).1);
        assert!(!peers.heard(address(2), Duration::from_secs(6)).1);
        peers.expire(Duration::from_secs(9));
        assert_eq!(addresses(&mut peers), [1, 2]);
        peers.expire(Duration::from_secs(10));
        assert_eq!(addresses(&mut peers), [2]);
        peers.expire(Duration::from_secs(16));
        assert!(addresses(&mut peers).is_empty());
        assert_eq!(peers.next_due(), None);
    }

    #[test]
    fn the_most_silent_peer_makes_room() {
        let mut peers = Peers::default();
        for port in 1..=16 {
            peers.heard(address(port), Duration::from_millis(port.into()));
        }
        peers.heard(address(1), Duration::from_millis(100));
        peers.heard(address(17), Duration::from_millis(101));
        let left = addresses(&mut peers);
        assert_eq!(left.len(), MAX_PEERS);
        assert!(left.contains(&1) && left.contains(&17) && !left.contains(&2));
    }

    #[test]
    fn frames_share_datagrams_and_count_up() {
        let mut peer = Peer::new(address(1), Duration::ZERO);
        let payload = Payload::of(&PARAM_VALUE_DATA {
            param_id: "SIXTEEN_CHARS_OK".into(),
            ..PARAM_VALUE_DATA::DEFAULT
        });
        for _ in 0..300 {
            peer.enqueue(7, &payload);
        }
        let datagrams = peer.take_datagrams();
        assert!(datagrams.iter().all(|datagram| datagram.len() <= MAX_DATAGRAM));
        let frames = datagrams.iter().map(|datagram| Frames::of(datagram).count());
        assert_eq!(frames.sum::<usize>(), 300);
        assert_eq!(peer.sequence, (300 % 256) as u8);
        assert!(peer.take_datagrams().is_empty());
    }
}
