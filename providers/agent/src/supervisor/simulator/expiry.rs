//! When a simulator is stopped although it is to run: nobody has used it for long enough, or its time is over.
//!
//! It is used by whoever has a console of it, follows its log or debugs it, and by all that is done with it by hand or
//! changes what is wanted of it. Its life begins when it is made, and anew when it is started after it was stopped.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::super::record::seconds;
use super::Simulator;
use super::act::Acting;
use super::machine::MOST_SILENCE;

/// How soon it is looked again whether a machine is used whose monitor has not answered yet.
const UNSEEN_LOOK_AFTER: Duration = Duration::from_secs(1);

/// The longest time for which a use is not written down: so much of it is lost where the agent dies.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

/// How long something has lasted: by a clock that nobody sets, from a time that an earlier agent wrote down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Age {
    before: Duration,
    since: Instant,
}

impl Age {
    /// Nothing yet.
    pub fn zero() -> Self {
        Age {
            before: Duration::ZERO,
            since: Instant::now(),
        }
    }

    /// Since a time that was written down.
    pub fn since(time: SystemTime) -> Self {
        Age {
            // A clock that was set back tells nothing.
            before: time.elapsed().unwrap_or_default(),
            since: Instant::now(),
        }
    }

    /// Returns when it is that long.
    fn reaches(self, length: Duration) -> Instant {
        self.since + length.saturating_sub(self.before)
    }
}

impl Simulator {
    /// Returns when it is to be looked whether it is stopped, where nothing happens until then.
    pub(super) fn expires_at(&self) -> Option<Instant> {
        let (idle, life) = self.ends();
        let idle = idle.map(|at| match self.is_unseen() {
            true => at.max(Instant::now() + UNSEEN_LOOK_AFTER),
            false => at,
        });
        idle.into_iter().chain(life).min()
    }

    /// Returns when it has been idle for too long, and when its life is over. One that was never ready is about to become
    /// something, or fails.
    fn ends(&self) -> (Option<Instant>, Option<Instant>) {
        if !self.is_to_run() || !self.record.was_ready() {
            return (None, None);
        }
        let spec = &self.record.spec;
        let idle = spec.idle_timeout.map(|length| self.idle.reaches(seconds(length)));
        let life = spec.max_lifetime.map(|length| self.life.reaches(seconds(length)));
        (idle, life)
    }

    /// Whether it is a machine of which is not known yet whether a debugger has it.
    fn is_unseen(&self) -> bool {
        let process = self.process.as_ref().filter(|_| self.is_machine());
        process.is_some_and(|process| process.machine.is_none() && process.silence < MOST_SILENCE)
    }

    /// Has it be stopped, where it is time.
    pub(super) async fn expire(&mut self) {
        let (idle, life) = self.ends();
        let now = Instant::now();
        let spec = &self.record.spec;
        if life.is_some_and(|at| at <= now) {
            let length = spec.max_lifetime.map(seconds).unwrap_or_default();
            self.stop_because(format!("its max_lifetime of {} is over", written(length)))
                .await;
        } else if idle.is_some_and(|at| at <= now) && !self.is_unseen() {
            if self.is_in_use() {
                return self.use_it().await;
            }
            let length = spec.idle_timeout.map(seconds).unwrap_or_default();
            self.stop_because(format!("idle for {}", written(length))).await;
        }
    }

    async fn stop_because(&mut self, why: String) {
        tracing::info!(simulator = %self.record.name, why, "a simulator is stopped");
        self.record.expired = Some(why);
        self.failures = 0;
        self.retry_at = None;
        self.keep().await;
    }

    fn is_in_use(&self) -> bool {
        let seen = self.process.as_ref().and_then(|process| process.machine.as_ref());
        // What came and went is forgotten by the question, so it is asked first.
        self.users.were_there()
            || seen.is_some_and(|machine| machine.debugged)
            || self.act.as_ref().is_some_and(Acting::goes_on)
    }

    /// It is used now. That is written down now and then only.
    pub(super) async fn use_it(&mut self) {
        self.idle = Age::zero();
        let Some(timeout) = self.record.spec.idle_timeout else {
            return;
        };
        let written = self.record.used.and_then(|used| used.elapsed().ok());
        if written.is_none_or(|ago| ago > WRITTEN_WITHIN.min(seconds(timeout) / 10)) {
            self.record.used = Some(SystemTime::now());
            self.keep().await;
        }
    }

    /// Somebody has it do what is wanted, so it runs again where it was stopped for being idle, or as its time was over. The
    /// record has to be kept after this.
    pub(super) fn wake(&mut self) {
        if self.process.is_none() || self.record.expired.is_some() {
            self.life = Age::zero();
            self.record.began = Some(SystemTime::now());
        }
        self.idle = Age::zero();
        self.record.used = Some(SystemTime::now());
        self.record.expired = None;
        self.is_woken = true;
    }
}

/// Returns a time span as it is declared: `30m`, `1h30m`, `2.5s`.
fn written(length: Duration) -> String {
    let seconds = length.as_secs();
    let mut text = String::new();
    for (unit, size) in [("d", 86_400), ("h", 3600), ("m", 60)] {
        let count = match unit {
            "d" => seconds / size,
            "h" => seconds / size % 24,
            _ => seconds / size % 60,
        };
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    let rest = length.as_secs_f64() - length.as_secs_f64().div_euclid(60.0) * 60.0;
    match rest > 0.0 || text.is_empty() {
        true => format!("{text}{rest}s"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_written_as_they_are_declared() {
        for (seconds, expected) in [
            (0.0, "0s"),
            (2.5, "2.5s"),
            (60.0, "1m"),
            (90.0, "1m30s"),
            (1800.0, "30m"),
            (28_800.0, "8h"),
            (93_784.0, "1d2h3m4s"),
        ] {
            assert_eq!(written(Duration::from_secs_f64(seconds)), expected);
        }
    }
}
