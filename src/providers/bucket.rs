//! A token bucket, as the time at which each call may go. Pure; times are since the bucket was made.

use std::time::Duration;

use simfleet_provider_api::Rate;

/// Spaces calls out. In the form of the "generic cell rate algorithm": instead of tokens it keeps the time at which a
/// bucket without bursts would let the next call go.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bucket {
    /// Between two calls; zero without a rate.
    interval: Duration,
    /// How far calls may be ahead of their time.
    ahead: Duration,
    /// When the next call would go that is not ahead.
    next: Duration,
    /// Until when the far side wants to hear nothing.
    closed_until: Duration,
}

impl Bucket {
    /// Returns a full bucket.
    pub(super) fn new(rate: Option<Rate>) -> Self {
        let interval = rate.map_or(Duration::ZERO, |rate| {
            Duration::try_from_secs_f64(rate.per_second.recip()).unwrap_or(Duration::MAX)
        });
        let burst = rate.map_or(1, |rate| rate.burst.max(1));
        Bucket {
            interval,
            ahead: interval.saturating_mul(burst - 1),
            next: Duration::ZERO,
            closed_until: Duration::ZERO,
        }
    }

    /// Takes a token; returns when the call may go. Who takes first goes first.
    pub(super) fn take(&mut self, now: Duration) -> Duration {
        let time = self.next.max(now);
        self.next = time.saturating_add(self.interval);
        now.max(time.saturating_sub(self.ahead)).max(self.closed_until)
    }

    /// Lets nothing go before a time. Calls come one by one after it: a burst is what the far side had too much of.
    pub(super) fn close(&mut self, until: Duration) {
        if until > self.closed_until {
            self.closed_until = until;
            self.next = self.next.max(until.saturating_add(self.ahead));
        }
    }

    /// Whether the far side wants to hear nothing.
    pub(super) fn is_closed(&self, now: Duration) -> bool {
        now < self.closed_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn bucket(per_second: f64, burst: u32) -> Bucket {
        Bucket::new(Some(Rate { per_second, burst }))
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_by_the_rate() {
        let mut bucket = bucket(10.0, 3);
        let times: Vec<Duration> = (0..6).map(|_| bucket.take(ms(0))).collect();
        assert_eq!(times, [ms(0), ms(0), ms(0), ms(100), ms(200), ms(300)]);
        assert_eq!(bucket.take(ms(350)), ms(400), "nothing was saved up");
        assert_eq!(bucket.take(ms(5_000)), ms(5_000));
        assert_eq!(bucket.take(ms(5_000)), ms(5_000), "a pause fills it again");
    }

    #[test]
    fn a_bucket_never_lets_more_go_than_its_rate_and_one_burst() {
        for (per_second, burst) in [(1.0, 1), (7.0, 4), (250.0, 20)] {
            let mut bucket = bucket(per_second, burst);
            // Calls that come in lumps.
            let went: Vec<Duration> = (0..500u64).map(|call| bucket.take(ms(call / 25 * 40))).collect();
            for (from, start) in went.iter().enumerate() {
                for (to, end) in went.iter().enumerate().skip(from) {
                    let allowed = (*end - *start).as_secs_f64() * per_second + f64::from(burst) + 1e-6;
                    assert!((to - from) as f64 <= allowed, "{per_second} a second, {from}..{to}");
                }
            }
            assert!(went.is_sorted(), "who asks first goes first");
        }
    }

    #[test]
    fn a_far_side_that_wants_a_pause_has_it_and_no_burst_after_it() {
        let mut bucket = bucket(10.0, 3);
        bucket.take(ms(0));
        bucket.close(ms(2_000));
        assert!(bucket.is_closed(ms(1_999)) && !bucket.is_closed(ms(2_000)));
        let times = [bucket.take(ms(10)), bucket.take(ms(10)), bucket.take(ms(10))];
        assert_eq!(times, [ms(2_000), ms(2_100), ms(2_200)]);
        bucket.close(ms(1_000));
        assert!(bucket.is_closed(ms(1_500)), "a shorter pause does not end a longer one");
    }

    #[test]
    fn without_a_rate_only_a_pause_holds_calls() {
        let mut bucket = Bucket::new(None);
        assert_eq!([bucket.take(ms(5)), bucket.take(ms(5))], [ms(5), ms(5)]);
        bucket.close(ms(70));
        assert_eq!([bucket.take(ms(6)), bucket.take(ms(71))], [ms(70), ms(71)]);
    }
}
