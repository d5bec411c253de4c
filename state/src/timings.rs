//! How long operations take, by what was recorded of earlier ones. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use simfleet_provider_api::Kind;

/// How many operations the present estimate is made of, by weight: older ones fade.
const WEIGHT: u64 = 4;

/// How long operations of each provider, kind and verb take: `local node create`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timings(BTreeMap<Arc<str>, Timing>);

/// How long one sort of operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Timing {
    /// How many have ended.
    count: u64,
    /// The mean in milliseconds, the last ones with more weight.
    mean_ms: u64,
}

impl Timings {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how long an operation is expected to take; `None` where there was none of its sort.
    pub fn expected(&self, provider: &str, kind: &Kind, verb: &str) -> Option<Duration> {
        let timing = self.0.get(&*key(provider, kind, verb))?;
        Some(Duration::from_millis(timing.mean_ms))
    }

    /// Takes in an operation that ended well; its sort is the provider, the kind and the verb.
    pub(crate) fn note(&mut self, sort: (&str, &Kind, &str), began: Timestamp, ended: Timestamp) {
        // A clock that was set back tells nothing.
        let Ok(took) = u64::try_from(ended.duration_since(began).as_millis()) else {
            return;
        };
        let (provider, kind, verb) = sort;
        let timing = self.0.entry(key(provider, kind, verb).into()).or_insert(Timing {
            count: 0,
            mean_ms: took,
        });
        timing.count = timing.count.saturating_add(1);
        let weight = timing.count.min(WEIGHT);
        timing.mean_ms = timing.mean_ms - timing.mean_ms / weight + took / weight;
    }
}

fn key(provider: &str, kind: &Kind, verb: &str) -> String {
    format!("{provider} {kind} {verb}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_follows_what_operations_take_now() {
        let mut timings = Timings::default();
        let expected = |timings: &Timings| timings.expected("local", &Kind::new("node"), "create");
        assert_eq!(expected(&timings), None);
        let mut took = |seconds: i64| {
            let ended = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(seconds);
            timings.note(("local", &Kind::new("node"), "create"), Timestamp::UNIX_EPOCH, ended);
            expected(&timings).expect("one has ended").as_secs_f64()
        };
        assert_eq!([took(10), took(20)], [10.0, 15.0]);
        assert_eq!(took(-5), 15.0, "a clock that was set back tells nothing");
        let later: Vec<f64> = (0..20).map(|_| took(60)).collect();
        assert!(later.is_sorted() && later[19] > 59.0 && later[19] <= 60.0, "{later:?}");
        assert_eq!(timings.expected("local", &Kind::new("node"), "delete"), None);
    }
}
