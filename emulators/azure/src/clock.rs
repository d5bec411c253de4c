//! The time of the emulated cloud: that of the machine, or one that stands until it is told to go on.

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// How the time of the emulator goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// As that of the machine, and further where a test advances it.
    #[default]
    Real,
    /// Only as far as a test advances it.
    OnDemand,
}

/// A clock that tests drive.
#[derive(Debug)]
pub struct Clock {
    pass: Pass,
    start: Timestamp,
    ahead: Mutex<SignedDuration>,
}

/// Where a clock that only tests drive begins, so that a run with the same seed gives the same answers.
const EPOCH: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl Clock {
    /// Begins now, or on the first of January 2026 where time goes on demand.
    pub fn new(pass: Pass) -> Self {
        let start = match pass {
            Pass::Real => Timestamp::now(),
            Pass::OnDemand => EPOCH,
        };
        Clock {
            pass,
            start,
            ahead: Mutex::new(SignedDuration::ZERO),
        }
    }

    /// Returns what time it is.
    pub fn now(&self) -> Timestamp {
        let ahead = *self.ahead.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let base = match self.pass {
            Pass::Real => Timestamp::now(),
            Pass::OnDemand => self.start,
        };
        base.checked_add(ahead).unwrap_or(Timestamp::MAX)
    }

    /// Lets time go on. What was due by then has happened when the next request is answered.
    pub fn advance(&self, by: Duration) {
        let mut ahead = self.ahead.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        *ahead = ahead.saturating_add(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_on_demand_stands_until_it_is_advanced() {
        let clock = Clock::new(Pass::OnDemand);
        assert_eq!(clock.now(), EPOCH);
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now(), EPOCH + SignedDuration::from_secs(90));
    }
}
