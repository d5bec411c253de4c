//! How many connections one client has at once, so that none can take all that there are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rates::group;

/// How many connections one client has at the most.
pub(super) const MOST: usize = 256;

/// How many connections each client has.
#[derive(Debug, Clone, Default)]
pub(super) struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of a client; it has one less when this is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    peers: Peers,
    client: IpAddr,
}

impl Peers {
    /// Counts a connection; `None` where its client has as many as it may.
    pub(super) fn enter(&self, client: IpAddr) -> Option<Connection> {
        let client = group(client);
        let mut all = self.all();
        let count = all.entry(client).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        let peers = self.clone();
        Some(Connection { peers, client })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut all = self.peers.all();
        if let Some(count) = all.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_does_not_take_all_connections() {
        let peers = Peers::default();
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let mut all: Vec<Connection> = (0..MOST).map(|_| peers.enter(one).expect("one more")).collect();
        assert!(peers.enter(one).is_none());
        assert!(peers.enter(other).is_some());
        all.pop();
        assert!(peers.enter(one).is_some(), "one has ended");
        drop(all);
        assert!(peers.all().is_empty(), "nothing is left of those who are gone");
    }
}
