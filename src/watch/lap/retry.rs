//! When what did not work is tried again.

use std::time::Duration;

use tokio::time::Instant;

/// How soon it is tried again where another run was faster.
pub(super) const SOON: Duration = Duration::from_secs(1);
/// How soon what could not be done is tried again at first, and at last.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
pub(super) const RARELY: Duration = Duration::from_secs(600);

/// After how many failures somebody should look: by then it was tried for a minute and more.
pub(super) const STUCK: u32 = 5;

/// What failed, and when it is tried again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    pub(super) failures: u32,
    pub(super) at: Instant,
}

impl Retry {
    pub(super) fn after(before: Option<&Retry>, now: Instant) -> Self {
        let failures = before.map_or(0, |before| before.failures) + 1;
        Retry {
            failures,
            at: now + again(failures),
        }
    }
}

/// Returns how long is waited after so many failures.
pub(super) fn again(failures: u32) -> Duration {
    AGAIN
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(RARELY)
}
