//! How much one client may ask: a bucket for each, of which memory has only as many as it can hold.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Of how many clients something is known at the most. Those beyond share one bucket.
const MOST: usize = 10_000;

const MINUTE: Duration = Duration::from_secs(60);

/// Buckets that hold a minute's worth, and fill up evenly.
#[derive(Debug)]
pub(super) struct Buckets {
    /// How long one takes to fill up again.
    interval: Duration,
    /// When each bucket is full again.
    full: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    clients: HashMap<IpAddr, Instant>,
    others: Option<Instant>,
}

impl Buckets {
    /// Makes them for so many a minute, at least one.
    pub(super) fn new(per_minute: u64) -> Self {
        let per_minute = u32::try_from(per_minute.max(1)).unwrap_or(u32::MAX);
        Buckets {
            interval: (MINUTE / per_minute).max(Duration::from_nanos(1)),
            full: Mutex::default(),
        }
    }

    /// Takes one out of the bucket of a client where `is_taken` says so; it is asked only where there is one.
    ///
    /// # Errors
    /// There is none; one is there after so long.
    pub(super) fn take_if<T>(
        &self,
        client: IpAddr,
        now: Instant,
        is_taken: impl FnOnce() -> (bool, T),
    ) -> Result<T, Duration> {
        let mut table = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let client = group(client);
        if table.clients.len() >= MOST && !table.clients.contains_key(&client) {
            table.clients.retain(|_, full| *full > now);
        }
        let is_full = table.clients.len() >= MOST && !table.clients.contains_key(&client);
        let known = match is_full {
            true => table.others,
            false => table.clients.get(&client).copied(),
        };
        let full = known.unwrap_or(now).max(now) + self.interval;
        if let Some(wait) = full.checked_duration_since(now + MINUTE).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        let (is_taken, result) = is_taken();
        if is_taken {
            match is_full {
                true => table.others = Some(full),
                false => drop(table.clients.insert(client, full)),
            }
        }
        Ok(result)
    }

    /// Takes one out of the bucket of a client.
    ///
    /// # Errors
    /// There is none; one is there after so long.
    pub(super) fn take(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        self.take_if(client, now, || (true, ()))
    }
}

/// Returns what counts as one client: whoever has an address of IPv6 has 2^64 of them.
pub(super) fn group(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << 64);
            IpAddr::V6(network.into())
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_so_many_a_minute_whatever_others_ask() {
        let buckets = Buckets::new(3);
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(buckets.take(at(1), now), Ok(()));
        }
        assert_eq!(buckets.take(at(1), now), Err(Duration::from_secs(20)));
        assert_eq!(buckets.take(at(2), now), Ok(()));
        let later = now + Duration::from_secs(20);
        assert_eq!(buckets.take(at(1), later), Ok(()));
        assert!(buckets.take(at(1), later).is_err());
        let full = now + Duration::from_secs(200);
        for _ in 0..3 {
            assert_eq!(buckets.take(at(1), full), Ok(()));
        }
        assert!(buckets.take(at(1), full).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_is_left_and_one_network_of_ipv6_is_one_client() {
        let buckets = Buckets::new(1);
        let now = Instant::now();
        assert_eq!(buckets.take_if(at(1), now, || (false, "in")), Ok("in"));
        assert_eq!(buckets.take_if(at(1), now, || (true, "out")), Ok("out"));
        assert!(buckets.take_if(at(1), now, || (false, "in")).is_err());
        let [one, same, other] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
        assert!(buckets.take(one, now).is_ok() && buckets.take(other, now).is_ok());
        assert!(buckets.take(same, now).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_those_beyond_share_a_bucket() {
        let buckets = Buckets::new(2);
        let now = Instant::now();
        let most = u32::try_from(MOST).unwrap();
        for number in 0..most {
            assert!(buckets.take(at(number), now).is_ok());
        }
        assert!(buckets.take(at(most), now).is_ok() && buckets.take(at(most + 1), now).is_ok());
        assert!(buckets.take(at(most + 2), now).is_err());
        assert!(buckets.take(at(7), now).is_ok(), "one that is known has its own");
        assert_eq!(buckets.full.lock().unwrap().clients.len(), MOST);
        // Those that are full again make room.
        let later = now + MINUTE;
        assert!(buckets.take(at(most + 2), later).is_ok());
        assert_eq!(buckets.full.lock().unwrap().clients.len(), 1);
    }
}
