//! Looks at a running process: whether it has become ready, whether it is healthy, whether it has stopped when told.

use std::time::Duration;

use tokio::time::Instant;

use super::super::health::{health_probe, ready_probes};
use super::super::run;
use super::process::KILL_MARGIN;
use super::{LOOK_EVERY, Simulator, ready_timeout};

/// How often one that needs nothing is looked at.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(5);

/// A process without a `ready` block is ready when it has lived for this long: one that cannot start has ended by then.
const LIVES_FOR: Duration = Duration::from_millis(250);

impl Simulator {
    /// Looks at a process that starts, is paused, or is to be checked or killed.
    pub(super) async fn look(&mut self) {
        let now = Instant::now();
        let Some(process) = &mut self.process else {
            return;
        };
        if process.kill_at.is_some_and(|at| at <= now) {
            run::kill(
                &self.shared,
                &self.record,
                process.running.as_ref(),
                process.shim.as_mut(),
            )
            .await;
            process.kill_at = Some(now + KILL_MARGIN);
        }
        if process.running.is_none() {
            process.running = run::running(&self.folder, self.record.run);
            process.since = now;
            // Told to stop before anybody knew it.
            if process.kill_at.is_some() && process.running.is_some() {
                process.stop(self.record.grace());
            }
        }
        process.next_look = now + LOOK_EVERY;
        if process.kill_at.is_some() {
            return;
        }
        if self.is_machine() {
            self.talk(now);
        }
        let Some(process) = &mut self.process else {
            return;
        };
        if process.ready {
            self.check_health(now);
        } else if process.ready_by <= now {
            let timeout = ready_timeout(&self.record.spec);
            let detail = process
                .last_problem
                .take()
                .map_or(String::new(), |problem| format!(": {problem}"));
            self.fail_start(format!("it was not ready within {} s{detail}", timeout.as_secs_f64()))
                .await;
        } else {
            self.check_ready().await;
        }
    }

    async fn check_ready(&mut self) {
        let Some(process) = &mut self.process else {
            return;
        };
        // A machine is ready when its monitor has answered.
        if process.running.is_none() || process.probing.is_some() || self.record.spec.machine.is_some() {
            return;
        }
        let ready = self.record.spec.ready.clone().unwrap_or_default();
        if ready.pattern.is_some() && !run::pattern_was_seen(&self.folder, self.record.run) {
            process.last_problem = Some("no line of its output matches the pattern".to_owned());
            return;
        }
        let probes = ready_probes(&self.record.spec, &ready, self.shared.listen);
        if probes.is_empty() {
            let lives = process.running.as_ref().is_some_and(|running| running.child.is_alive());
            if ready.pattern.is_some() || (lives && process.since.elapsed() >= LIVES_FOR) {
                self.became_ready().await;
            }
            return;
        }
        process.probing = Some(Box::pin(async move {
            for probe in probes {
                probe.run(Duration::from_secs(1)).await?;
            }
            Ok(())
        }));
    }

    pub(super) async fn became_ready(&mut self) {
        if let Some(process) = &mut self.process {
            process.became_ready();
        }
        if std::mem::take(&mut self.is_woken) {
            self.use_it().await;
        }
        self.record.ready_run = self.record.run;
        self.keep().await;
    }

    fn check_health(&mut self, now: Instant) {
        let paused = self.is_paused();
        let Some(process) = &mut self.process else {
            return;
        };
        let next = process.health.next_check();
        // Without a check it is still looked at now and then, as anybody can pause or resume it.
        process.next_look = now + IDLE_LOOK_EVERY;
        if self.record.spec.machine.is_some() {
            process.next_look = process.next_look.min(process.next_talk.max(now + LOOK_EVERY));
        }
        let (Some(next), Some(check)) = (next, &self.record.spec.health_check) else {
            return;
        };
        if paused || process.probing.is_some() {
            return;
        }
        if next > now {
            process.next_look = process.next_look.min(next);
            return;
        }
        let Some(probe) = health_probe(&self.record, check, &self.shared, &self.folder) else {
            return;
        };
        let timeout = process.health.timeout();
        process.probing = Some(Box::pin(async move { probe.run(timeout).await }));
    }

    pub(super) async fn probed(&mut self, result: Result<(), String>) {
        let Some(process) = &mut self.process else {
            return;
        };
        process.probing = None;
        if process.ready {
            process.health.checked(&result, Instant::now());
            process.next_look = Instant::now();
        } else {
            match result {
                Ok(()) => self.became_ready().await,
                Err(problem) => process.last_problem = Some(problem),
            }
        }
    }
}
