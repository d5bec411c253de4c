//! Whether and when a process is started again after it has ended: pure.

use std::time::Duration;

use crate::protocol::Restart;

/// The first wait before a restart; it doubles with every failure in a row.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest wait before a restart.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// A process that ran for this long has not failed to start: its failures are counted anew.
const PROVEN_AFTER: Duration = Duration::from_secs(10);

/// With `on-failure`, after so many failures in a row it stays down.
const MOST_FAILURES: u32 = 10;

/// What happens after a process has ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is started again after this time.
    Restart(Duration),
    /// It stays down.
    Stay,
}

/// Decides what happens after a process has ended by itself, and returns its failures in a row with it.
pub(crate) fn after_exit(restart: Restart, success: bool, ran: Duration, failures: u32) -> (Next, u32) {
    let failures = if ran >= PROVEN_AFTER { 0 } else { failures };
    let again = match restart {
        Restart::No => false,
        Restart::OnFailure => !success && failures < MOST_FAILURES,
        Restart::Always | Restart::UnlessStopped => true,
    };
    if !again {
        return (Next::Stay, failures);
    }
    let delay = FIRST_DELAY
        .saturating_mul(2u32.saturating_pow(failures))
        .min(LONGEST_DELAY);
    (Next::Restart(delay), failures.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_started_again_and_when() {
        let ms = |ms| Next::Restart(Duration::from_millis(ms));
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(10));
        for (name, restart, success, ran, failures, expected) in [
            ("never", Restart::No, false, short, 0, (Next::Stay, 0)),
            (
                "a success is no failure",
                Restart::OnFailure,
                true,
                short,
                0,
                (Next::Stay, 0),
            ),
            ("a failure", Restart::OnFailure, false, short, 0, (ms(100), 1)),
            ("the fourth failure", Restart::OnFailure, false, short, 3, (ms(800), 4)),
            (
                "too many failures",
                Restart::OnFailure,
                false,
                short,
                10,
                (Next::Stay, 10),
            ),
            (
                "many, but it ran for long",
                Restart::OnFailure,
                false,
                long,
                10,
                (ms(100), 1),
            ),
            ("always after a success", Restart::Always, true, short, 0, (ms(100), 1)),
            (
                "always, at most every minute",
                Restart::Always,
                false,
                short,
                40,
                (ms(60_000), 41),
            ),
            (
                "unless it was stopped",
                Restart::UnlessStopped,
                false,
                short,
                1,
                (ms(200), 2),
            ),
        ] {
            assert_eq!(after_exit(restart, success, ran, failures), expected, "{name}");
        }
    }
}
