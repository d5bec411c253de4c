//! Where a node of this machine listens: a loopback address of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use sha2::{Digest, Sha256};

/// The port of every agent that has an address of its own.
pub(crate) const AGENT_PORT: u16 = 8443;

/// How many addresses are tried before the shared one is taken.
const CANDIDATES: u8 = 32;

/// Returns a free address for a node: derived from fleet and name, so that a node that is made again tends to get its
/// old one; the next one where it is taken. Where the system has only 127.0.0.1, or none is free: that and a free port.
pub(crate) fn choose(lineage: &str, name: &str) -> io::Result<SocketAddr> {
    for number in 0..CANDIDATES {
        let address = SocketAddr::from((candidate(lineage, name, number), AGENT_PORT));
        match TcpListener::bind(address) {
            Ok(_) => return Ok(address),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(_) => break,
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Returns one of the addresses of a node. Never in 127.0.0.0/16, where systems put services of their own.
fn candidate(lineage: &str, name: &str, number: u8) -> Ipv4Addr {
    let digest = Sha256::new()
        .chain_update((lineage.len() as u64).to_be_bytes())
        .chain_update(lineage)
        .chain_update(name)
        .chain_update([number])
        .finalize();
    Ipv4Addr::new(127, 1 + digest[0] % 254, digest[1], 1 + digest[2] % 254)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_the_same_addresses_every_time_and_others_have_others() {
        let own = candidate("l", "a", 0);
        assert_eq!(own, candidate("l", "a", 0));
        for (name, other) in [
            ("another name", candidate("l", "b", 0)),
            ("another fleet", candidate("m", "a", 0)),
            ("the next", candidate("l", "a", 1)),
            ("shifted", candidate("la", "", 0)),
        ] {
            assert_ne!(own, other, "{name}");
        }
        for number in 0..=255 {
            let [first, second, _, last] = candidate("l", "a", number).octets();
            assert_eq!(first, 127);
            assert!(second != 0 && last != 0 && last != 255);
        }
    }

    #[test]
    fn a_taken_address_is_passed_over() {
        let first = choose("a test of its own", "node").expect("is free");
        assert!(first.ip().is_loopback());
        let _taken = TcpListener::bind(first).expect("was free");
        let second = choose("a test of its own", "node").expect("is free");
        assert_ne!(first, second);
        TcpListener::bind(second).expect("is free");
    }
}
